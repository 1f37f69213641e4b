//! How much of a mapped file lies in our address space: some windows ahead of the walk, and a while behind
//! it.
//!
//! Owns when pages are brought in and given back, for all who share one walk. Knows no record. Its one
//! invariant: it changes how fast bytes are read and never what they are.

use super::mapping::MappedFile;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes brought in at a time, which is more than most calls consume.
pub(super) const WINDOW_LEN: usize = 2 << 20;

/// Bytes behind the place of the walk that stay: who shares it is not as far yet.
const KEPT_LEN: usize = 32 << 20;

/// The windows of one walk.
pub(super) struct Windows {
    mapping: Arc<MappedFile>,
    /// Bytes before this were brought in, or are just being.
    populated: AtomicUsize,
    /// Bytes before this were given back.
    released: AtomicUsize,
}

impl Windows {
    /// Of a walk that begins at the file's first byte.
    pub(super) const fn new(mapping: Arc<MappedFile>) -> Self {
        Self { mapping, populated: AtomicUsize::new(0), released: AtomicUsize::new(0) }
    }

    /// The file.
    pub(super) const fn mapping(&self) -> &Arc<MappedFile> {
        &self.mapping
    }

    /// Brings in the next window, unless there are `ahead` bytes behind `at`, where the walk is. What it may
    /// want beyond comes in page by page.
    pub(super) fn bring_in(&self, at: usize, ahead: usize) {
        let populated = self.populated.load(Ordering::Relaxed);
        if at + ahead <= populated {
            return;
        }
        let start = populated.max(at / WINDOW_LEN * WINDOW_LEN);
        // Nothing but the number is shared, and one of those who come at the same time is enough.
        if self.populated.compare_exchange(populated, start + WINDOW_LEN, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        self.mapping.populate(start, WINDOW_LEN);
        // All of them at the end, at once, would keep every thread that wants memory waiting.
        let done = start.min(at).saturating_sub(KEPT_LEN) / WINDOW_LEN * WINDOW_LEN;
        let released = self.released.fetch_max(done, Ordering::Relaxed);
        if released < done {
            self.mapping.release(released, done - released);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn windows_follow_the_walk_and_bytes_stay_the_same() {
        let len = KEPT_LEN + 5 * WINDOW_LEN + 100;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; len]).unwrap();
        let windows = Windows::new(Arc::new(MappedFile::new(file).unwrap()));
        let state = || (windows.populated.load(Ordering::Relaxed), windows.released.load(Ordering::Relaxed));
        windows.bring_in(0, WINDOW_LEN);
        assert_eq!(state(), (WINDOW_LEN, 0));
        windows.bring_in(0, WINDOW_LEN);
        assert_eq!(state(), (WINDOW_LEN, 0), "enough is there");
        windows.bring_in(1, 3 * WINDOW_LEN);
        assert_eq!(state(), (2 * WINDOW_LEN, 0), "one at a time");
        windows.bring_in(KEPT_LEN + 3 * WINDOW_LEN + 1, WINDOW_LEN);
        assert_eq!(state(), (KEPT_LEN + 4 * WINDOW_LEN, 3 * WINDOW_LEN), "from where the walk is on");
        windows.bring_in(len, 3 * WINDOW_LEN);
        windows.bring_in(len, 3 * WINDOW_LEN);
        assert!(windows.mapping().bytes().iter().all(|&byte| byte == 7));
        assert!(!windows.mapping().is_hit());
    }
}
