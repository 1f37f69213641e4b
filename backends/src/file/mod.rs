//! Capture files: pcap and pcapng, plain, gzip or zstd, from disk, a FIFO or standard input.
//!
//! Owns opening and the choice between mapping and streaming. Knows no protocol. Its one invariant:
//! everything readable before damage is lent before the damage is reported, once, and then the source has
//! ended.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::filter::FilterSet;
use crate::{Backend, BackendError, Counters, LinkType, Packet, PacketChoice, Polled, Position};

mod directory;
mod foreign;
mod lend;
mod mapped;
mod mapped_bytes;
mod mapping;
mod merge;
mod pcap;
mod pcapng;
mod scan;
mod scout;
mod series;
mod stream;
#[cfg(test)]
mod tests;
mod times;
mod walker;
mod windows;

use lend::{BATCHES_PER_POLL, ReadCounts, Selection};
use mapped::MappedReader;
use mapping::MappedFile;
use stream::{Compression, Gauge, RawStream, Refill, StreamReader};
use windows::Windows;

pub use directory::{CaptureDirectory, DIRECTORY_FILES_MAX, capture_directory};
pub use mapped_bytes::MappedBytes;
pub use mapping::MAPPINGS_MAX;
pub use merge::{FileMerge, MERGED_FILES_MAX};
pub use scan::{PLACES_MAX, Places, Scanner, WalkedPages};
pub use series::FileSeries;
pub use stream::STREAM_BUFFER_LEN;
pub use walker::{BLOCK_LEN_MAX, CaptureWalker, INTERFACES_MAX, PACKET_LEN_MAX, RecordFault, WalkStep};

/// The path that means standard input.
pub const STDIN_PATH: &str = "-";

/// How often a wait for the first bytes of a pipe looks whether it should stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Most records looked at to find the first packet when a file is opened.
const PEEK_RECORDS_MAX: usize = 10_000;

/// How to open a capture file.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// Expression in the language of pcap-filter(7); packets that do not match are counted and not lent.
    pub filter: Option<String>,
    /// Packets that this does not take are counted and not lent, before the filter is asked. It sees all bytes that were captured.
    pub choice: Option<Arc<dyn PacketChoice>>,
    /// Bytes lent of each packet at most; `None` = all that were captured.
    pub snaplen: Option<u32>,
    /// Opening a pipe waits for its first bytes; it gives up with an error once this is true.
    pub stop: Option<Arc<AtomicBool>>,
}

/// An open capture file, from which readers are made.
pub struct CaptureFile {
    path: PathBuf,
    link_type: LinkType,
    selection: Selection,
    source: Source,
}

enum Source {
    Mapped(Arc<MappedFile>),
    /// Taken by the one reader there can be.
    Stream(Mutex<Option<Box<StreamReader>>>),
}

/// How a capture ended.
pub(crate) enum Ending {
    Well,
    Fault(RecordFault),
    /// The compressed data is damaged.
    Corrupt(String),
}

/// What a reader's call came to.
pub(crate) enum Reading {
    Lent(u32),
    /// Packets were lent, and they were the last.
    LentLast(u32, Ending),
    Idle,
    Ended(Ending),
}

impl Reading {
    fn last(packets: u32, ending: Ending) -> Self {
        if packets > 0 { Self::LentLast(packets, ending) } else { Self::Ended(ending) }
    }
}

