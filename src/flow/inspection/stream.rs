//! One TCP connection that is being inspected.
//!
//! Owns both sides' bytes and which protocol it is. Invariant: facts are read from the bytes alone, so that they do not depend on how the
//! stream was cut, as far as its limits are not reached; over all segments, at most a few times the kept bytes are read.

use super::SeenPayload;
use super::settings::InspectionCounters;
use super::side::{SideProgress, StreamSide};
use crate::app::protocols::stream_protocol;
use crate::app::{Conversation, FactBuffer, Parsed, Reading, StreamProtocol, Wanted};

/// What came of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamState {
    /// Nothing more is wanted.
    Done,
    /// Something was found out, and more is wanted.
    Found,
    /// More came, which is read together with what follows.
    Grows,
    /// Nothing was found out.
    Waits,
    /// The connection's beginning was seen, and no protocol begins like that.
    Excluded,
}

/// Times that facts are read as soon as there is as much as is wanted.
const READS_AT_ONCE: u16 = 32;
/// So much more is read at once from then on, in streams of up to eight times as much.
const STEP_BYTES: usize = 1 << 10;

/// Both sides of a connection.
pub(super) struct StreamInspection {
    protocol: Option<&'static StreamProtocol>,
    /// Who seems to be the client is the server: the beginning was not captured.
    is_turned: bool,
    /// No protocol begins as this connection does.
    is_excluded: bool,
    /// What is looked at began in the middle of the connection.
    is_restarted: bool,
    /// Times that the conversation was read, since its protocol is known or before.
    reads: u16,
    /// Ports of both sides, the client's first, and whether a SYN said who that is, as the latest segment had it.
    ports: [u16; 2],
    is_known: bool,
    /// How far both sides were when that was the last time.
    read_at: [SideProgress; 2],
    /// When the client sent something last before the server's first segment, and when that came, in ns.
    asked_ns: Option<u64>,
    answered_ns: Option<u64>,
    client: StreamSide,
    server: StreamSide,
}

impl StreamInspection {
    pub(super) fn new(limit: usize) -> Self {
        let side = || StreamSide::new(limit);
        Self {
            protocol: None,
            is_turned: false,
            is_excluded: false,
            is_restarted: false,
            reads: 0,
            ports: [0; 2],
            is_known: false,
            read_at: [SideProgress::default(); 2],
            asked_ns: None,
            answered_ns: None,
            client: side(),
            server: side(),
        }
    }

    /// The same for another connection; keeps the memory.
    pub(super) fn restart(&mut self) {
        let Self {
            protocol,
            is_turned,
            is_excluded,
            is_restarted,
            reads,
            ports,
            is_known,
            read_at,
            asked_ns,
            answered_ns,
            client,
            server,
        } = self;
        client.restart();
        server.restart();
        (*ports, *is_known) = ([0; 2], false);
        (*protocol, *reads, *read_at) = (None, 0, [SideProgress::default(); 2]);
        (*is_turned, *is_excluded, *is_restarted) = (false, false, false);
        (*asked_ns, *answered_ns) = (None, None);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.client.memory_bytes() + self.server.memory_bytes()
    }

    /// A segment with payload.
    pub(super) fn segment(
        &mut self,
        payload: &SeenPayload<'_>,
        facts: &mut FactBuffer,
        counters: &mut InspectionCounters,
    ) -> StreamState {
        let is_clients = payload.direction == payload.client;
        (self.ports, self.is_known) = (payload.ports, payload.start.is_some());
        let sequence = payload.sequence.unwrap_or_default();
        let side = if is_clients { &mut self.client } else { &mut self.server };
        if let (Some(start), false) = (payload.start, self.is_restarted) {
            side.start_at(start);
        }
        if self.protocol.is_none() && side.may_begin_again(sequence) && begins(payload) {
            // The capture began in the middle, or what came before belongs to something else.
            self.client.restart();
            self.server.restart();
            (self.is_restarted, self.is_excluded) = (true, false);
            (self.asked_ns, self.answered_ns) = (None, None);
        }
        if self.answered_ns.is_none() {
            *(if is_clients { &mut self.asked_ns } else { &mut self.answered_ns }) = Some(payload.time_ns);
        }
        if self.is_excluded {
            return StreamState::Excluded;
        }
        let side = if is_clients { &mut self.client } else { &mut self.server };
        let (was_cut, was_at) = (side.is_cut(), side.progress());
        let is_news = side.insert(sequence, payload.bytes, payload.wire_len);
        if !is_news && side.is_cut() == was_cut {
            let has_grown = side.progress() != was_at;
            let waits_for_step = has_grown && self.is_stepping() && self.protocol.is_some();
            return match self.is_over() {
                true => StreamState::Done,
                false if waits_for_step => StreamState::Grows,
                false => StreamState::Waits,
            };
        }
        let found = self.read(facts);
        if self.client.is_cut() || self.server.is_cut() {
            counters.streams_too_long += u64::from(!was_cut);
        }
        match found {
            _ if self.is_over() => StreamState::Done,
            Found::Facts => StreamState::Found,
            Found::Nothing => StreamState::Waits,
            Found::Excluded => {
                self.is_excluded = true;
                StreamState::Excluded
            }
        }
    }

