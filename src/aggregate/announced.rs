//! Flows that were announced: what they are, where they do not say it themselves.
//!
//! Owns the announcements that are known and those whose turn has not come. Invariants: at most [`ANNOUNCEMENTS_MAX`] are kept, and what is forgotten is
//! counted; they are learned in the order of all queues, so what a flow is does not depend on how many there were.

use super::merge::Inbox;
use super::records::{RecordPlace, Records};
use crate::app::AnnouncedProtocol;
use crate::engine::Announcement;
use crate::flow::{Direction, EndReason, FactBuffer, FactSet, FlowRecord, HostAddress};
use crate::record::{SPOKEN, SPOKEN_SOURCE, spoken};
use netscope_backends::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Announcements that are kept, at most.
const ANNOUNCEMENTS_MAX: usize = 1 << 16;
/// Those of one end, the latest: a flow is what the latest one before its first packet said.
const OF_END_MAX: usize = 4;
/// A flow that begins later after an announcement than this is another one: ports are used again. A call may ring for three minutes
/// (RFC 3261 section 16.6, timer C).
const VALID_NS: u64 = 180_000_000_000;

/// Where the protocol of an announced flow is from.
pub(super) const ANNOUNCED: &[u8] = b"announced";

/// What came of announcements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedCounts {
    /// Flows that were known by one.
    pub flows: u64,
    /// Announcements that were forgotten for later ones.
    pub forgotten: u64,
}

/// Protocol below, address and port.
type EndKey = (u8, HostAddress, u16);

/// What is known of an end.
#[derive(Clone, Copy)]
struct KnownAnnouncement {
    since: Timestamp,
    until: Timestamp,
    peer: Option<HostAddress>,
    protocol: AnnouncedProtocol,
    /// Its number in the order of all.
    number: u64,
}

/// All announcements of an end, the latest last.
#[derive(Clone, Default)]
struct EndAnnouncements {
    known: Vec<KnownAnnouncement>,
}

/// All announcements.
#[derive(Clone)]
pub(super) struct AnnouncementBook {
    count_max: usize,
    ends: HashMap<EndKey, EndAnnouncements>,
    /// By the number of the latest announcement of each.
    by_age: BTreeMap<u64, EndKey>,
    told: u64,
    kept: usize,
    /// Those that were told before all queues were that far.
    waiting: VecDeque<Announcement>,
    counts: AnnouncedCounts,
    buffer: FactBuffer,
}

impl Default for AnnouncementBook {
    fn default() -> Self {
        Self::new(ANNOUNCEMENTS_MAX)
    }
}

impl AnnouncementBook {
    fn new(count_max: usize) -> Self {
        Self {
            count_max,
            ends: HashMap::new(),
            by_age: BTreeMap::new(),
            told: 0,
            kept: 0,
            waiting: VecDeque::new(),
            counts: AnnouncedCounts::default(),
            buffer: FactBuffer::default(),
        }
    }

    /// What came of them so far.
    pub fn counts(&self) -> AnnouncedCounts {
        self.counts
    }

    /// So many found no room before their turn came.
    pub fn leave_out(&mut self, count: usize) {
        self.counts.forgotten += count as u64;
    }

    /// Takes those whose place in the order is settled from the queues. False when there is none, and none is known.
    pub fn gather(&mut self, inboxes: &mut [Inbox], through: u64) -> bool {
        for inbox in inboxes {
            inbox.take_announced(through, &mut self.waiting);
        }
        // Those of one packet come from one queue and stay as they are.
        self.waiting.make_contiguous().sort_by_key(|announcement| announcement.event);
        !self.waiting.is_empty() || !self.ends.is_empty()
    }

    /// Learns what was announced before this event.
    pub fn learn_before(&mut self, event: u64) {
        while let Some(&next) = self.waiting.front().filter(|next| next.event < event) {
            self.waiting.pop_front();
            self.learn(&next);
        }
    }

