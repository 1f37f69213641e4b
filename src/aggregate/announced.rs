//! Flows that were announced: what they are, where they do not say it themselves.
//!
//! Owns the announcements that are known and those whose turn has not come. Invariants: at most [`ANNOUNCEMENTS_MAX`] are kept, of each end
//! and of each control connection no more than its share, and what is forgotten is counted; they are learned in the order of all queues, so
//! what a flow is does not depend on how many there were.

use super::merge::Inbox;
use super::records::{RecordPlace, Records};
use crate::app::AnnouncedProtocol;
use crate::engine::Announcement;
use crate::flow::{Direction, EndReason, FactBuffer, FactSet, FlowKey, FlowRecord, HostAddress};
use crate::record::{SPOKEN, SPOKEN_SOURCE, spoken};
use netscope_backends::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Announcements that are kept, at most.
const ANNOUNCEMENTS_MAX: usize = 1 << 16;
/// Those of one end, the latest: a flow is what the latest one before its first packet said. Each is for another host, or another protocol, or
/// from another time; a server of FTP has as many clients at one port before their transfers end.
const OF_END_MAX: usize = 16;
/// Those of one control connection, the latest: a sixteenth of all. One flow between two proxies of SIP may have some thousand streams at a time.
const OF_CONTROL_MAX: usize = ANNOUNCEMENTS_MAX / 16;
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
    /// Who said it first.
    control: FlowKey,
}

impl KnownAnnouncement {
    /// Both may be meant for one host.
    fn meets(&self, peer: Option<HostAddress>) -> bool {
        self.peer.is_none() || peer.is_none() || self.peer == peer
    }

    /// It says the same of the flows that begin now.
    fn says(&self, announcement: &Announcement) -> bool {
        let is_valid = self.since <= announcement.time && announcement.time <= self.until;
        is_valid && self.peer == announcement.peer && self.protocol == announcement.protocol
    }
}

/// All announcements of an end, the latest last.
#[derive(Clone, Default)]
struct EndAnnouncements {
    known: Vec<KnownAnnouncement>,
    /// When something was said of it last, as a number in the order of all.
    said: u64,
}

/// What is known of all ends.
#[derive(Clone, Default)]
pub(super) struct KnownEnds(HashMap<EndKey, EndAnnouncements>);

impl KnownEnds {
    /// The announcement of a flow that began when it was valid, and its place among those of its end; of several the latest.
    fn find(&self, record: &FlowRecord) -> Option<(EndKey, usize)> {
        let transport = record.key.protocol();
        let ends = [Direction::AToB, Direction::BToA].map(|way| (record.key.source(way), record.key.destination(way).0));
        let fits = |known: &KnownAnnouncement, peer: HostAddress| {
            known.since <= record.first_seen && record.first_seen <= known.until && known.peer.is_none_or(|only| only == peer)
        };
        let found = |&((address, port), peer): &((HostAddress, u16), HostAddress)| {
            let known = &self.0.get(&(transport, address, port))?.known;
            let latest = known.iter().rposition(|known| fits(known, peer))?;
            Some((known[latest].number, (transport, address, port), latest))
        };
        ends.iter().filter_map(found).max().map(|(_, end, latest)| (end, latest))
    }

    /// What a flow is that was announced and does not say what it is.
    pub fn protocol_of(&self, record: &FlowRecord, facts: FactSet<'_>) -> Option<AnnouncedProtocol> {
        if self.0.is_empty() || spoken(facts).is_some() {
            return None;
        }
        let (end, latest) = self.find(record)?;
        self.0.get(&end)?.known.get(latest).map(|known| known.protocol)
    }
}

/// All announcements.
#[derive(Clone)]
pub(super) struct AnnouncementBook {
    count_max: usize,
    of_control_max: usize,
    ends: KnownEnds,
    /// By when something was said of each last.
    by_age: BTreeMap<u64, EndKey>,
    /// By who said it and its number.
    by_control: BTreeMap<(FlowKey, u64), EndKey>,
    /// How many each control connection has there.
    of_control: BTreeMap<FlowKey, usize>,
    told: u64,
    /// Those that were told before all queues were that far.
    waiting: VecDeque<Announcement>,
    counts: AnnouncedCounts,
    buffer: FactBuffer,
}

impl Default for AnnouncementBook {
    fn default() -> Self {
        Self::new(ANNOUNCEMENTS_MAX, OF_CONTROL_MAX)
    }
}