impl CaptureFile {
    /// Opens the capture at `path`; `-` is standard input. A plain regular file is mapped; everything else is
    /// streamed through a buffer of [`STREAM_BUFFER_LEN`] bytes. A zstd window of more than 128 MiB is
    /// refused. Of a gzip file with damaged data, up to 16 KiB of what was unpacked before the damage may be
    /// lost.
    ///
    /// # Errors
    /// [`BackendError::Io`] when it cannot be opened or read, [`BackendError::Format`] when it does not begin
    /// with the whole header of a capture file (an empty file neither), [`BackendError::Filter`] when the
    /// filter does not compile for its link type.
    pub fn open(path: &Path, options: &FileOptions) -> Result<Self, BackendError> {
        let fail = |source| BackendError::Io { action: "open", path: path.to_owned(), source };
        let mut file = if path == Path::new(STDIN_PATH) {
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(fail)?)
        } else {
            // A FIFO without a writer must not block here; its reader waits with a timeout instead.
            File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(fail)?
        };
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        let is_regular = metadata.is_file();
        if is_regular && file.stream_position().map_err(fail)? == 0 {
            if metadata.len() == 0 {
                return Err(BackendError::Empty { path: path.to_owned() });
            }
            let mut magic = Vec::new();
            (&file).take(Compression::MAGIC_LEN as u64).read_to_end(&mut magic).map_err(fail)?;
            file.rewind().map_err(fail)?;
            if Compression::detect(&magic) == Compression::None {
                return Self::open_mapped(path, file, options);
            }
        }
        let bytes_total = if is_regular { metadata.len() } else { 0 };
        Self::open_stream(path, file, !is_regular, bytes_total, options)
    }

    fn open_mapped(path: &Path, file: File, options: &FileOptions) -> Result<Self, BackendError> {
        let mapping =
            MappedFile::new(file).map_err(|source| BackendError::Io { action: "map", path: path.to_owned(), source })?;
        let mut walker = CaptureWalker::new();
        let found = find_link_type(&mut walker, mapping.bytes(), true);
        let link_type = found.map_err(|fault| {
            let what = foreign::explain(mapping.bytes(), &fault);
            BackendError::Format { path: path.to_owned(), what }
        })?;
        Self::new(path, link_type.unwrap_or(LinkType::ETHERNET), Source::Mapped(Arc::new(mapping)), options)
    }

    fn open_stream(path: &Path, file: File, waits: bool, bytes_total: u64, options: &FileOptions) -> Result<Self, BackendError> {
        let fail = |source| BackendError::Io { action: "read", path: path.to_owned(), source };
        let bad = |what: String| BackendError::Format { path: path.to_owned(), what };
        let is_stopped = || options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        let stopped = || fail(io::Error::new(io::ErrorKind::Interrupted, "stopped before the first bytes came"));
        let gauge = Gauge::new();
        let mut raw = RawStream::new(file, waits, Arc::clone(&gauge));
        let mut magic = [0; Compression::MAGIC_LEN];
        let mut len = 0;
        while let Some(space @ [_, ..]) = magic.get_mut(len..) {
            gauge.wait_at_most(STOP_CHECK_INTERVAL);
            match raw.read(space) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if is_not_yet(&error) => {}
                Err(error) => return Err(fail(error)),
            }
            if is_stopped() {
                return Err(stopped());
            }
        }
        let first = magic.get(..len).unwrap_or_default().to_vec();
        if first.is_empty() {
            return Err(BackendError::Empty { path: path.to_owned() });
        }
        let plain = Compression::detect(&first).decode(first, raw).map_err(fail)?;
        let mut reader = Box::new(StreamReader::new(plain, gauge, bytes_total));
        let link_type = loop {
            let found = find_link_type(&mut CaptureWalker::new(), reader.pending(), reader.is_drained());
            match found.map_err(|fault| bad(foreign::explain(reader.pending(), &fault)))? {
                Some(link_type) => break link_type,
                None if reader.is_drained() || reader.pending().len() >= STREAM_BUFFER_LEN => break LinkType::ETHERNET,
                None => {}
            }
            if let Refill::Corrupt(what) = reader.refill(STOP_CHECK_INTERVAL).map_err(fail)? {
                return Err(bad(format!("its compressed data is damaged: {what}")));
            }
            if is_stopped() {
                return Err(stopped());
            }
        };
        Self::new(path, link_type, Source::Stream(Mutex::new(Some(reader))), options)
    }

    fn new(path: &Path, link_type: LinkType, source: Source, options: &FileOptions) -> Result<Self, BackendError> {
        let filter = options.filter.as_deref().map(|expression| FilterSet::new(expression, link_type)).transpose()?;
        let snaplen = options.snaplen.map_or(usize::MAX, |snaplen| snaplen as usize);
        let selection = Selection { choice: options.choice.clone(), filter, snaplen };
        Ok(Self { path: path.to_owned(), link_type, selection, source })
    }

    /// A reader that walks all packets. A mapped file gives any number of them, each with a place of its own;
    /// a stream gives one.
    ///
    /// # Errors
    /// [`BackendError::Io`] when a stream's only reader was taken already.
    pub fn backend(&self) -> Result<FileBackend, BackendError> {
        let reader = match &self.source {
            Source::Mapped(mapping) => return Ok(self.mapped_backend(Arc::new(Windows::new(Arc::clone(mapping))))),
            Source::Stream(reader) => {
                let taken = reader.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(mut reader) = taken else {
                    let source = io::Error::new(io::ErrorKind::Unsupported, "a compressed file or a pipe has only one reader");
                    return Err(BackendError::Io { action: "read a second time", path: self.path.clone(), source });
                };
                reader.selection = self.selection.clone();
                Reader::Stream(reader)
            }
        };
        Ok(self.backend_of(reader))
    }

    /// A reader of a mapped file, by these windows.
    fn mapped_backend(&self, windows: Arc<Windows>) -> FileBackend {
        self.backend_of(Reader::Mapped(Box::new(MappedReader::new(windows, self.selection.clone()))))
    }

    fn backend_of(&self, reader: Reader) -> FileBackend {
        FileBackend { path: self.path.clone(), link_type: self.link_type, reader, state: State::Reading }
    }

    /// True when several readers can be made.
    pub const fn is_mapped(&self) -> bool {
        matches!(self.source, Source::Mapped(_))
    }

    /// Link type of the first packet, or of the first interface when no packet was found in what could be
    /// read at once. A pcapng file with neither says Ethernet.
    pub const fn link_type(&self) -> LinkType {
        self.link_type
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The link type of the first packet in `bytes`, else that of the first interface, else `None`. An error when
/// the header is none, or is not whole although `is_all` there is.
fn find_link_type(walker: &mut CaptureWalker, bytes: &[u8], is_all: bool) -> Result<Option<LinkType>, RecordFault> {
    let mut at = 0;
    for _ in 0..PEEK_RECORDS_MAX {
        match walker.step(bytes.get(at..).unwrap_or_default()) {
            WalkStep::Packet { packet, .. } => return Ok(Some(packet.link_type)),
            WalkStep::Skip { consumed } => at += consumed,
            WalkStep::NeedMore(_) if walker.is_started() || !is_all => break,
            WalkStep::NeedMore(_) => return Err(RecordFault::CutShort),
            WalkStep::Damage(_) if walker.is_started() => break,
            WalkStep::Damage(fault) => return Err(fault),
        }
    }
    Ok(walker.link_type())
}

/// One reader of a capture file.
pub struct FileBackend {
    path: PathBuf,
    link_type: LinkType,
    reader: Reader,
    state: State,
}

enum Reader {
    Mapped(Box<MappedReader>),
    Stream(Box<StreamReader>),
}

enum State {
    Reading,
    /// Everything was lent; how it ended is still to be told.
    Ending(Ending),
    Ended,
}

impl FileBackend {
    const fn tally(&self) -> &ReadCounts {
        match &self.reader {
            Reader::Mapped(reader) => &reader.tally,
            Reader::Stream(reader) => &reader.tally,
        }
    }

    fn end(&mut self, ending: Ending) -> Result<Polled, BackendError> {
        self.state = State::Ended;
        let what = match ending {
            Ending::Well => return Ok(Polled::End),
            Ending::Fault(fault) => fault.to_string(),
            Ending::Corrupt(what) => format!("its compressed data is damaged: {what}"),
        };
        let ReadCounts { offset, received, .. } = *self.tally();
        Err(BackendError::Damaged { path: self.path.clone(), offset, what, packets: received })
    }
}

impl Backend for FileBackend {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn waits(&self) -> bool {
        true
    }

    /// `Lent(0)` means that records were read but none was a packet that matches the filter. `timeout`
    /// matters to pipes alone.
    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        match std::mem::replace(&mut self.state, State::Reading) {
            State::Reading => {}
            State::Ending(ending) => return self.end(ending),
            State::Ended => {
                self.state = State::Ended;
                return Ok(Polled::End);
            }
        }
        let reading = match &mut self.reader {
            Reader::Mapped(reader) => reader.read(visit),
            Reader::Stream(reader) => reader.read(timeout, visit),
        };
        match reading {
            Ok(Reading::Lent(packets)) => Ok(Polled::Lent(packets)),
            Ok(Reading::Idle) => Ok(Polled::Idle(self.tally().last_time)),
            Ok(Reading::LentLast(packets, ending)) => {
                self.state = State::Ending(ending);
                Ok(Polled::Lent(packets))
            }
            Ok(Reading::Ended(ending)) => self.end(ending),
            Err(source) => {
                self.state = State::Ended;
                Err(BackendError::Io { action: "read", path: self.path.clone(), source })
            }
        }
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        let ReadCounts { received, filtered, ref times, .. } = *self.tally();
        Ok(Counters { received, filtered, times_contradicted: times.contradicted, ..Counters::default() })
    }

    fn notice(&mut self) -> Option<String> {
        let filter = match &mut self.reader {
            Reader::Mapped(reader) => &mut reader.selection.filter,
            Reader::Stream(reader) => &mut reader.selection.filter,
        };
        filter.as_mut().and_then(FilterSet::notice)
    }

    fn mapped(&self) -> Option<MappedBytes> {
        match &self.reader {
            Reader::Mapped(reader) => Some(reader.bytes()),
            Reader::Stream(_) => None,
        }
    }

    /// Bytes of the file as it lies on disk, compressed or not; the total is 0 for a pipe.
    fn position(&self) -> Position {
        match &self.reader {
            Reader::Mapped(reader) => Position { bytes_read: reader.tally.offset, bytes_total: reader.bytes_total() },
            Reader::Stream(reader) => Position { bytes_read: reader.bytes_read(), bytes_total: reader.bytes_total() },
        }
    }
}