    fn learn(&mut self, announcement: &Announcement) {
        let &Announcement { time, address, port, peer, protocol, .. } = announcement;
        let end = (protocol.transport(), address, port);
        self.told += 1;
        let number = self.told;
        let EndAnnouncements { known } = self.ends.entry(end).or_default();
        if let Some(latest) = known.last() {
            self.by_age.remove(&latest.number);
        }
        self.by_age.insert(number, end);
        let until = Timestamp(time.0.saturating_add(VALID_NS));
        known.push(KnownAnnouncement { since: time, until, peer, protocol, number });
        self.kept += 1;
        if known.len() > OF_END_MAX {
            known.remove(0);
            self.forget(1);
        }
        while self.kept > self.count_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            let gone = self.ends.remove(&oldest).unwrap_or_default();
            self.forget(gone.known.len());
        }
    }

    fn forget(&mut self, count: usize) {
        self.kept -= count;
        self.counts.forgotten += count as u64;
    }

    /// The announcement of a flow that began when it was valid, and its place among those of its end; of several the latest.
    fn find(&self, record: &FlowRecord) -> Option<(EndKey, usize)> {
        let transport = record.key.protocol();
        let ends = [Direction::AToB, Direction::BToA].map(|way| (record.key.source(way), record.key.destination(way).0));
        let fits = |known: &KnownAnnouncement, peer: HostAddress| {
            known.since <= record.first_seen && record.first_seen <= known.until && known.peer.is_none_or(|only| only == peer)
        };
        let found = |&((address, port), peer): &((HostAddress, u16), HostAddress)| {
            let known = &self.ends.get(&(transport, address, port))?.known;
            let latest = known.iter().rposition(|known| fits(known, peer))?;
            Some((known[latest].number, (transport, address, port), latest))
        };
        ends.iter().filter_map(found).max().map(|(_, end, latest)| (end, latest))
    }

    /// What a flow is that was announced and does not say what it is.
    pub fn protocol_of(&self, record: &FlowRecord, facts: FactSet<'_>) -> Option<AnnouncedProtocol> {
        if self.ends.is_empty() || spoken(facts).is_some() {
            return None;
        }
        let (end, latest) = self.find(record)?;
        self.ends.get(&end)?.known.get(latest).map(|known| known.protocol)
    }

    /// Adds the facts of an announced protocol.
    pub fn write(protocol: AnnouncedProtocol, facts: &mut FactBuffer) {
        let mut app = facts.object(SPOKEN.object);
        app.text(SPOKEN.member, protocol.name().as_bytes());
        app.text(SPOKEN_SOURCE.member, ANNOUNCED);
    }

    /// Announcements so far.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// The facts of a flow that was announced and does not say what it is; `None`: they stay as they are.
    pub fn facts_of(&mut self, record: &FlowRecord, facts: FactSet<'_>) -> Option<FactSet<'_>> {
        let protocol = self.protocol_of(record, facts)?;
        self.buffer.clear();
        Self::write(protocol, &mut self.buffer);
        self.buffer.copy(facts);
        Some(self.buffer.facts())
    }

    /// The flow at a place is what was announced, if it was and does not say what it is.
    pub fn name(&mut self, records: &mut Records, place: RecordPlace) {
        if self.ends.is_empty() {
            return;
        }
        let record = records.get(place);
        if let Some(facts) = self.facts_of(&record, records.facts(place)) {
            let is_known = records.set_facts(place, facts);
            self.counts.flows += u64::from(is_known);
            // The same flow goes on in another record.
            if record.reason == EndReason::ActiveTimeout
                && let Some((end, latest)) = self.find(&record)
                && let Some(known) = self.ends.get_mut(&end).and_then(|end| end.known.get_mut(latest))
            {
                known.until = known.until.max(Timestamp(record.ended.0.saturating_add(VALID_NS)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::{key, tcp_record};

    const CLIENT: &str = "10.0.0.7";
    const SERVER: &str = "192.0.2.80";

    fn host(text: &str) -> HostAddress {
        text.parse::<std::net::IpAddr>().expect("an address").into()
    }

    fn announcement(event: u64, port: u16, protocol: AnnouncedProtocol) -> Announcement {
        let peer = (protocol == AnnouncedProtocol::FtpData).then(|| host(CLIENT));
        Announcement { event, time: Timestamp(event * 10), address: host(SERVER), port, peer, protocol }
    }

    fn record(transport: u8, client: &str, port: u16, first_seen: u64) -> FlowRecord {
        let key = key(transport, client, 40_000, SERVER, port);
        FlowRecord { key, tcp: None, first_seen: Timestamp(first_seen), ..tcp_record() }
    }

    fn spoken_by(book: &mut AnnouncementBook, record: &FlowRecord) -> Option<String> {
        let facts = book.facts_of(record, FactSet::NONE)?;
        Some(String::from_utf8_lossy(spoken(facts)?).into_owned())
    }

    #[test]
    fn a_flow_is_what_was_announced_before_it_and_not_long_before() {
        let mut book = AnnouncementBook::default();
        book.learn(&announcement(10, 2000, AnnouncedProtocol::FtpData));
        book.learn(&announcement(20, 2000, AnnouncedProtocol::Rtp));
        let mut of = |transport, client, port, time| spoken_by(&mut book, &record(transport, client, port, time));
        assert_eq!(of(6, CLIENT, 2000, 100).as_deref(), Some("ftp_data"));
        assert_eq!(of(6, CLIENT, 2000, 100 + VALID_NS).as_deref(), Some("ftp_data"));
        assert_eq!(of(6, CLIENT, 2000, 99), None);
        assert_eq!(of(6, CLIENT, 2000, 101 + VALID_NS), None);
        assert_eq!(of(6, "10.0.0.8", 2000, 100), None, "another client");
        assert_eq!(of(6, CLIENT, 2001, 100), None);
        assert_eq!(of(17, "10.0.0.8", 2000, 200).as_deref(), Some("rtp"));
        assert_eq!(of(17, CLIENT, 2000, 199), None);
    }

    #[test]
    fn what_a_flow_says_itself_stays() {
        let mut book = AnnouncementBook::default();
        book.learn(&announcement(1, 2000, AnnouncedProtocol::Rtp));
        let mut facts = FactBuffer::default();
        assert!(facts.text(SPOKEN, b"stun"));
        assert!(book.facts_of(&record(17, CLIENT, 2000, 50), facts.facts()).is_none());
        facts.clear();
        assert!(facts.text(crate::record::OTHERS_NAME, b"a.example"));
        let with = book.facts_of(&record(17, CLIENT, 2000, 50), facts.facts()).expect("it was announced");
        assert_eq!((spoken(with), with.iter().count()), (Some(&b"rtp"[..]), 3));
    }

    #[test]
    fn records_of_one_flow_are_the_same_however_long_it_lasts() {
        let (mut book, mut records) = (AnnouncementBook::default(), Records::default());
        book.learn(&announcement(0, 2000, AnnouncedProtocol::FtpData));
        for part in 0..5 {
            let (first_seen, ended) = (part * VALID_NS, Timestamp((part + 1) * VALID_NS));
            let record = FlowRecord { ended, reason: EndReason::ActiveTimeout, ..record(6, CLIENT, 2000, first_seen) };
            let place = records.insert(&record, FactSet::NONE);
            book.name(&mut records, place);
            assert_eq!(spoken(records.facts(place)), Some(&b"ftp_data"[..]), "part {part}");
        }
        assert_eq!(book.counts().flows, 5);
    }

    #[test]
    fn the_ends_announced_longest_ago_go_first_and_all_that_goes_is_counted() {
        let mut book = AnnouncementBook::new(3);
        for (event, port) in [(1, 1), (2, 2), (3, 3), (4, 1), (5, 4)] {
            book.learn(&announcement(event, port, AnnouncedProtocol::Rtp));
        }
        let known =
            |book: &mut AnnouncementBook| [1, 2, 3, 4].map(|port| spoken_by(book, &record(17, CLIENT, port, 90)).is_some());
        assert_eq!((known(&mut book), book.counts().forgotten), ([true, false, false, true], 2));
        for event in 10..1000 {
            book.learn(&announcement(event, (event % 7) as u16, AnnouncedProtocol::Rtp));
            assert!(book.kept <= 3 && book.ends.len() == book.by_age.len());
        }
        let mut book = AnnouncementBook::new(100);
        (10..20).for_each(|event| book.learn(&announcement(event, 9, AnnouncedProtocol::Rtp)));
        assert_eq!((book.kept, book.counts().forgotten), (OF_END_MAX, 6));
    }
}
