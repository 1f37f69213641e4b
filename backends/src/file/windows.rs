//! How much of a mapped file lies in our address space: some windows ahead of the walk, and behind it what
//! readers may still want.
//!
//! Owns when pages are brought in and given back, for all who share one walk. Knows no record. Its one
//! invariant: it changes how fast bytes are read and never what they are.

use super::mapping::MappedFile;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes brought in at a time, which is more than most calls consume.
pub(super) const WINDOW_LEN: usize = 2 << 20;

/// Bytes behind the place of the walk that stay, where nothing says who still wants them.
const KEPT_LEN: usize = 32 << 20;

/// When the bytes behind the walk are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenBack {
    /// [`KEPT_LEN`] behind the walk.
    BehindWalk,
    /// When the readers say that they are done with them.
    WhenTold,
}

/// The windows of one walk.
pub(super) struct Windows {
    mapping: Arc<MappedFile>,
    given_back: GivenBack,
    /// Bytes before this were brought in, or are just being.
    populated: AtomicUsize,
    /// Bytes before this were given back.
    released: AtomicUsize,
}

impl Windows {
    /// Of a walk that begins at the file's first byte, whose reader is done with what it has walked over.
    pub(super) const fn new(mapping: Arc<MappedFile>) -> Self {
        Self::giving_back(mapping, GivenBack::BehindWalk)
    }

    /// The same for readers that are not as far as the walk, and say what they are done with.
    pub(super) const fn of_several(mapping: Arc<MappedFile>) -> Self {
        Self::giving_back(mapping, GivenBack::WhenTold)
    }

    const fn giving_back(mapping: Arc<MappedFile>, given_back: GivenBack) -> Self {
        Self { mapping, given_back, populated: AtomicUsize::new(0), released: AtomicUsize::new(0) }
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
        if self.given_back == GivenBack::BehindWalk {
            self.give_back_before(start.min(at).saturating_sub(KEPT_LEN));
        }
    }

    /// Gives back the windows before `at`, which no reader wants any more.
    pub(super) fn give_back_before(&self, at: usize) {
        // All of them at the end, at once, would keep every thread that wants memory waiting.
        let done = at / WINDOW_LEN * WINDOW_LEN;
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
    fn several_readers_say_what_they_are_done_with() {
        let len = 3 * KEPT_LEN;
        let file = tempfile::tempfile().unwrap();
        file.set_len(len as u64).unwrap();
        let windows = Windows::of_several(Arc::new(MappedFile::new(file).unwrap()));
        let released = || windows.released.load(Ordering::Relaxed);
        windows.bring_in(len - 1, WINDOW_LEN);
        assert_eq!(released(), 0, "however far the walk is");
        windows.give_back_before(WINDOW_LEN - 1);
        assert_eq!(released(), 0, "whole windows");
        windows.give_back_before(5 * WINDOW_LEN + 1);
        windows.give_back_before(2 * WINDOW_LEN);
        assert_eq!(released(), 5 * WINDOW_LEN, "who comes later gives back nothing twice");
        windows.give_back_before(usize::MAX);
        assert!(windows.mapping().bytes().iter().all(|&byte| byte == 0));
        assert!(!windows.mapping().is_hit());
    }

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
