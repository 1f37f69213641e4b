//! Work on many records, divided among threads.
//!
//! Owns how it is divided and what happens when the system refuses a thread. Knows no record.

use netscope_backends::thread::spawn_apart;

/// Fewer records than these are one thread's work: starting others takes longer.
pub(super) const DIVIDED_MIN: usize = if cfg!(test) { 1 << 12 } else { 1 << 16 };

/// How many of `len` records each of `threads` takes.
pub(super) fn part_len(len: usize, threads: usize) -> usize {
    let threads = if len < DIVIDED_MIN { 1 } else { threads.max(1) };
    len.div_ceil(threads).max(1)
}

/// What `work` makes of each part, a thread for each if there are several; `None` when the system refused one, and some of the work is
/// done.
pub(super) fn in_parts<P: Send, R: Send>(parts: impl Iterator<Item = P>, work: impl Fn(P) -> R + Copy + Send) -> Option<Vec<R>> {
    let parts: Vec<P> = parts.collect();
    if parts.len() <= 1 {
        return Some(parts.into_iter().map(work).collect());
    }
    std::thread::scope(|scope| {
        let start = |(i, part)| spawn_apart(scope, i + 1, move || work(part));
        let started: Vec<_> = parts.into_iter().enumerate().map(start).collect();
        started.into_iter().map(|thread| thread.ok()?.join().ok()).collect()
    })
}
