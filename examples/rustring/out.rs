//! The reader of an Out in Rust: what notifier_out_read of ring.h does, step by step. The header is the ABI's document.

use std::sync::atomic::{fence, AtomicU32, AtomicUsize, Ordering::*};

const ABI: u32 = 1;
const MAGIC: u32 = 0x2074756f;
const PADDING: u32 = 0x8000_0000;

/// Copies the oldest record to buffer and returns its length. 0: there is none. More than buffer.len(): it is that long, and
/// stays. It never waits and makes no system call, but for the process's id where a forked child has a copy of the memory.
///
/// # Safety
/// The number is 0 or came from Out.Handle in this process, at whatever time: it stays harmless after Close.
pub unsafe fn read(out: u64, buffer: &mut [u8]) -> usize {
    let base = (out >> 28 << 12) as usize;
    let generation = out as u32 & 0xfff_ffff;
    if out < 1 << 48 || out >= 1 << 63 || out & 1 == 1 || generation == 0 {
        return 0; // no number of an Out
    }
    let word = |offset: usize| &*((base + offset) as *const AtomicU32);
    let native = |offset: usize| &*((base + offset) as *const AtomicUsize);
    if word(0).load(SeqCst) != MAGIC || word(4).load(SeqCst) != ABI {
        return 0;
    }
    let pid = word(40).load(SeqCst);
    if pid != 0 && pid != std::process::id() {
        return 0; // a forked child's copy
    }
    if word(8).load(SeqCst) != generation || native(256).load(SeqCst) == native(128).load(SeqCst) {
        return 0;
    }
    // inside is raised and then consumer looked at: so the data stays mapped, or it is seen that the Out is closed.
    word(272).fetch_add(1, SeqCst);
    fence(SeqCst);
    let got = loop {
        // consumer is read first and exchanged last, so that all that is read in between is of one Out, and whole.
        let p = native(256).load(SeqCst);
        if word(8).load(SeqCst) != generation || p & 7 != 0 || native(128).load(SeqCst) == p {
            break 0;
        }
        let size = word(16).load(SeqCst) as usize;
        let max = word(20).load(SeqCst) as usize;
        let offset = p & size.wrapping_sub(1);
        let header = (native(32).load(SeqCst) + offset) as *const AtomicU32;
        let rest = size - offset - 8;
        let (length, tag) = ((*header).load(SeqCst), (*header.add(1)).load(SeqCst));
        if native(256).load(SeqCst) != p {
            continue; // these do not belong together
        }
        if tag != p as u32 ^ MAGIC {
            break 0; // somebody wrote over it
        }
        if length & PADDING != 0 {
            if (length ^ PADDING) as usize != rest {
                break 0;
            }
            let _ = native(256).compare_exchange(p, p.wrapping_add(8 + rest), SeqCst, SeqCst);
            continue;
        }
        let n = length as usize;
        if n == 0 || n > max || n > rest || native(264).load(SeqCst) == p | 1 {
            break 0; // the last one: somebody has peeked at it
        }
        if n > buffer.len() {
            break n;
        }
        std::ptr::copy_nonoverlapping(header.add(2) as *const u8, buffer.as_mut_ptr(), n);
        if native(256).compare_exchange(p, p.wrapping_add(8 + (n + 7 & !7)), SeqCst, SeqCst).is_ok() {
            break n;
        }
    };
    word(272).fetch_sub(1, SeqCst);
    got
}
