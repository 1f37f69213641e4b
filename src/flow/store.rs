//! Everything that is remembered of the flows of one table: the one way to walk them and to make a record of any.
//!
//! Owns the entries and their side memory together. Knows no key lookup, no timeout and no clock. Its invariant: what an entry
//! names in the side memory is its own.

use super::entries::Entries;
use super::entry::Flag;
use super::extra::Extras;
use super::headers::HeaderPlaces;
use super::inspection::{Inspection, InspectionSettings};
use super::tcp::TcpArena;
use super::{EndReason, FactRef, FactSet, FlowRecord, TcpRecord};
use netscope_backends::Timestamp;

/// Entries, extra facts, TCP side memory and what headers said.
pub(super) struct FlowStore {
    pub entries: Entries,
    pub extras: Extras,
    pub tcp: TcpArena,
    /// Of every record.
    pub interface: u8,
    pub headers: HeaderPlaces,
    pub inspection: Inspection,
}

impl FlowStore {
    /// Reserves memory for `reserved` flows, of which at most `flow_count_max` may have TCP side memory (0 = no limit).
    /// `analyses`: TCP connections are analysed; `keeps_headers`: what headers said is kept.
    pub fn new(
        reserved: usize,
        flow_count_max: usize,
        analyses: bool,
        keeps_headers: bool,
        inspection: InspectionSettings,
    ) -> Self {
        Self {
            entries: Entries::with_capacity(reserved, analyses),
            extras: Extras::with_capacity(reserved),
            tcp: TcpArena::with_capacity(flow_count_max),
            interface: 0,
            headers: HeaderPlaces::with_capacity(reserved, keeps_headers),
            inspection: Inspection::new(inspection),
        }
    }

    /// Gives everything away but the counts; an empty store stays behind.
    pub fn give_away(&mut self) -> Self {
        let no_headers = HeaderPlaces::with_capacity(0, self.headers.is_kept());
        Self {
            entries: self.entries.give_away(),
            extras: std::mem::replace(&mut self.extras, Extras::with_capacity(0)),
            tcp: self.tcp.give_away(),
            interface: self.interface,
            headers: std::mem::replace(&mut self.headers, no_headers),
            inspection: self.inspection.give_away(),
        }
    }

    /// Places of live flows, in order, from place `from` on.
    pub fn places(&self, from: u32) -> impl Iterator<Item = u32> {
        // Where no place is free none is looked at.
        let all_live = self.entries.len() == self.entries.extent() as usize;
        (from..self.entries.extent()).filter(move |&place| all_live || self.entries.get(place).is(Flag::LIVE))
    }

    /// The record of the flow at a place, when it ended `at` for this reason. Inlined, so that it is made where it is wanted.
    #[inline(always)]
    pub fn record(&self, place: u32, reason: EndReason, at: Timestamp) -> FlowRecord {
        let (entry, cold) = self.entries.both(place);
        let extra = cold.extra(&self.extras);
        FlowRecord {
            key: entry.key.tuple(),
            first_seen: cold.first_seen,
            last_seen: entry.last_seen,
            packets: entry.packets(),
            bytes: entry.bytes(),
            fragments: extra.fragments,
            initiator: entry.initiator(),
            first_packet: cold.first_packet(),
            vlan: extra.vlan,
            tunnel: extra.tunnel,
            icmp_code: extra.icmp_code,
            icmp_errors: extra.icmp_errors,
            quoted: self.extras.quoted(&extra),
            tcp: self.tcp_record(place),
            headers: self.headers.get(place),
            ended: at,
            reason,
            queues: 1,
            interface: self.interface,
            facts: FactRef::NONE,
        }
    }

    /// A record of the flow at a place is made: all that can be known of it is known then.
    pub fn settle(&mut self, place: u32) {
        self.inspection.settle(place);
    }

    /// What else is known of that flow.
    pub fn facts(&self, place: u32) -> FactSet<'_> {
        self.inspection.facts(place)
    }

    /// The TCP part of that record.
    pub fn tcp_record(&self, place: u32) -> Option<TcpRecord> {
        self.entries.tcp_record(place, &self.tcp)
    }

    /// The clock when the flow at a place was last touched.
    #[inline(always)]
    pub fn touched(&self, place: u32) -> Timestamp {
        let (entry, cold) = self.entries.both(place);
        entry.touched(cold, &self.extras)
    }

    /// Gives back the side memory of the flow at a place, which is over.
    pub fn release(&mut self, place: u32) {
        let mut parts = self.entries.parts(place);
        parts.release_tcp(&mut self.tcp);
        parts.cold.release_extra(&mut self.extras);
        self.inspection.release(place);
    }

    /// Leaves the 5-tuples of the keys alone: nothing will be looked up any more.
    pub fn forget_domains(&mut self) {
        for place in 0..self.entries.extent() {
            let entry = self.entries.get_mut(place);
            entry.key = entry.key.tuple();
        }
    }

    /// Bytes in use, the TCP trackers' side memory left out.
    pub fn memory_bytes(&self) -> usize {
        self.entries.memory_bytes() + self.extras.memory_bytes() + self.headers.memory_bytes() + self.inspection.memory_bytes()
    }
}