    /// The whole is read each time there is as much as is wanted: a byte more where a protocol has no lengths or is not known, or the next
    /// message or record. After some reads of the conversation the next one is when one side has grown by a half, by 1 KiB or by an eighth:
    /// all reads together then take a few times the whole, whatever it holds.
    fn grown(&self, wanted: Wanted, side: &StreamSide) -> Wanted {
        match wanted {
            Wanted::Bytes(need) if self.is_stepping() => {
                let len = side.bytes().len();
                let step = (len / 2).clamp(1, STEP_BYTES.max(len / 8));
                Wanted::Bytes(need.max(side.limit().min(len + step)))
            }
            wanted => wanted,
        }
    }

    fn is_stepping(&self) -> bool {
        self.reads > READS_AT_ONCE
    }

    /// No more segments come: what waited for more is read.
    pub(super) fn read_rest(&mut self, facts: &mut FactBuffer) {
        let is_read = [self.client.progress(), self.server.progress()] == self.read_at;
        if self.is_stepping() && !self.is_excluded && !is_read {
            self.read(facts);
        }
    }

    fn answered_after_ns(&self) -> Option<u64> {
        self.answered_ns?.checked_sub(self.asked_ns?)
    }

    fn is_over(&self) -> bool {
        self.client.is_over() && self.server.is_over()
    }

    fn read(&mut self, facts: &mut FactBuffer) -> Found {
        let [client_port, server_port] = self.ports;
        let seen = Conversation {
            answered_after_ns: self.answered_after_ns(),
            ..Conversation::new(self.client.bytes(), self.server.bytes(), server_port)
        };
        let turned = Conversation::new(seen.server, seen.client, client_port);
        if self.protocol.is_none() {
            // Who is the client is known where a SYN was seen.
            let is_known = self.is_known;
            match (which(&seen), if is_known { Parsed::No } else { which(&turned) }) {
                (Parsed::Done(protocol), _) => (self.protocol, self.is_turned) = (Some(protocol), false),
                (_, Parsed::Done(protocol)) => (self.protocol, self.is_turned) = (Some(protocol), true),
                (Parsed::No, Parsed::No) if is_known => return Found::Excluded,
                _ => {
                    self.reads = self.reads.saturating_add(1);
                    self.client.want(self.grown(Wanted::Bytes(1), &self.client));
                    self.server.want(self.grown(Wanted::Bytes(1), &self.server));
                    return Found::Nothing;
                }
            }
            self.reads = 0;
        }
        let Some(protocol) = self.protocol else { return Found::Nothing };
        let read_at = [self.client.progress(), self.server.progress()];
        let asker = usize::from(self.is_turned);
        facts.find_again(self.reads > 0 && read_at[asker] == self.read_at[asker]);
        self.read_at = read_at;
        let Reading { client, server } = (protocol.read)(if self.is_turned { &turned } else { &seen }, facts);
        let (client, server) = if self.is_turned { (server, client) } else { (client, server) };
        self.reads = self.reads.saturating_add(1);
        self.client.want(self.grown(client, &self.client));
        self.server.want(self.grown(server, &self.server));
        Found::Facts
    }
}

enum Found {
    Facts,
    Nothing,
    Excluded,
}

/// The segment alone is the whole beginning of a protocol.
fn begins(payload: &SeenPayload<'_>) -> bool {
    let (own, other) = if payload.direction == payload.client {
        (payload.ports[1], payload.ports[0])
    } else {
        (payload.ports[0], payload.ports[1])
    };
    let asks = || which(&Conversation::new(payload.bytes, &[], own));
    let answers = || which(&Conversation::new(&[], payload.bytes, other));
    // Whose part a side has is known where its SYN was seen.
    let is_known = payload.start.is_some();
    let is_clients = payload.direction == payload.client;
    (is_clients || !is_known) && matches!(asks(), Parsed::Done(_))
        || (!is_clients || !is_known) && matches!(answers(), Parsed::Done(_))
}

fn which(conversation: &Conversation<'_>) -> Parsed<&'static StreamProtocol> {
    if conversation.client.is_empty() && conversation.server.is_empty() {
        return Parsed::More { need: 1 };
    }
    stream_protocol(conversation)
}
