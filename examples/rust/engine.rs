//! A stand-in for a library in Rust with threads of its own: it makes items, and tells Go.

mod notifier;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{thread, time::Duration};

/// How many items wait to be taken. Relaxed is enough: notify orders it.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Starts threads that make items each, one every interval.
#[no_mangle]
pub extern "C" fn engine_start(handle: u64, threads: u64, items: u64, interval_us: u64) {
    for _ in 0..threads {
        thread::spawn(move || {
            for _ in 0..items {
                thread::sleep(Duration::from_micros(interval_us));
                MADE.fetch_add(1, Relaxed);
                if let Err(error) = unsafe { notifier::notify(handle) } {
                    eprintln!("rust: notify: {:?}", error);
                }
            }
        });
    }
}

/// Takes what was made since the last call.
#[no_mangle]
pub extern "C" fn engine_take() -> u64 {
    MADE.swap(0, Relaxed)
}

/// Notifies once, and answers as notifier_notify in C does.
#[no_mangle]
pub extern "C" fn engine_notify(handle: u64) -> i32 {
    match unsafe { notifier::notify(handle) } {
        Ok(coalesced) => coalesced as i32,
        Err(notifier::Error::Closed) => -1,
        Err(notifier::Error::Invalid) => -2,
        Err(notifier::Error::Failed(_)) => -3,
    }
}