impl AnnouncementBook {
    fn new(count_max: usize, of_control_max: usize) -> Self {
        Self {
            count_max,
            of_control_max,
            ends: KnownEnds::default(),
            by_age: BTreeMap::new(),
            by_control: BTreeMap::new(),
            of_control: BTreeMap::new(),
            told: 0,
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
        !self.waiting.is_empty() || !self.ends.0.is_empty()
    }

    /// Learns what was announced before this event.
    pub fn learn_before(&mut self, event: u64) {
        while let Some(&next) = self.waiting.front().filter(|next| next.event < event) {
            self.waiting.pop_front();
            self.learn(&next);
        }
    }

    fn learn(&mut self, announcement: &Announcement) {
        let &Announcement { time, address, port, peer, control, protocol, .. } = announcement;
        let end = (protocol.transport(), address, port);
        self.told += 1;
        let number = self.told;
        let EndAnnouncements { known, said } = self.ends.0.entry(end).or_default();
        self.by_age.remove(said);
        *said = number;
        self.by_age.insert(number, end);
        let until = Timestamp(time.0.saturating_add(VALID_NS));
        // Said again, it is one announcement that is valid for longer.
        if let Some(latest) = known.iter_mut().rfind(|known| known.meets(peer)).filter(|known| known.says(announcement)) {
            latest.until = latest.until.max(until);
            return;
        }
        known.push(KnownAnnouncement { since: time, until, peer, protocol, number, control });
        let too_many = (known.len() > OF_END_MAX).then(|| known.remove(0));
        self.by_control.insert((control, number), end);
        *self.of_control.entry(control).or_default() += 1;
        too_many.iter().for_each(|gone| self.forget(gone));
        if self.of_control.get(&control).is_some_and(|&count| count > self.of_control_max) {
            self.forget_first_of(control);
        }
        while self.by_control.len() > self.count_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            let gone = self.ends.0.remove(&oldest).unwrap_or_default();
            gone.known.iter().for_each(|gone| self.forget(gone));
        }
    }

    /// The first announcement of a control connection makes room for its latest.
    fn forget_first_of(&mut self, control: FlowKey) {
        let Some((&(_, number), &end)) = self.by_control.range((control, 0)..=(control, u64::MAX)).next() else { return };
        let Some(EndAnnouncements { known, said }) = self.ends.0.get_mut(&end) else { return };
        let Some(place) = known.iter().position(|known| known.number == number) else { return };
        let gone = known.remove(place);
        if known.is_empty() {
            self.by_age.remove(said);
            self.ends.0.remove(&end);
        }
        self.forget(&gone);
    }

    /// An announcement is not among those of its end any more.
    fn forget(&mut self, gone: &KnownAnnouncement) {
        self.by_control.remove(&(gone.control, gone.number));
        if let Some(count) = self.of_control.get_mut(&gone.control) {
            *count -= 1;
            if *count == 0 {
                self.of_control.remove(&gone.control);
            }
        }
        self.counts.forgotten += 1;
    }

    /// What is known by now.
    pub fn ends(&self) -> &KnownEnds {
        &self.ends
    }

    /// Adds the facts of an announced protocol.
    pub fn write(protocol: AnnouncedProtocol, facts: &mut FactBuffer) {
        let mut app = facts.object(SPOKEN.object);
        app.text(SPOKEN.member, protocol.name().as_bytes());
        app.text(SPOKEN_SOURCE.member, ANNOUNCED);
    }

