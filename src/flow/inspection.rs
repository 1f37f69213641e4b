//! What flows carry: the first payload of each is looked at until it is known what it is.
//!
//! Owns, by the numbers of the flows' places, which of them are still watched, the bytes that are kept for those, and the facts of all.
//! Knows no packet around the payload and no protocol but by the lists of [`crate::app`]. Invariants: a flow that is not watched costs a
//! bit; what is kept is bounded, and hitting a bound is counted; facts of the same bytes are kept once.

mod byte_slab;
mod controls;
mod fact_pool;
mod news;
mod settings;
mod side;
mod spare;
mod stream;

use self::controls::FollowedControls;
use self::news::{FlowNews, ToldNews};
use self::spare::SpareMemory;
use self::stream::{StreamInspection, StreamState};
use super::Direction;
use super::arena::{NO_PLACE, Segments};
use crate::app::protocols::{DATAGRAM_PROTOCOLS, protocol_of};
use crate::app::{ControlProtocol, DatagramInspector, DatagramReading, FactBuffer, FactSet, SeenDatagram};

pub use fact_pool::{FactPool, PoolRef};
pub use news::LatestNews;
pub use settings::{InspectionCounters, InspectionSettings};

/// Payload of a packet of a flow.
#[derive(Clone, Copy, Debug)]
pub struct SeenPayload<'a> {
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// How long it was on the wire.
    pub wire_len: usize,
    /// Of TCP, the sequence number of its first byte.
    pub sequence: Option<u32>,
    /// Of TCP, the sequence number of the first byte that this direction sent, where its SYN was seen.
    pub start: Option<u32>,
    /// The packet's direction.
    pub direction: Direction,
    /// Who opened the connection, or began.
    pub client: Direction,
    /// Ports of both sides, the client's first.
    pub ports: [u16; 2],
    /// When it was captured, in ns.
    pub time_ns: u64,
}

/// A flow's place here: nothing, a number among the open ones, or one in the pool.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FactLink(u32);

const OPEN: u32 = 1 << 31;
/// Server's port of DNS (RFC 1035).
const DNS_PORT: u16 = 53;

impl FactLink {
    const NONE: Self = Self(NO_PLACE);
}

/// A flow that is being inspected.
struct InspectedFlow {
    /// Its place.
    place: u32,
    /// What is known so far.
    facts: FactBuffer,
    state: InspectionState,
    /// Packets that told nothing, in a row.
    idle_packets: u16,
    /// It is of a protocol that announces other flows.
    control: Option<ControlProtocol>,
    /// What was told of it.
    told: ToldNews,
    /// Bytes that are counted for it.
    memory: usize,
}

enum InspectionState {
    Stream(Box<StreamInspection>),
    Datagrams(Option<Box<dyn DatagramInspector>>),
}

/// Inspection of all flows of one table.
pub(super) struct Inspection {
    settings: InspectionSettings,
    /// One bit for each place.
    watched: Vec<u64>,
    links: Segments<FactLink, 16>,
    open: Vec<Option<InspectedFlow>>,
    free: Vec<u32>,
    /// The open flow that goes next where there are too many.
    next_to_go: u32,
    /// Bytes kept for open flows.
    open_bytes: usize,
    pool: FactPool,
    spare: SpareMemory,
    controls: FollowedControls,
    /// The latest packet was of such a flow.
    latest_control: Option<ControlProtocol>,
    counters: InspectionCounters,
    /// What the latest packet told; `None` unless somebody waits for it.
    news: Option<Box<FlowNews>>,
}

impl Inspection {
    /// Nothing is known.
    pub fn new(settings: InspectionSettings) -> Self {
        Self {
            settings,
            watched: Vec::new(),
            links: Segments::with_capacity(0),
            open: Vec::new(),
            free: Vec::new(),
            next_to_go: 0,
            open_bytes: 0,
            pool: FactPool::default(),
            spare: SpareMemory::default(),
            controls: FollowedControls::default(),
            latest_control: None,
            counters: InspectionCounters::default(),
            news: None,
        }
    }

