//! Reads a capture that cannot be mapped: compressed, or out of a pipe.
//!
//! Owns the bounded buffer and the decoders. Knows no capture format. Its one invariant: a read waits no
//! longer than the deadline of the call, so whoever polls can be stopped.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lend::{LendEnd, Lent, LentBytes, ReadCounts, Selection, lend};
use super::walker::{BLOCK_LEN_MAX, CaptureWalker, RecordFault};
use super::{Ending, Reading};
use crate::Packet;
use crate::wait::{Readiness, wait_readable};

/// Bytes of a stream held at a time. More than the longest record, so that every record fits whole.
pub const STREAM_BUFFER_LEN: usize = 2 * BLOCK_LEN_MAX;

/// Bytes read at a time from below a decoder.
const DECODER_BUFFER_LEN: usize = 128 << 10;
/// So long a packet whose time may be wrong waits for those behind it.
const UNDECIDED_MAX: Duration = Duration::from_secs(1);

/// What a stream tells its outside: how far it has come, and until when it may wait. Both sides hold it, one
/// writes each value.
#[derive(Debug)]
pub(super) struct Gauge {
    origin: Instant,
    /// Nanoseconds from `origin`; written by the reader before it reads, read by [`RawStream`] in the same
    /// thread.
    deadline_ns: AtomicU64,
    /// Bytes taken from the source; written by [`RawStream`], read by whoever shows progress. A lone number:
    /// relaxed.
    bytes_read: AtomicU64,
}

