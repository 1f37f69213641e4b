//! Where several workers that read the same packets stop when a run is ended early.
//!
//! Owns the number of the last packet that all of them process. Knows no packet. Invariant: once a line is drawn nobody is
//! beyond it, so everybody ends at the same packet, and nobody waits for anybody to get there.
//!
//! A worker announces how far a batch reaches, then looks for the line; who draws it forbids looking, then reads all
//! announcements. Sequential consistency orders the two, so a batch that went unseen sees the line.

use std::sync::atomic::{AtomicU64, Ordering};

/// No line: go on.
const OPEN: u64 = u64::MAX;
/// Somebody is drawing the line, in a few instructions.
const DRAWING: u64 = u64::MAX - 1;

/// One worker's announcement, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Claim(AtomicU64);

/// A line that is drawn at most once.
#[derive(Debug)]
pub struct StopLine {
    line: AtomicU64,
    claims: Box<[Claim]>,
}

impl StopLine {
    /// No line yet, for this many workers.
    pub fn new(workers: usize) -> Self {
        Self { line: AtomicU64::new(OPEN), claims: (0..workers).map(|_| Claim::default()).collect() }
    }

    /// Worker `index` is about to process packets up to number `through`; up to which number it may.
    pub fn claim(&self, index: u32, through: u64) -> u64 {
        if let Some(claim) = self.claims.get(index as usize) {
            // Pairs with the load of all claims in `draw`.
            claim.0.store(through, Ordering::SeqCst);
        }
        loop {
            // Pairs with both writes of the line in `draw`.
            match self.line.load(Ordering::SeqCst) {
                DRAWING => std::thread::yield_now(),
                line => return line,
            }
        }
    }

    /// Draws the line as far as the furthest worker has announced, unless it is drawn already.
    pub fn draw(&self) {
        if self.line.compare_exchange(OPEN, DRAWING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let furthest = self.claims.iter().map(|claim| claim.0.load(Ordering::SeqCst)).max();
            self.line.store(furthest.unwrap_or(0), Ordering::SeqCst);
        }
    }

    /// True when a line is drawn and packet `number` is not before it.
    pub fn is_reached(&self, number: u64) -> bool {
        let line = self.line.load(Ordering::SeqCst);
        line < DRAWING && number >= line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_line_is_where_the_furthest_is() {
        let line = StopLine::new(2);
        assert_eq!(line.claim(0, 64), OPEN);
        assert_eq!(line.claim(1, 128), OPEN);
        assert!(!line.is_reached(128), "there is none yet");
        line.draw();
        assert_eq!(line.claim(0, 192), 128);
        line.draw();
        assert_eq!(line.claim(1, 256), 128, "it is drawn once");
        assert!(!line.is_reached(127) && line.is_reached(128));
    }

    #[test]
    fn all_end_at_the_same_number() {
        for round in 0..50 {
            let line = Arc::new(StopLine::new(3));
            let workers = (0..3).map(|index| {
                let line = Arc::clone(&line);
                std::thread::spawn(move || {
                    let mut number = 0;
                    while !line.is_reached(number) {
                        let through = number + 1 + u64::from(index);
                        number = through.min(line.claim(index, through));
                        if index == 1 && number > 100 * round {
                            line.draw();
                        }
                    }
                    number
                })
            });
            let ends: Vec<u64> = workers.collect::<Vec<_>>().into_iter().map(|worker| worker.join().expect("no panic")).collect();
            assert!(ends.iter().all(|&end| end == ends[0]), "{ends:?}");
        }
    }
}
