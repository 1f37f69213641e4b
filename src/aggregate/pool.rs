//! Threads for the work at the end of a run: order and rows of the table.
//!
//! Owns how such a pool is made. Knows no record. Invariant: a pool lives as long as the work it was made
//! for, so a run that exports nothing starts no thread.

use netscope_backends::thread::Start;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of `threads`; `None` where one thread is enough or the system refuses more: the caller does the
/// work itself.
pub fn export_pool(threads: usize) -> Option<ThreadPool> {
    if threads <= 1 {
        return None;
    }
    let start = Start::here();
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("export-{index}"))
        // The caller waits, so the first may begin where it is.
        .start_handler(move |index| start.move_by(index))
        .build()
        .ok()
}