    /// What goes with the flows that are left, and an empty one stays.
    pub fn give_away(&mut self) -> Self {
        for at in 0..self.open.len() {
            if let Some(mut open) = self.open[at].take() {
                open.read_rest();
                self.count_end(&open);
                // What was kept to find out more is no longer needed.
                self.open[at] = Some(InspectedFlow { state: InspectionState::Datagrams(None), ..open });
            }
        }
        let left = Self { counters: self.counters, ..Self::new(self.settings) };
        std::mem::replace(self, left)
    }

    pub const fn counters(&self) -> InspectionCounters {
        self.counters
    }

    /// A record begins at this place; with `goes_on`, that of the same flow as the one before.
    #[inline]
    pub fn begin(&mut self, place: u32, goes_on: bool) {
        if self.settings.enabled {
            self.begin_watched(place, goes_on);
        }
    }

    fn begin_watched(&mut self, place: u32, goes_on: bool) {
        while self.links.extent() <= place {
            self.links.push(FactLink::NONE);
        }
        if goes_on {
            return;
        }
        self.release(place);
        let word = place as usize / 64;
        if self.watched.len() <= word {
            self.watched.resize((word + 1).next_power_of_two(), 0);
        }
        self.watched[word] |= 1 << (place % 64);
    }

    /// The payload of the flow at a place is wanted.
    #[inline(always)]
    pub fn is_watched(&self, place: u32) -> bool {
        self.watched.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 != 0)
    }

    fn unwatch(&mut self, place: u32) {
        if let Some(word) = self.watched.get_mut(place as usize / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    fn link(&self, place: u32) -> FactLink {
        if place < self.links.extent() { *self.links.get(place) } else { FactLink::NONE }
    }

    /// What is known of the flow at a place.
    pub fn facts(&self, place: u32) -> FactSet<'_> {
        match self.link(place) {
            FactLink::NONE => FactSet::NONE,
            FactLink(number) if number & OPEN != 0 => {
                let open = self.open.get((number & !OPEN) as usize).and_then(Option::as_ref);
                open.map_or(FactSet::NONE, |open| open.facts.facts())
            }
            FactLink(number) => self.pool.get(PoolRef(number)),
        }
    }

    /// A record of the flow at a place is made: what was kept to be read with what follows is read now.
    pub fn settle(&mut self, place: u32) {
        let FactLink(number) = self.link(place);
        if number != NO_PLACE
            && number & OPEN != 0
            && let Some(open) = self.open.get_mut((number & !OPEN) as usize).and_then(Option::as_mut)
        {
            let before = open.memory;
            open.read_rest();
            self.open_bytes = self.open_bytes + open.memory - before;
        }
    }

    /// The record at a place is over.
    pub fn release(&mut self, place: u32) {
        let link = self.link(place);
        if link.0 == NO_PLACE {
            return;
        }
        *self.links.get_mut(place) = FactLink::NONE;
        if link.0 & OPEN == 0 {
            self.pool.release(PoolRef(link.0));
            if self.is_watched(place) {
                self.controls.forget(place);
            }
        } else if let Some(open) = self.take_open(link.0) {
            self.count_end(&open);
            self.keep_memory(open);
        }
        self.unwatch(place);
    }

    /// What a flow had is for the next one.
    fn keep_memory(&mut self, open: InspectedFlow) {
        if let InspectionState::Stream(stream) = open.state {
            self.spare.keep_stream(stream);
        }
        self.spare.keep_facts(open.facts);
    }

    fn take_open(&mut self, number: u32) -> Option<InspectedFlow> {
        let number = number & !OPEN;
        let open = self.open.get_mut(number as usize)?.take()?;
        self.free.push(number);
        self.open_bytes -= open.memory;
        Some(open)
    }

    fn count_end(&mut self, open: &InspectedFlow) {
        self.counters.facts_too_many += u64::from(open.facts.left_out());
        if open.facts.facts().is_empty() {
            self.counters.unknown += 1;
        } else {
            self.counters.recognised += 1;
        }
    }

    /// A packet with payload of a watched flow.
    pub fn payload(&mut self, place: u32, payload: &SeenPayload<'_>) {
        self.latest_control = None;
        let number = match self.link(place).0 {
            NO_PLACE => {
                let number = self.open_flow(place, payload);
                *self.links.get_mut(place) = FactLink(number | OPEN);
                number
            }
            number if number & OPEN == 0 => return self.control_payload(place, payload),
            number => number & !OPEN,
        };
        let Some(open) = self.open.get_mut(number as usize).and_then(Option::as_mut) else { return self.unwatch(place) };
        let before = open.memory;
        let goes_on = open.payload(payload, &self.settings, &mut self.counters);
        self.latest_control = open.control;
        if let Some(news) = &mut self.news {
            let gave_up = open.idle_packets >= self.settings.packets_max;
            news.note(payload, &mut open.told, open.facts.facts(), goes_on, gave_up);
        }
        let after = open.memory;
        self.open_bytes = self.open_bytes + after - before;
        if !goes_on {
            self.close(place, number);
        }
        while self.open_bytes > self.settings.bytes_max && self.make_room() {
            self.counters.bytes_too_many += 1;
        }
    }

    /// What is known of the flow is known: it is watched for what it announces.
    fn control_payload(&mut self, place: u32, payload: &SeenPayload<'_>) {
        self.latest_control = self.controls.payload(place, payload.bytes.len());
        if self.latest_control.is_none() {
            self.counters.controls_too_long += 1;
            self.unwatch(place);
        }
    }

    /// The protocol of the latest packet's flow, where that may announce others.
    pub const fn latest_control(&self) -> Option<ControlProtocol> {
        self.latest_control
    }

    fn open_flow(&mut self, place: u32, payload: &SeenPayload<'_>) -> u32 {
        if self.open.len() - self.free.len() >= self.settings.flow_count_max && self.make_room() {
            self.counters.flows_too_many += 1;
        }
        let state = match payload.sequence {
            Some(_) => InspectionState::Stream(self.spare.stream(self.settings.stream_bytes_max)),
            None => InspectionState::Datagrams(None),
        };
        let facts = self.spare.facts();
        let memory = InspectedFlow::BASE + state.memory_bytes() + facts.memory_bytes();
        let flow = InspectedFlow { place, facts, state, idle_packets: 0, control: None, told: ToldNews::default(), memory };
        self.open_bytes += memory;
        match self.free.pop() {
            Some(number) => {
                self.open[number as usize] = Some(flow);
                number
            }
            None => {
                self.open.push(Some(flow));
                (self.open.len() - 1) as u32
            }
        }
    }

    /// Too much is open: one flow goes with what is known of it, so that each flow's first payload is looked at. They go in the order of
    /// their numbers, which is about the order in which they came. False where none is open.
    fn make_room(&mut self) -> bool {
        let count = self.open.len() as u32;
        let numbers = (self.next_to_go..count).chain(0..self.next_to_go.min(count));
        let oldest = numbers.into_iter().find_map(|number| Some((number, self.open[number as usize].as_ref()?.place)));
        if let Some((number, place)) = oldest {
            self.next_to_go = number + 1;
            self.close(place, number);
        }
        oldest.is_some()
    }

    /// Nothing more is to be found out: the facts go to the pool.
    fn close(&mut self, place: u32, number: u32) {
        self.unwatch(place);
        let Some(mut open) = self.take_open(number) else { return };
        open.read_rest();
        self.count_end(&open);
        let kept = self.pool.insert(open.facts.facts());
        *self.links.get_mut(place) = kept.map_or(FactLink::NONE, |kept| FactLink(kept.0));
        if let (Some(_), Some(control)) = (kept, open.control.filter(|control| control.goes_on())) {
            self.follow(place, control);
        }
        self.keep_memory(open);
    }

    /// The flow's facts are known, and what it announces is wanted.
    fn follow(&mut self, place: u32, control: ControlProtocol) {
        let InspectionSettings { control_bytes_max, control_count_max, .. } = self.settings;
        if let Some(word) = self.watched.get_mut(place as usize / 64) {
            *word |= 1 << (place % 64);
        }
        if let Some(gone) = self.controls.follow(place, control, control_bytes_max, control_count_max) {
            self.counters.controls_too_many += 1;
            self.unwatch(gone);
        }
    }

    /// From now on what each packet tells is kept until the next one.
    pub fn follow_news(&mut self) {
        self.news = Some(Box::default());
    }

    /// What the latest packet told of its flow.
    pub fn latest_news(&self) -> Option<LatestNews<'_>> {
        self.news.as_ref()?.latest()
    }

    /// What the latest packet told was taken.
    pub fn forget_news(&mut self) {
        if let Some(news) = &mut self.news {
            news.forget();
        }
    }

    /// Bytes in use.
    pub fn memory_bytes(&self) -> usize {
        self.watched.len() * 8
            + self.links.memory_bytes()
            + self.open_bytes
            + self.pool.memory_bytes()
            + self.controls.memory_bytes()
    }
}

