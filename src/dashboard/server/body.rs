//! Bodies of answers: in pieces, within a budget of memory, and until a deadline.
//!
//! Owns how much of all answers waits for clients. Knows no header. Invariant: what a body holds of the budget is given back when it is dropped.

use super::limits::{ANSWER_BYTES_MAX, TAKE_TIME};
use bytes::Bytes;
use hyper::body::{Body, Frame as BodyFrame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::mpsc;

/// Bytes handed to the connection at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The body of an answer.
pub(super) struct PageBody {
    content: BodyContent,
    /// Part of the budget.
    _held: Option<HeldBytes>,
    /// Until when the client has to have taken it.
    deadline: Arc<Deadline>,
}

enum BodyContent {
    Full(Bytes),
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

/// A time that a body moves on and its connection looks at.
pub(super) struct Deadline {
    start: Instant,
    /// Milliseconds after the start.
    at_ms: AtomicU64,
}

impl Deadline {
    /// [`TAKE_TIME`] from now.
    fn new() -> Arc<Self> {
        let deadline = Self { start: Instant::now(), at_ms: AtomicU64::new(0) };
        deadline.move_on();
        Arc::new(deadline)
    }

    fn move_on(&self) {
        let at = self.start.elapsed() + TAKE_TIME;
        // Relaxed: a time, which guards nothing.
        self.at_ms.store(u64::try_from(at.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// True when the client took too long.
    pub(super) fn has_passed(&self) -> bool {
        // Relaxed: as above.
        self.start.elapsed().as_millis() > u128::from(self.at_ms.load(Ordering::Relaxed))
    }
}

/// How much of answers may wait.
#[derive(Debug, Default)]
pub(super) struct AnswerBudget {
    held: AtomicUsize,
}

/// A part of it.
pub(super) struct HeldBytes {
    budget: Arc<AnswerBudget>,
    count: usize,
}

impl AnswerBudget {
    /// Takes so many bytes; `None` where there are not so many. A single answer may be larger than all when nothing else waits.
    pub(super) fn hold(self: &Arc<Self>, count: usize) -> Option<HeldBytes> {
        // Relaxed: the number guards nothing.
        let before = self.held.fetch_add(count, Ordering::Relaxed);
        let held = HeldBytes { budget: Arc::clone(self), count };
        (before == 0 || before.saturating_add(count) <= ANSWER_BYTES_MAX).then_some(held)
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        // Relaxed: as above.
        self.budget.held.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl PageBody {
    /// All of it is there.
    pub(super) fn full(bytes: impl Into<Bytes>, held: Option<HeldBytes>) -> Self {
        Self { content: BodyContent::Full(bytes.into()), _held: held, deadline: Deadline::new() }
    }

    /// It comes in parts.
    pub(super) fn stream(parts: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { content: BodyContent::Stream(parts), _held: None, deadline: Deadline::new() }
    }

    /// What the connection looks at.
    pub(super) fn deadline(&self) -> &Arc<Deadline> {
        &self.deadline
    }
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<BodyFrame<Bytes>>>> {
        let part = match &mut self.content {
            BodyContent::Full(bytes) if bytes.is_empty() => None,
            BodyContent::Full(bytes) => Some(Ok(bytes.split_to(bytes.len().min(PIECE_BYTES)))),
            BodyContent::Stream(parts) => {
                let Poll::Ready(part) = parts.poll_recv(context) else { return Poll::Pending };
                self.deadline.move_on();
                part
            }
        };
        Poll::Ready(part.map(|part| part.map(BodyFrame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, BodyContent::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            BodyContent::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodyContent::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[test]
    fn the_budget_is_kept_and_given_back() {
        let budget = Arc::<AnswerBudget>::default();
        let large = budget.hold(ANSWER_BYTES_MAX + 1).expect("one may be as large as it is");
        assert!(budget.hold(1).is_none());
        drop(large);
        let all: Vec<_> = (0..4).map(|_| budget.hold(ANSWER_BYTES_MAX / 4).expect("there is room")).collect();
        assert!(budget.hold(1).is_none(), "and what was refused is given back");
        drop(all);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_comes_in_pieces_and_whole() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
        let mut body = PageBody::full(bytes.clone(), None);
        assert_eq!(body.size_hint().exact(), Some(200_000));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PIECE_BYTES);
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!([&first[..], &rest[..]].concat(), bytes);
    }

    #[tokio::test]
    async fn a_streams_error_is_the_bodys() {
        let (sender, receiver) = mpsc::channel(2);
        sender.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
        sender.send(Err(io::Error::other("lost"))).await.unwrap();
        let mut body = PageBody::stream(receiver);
        assert!(body.frame().await.unwrap().is_ok() && !body.deadline().has_passed());
        assert!(body.frame().await.unwrap().is_err());
    }
}
