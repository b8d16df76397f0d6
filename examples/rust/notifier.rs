//! notifier.h in Rust: what a foreign thread needs to wake a goroutine, without C. The header is the ABI's document;
//! this follows its steps. For Linux, like the example; other systems signal differently.

use std::sync::atomic::{fence, AtomicU32, Ordering::SeqCst};

const MAGIC: u32 = 0x77616b65;
const ABI: u32 = 1;

/// What notify returns when no wake-up was arranged; the numbers are those of the C codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    Closed,      // -1: the notifier is gone
    Invalid,     // -2: no handle, or another ABI than this
    Failed(i32), // -3: the doorbell failed with this errno; the next call tries again
}

extern "C" {
    // A cancellation point, but Rust has no cancelled threads.
    fn write(descriptor: i32, buffer: *const u8, length: usize) -> isize;
    fn read(descriptor: i32, buffer: *mut u8, length: usize) -> isize;
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const EBADF: i32 = 9;

fn write_all(descriptor: i32, bytes: &[u8]) -> i32 {
    while unsafe { write(descriptor, bytes.as_ptr(), bytes.len()) } < 0 {
        if errno() != EINTR {
            return errno();
        }
    }
    0
}

fn ring(kind: u32, descriptor: i32) -> Result<(), Error> {
    let one = 1u64.to_ne_bytes();
    let error = match kind {
        1 => match write_all(descriptor, &one) {
            EAGAIN => {
                // An eventfd at its maximum wakes nobody: empty it and write again.
                let mut count = [0u8; 8];
                while unsafe { read(descriptor, count.as_mut_ptr(), 8) } < 0 && errno() != EAGAIN {
                    if errno() != EINTR {
                        return Err(Error::Failed(errno()));
                    }
                }
                write_all(descriptor, &one)
            }
            error => error,
        },
        2 => write_all(descriptor, &[0]), // a pipe
        _ => EBADF,
    };
    // EAGAIN: others have signalled since.
    if error == 0 || error == EAGAIN { Ok(()) } else { Err(Error::Failed(error)) }
}

/// Looks first: a word that needs no change stays shared. True if the bit was set already.
fn raise(word: &AtomicU32, bit: u32) -> bool {
    word.load(SeqCst) >> bit & 1 == 1 || word.fetch_or(1 << bit, SeqCst) >> bit & 1 == 1
}

/// Wakes the goroutine whose notifier gave out the handle. Ok(true) if a wake-up was on its way already.
///
/// # Safety
/// The handle is 0 or came from Notifier.Handle in this process, at whatever time: it stays harmless after Close.
pub unsafe fn notify(handle: u64) -> Result<bool, Error> {
    let base = (handle >> 39 << 23) as usize;
    let index = (handle >> 19) as usize & 0xfffff;
    let generation = handle as u32 & 0x7ffff;
    // What cannot be a handle: a number whose address no memory has, and an even one, which is a ring's.
    if handle < 1 << 48 || handle >= 1 << 63 || handle & 1 == 0 {
        return Err(Error::Invalid);
    }
    let at = |offset: usize, word: usize| &*((base + offset + word * 4) as *const AtomicU32);
    // 1. What was written before is visible before the looks below.
    fence(SeqCst);
    match (at(0, 0).load(SeqCst), at(4, 0).load(SeqCst)) {
        (MAGIC, ABI) => {}
        (0 | MAGIC, 0) => return Err(Error::Closed), // a forked child's wiped memory
        _ => return Err(Error::Invalid),
    }
    let pid = at(16, 0).load(SeqCst);
    if pid != 0 && pid != std::process::id() {
        return Err(Error::Closed);
    }
    // 2. Still the same owner?
    if at(139264, index).load(SeqCst) != generation {
        return Err(Error::Closed);
    }
    // 3. and 4. The leaf bit, and the levels above it, upwards, also when it was set.
    let (word, bit) = ((index & 2047) << 4 | (index >> 11 & 15), (index >> 15) as u32);
    let coalesced = raise(at(8192, word), bit);
    raise(at(512, word >> 5), word as u32 & 31);
    raise(at(384, word >> 10), (word >> 5) as u32 & 31);
    raise(at(256, 0), (word >> 10) as u32);
    // 5. Signal the doorbell if the poller is asleep, and only then say that nobody else needs to.
    let asleep = at(128, 0).load(SeqCst);
    if asleep & 1 == 1 {
        ring(at(8, 0).load(SeqCst), at(12, 0).load(SeqCst) as i32)?;
        let _ = at(128, 0).compare_exchange(asleep, asleep.wrapping_add(1), SeqCst, SeqCst);
    }
    Ok(coalesced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{alloc_zeroed, Layout};

    /// A block without a doorbell, and the handle of an index in it.
    unsafe fn block(index: usize, generation: u32) -> (*mut u32, u64) {
        let base = alloc_zeroed(Layout::from_size_align(8 << 20, 8 << 20).unwrap()) as *mut u32;
        *base = MAGIC;
        *base.add(1) = ABI;
        *base.add(139264 / 4 + index) = generation;
        (base, (base as u64) >> 23 << 39 | (index as u64) << 19 | generation as u64)
    }

    #[test]
    fn sets_the_bits_of_the_abi() {
        for (index, word, bit) in [(0, 0, 0), (1, 16, 0), (2047, 32752, 0), (2048, 1, 0), (32767, 32767, 0), (32768, 0, 1), (0xfffff, 32767, 31)] {
            unsafe {
                let (base, handle) = block(index, 7);
                assert_eq!(notify(handle), Ok(false));
                assert_eq!(notify(handle), Ok(true));
                assert_eq!(*base.add(8192 / 4 + word), 1 << bit, "leaf of {index}");
                assert_eq!(*base.add(512 / 4 + word / 32), 1 << (word % 32), "mid of {index}");
                assert_eq!(*base.add(384 / 4 + word / 1024), 1 << (word / 32 % 32), "top of {index}");
                assert_eq!(*base.add(256 / 4), 1 << (word / 1024), "root of {index}");
            }
        }
    }

    #[test]
    fn answers_as_the_header_does() {
        unsafe {
            let (base, handle) = block(3, 7);
            for number in [0, handle & !1, handle & 0xffff_ffff, handle as i32 as u64, base as u64 | 1, u64::MAX] {
                assert_eq!(notify(number), Err(Error::Invalid), "{number:#x}");
            }
            assert_eq!(notify(handle + 2), Err(Error::Closed));
            *base.add(128 / 4) = 1; // asleep, but there is no doorbell
            assert_eq!(notify(handle), Err(Error::Failed(EBADF)));
            assert_eq!(*base.add(128 / 4), 1, "nobody signalled it");
            *base.add(16 / 4) = 1; // another process
            assert_eq!(notify(handle), Err(Error::Closed));
            *base.add(4 / 4) = ABI + 1;
            assert_eq!(notify(handle), Err(Error::Invalid));
            *base.add(4 / 4) = 0; // wiped
            assert_eq!(notify(handle), Err(Error::Closed));
            *base = MAGIC + 1; // somebody else's memory
            assert_eq!(notify(handle), Err(Error::Invalid));
        }
    }
}
