//! Finds where the packets of a mapped capture lie, for several readers at once.
//!
//! Owns the one walk over the records. Knows no flow and no thread. Its one invariant: the [`Places`] of one
//! call follow those of the call before, and together they are what one [`FileBackend`] would lend.

use super::windows::{WINDOW_LEN, Windows};
use super::{BATCHES_PER_POLL, CaptureFile, FileBackend, MappedBytes, Source};
use crate::prefetch::prefetch_read;
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, Position, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Packets one [`Places`] holds at most.
pub const PLACES_MAX: usize = 1024;
/// Packets that one poll of a file lends at most.
const POLL_MAX: usize = BATCHES_PER_POLL * BATCH_MAX;
const _: () = assert!(POLL_MAX <= PLACES_MAX && PLACES_MAX <= 1 << 16);

/// How far ahead of the walk a file is brought in by those who do not walk.
const AHEAD_LEN: usize = 3 * WINDOW_LEN;

/// Where the last byte of usual headers lies.
const HEADERS_LEN: usize = 50;

/// A packet in the mapped file.
#[derive(Clone, Copy, Debug)]
struct PacketPlace {
    start: usize,
    time: Timestamp,
    captured_len: u32,
    wire_len: u32,
    link_type: LinkType,
}

impl PacketPlace {
    #[inline(always)]
    fn packet<'a>(&self, file: &'a [u8]) -> Packet<'a> {
        let &Self { start, time, captured_len, wire_len, link_type } = self;
        let data = file.get(start..start + captured_len as usize).unwrap_or_default();
        Packet { data, time, wire_len, link_type }
    }
}

/// Where some packets that follow each other lie. Memory is reserved once.
pub struct Places {
    windows: Arc<Windows>,
    places: Vec<PacketPlace>,
}

/// The pages of a mapped capture behind the walk, which stay in our address space until its readers are done with them.
pub struct WalkedPages(Arc<Windows>);

impl WalkedPages {
    /// Gives back what lies before byte number `at` of the file, which no reader wants any more. It could still be read, for more time.
    pub fn give_back_before(&self, at: u64) {
        self.0.give_back_before(usize::try_from(at).unwrap_or(usize::MAX));
    }
}

/// The one walk over the records of a mapped capture.
pub struct Scanner {
    backend: FileBackend,
    windows: Arc<Windows>,
    /// Went wrong behind packets that were found; told next time.
    failed: Option<BackendError>,
}

impl CaptureFile {
    /// A walk for several readers; `None` where the file is not mapped.
    ///
    /// # Errors
    /// As [`CaptureFile::backend`].
    pub fn scanner(&self) -> Result<Option<Scanner>, BackendError> {
        let Source::Mapped(mapping) = &self.source else { return Ok(None) };
        let windows = Arc::new(Windows::of_several(Arc::clone(mapping)));
        Ok(Some(Scanner { backend: self.mapped_backend(Arc::clone(&windows)), windows, failed: None }))
    }
}

impl Scanner {
    /// An empty list for this scanner.
    pub fn places(&self) -> Places {
        Places { windows: Arc::clone(&self.windows), places: Vec::with_capacity(PLACES_MAX) }
    }

    /// Puts the places of the next packets into `out`, over what was there: up to [`PLACES_MAX`], possibly
    /// none. False at the end.
    ///
    /// # Errors
    /// As [`Backend::poll`] of a file: once, after all packets before the damage; `out` is empty then.
    pub fn scan(&mut self, out: &mut Places) -> Result<bool, BackendError> {
        out.places.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let base = out.windows.mapping().bytes().as_ptr() as usize;
        for _ in 0..PLACES_MAX / POLL_MAX {
            let places = &mut out.places;
            let polled = self.backend.poll(Duration::ZERO, &mut |packets| places.extend(packets.iter().map(|p| place(p, base))));
            match polled {
                Ok(Polled::End) => return Ok(!out.places.is_empty()),
                Ok(Polled::Lent(_) | Polled::Idle(_)) => {}
                Err(error) if out.places.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(true)
    }

    /// By which its readers give back what they are done with.
    pub fn pages(&self) -> WalkedPages {
        WalkedPages(Arc::clone(&self.windows))
    }

    /// The bytes in which the packets lie.
    pub fn bytes(&self) -> MappedBytes {
        MappedBytes::new(Arc::clone(self.windows.mapping()))
    }

    /// Link type of the first packet.
    pub fn link_type(&self) -> LinkType {
        self.backend.link_type()
    }

    /// Packets found and left out so far.
    ///
    /// # Errors
    /// As [`Backend::counters`]; a file has none.
    pub fn counters(&mut self) -> Result<Counters, BackendError> {
        self.backend.counters()
    }

    /// As [`Backend::notice`].
    pub fn notice(&mut self) -> Option<String> {
        self.backend.notice()
    }

    /// How far the walk is.
    pub fn position(&self) -> Position {
        self.backend.position()
    }
}

#[inline(always)]
fn place(packet: &Packet<'_>, base: usize) -> PacketPlace {
    // The walk has touched the line of the record's header; the next one is wanted by whoever reads the
    // packet's.
    if let Some(byte) = packet.data.get(HEADERS_LEN) {
        prefetch_read(byte);
    }
    PacketPlace {
        start: (packet.data.as_ptr() as usize).wrapping_sub(base),
        time: packet.time,
        // No packet is longer than PACKET_LEN_MAX.
        captured_len: packet.data.len() as u32,
        wire_len: packet.wire_len,
        link_type: packet.link_type,
    }
}

impl Places {
    /// Forgets all places, keeps the memory.
    pub fn clear(&mut self) {
        self.places.clear();
    }

    /// Brings in what comes a while behind these, if it is time: for who has handed the walk on, so that the walk itself seldom has to.
    /// No effect but speed.
    pub fn bring_in_ahead(&self) {
        if let Some(last) = self.places.last() {
            self.windows.bring_in(last.start, AHEAD_LEN);
        }
    }

    /// Packets.
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// True when there is none.
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Packet number `index` of these; one without bytes when there are not so many.
    #[inline(always)]
    pub fn packet(&self, index: usize) -> Packet<'_> {
        const NOTHING: PacketPlace =
            PacketPlace { start: 0, time: Timestamp(0), captured_len: 0, wire_len: 0, link_type: LinkType::NULL };
        self.places.get(index).unwrap_or(&NOTHING).packet(self.windows.mapping().bytes())
    }

    /// All packets.
    #[inline(always)]
    pub fn packets(&self) -> impl ExactSizeIterator<Item = Packet<'_>> {
        let bytes = self.windows.mapping().bytes();
        self.places.iter().map(|place| place.packet(bytes))
    }

    /// When packet number `index` was captured; 0 when there are not so many.
    #[inline(always)]
    pub fn time(&self, index: usize) -> Timestamp {
        self.places.get(index).map_or(Timestamp(0), |place| place.time)
    }
}