    /// How much was told so far; it grows whenever [`Self::ends`] changes.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// The facts of a flow that was announced and does not say what it is; `None`: they stay as they are.
    pub fn facts_of(&mut self, record: &FlowRecord, facts: FactSet<'_>) -> Option<FactSet<'_>> {
        let protocol = self.ends.protocol_of(record, facts)?;
        self.buffer.clear();
        Self::write(protocol, &mut self.buffer);
        self.buffer.copy(facts);
        Some(self.buffer.facts())
    }

    /// The flow at a place is what was announced, if it was and does not say what it is.
    pub fn name(&mut self, records: &mut Records, place: RecordPlace) {
        if self.ends.0.is_empty() {
            return;
        }
        let record = records.get(place);
        if let Some(facts) = self.facts_of(&record, records.facts(place)) {
            let is_known = records.set_facts(place, facts);
            self.counts.flows += u64::from(is_known);
            // The same flow goes on in another record.
            if record.reason == EndReason::ActiveTimeout
                && let Some((end, latest)) = self.ends.find(&record)
                && let Some(known) = self.ends.0.get_mut(&end).and_then(|end| end.known.get_mut(latest))
            {
                let until = Timestamp(record.ended.0.saturating_add(VALID_NS));
                self.told += u64::from(until > known.until);
                known.until = known.until.max(until);
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
        let control = key(protocol.transport(), CLIENT, 40_000, SERVER, 21);
        Announcement { event, time: Timestamp(event * 10), address: host(SERVER), port, peer, control, protocol }
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
        assert_eq!((book.counts().flows, book.told()), (5, 6), "copies of what is known are not the same any more");
    }

    #[test]
    fn the_ends_announced_longest_ago_go_first_and_all_that_goes_is_counted() {
        let mut book = AnnouncementBook::new(3, 100);
        for (event, port) in [(1, 1), (2, 2), (3, 3), (4, 1), (5, 4)] {
            book.learn(&announcement(event, port, AnnouncedProtocol::Rtp));
        }
        let known =
            |book: &mut AnnouncementBook| [1, 2, 3, 4].map(|port| spoken_by(book, &record(17, CLIENT, port, 90)).is_some());
        assert_eq!((known(&mut book), book.counts().forgotten), ([true, false, true, true], 1), "of the first more was said");
        let mut book = AnnouncementBook::new(20, 15);
        for event in 10..1000 {
            let protocol = [AnnouncedProtocol::Rtp, AnnouncedProtocol::Rtcp][(event / 7 % 2) as usize];
            let control = key(17, CLIENT, (event % 5) as u16 + 1, SERVER, 5060);
            book.learn(&Announcement { control, ..announcement(event, (event % 23 / 3) as u16, protocol) });
            let count: usize = book.ends.0.values().map(|end| end.known.len()).sum();
            assert!(count <= 20 && count == book.by_control.len() && count == book.of_control.values().sum::<usize>());
            assert!(book.ends.0.len() == book.by_age.len() && book.ends.0.values().all(|end| !end.known.is_empty()));
        }
    }

    #[test]
    fn what_is_said_again_takes_no_room_of_others() {
        let mut book = AnnouncementBook::default();
        let of_others = |event: u64, last: u8| {
            let peer = Some(host(&format!("10.0.1.{last}")));
            Announcement { peer, ..announcement(event, 2000, AnnouncedProtocol::FtpData) }
        };
        book.learn(&announcement(1, 2000, AnnouncedProtocol::FtpData));
        (2..100).for_each(|event| book.learn(&of_others(event, (event % 5) as u8)));
        assert_eq!(spoken_by(&mut book, &record(6, CLIENT, 2000, 20)).as_deref(), Some("ftp_data"), "five others came since");
        assert_eq!((book.by_control.len(), book.counts().forgotten), (6, 0));
        let last = 990 + VALID_NS;
        for (host, time, is_known) in [("10.0.1.4", last, true), ("10.0.1.4", last + 1, false), (CLIENT, last, false)] {
            assert_eq!(spoken_by(&mut book, &record(6, host, 2000, time)).is_some(), is_known, "{host} at {time}");
        }
        // The latest counts, so what is said again behind something else is another one.
        for (event, protocol) in [(1, AnnouncedProtocol::Rtp), (2, AnnouncedProtocol::Rtcp), (3, AnnouncedProtocol::Rtp)] {
            book.learn(&announcement(event, 9, protocol));
        }
        let of = [10, 20, 30].map(|time| spoken_by(&mut book, &record(17, CLIENT, 9, time)));
        assert_eq!(of, ["rtp", "rtcp", "rtp"].map(|name| Some(name.to_owned())));
        (0..20).for_each(|last| book.learn(&of_others(100, 100 + last)));
        assert_eq!(book.ends.0[&(6, host(SERVER), 2000)].known.len(), OF_END_MAX);
        assert_eq!(book.counts().forgotten, 10);
    }

    #[test]
    fn one_control_connection_has_no_more_than_its_share() {
        let mut book = AnnouncementBook::new(100, 4);
        let other = key(17, "10.0.0.9", 5060, SERVER, 5060);
        book.learn(&Announcement { control: other, ..announcement(1, 99, AnnouncedProtocol::Rtp) });
        (2..200).for_each(|event| book.learn(&announcement(event, 100 + event as u16, AnnouncedProtocol::Rtp)));
        assert_eq!((book.by_control.len(), book.ends.0.len(), book.counts().forgotten), (5, 5, 194));
        let known = [99, 102, 295, 296, 299].map(|port| spoken_by(&mut book, &record(17, CLIENT, port, 3000)).is_some());
        assert_eq!(known, [true, false, false, true, true]);
    }
}