impl Gauge {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { origin: Instant::now(), deadline_ns: AtomicU64::new(0), bytes_read: AtomicU64::new(0) })
    }

    pub(super) fn wait_at_most(&self, timeout: Duration) {
        let deadline = self.origin.elapsed().saturating_add(timeout);
        self.deadline_ns.store(u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn time_left(&self) -> Duration {
        Duration::from_nanos(self.deadline_ns.load(Ordering::Relaxed)).saturating_sub(self.origin.elapsed())
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

/// The bytes as they come, read no sooner than they are there and no later than the deadline.
pub(super) struct RawStream {
    file: File,
    /// False for a regular file, whose bytes are always there.
    waits: bool,
    gauge: Arc<Gauge>,
}

impl RawStream {
    pub(super) const fn new(file: File, waits: bool, gauge: Arc<Gauge>) -> Self {
        Self { file, waits, gauge }
    }
}

impl Read for RawStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.waits && wait_readable(&self.file, self.gauge.time_left())? == Readiness::Nothing {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = self.file.read(buffer)?;
        self.gauge.bytes_read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// Bytes asked of a gzip decoder at a time. When it finds damage, what it had unpacked for the same call is
/// lost; so this is the most that is lost of what comes before the damage.
pub(super) const GZIP_STEP_LEN: usize = 16 << 10;

/// Hands out at most [`GZIP_STEP_LEN`] bytes at a time.
struct Stepwise<R>(R);

impl<R: Read> Read for Stepwise<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(GZIP_STEP_LEN);
        self.0.read(buffer.get_mut(..len).unwrap_or_default())
    }
}

type InnerStream = Chain<Cursor<Vec<u8>>, RawStream>;

/// How a stream is compressed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Bytes needed to tell.
    pub(super) const MAGIC_LEN: usize = 4;

    /// RFC 1952 and RFC 8878; zstd files may also begin with a skippable frame.
    pub(super) const fn detect(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The plain bytes of the stream that begins with `first` and goes on with `rest`. Several members or
    /// frames are joined.
    pub(super) fn decode(self, first: Vec<u8>, rest: RawStream) -> io::Result<Box<dyn Read + Send>> {
        let source: InnerStream = Cursor::new(first).chain(rest);
        Ok(match self {
            Self::None => Box::new(source),
            Self::Gzip => {
                let buffered = BufReader::with_capacity(DECODER_BUFFER_LEN, source);
                Box::new(Stepwise(flate2::bufread::MultiGzDecoder::new(buffered)))
            }
            Self::Zstd => {
                let buffered = BufReader::with_capacity(DECODER_BUFFER_LEN, source);
                Box::new(zstd::stream::read::Decoder::with_buffer(buffered)?)
            }
        })
    }
}

pub(super) struct StreamReader {
    source: Box<dyn Read + Send>,
    gauge: Arc<Gauge>,
    bytes_total: u64,
    /// `buffer[start..end]` is read but not walked.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes of a block without packets that still have to come and go.
    skip_len: usize,
    is_drained: bool,
    /// Went wrong behind packets that were still to be lent; told by the next read.
    failed: Option<io::Result<Refill>>,
    /// Since when a packet waits for those behind it, which say whether its time can be right.
    undecided: Option<Instant>,
    pub(super) walker: CaptureWalker,
    pub(super) selection: Selection,
    pub(super) tally: ReadCounts,
}

/// What a read of the source brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refill {
    More,
    NothingYet,
    Drained,
    /// The decoder says so.
    Corrupt(String),
}

impl StreamReader {
    pub(super) fn new(source: Box<dyn Read + Send>, gauge: Arc<Gauge>, bytes_total: u64) -> Self {
        Self {
            source,
            gauge,
            bytes_total,
            buffer: vec![0; STREAM_BUFFER_LEN].into_boxed_slice(),
            start: 0,
            end: 0,
            skip_len: 0,
            is_drained: false,
            failed: None,
            undecided: None,
            walker: CaptureWalker::new(),
            selection: Selection::ALL,
            tally: ReadCounts::default(),
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.gauge.bytes_read()
    }

    pub(super) const fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// What is read but not walked.
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) const fn is_drained(&self) -> bool {
        self.is_drained
    }

    /// Reads once from the source, waiting at most `timeout`.
    pub(super) fn refill(&mut self, timeout: Duration) -> io::Result<Refill> {
        if let Some(failed) = self.failed.take() {
            return failed;
        }
        if self.is_drained {
            return Ok(Refill::Drained);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.gauge.wait_at_most(timeout);
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let len = match self.source.read(space) {
            Ok(len) => len,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Refill::NothingYet),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                        Ok(Refill::Corrupt(error.to_string()))
                    }
                    // The zstd decoder reports its own faults as `Other`; the system's carry a number.
                    io::ErrorKind::Other if error.raw_os_error().is_none() => Ok(Refill::Corrupt(error.to_string())),
                    _ => Err(error),
                };
            }
        };
        self.end += len;
        self.is_drained = len == 0;
        let skipped = self.skip_len.min(self.end);
        self.start = skipped;
        self.skip_len -= skipped;
        self.tally.offset += skipped as u64;
        Ok(if self.is_drained { Refill::Drained } else { Refill::More })
    }

    pub(super) fn read(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> io::Result<Reading> {
        let begun = Instant::now();
        let mut is_all = self.is_drained || self.failed.is_some();
        loop {
            let Self { buffer, walker, selection, tally, .. } = self;
            let bytes = buffer.get(self.start..self.end).unwrap_or_default();
            let lent_bytes = LentBytes { bytes, is_all };
            let Lent { consumed, packets, stop } = lend(lent_bytes, walker, selection, tally, None, <[_]>::len, visit);
            self.start += consumed;
            if packets > 0 {
                self.undecided = None;
            }
            match stop {
                LendEnd::Full => return Ok(Reading::Lent(packets)),
                LendEnd::Damage(fault) => return Ok(Reading::last(packets, Ending::Fault(fault))),
                LendEnd::SkipAhead(len) => self.skip_len = len,
                LendEnd::NeedMore(_) | LendEnd::Undecided => {}
            }
            if packets > 0 {
                return Ok(Reading::Lent(packets));
            }
            if stop == LendEnd::Undecided {
                // Where no more comes, or not now, the packet is taken at its word.
                let refilled = self.refill(timeout.saturating_sub(begun.elapsed()));
                if matches!(refilled, Ok(Refill::NothingYet))
                    && self.undecided.get_or_insert_with(Instant::now).elapsed() < UNDECIDED_MAX
                {
                    return Ok(Reading::Idle);
                }
                is_all = !matches!(refilled, Ok(Refill::More));
                if !matches!(refilled, Ok(Refill::More | Refill::NothingYet | Refill::Drained)) {
                    self.failed = Some(refilled);
                }
                continue;
            }
            match self.refill(timeout.saturating_sub(begun.elapsed()))? {
                Refill::More if self.skip_len > 0 && begun.elapsed() >= timeout => return Ok(Reading::Lent(0)),
                Refill::More => {}
                Refill::Corrupt(what) => return Ok(Reading::Ended(Ending::Corrupt(what))),
                Refill::Drained if self.start == self.end && self.skip_len == 0 => return Ok(Reading::Ended(Ending::Well)),
                Refill::Drained => return Ok(Reading::Ended(Ending::Fault(RecordFault::CutShort))),
                Refill::NothingYet => return Ok(Reading::Idle),
            }
        }
    }
}
