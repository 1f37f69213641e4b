//! Bodies of answers: in pieces, within a budget of memory, and until a deadline.
//!
//! Owns how much of all answers waits for clients. Knows no header. Invariant: what a body holds of the budget, and its deadline, last until it
//! and every piece of it are dropped: HTTP/2 keeps pieces for clients that take nothing.

use super::limits::ANSWER_BYTES_MAX;
use bytes::Bytes;
use hyper::body::{Body, Frame as BodyFrame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Bytes handed to the connection at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The body of an answer.
pub(super) struct PageBody {
    content: BodyContent,
    /// Part of the budget.
    held: Option<Arc<HeldBytes>>,
    /// Until when the client has to have taken it; `None` until that is said.
    deadline: Option<Arc<Deadline>>,
}

/// Bytes on their way to a client, with what lasts as long as they do.
struct BodyPiece {
    bytes: Bytes,
    _held: Option<Arc<HeldBytes>>,
    _deadline: Option<Arc<Deadline>>,
}

impl AsRef<[u8]> for BodyPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

enum BodyContent {
    Full(Bytes),
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

/// A time that a body moves on and its connection looks at.
pub(super) struct Deadline {
    start: Instant,
    time: Duration,
    /// Milliseconds after the start.
    at_ms: AtomicU64,
}

impl Deadline {
    /// This time from now.
    fn new(time: Duration) -> Arc<Self> {
        let deadline = Self { start: Instant::now(), time, at_ms: AtomicU64::new(0) };
        deadline.move_on();
        Arc::new(deadline)
    }

    fn move_on(&self) {
        let at = self.start.elapsed() + self.time;
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
        Self { content: BodyContent::Full(bytes.into()), held: held.map(Arc::new), deadline: None }
    }

    /// It comes in parts, of which so many bytes of the budget may wait.
    pub(super) fn stream(parts: mpsc::Receiver<io::Result<Bytes>>, held: HeldBytes) -> Self {
        Self { content: BodyContent::Stream(parts), held: Some(Arc::new(held)), deadline: None }
    }

    /// The client has this time from now to take it, or each part of a stream. What the connection looks at.
    pub(super) fn begin(&mut self, time: Duration) -> Arc<Deadline> {
        Arc::clone(self.deadline.insert(Deadline::new(time)))
    }

    /// Bytes that hold what the body does.
    fn piece(&self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(BodyPiece { bytes, _held: self.held.clone(), _deadline: self.deadline.clone() })
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
                self.deadline.iter().for_each(|deadline| deadline.move_on());
                part
            }
        };
        Poll::Ready(part.map(|part| part.map(|bytes| BodyFrame::data(self.piece(bytes)))))
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
        let held = Arc::<AnswerBudget>::default().hold(1).unwrap();
        let mut body = PageBody::stream(receiver, held);
        let deadline = body.begin(Duration::from_secs(60));
        assert!(body.frame().await.unwrap().is_ok() && !deadline.has_passed());
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn budget_and_deadline_last_as_long_as_the_last_piece() {
        let budget = Arc::<AnswerBudget>::default();
        let held = |budget: &AnswerBudget| budget.held.load(Ordering::Relaxed);
        let mut body = PageBody::full(vec![0; 2 * PIECE_BYTES], budget.hold(2 * PIECE_BYTES));
        let deadline = Arc::downgrade(&body.begin(Duration::ZERO));
        let (first, last) = (body.frame().await.unwrap().unwrap(), body.frame().await.unwrap().unwrap());
        assert!(body.frame().await.is_none());
        drop((body, first));
        assert_eq!(held(&budget), 2 * PIECE_BYTES, "a piece keeps all bytes of the answer");
        std::thread::sleep(Duration::from_millis(2));
        assert!(deadline.upgrade().is_some_and(|deadline| deadline.has_passed()));
        drop(last);
        assert_eq!((held(&budget), deadline.strong_count()), (0, 0));
        let (sender, receiver) = mpsc::channel(1);
        sender.send(Ok(Bytes::from_static(b"part"))).await.unwrap();
        let mut body = PageBody::stream(receiver, budget.hold(7).unwrap());
        let part = body.frame().await.unwrap().unwrap();
        drop((body, sender));
        assert_eq!(held(&budget), 7);
        drop(part);
        assert_eq!(held(&budget), 0);
    }
}
