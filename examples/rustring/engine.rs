//! A stand-in for a library in Rust with threads of its own, which hands samples to Go.

#[path = "../rust/notifier.rs"]
mod notifier;
mod out;
mod ring;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::{thread, time::Duration};

/// What a record holds; Go has the same struct.
#[repr(C)]
struct Sample {
    thread: u32,
    length: u32, // of the text
    number: u64,
    text: [u8; 16],
}

static RUNNING: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Starts threads that push so many samples each; after each 64 they pause.
#[no_mangle]
pub extern "C" fn engine_start(ring: u64, threads: u32, samples: u64, pause_us: u64) {
    RUNNING.store(threads as u64, SeqCst);
    for thread in 0..threads {
        thread::spawn(move || {
            for number in 0..samples {
                let name = format!("sample {}", number % 1_000_000);
                let mut text = [0u8; 16];
                text[..name.len()].copy_from_slice(name.as_bytes());
                let sample = Sample { thread, length: name.len() as u32, number, text };
                let bytes = unsafe { std::slice::from_raw_parts(&sample as *const Sample as *const u8, std::mem::size_of::<Sample>()) };
                if unsafe { ring::push(ring, bytes) }.is_err() {
                    REFUSED.fetch_add(1, SeqCst);
                }
                if number % 64 == 63 {
                    thread::sleep(Duration::from_micros(pause_us));
                }
            }
            RUNNING.fetch_sub(1, SeqCst);
        });
    }
}

/// How many threads still push.
#[no_mangle]
pub extern "C" fn engine_running() -> u64 {
    RUNNING.load(SeqCst)
}

/// How many samples were refused.
#[no_mangle]
pub extern "C" fn engine_refused() -> u64 {
    REFUSED.load(SeqCst)
}

/// Pushes length bytes once, and answers as notifier_ring_push in C does, but for NOTIFIER_COALESCED.
#[no_mangle]
pub extern "C" fn engine_push(ring: u64, length: usize) -> i32 {
    match unsafe { ring::push(ring, &vec![1u8; length]) } {
        Ok(()) => 0,
        Err(error) => error as i32,
    }
}

/// Reads a record that Go wrote, as notifier_out_read in C does.
#[no_mangle]
pub unsafe extern "C" fn engine_read(out: u64, buffer: *mut u8, capacity: usize) -> usize {
    out::read(out, std::slice::from_raw_parts_mut(buffer, capacity))
}
