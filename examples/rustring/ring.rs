//! ring.h in Rust: what a foreign thread needs to hand records to a goroutine, without C. The header is the ABI's document;
//! this follows its steps. The wake-up itself is ../rust/notifier.rs, for Linux.

use crate::notifier;
use std::sync::atomic::{fence, AtomicU32, AtomicUsize, Ordering::*};

const ABI: u32 = 1;
const MAGIC: u32 = 0x676e6972;
const BUSY: u32 = 0x4000_0000;
const READY: u32 = 0x8000_0000;
const DROPPED: u32 = 0xc000_0000;

/// Why a record was not taken; the numbers are those of the C codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    Closed = -1,
    Invalid = -2,
    Failed = -3, // it is in the ring, but the doorbell failed; the next push tries again
    Full = -4,
    TooLarge = -5,
}

/// Appends a copy of data. It never waits: a record that finds no room is counted as lost.
///
/// # Safety
/// The number is 0 or came from Ring.Handle in this process, at whatever time: it stays harmless after Close.
pub unsafe fn push(ring: u64, data: &[u8]) -> Result<(), Error> {
    put(ring, data, false)
}

/// As push, for a producer that comes again: a refusal is not counted as lost. Full also means that what room there is is
/// kept for a producer that waits, in notifier_ring_wait of ring.h or Ring.PushWait of Go.
///
/// # Safety
/// As for push.
#[allow(dead_code)] // the example has no use for it
pub unsafe fn try_push(ring: u64, data: &[u8]) -> Result<(), Error> {
    put(ring, data, true)
}