impl InspectionState {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Stream(stream) => size_of::<StreamInspection>() + stream.memory_bytes(),
            Self::Datagrams(None) => 0,
            Self::Datagrams(Some(inspector)) => size_of_val(&**inspector) + inspector.kept_bytes(),
        }
    }
}

impl InspectedFlow {
    const BASE: usize = size_of::<Option<Self>>();

    /// True when more payload is wanted.
    fn payload(&mut self, payload: &SeenPayload<'_>, settings: &InspectionSettings, counters: &mut InspectionCounters) -> bool {
        let goes_on = match &mut self.state {
            InspectionState::Stream(stream) => match stream.segment(payload, &mut self.facts, counters) {
                StreamState::Done => false,
                StreamState::Found => {
                    self.idle_packets = 0;
                    true
                }
                StreamState::Grows => true,
                StreamState::Waits => self.idle(settings.packets_max),
                StreamState::Excluded => self.idle(settings.excluded_packets()),
            },
            InspectionState::Datagrams(_) => self.datagram(payload, settings),
        };
        if self.control.is_none() {
            self.control = protocol_of(self.facts.facts()).and_then(ControlProtocol::of_name);
        }
        self.memory = Self::BASE + self.state.memory_bytes() + self.facts.memory_bytes();
        goes_on
    }

