//! How many WebSocket frames a client may send: counted where its bytes come in, so that none escapes.
//!
//! Owns that count. Knows no message: a frame counts by its header (RFC 6455, section 5.2), whether it is a part of a message, a ping or empty.
//! Invariant: what comes behind one frame too many is not passed on, until nobody counts any more.

use super::limits::{MESSAGE_BURST, MESSAGES_PER_SEC};
use super::rate::{BucketRate, TokenBucket};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const RATE: BucketRate = BucketRate { per_sec: MESSAGES_PER_SEC as f64, burst: MESSAGE_BURST as f64 };

/// A connection whose frames are counted as they are read.
pub(super) struct FrameLimit<S> {
    inner: S,
    frames: FrameCounter,
    bucket: TokenBucket,
    is_over: bool,
    counts: bool,
}

/// Finds the beginnings of frames in a stream.
#[derive(Debug, Default)]
struct FrameCounter {
    /// The header so far: two bytes, up to eight of a longer length, four of a mask.
    header: [u8; 14],
    len: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
}

impl FrameCounter {
    /// How many frames' headers end in these bytes.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        loop {
            let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((&byte, rest)) = bytes.split_first() else { return count };
            bytes = rest;
            if let Some(place) = self.header.get_mut(self.len) {
                *place = byte;
            }
            self.len += 1;
            if let Some(payload) = self.payload_len() {
                (self.len, self.payload) = (0, payload);
                count += 1;
            }
        }
    }

    /// Of a header that is whole, the length of its payload.
    fn payload_len(&self) -> Option<u64> {
        let (short, is_masked) = (self.header[1] & 0x7f, self.header[1] & 0x80 != 0);
        let long = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.len < 2 || self.len < 2 + long + if is_masked { 4 } else { 0 } {
            return None;
        }
        let of_bytes = |bytes: &[u8]| bytes.iter().fold(0, |length: u64, &byte| length << 8 | u64::from(byte));
        Some(if long == 0 { short.into() } else { of_bytes(self.header.get(2..2 + long)?) })
    }
}

impl<S> FrameLimit<S> {
    /// Over this connection.
    pub(super) fn new(inner: S, now: Instant) -> Self {
        Self { inner, frames: FrameCounter::default(), bucket: TokenBucket::full(RATE, now), is_over: false, counts: true }
    }

    /// True when the client sent too many.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// From now on bytes are passed on as they are: nobody looks at them.
    pub(super) const fn stop_counting(&mut self) {
        self.counts = false;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameLimit<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if self.counts {
            let (count, now) = (self.frames.count(buffer.filled().get(before..).unwrap_or_default()), Instant::now());
            if self.is_over || (0..count).any(|_| self.bucket.take(RATE, now).is_err()) {
                self.is_over = true;
                buffer.set_filled(before);
                return Poll::Ready(Err(io::Error::other("too many frames")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameLimit<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame with a payload of so many zeros.
    fn frame(first: u8, is_masked: bool, len: usize) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut bytes = match len {
            0..126 => vec![first, mask | len as u8],
            126..0x1_0000 => [&[first, mask | 126][..], &(len as u16).to_be_bytes()].concat(),
            _ => [&[first, mask | 127][..], &(len as u64).to_be_bytes()].concat(),
        };
        bytes.resize(bytes.len() + len + if is_masked { 4 } else { 0 }, 0);
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut(
            frames in prop::collection::vec((any::<u8>(), any::<bool>(), prop_oneof![0..300_usize, 65_500..65_600_usize]), 0..8),
            piece in 1..100_usize,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(first, is_masked, len)| frame(*first, *is_masked, *len)).collect();
            let mut counter = FrameCounter::default();
            let count: usize = bytes.chunks(piece).map(|piece| counter.count(piece)).sum();
            prop_assert_eq!(count, frames.len());
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            FrameCounter::default().count(&bytes);
        }
    }
}