unsafe fn put(ring: u64, data: &[u8], patient: bool) -> Result<(), Error> {
    let base = (ring >> 28 << 12) as usize;
    let generation = ring as u32 & 0xfff_ffff;
    // What cannot be a ring's number: one whose address no memory has, and an odd one, which is a notifier's handle.
    if ring < 1 << 48 || ring >= 1 << 63 || ring & 1 == 1 || generation == 0 {
        return Err(Error::Invalid);
    }
    let word = |offset: usize| &*((base + offset) as *const AtomicU32);
    let native = |offset: usize| &*((base + offset) as *const AtomicUsize);
    match (word(0).load(SeqCst), word(4).load(SeqCst)) {
        (MAGIC, ABI) => {}
        (0 | MAGIC, 0) => return Err(Error::Closed), // a forked child's wiped memory
        _ => return Err(Error::Invalid),
    }
    let pid = word(40).load(SeqCst);
    if pid != 0 && pid != std::process::id() {
        return Err(Error::Closed); // a forked child's copy
    }

    // 1. Reserve. The position is read first and exchanged last, so that all that is read in between is of one ring.
    let span = 8 + (data.len() + 7 & !7);
    let (mut position, pad, size, memory) = loop {
        let p = native(128).load(SeqCst);
        if word(8).load(SeqCst) != generation || p & 7 != 0 {
            return Err(Error::Closed);
        }
        let size = word(16).load(SeqCst) as usize;
        if data.len() > word(20).load(SeqCst) as usize {
            if native(128).load(SeqCst) != p {
                continue; // another ring's
            }
            if !patient {
                native(384).fetch_add(1, Relaxed);
            }
            return Err(Error::TooLarge);
        }
        let memory = native(32).load(SeqCst);
        let rest = size.wrapping_sub(p & size.wrapping_sub(1));
        let mirrored = word(12).load(SeqCst) & 1 != 0;
        let pad = if span > rest && !mirrored { rest } else { 0 };
        let used = p.wrapping_sub(native(256).load(SeqCst));
        let kept = if patient && used != 0 { word(268).load(SeqCst) as usize & !7 } else { 0 };
        if used > size || pad + span > size - used || kept > size - used - pad - span {
            if native(128).load(SeqCst) != p {
                continue; // the two do not belong together
            }
            if !patient {
                native(384).fetch_add(1, Relaxed);
            }
            return Err(Error::Full);
        }
        if native(128).compare_exchange(p, p.wrapping_add(pad + span), SeqCst, SeqCst).is_ok() {
            break (p, pad, size, memory);
        }
    };
    fence(SeqCst);

    // Wakes a reader who sleeps and can use the record with this tag: notify first, and only then say that nobody else need.
    let wake = |tag: u32| -> Result<(), Error> {
        let wanted = word(264).load(SeqCst);
        if wanted & 1 == 0 || wanted & 2 != 0 && native(256).load(SeqCst) as u32 ^ MAGIC != tag {
            return Ok(());
        }
        let handle = word(24).load(SeqCst) as u64 | (word(28).load(SeqCst) as u64) << 32;
        match notifier::notify(handle) {
            Err(notifier::Error::Failed(_)) => return Err(Error::Failed),
            Err(_) => {} // the ring ended, and the word is for others by now
            Ok(_) => {
                let _ = word(264).compare_exchange(wanted, wanted & !1, SeqCst, SeqCst);
            }
        }
        Ok(())
    };

    // What is left before the end becomes a record that is dropped.
    let header = |p: usize| (memory + (p & size - 1)) as *const AtomicU32;
    if pad > 0 {
        let (h, tag) = (header(position), position as u32 ^ MAGIC);
        (*h.add(1)).store(tag, Relaxed);
        (*h).store(DROPPED | (pad - 8) as u32, Release);
        let _ = wake(tag);
        position = position.wrapping_add(pad);
    }
    let (h, tag) = (header(position), position as u32 ^ MAGIC);
    (*h.add(1)).store(tag, Relaxed);
    (*h).store(BUSY | data.len() as u32, Relaxed);

    // 2. Fill.
    std::ptr::copy_nonoverlapping(data.as_ptr(), h.add(2) as *mut u8, data.len());

    // 3. Commit, unless the ring was shut. The memory is the reader's from then on.
    if word(8).load(SeqCst) != generation {
        (*h).store(DROPPED | data.len() as u32, Release);
        return Err(Error::Closed);
    }
    (*h).store(READY | data.len() as u32, Release);
    wake(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{alloc_zeroed, Layout};

    /// A control block as Go makes it, of an empty ring of 4096 bytes that nobody reads, and the ring's number.
    unsafe fn block(generation: u32) -> (*mut u32, u64) {
        let page = Layout::from_size_align(4096, 4096).unwrap();
        let (base, data) = (alloc_zeroed(page) as *mut u32, alloc_zeroed(page));
        *base = MAGIC;
        *base.add(4 / 4) = ABI;
        *base.add(8 / 4) = generation;
        *base.add(16 / 4) = 4096;
        *base.add(20 / 4) = 2040;
        *(base.add(32 / 4) as *mut usize) = data as usize;
        (base, (base as u64) >> 12 << 28 | generation as u64)
    }

    #[test]
    fn answers_as_the_header_does() {
        unsafe {
            let (base, ring) = block(8);
            let word = base.add(128 / 4) as *const usize;
            let position = || *word;
            assert_eq!(push(ring, b"first"), Ok(()));
            assert_eq!(position(), 16);
            *base.add(40 / 4) = std::process::id();
            assert_eq!(push(ring, b"second"), Ok(()));
            assert_eq!(position(), 32);
            *base.add(268 / 4) = 4096 | 1; // somebody needs it all
            assert_eq!(try_push(ring, b"third"), Err(Error::Full));
            *base.add(268 / 4) = 1;
            assert_eq!(try_push(ring, &[0; 2041]), Err(Error::TooLarge));
            assert_eq!(*base.add(384 / 4), 0, "nothing was lost");
            *base.add(40 / 4) = std::process::id() + 1; // another process has it, and this one a copy
            assert_eq!(push(ring, b"third"), Err(Error::Closed));
            *base.add(4 / 4) = ABI + 1;
            assert_eq!(push(ring, b"third"), Err(Error::Invalid));
            *base.add(4 / 4) = 0; // wiped
            assert_eq!(push(ring, b"third"), Err(Error::Closed));
            base.write(MAGIC + 1); // somebody else's memory
            assert_eq!(push(ring, b"third"), Err(Error::Invalid));
            for number in [0, ring | 1, ring & 0xffff_ffff, ring as i32 as u64, base as u64, u64::MAX - 1] {
                assert_eq!(push(number, b"third"), Err(Error::Invalid), "{number:#x}");
            }
            assert_eq!(position(), 32, "it was refused");
        }
    }
}