    /// No more packets come, or a record is made.
    fn read_rest(&mut self) {
        if let InspectionState::Stream(stream) = &mut self.state {
            stream.read_rest(&mut self.facts);
            self.memory = Self::BASE + self.state.memory_bytes() + self.facts.memory_bytes();
        }
    }

    fn idle(&mut self, packets_max: u16) -> bool {
        self.idle_packets += 1;
        self.idle_packets < packets_max
    }

    fn datagram(&mut self, payload: &SeenPayload<'_>, settings: &InspectionSettings) -> bool {
        let InspectionState::Datagrams(inspector) = &mut self.state else { return false };
        let [client_port, server_port] = payload.ports;
        let is_clients = payload.direction == payload.client;
        // What is none of DNS at its port is looked at longer: that it goes on like that is news.
        let limit = |few: u16| if payload.ports.contains(&DNS_PORT) { settings.packets_max } else { few };
        let datagram = SeenDatagram {
            payload: payload.bytes,
            len: payload.wire_len,
            is_clients,
            server_port,
            client_port,
            time_ns: payload.time_ns,
        };
        if inspector.is_none() {
            for protocol in DATAGRAM_PROTOCOLS.iter().filter(|protocol| (protocol.may_be)(&datagram)) {
                let mut candidate = (protocol.begin)();
                let reading = candidate.datagram(&datagram);
                if reading != DatagramReading::Foreign {
                    tell(candidate.as_ref(), reading, &mut self.facts);
                    *inspector = Some(candidate);
                    return match reading {
                        DatagramReading::Done => false,
                        DatagramReading::Unsure => self.idle(limit(settings.unsure_datagrams())),
                        _ => true,
                    };
                }
            }
            return self.idle(limit(settings.foreign_datagrams()));
        }
        let Some(own) = inspector else { return false };
        let reading = own.datagram(&datagram);
        tell(own.as_ref(), reading, &mut self.facts);
        match reading {
            DatagramReading::Done => false,
            DatagramReading::Told | DatagramReading::Watch => {
                self.idle_packets = 0;
                true
            }
            DatagramReading::Foreign | DatagramReading::Unsure => self.idle(limit(settings.unsure_datagrams())),
        }
    }
}

/// Facts are written anew where there is something new.
fn tell(inspector: &dyn DatagramInspector, reading: DatagramReading, facts: &mut FactBuffer) {
    if matches!(reading, DatagramReading::Told | DatagramReading::Done) {
        facts.clear();
        inspector.write(facts);
    }
}

#[cfg(test)]
mod tests;
