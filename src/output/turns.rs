//! One output that several threads make text for, piece by piece.
//!
//! Owns the order of the pieces and what is left of an output when something fails. Knows no record. Its invariant: pieces are written in
//! the order of their numbers, whoever makes them and whenever. Nobody waits in order to write: whoever brings the piece
//! that is next writes it and those behind it that are there; who is far ahead waits for others to come along.

use super::bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The text of one piece.
pub(super) type Piece = Vec<Bytes>;

/// An output, and pieces whose turn has not come.
pub(super) struct Turns<W> {
    state: Mutex<State<W>>,
    /// A piece was written, or it is over.
    passed: Condvar,
    waiting_max: usize,
}

struct State<W> {
    /// `None` while somebody writes.
    out: Option<W>,
    /// Number of the piece that is next.
    turn: usize,
    waiting: BTreeMap<usize, Piece>,
    /// Memory to be used again.
    spare: Vec<Piece>,
    /// Nothing will be written any more.
    is_over: bool,
    failure: Option<io::Error>,
}

impl<W: Write> Turns<W> {
    /// Of an output whose first piece is number 0; whoever brings more than `waiting_max` before their turn has to wait.
    pub fn new(out: W, waiting_max: usize) -> Self {
        let state = State { out: Some(out), turn: 0, waiting: BTreeMap::new(), spare: Vec::new(), is_over: false, failure: None };
        Self { state: Mutex::new(state), passed: Condvar::new(), waiting_max }
    }

    /// Takes piece `number`, writes what can be written, and gives memory for another piece. `None` when nothing will be written any more.
    pub fn take(&self, number: usize, piece: Piece) -> Option<Piece> {
        let mut state = self.lock();
        state.waiting.insert(number, piece);
        loop {
            if state.is_over {
                return None;
            }
            let turn = state.turn;
            if state.out.is_some() && state.waiting.contains_key(&turn) {
                state = self.write_next(state);
            } else if state.waiting.len() <= self.waiting_max {
                return Some(state.spare.pop().unwrap_or_default());
            } else {
                state = self.passed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Writes the piece whose turn it is, while others may bring theirs.
    fn write_next<'a>(&'a self, mut state: MutexGuard<'a, State<W>>) -> MutexGuard<'a, State<W>> {
        let turn = state.turn;
        let (Some(mut out), Some(mut piece)) = (state.out.take(), state.waiting.remove(&turn)) else { return state };
        drop(state);
        let written = piece.iter_mut().try_for_each(|text| text.write(&mut out));
        let mut state = self.lock();
        state.out = Some(out);
        state.turn += 1;
        state.spare.push(piece);
        if let Err(error) = written {
            state.failure = Some(error);
            state.is_over = true;
        }
        self.passed.notify_all();
        state
    }

    /// Says for as long as it lives that this thread takes part; when it panics, nobody waits for its pieces.
    pub fn take_part(&self) -> Part<'_, W> {
        Part(self)
    }

    /// How it ended.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<()> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failure.map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // Nothing here panics under the lock but for want of memory, and whoever panics says that it is over.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Turns::take_part`].
pub(super) struct Part<'a, W: Write>(&'a Turns<W>);

impl<W: Write> Drop for Part<'_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().is_over = true;
            self.0.passed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> Piece {
        let mut bytes = Bytes::default();
        let mut end = bytes.open();
        end.word(text.as_bytes());
        end.close();
        vec![bytes]
    }

    #[test]
    fn pieces_stand_in_the_order_of_their_numbers() {
        let mut out = Vec::new();
        let turns = Turns::new(&mut out, 8);
        for (number, text) in [(2, "c"), (1, "b"), (4, "e"), (0, "a"), (3, "d")] {
            assert!(turns.take(number, piece(text)).is_some());
        }
        turns.finish().expect("memory takes all");
        assert_eq!(out, b"abcde");
    }

    /// Fails once.
    struct Failing<'a>(&'a mut Vec<u8>, bool);

    impl Write for Failing<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::take(&mut self.1) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_written_behind_a_failure() {
        let mut out = Vec::new();
        let turns = Turns::new(Failing(&mut out, true), 8);
        assert!(turns.take(1, piece("b")).is_some());
        assert!(turns.take(0, piece("a")).is_none());
        assert!(turns.take(2, piece("c")).is_none());
        assert_eq!(turns.finish().expect_err("it failed once").kind(), io::ErrorKind::StorageFull);
        assert!(out.is_empty());
    }

    #[test]
    fn nobody_waits_for_one_that_panicked() {
        let turns = Turns::new(Vec::new(), 0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.take(1, piece("b")).is_some());
            let panicking = scope.spawn(|| {
                let _part = turns.take_part();
                panic!("as it is meant to");
            });
            assert!(panicking.join().is_err());
            assert!(!waiting.join().expect("it only waits"));
        });
        assert!(turns.take(0, piece("a")).is_none());
    }
}
