//! Passive DNS: names of addresses, as answers told them to clients, for the later flows of these clients that tell no name.
//!
//! Owns the names that are known and those whose turn has not come. Knows no queue but by its inbox. Invariants: as many names are kept
//! as are set, and what is forgotten is counted; names are learned in the order of all queues, so what a flow is called does not depend
//! on how many there were.

use super::announced::ANNOUNCED;
use super::merge::Inbox;
use super::records::{RecordPlace, Records};
use crate::engine::AddressName;
use crate::flow::{FactBuffer, FactPool, FactSet, FactValue, FlowRecord, HostAddress, PoolRef};
use crate::record::{OTHERS_NAME, OTHERS_NAME_SOURCE, SPOKEN, SPOKEN_SOURCE, asked_name};
use netscope_backends::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Names of one address for one client that are kept, the latest: a flow is named by the latest one before its first packet.
const NAMES_OF_PAIR_MAX: usize = 4;

/// What passive DNS did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamingCounts {
    /// Flows that got a name.
    pub named: u64,
    /// Names that were forgotten for later ones.
    pub forgotten: u64,
}

/// A name that is kept for an address that a client got.
#[derive(Clone, Copy)]
pub(super) struct ToldName {
    pub told: AddressName,
    name: PoolRef,
}

/// Client, and the address it got.
type AddressPair = (HostAddress, HostAddress);

/// The names of an address.
#[derive(Clone, Default)]
struct PairNames {
    /// Since when it had each, the latest last.
    names: Vec<(Timestamp, PoolRef)>,
    /// When it was told last, by the number of answers.
    told: u64,
}

/// The flow told something itself.
pub(super) fn has_own_facts(facts: FactSet<'_>) -> bool {
    let is_announced = facts.get(SPOKEN_SOURCE) == Some(FactValue::Text(ANNOUNCED));
    let others = [OTHERS_NAME, OTHERS_NAME_SOURCE, SPOKEN, SPOKEN_SOURCE];
    let others = if is_announced { &others[..] } else { &others[..2] };
    facts.iter().any(|(id, _)| !others.contains(&id))
}

/// All names.
#[derive(Clone)]
pub(super) struct AddressBook {
    names_max: usize,
    pairs: HashMap<AddressPair, PairNames>,
    /// By when they were told last.
    by_age: BTreeMap<u64, AddressPair>,
    told: u64,
    name_count: usize,
    /// The names, as facts of flows.
    pool: FactPool,
    /// Those that were told before all queues were that far.
    waiting: VecDeque<ToldName>,
    counts: NamingCounts,
    /// For one name, and for the facts of one flow.
    buffer: FactBuffer,
    joined: Vec<u8>,
}

impl AddressBook {
    /// An empty one for so many names; `None` for 0.
    pub fn new(names_max: usize) -> Option<Self> {
        (names_max > 0).then(|| Self {
            names_max,
            pairs: HashMap::new(),
            by_age: BTreeMap::new(),
            told: 0,
            name_count: 0,
            pool: FactPool::default(),
            waiting: VecDeque::new(),
            counts: NamingCounts::default(),
            buffer: FactBuffer::default(),
            joined: Vec::new(),
        })
    }

    /// What became of names so far.
    pub fn counts(&self) -> NamingCounts {
        self.counts
    }

    /// So many names found no room before their turn came.
    pub fn leave_out(&mut self, count: u64) {
        self.counts.forgotten += count;
    }

    /// Keeps a name until its turn comes. `None` where it cannot be kept, as one that no message has.
    pub fn keep(&mut self, told: AddressName, name: &[u8]) -> Option<ToldName> {
        self.buffer.clear();
        let has_room = self.buffer.text(OTHERS_NAME, name) && self.buffer.text(OTHERS_NAME_SOURCE, b"passive_dns");
        let facts = if has_room { self.buffer.facts() } else { FactSet::NONE };
        self.pool.insert(facts).map(|name| ToldName { told, name })
    }

    /// Takes the names whose place in the order is settled from the queues. False when there is none, and none is known.
    pub fn gather(&mut self, inboxes: &mut [Inbox], through: u64) -> bool {
        for inbox in inboxes {
            inbox.take_names(through, &mut self.waiting);
        }
        // Those of one packet come from one queue and stay as they are.
        self.waiting.make_contiguous().sort_by_key(|name| name.told.event);
        !self.waiting.is_empty() || !self.pairs.is_empty()
    }

    /// Learns the names that were told before this event.
    pub fn learn_before(&mut self, event: u64) {
        while let Some(&next) = self.waiting.front().filter(|name| name.told.event < event) {
            self.waiting.pop_front();
            self.learn(next);
        }
    }

    fn learn(&mut self, ToldName { told, name }: ToldName) {
        let pair = (told.client, told.address);
        self.told += 1;
        let known = self.pairs.entry(pair).or_default();
        self.by_age.remove(&known.told);
        known.told = self.told;
        self.by_age.insert(self.told, pair);
        if known.names.last().is_some_and(|&(_, latest)| latest == name) {
            // It has it already, since longer.
            self.pool.release(name);
            return;
        }
        known.names.push((told.time, name));
        self.name_count += 1;
        if known.names.len() > NAMES_OF_PAIR_MAX {
            let (_, oldest) = known.names.remove(0);
            self.forget(&[(Timestamp(0), oldest)]);
        }
        while self.name_count > self.names_max
            && let Some((_, pair)) = self.by_age.pop_first()
        {
            let names = self.pairs.remove(&pair).unwrap_or_default().names;
            self.forget(&names);
        }
    }

    fn forget(&mut self, names: &[(Timestamp, PoolRef)]) {
        self.name_count -= names.len();
        self.counts.forgotten += names.len() as u64;
        names.iter().for_each(|&(_, name)| self.pool.release(name));
    }

    fn known_name(&self, record: &FlowRecord, facts: FactSet<'_>) -> Option<PoolRef> {
        if asked_name(facts).is_some() {
            return None;
        }
        let client = record.client();
        let pair = (record.key.source(client).0, record.key.destination(client).0);
        let names = &self.pairs.get(&pair)?.names;
        names.iter().rev().find(|(since, _)| *since <= record.first_seen).map(|&(_, name)| name)
    }

    /// The name that a flow has here, as facts, where it tells none itself.
    pub fn name_of(&self, record: &FlowRecord, facts: FactSet<'_>) -> Option<FactSet<'_>> {
        self.known_name(record, facts).map(|name| self.pool.get(name))
    }

    /// Names that were told so far.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// The facts of a flow with the name that it has here, where it tells none itself; `None`: they stay as they are.
    pub fn facts_of(&mut self, record: &FlowRecord, facts: FactSet<'_>) -> Option<FactSet<'_>> {
        let name = self.pool.get(self.known_name(record, facts)?);
        self.joined.clear();
        facts.write(&mut self.joined);
        name.write(&mut self.joined);
        Some(FactSet::of_bytes(&self.joined))
    }

    /// Names the flow at a place, if it has a name here and tells none.
    pub fn name(&mut self, records: &mut Records, place: RecordPlace) {
        if self.pairs.is_empty() {
            return;
        }
        let record = records.get(place);
        if let Some(facts) = self.facts_of(&record, records.facts(place)) {
            let is_named = records.set_facts(place, facts);
            self.counts.named += u64::from(is_named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::{key, tcp_record};

    const CLIENT: &str = "10.0.0.7";

    fn told(event: u64, client: &str, address: &str) -> AddressName {
        let ip = |text: &str| text.parse::<std::net::IpAddr>().expect("an address").into();
        AddressName { event, time: Timestamp(event * 10), client: ip(client), address: ip(address) }
    }

    fn learn(book: &mut AddressBook, event: u64, address: &str, name: &str) {
        let kept = book.keep(told(event, CLIENT, address), name.as_bytes()).expect("it is kept");
        book.learn(kept);
    }

    /// The name of a flow from this client to this address that began then.
    fn name(book: &mut AddressBook, client: &str, address: &str, first_seen: u64) -> Option<String> {
        let key = key(17, client, 40_000, address, 9000);
        // Who began is the client.
        let initiator = if key.source(crate::flow::Direction::AToB).0.to_string() == client {
            crate::flow::Direction::AToB
        } else {
            crate::flow::Direction::BToA
        };
        let record = FlowRecord { key, initiator, tcp: None, first_seen: Timestamp(first_seen), ..tcp_record() };
        let facts = book.facts_of(&record, FactSet::NONE)?;
        assert_eq!(facts.get(OTHERS_NAME_SOURCE), Some(FactValue::Text(b"passive_dns")));
        let Some(FactValue::Text(name)) = facts.get(OTHERS_NAME) else { panic!("a name") };
        Some(String::from_utf8(name.to_vec()).expect("ASCII"))
    }

    #[test]
    fn a_flow_has_the_latest_name_before_it_that_its_client_was_told() {
        let mut book = AddressBook::new(100).expect("names are kept");
        for (event, asked) in [(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "a")] {
            learn(&mut book, event, "192.0.2.1", asked);
        }
        learn(&mut book, 6, "2001:db8::1", "six");
        let mut of = |client, time| name(&mut book, client, "192.0.2.1", time);
        assert_eq!(
            [9, 10, 29, 30, 49, 50, 1000].map(|time| of(CLIENT, time)).map(Option::unwrap_or_default),
            ["", "a", "a", "b", "b", "a", "a"]
        );
        assert_eq!(of("10.0.0.8", 1000), None);
        assert_eq!(name(&mut book, CLIENT, "192.0.2.2", 1000), None);
        assert_eq!(name(&mut book, CLIENT, "192.0.2.7", 1000), None);
    }

    #[test]
    fn the_pairs_told_longest_ago_go_first_and_all_that_goes_is_counted() {
        let mut book = AddressBook::new(3).expect("names are kept");
        for (event, address) in [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "192.0.2.3"), (4, "192.0.2.1"), (5, "192.0.2.4")] {
            learn(&mut book, event, address, "same");
        }
        let known = |book: &mut AddressBook| {
            ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(|address| name(book, CLIENT, address, 1000).is_some())
        };
        assert_eq!((known(&mut book), book.counts().forgotten), ([true, false, true, true], 1));
        // Of one address the latest four, as far as the bound allows.
        for event in 10..20 {
            learn(&mut book, event, "192.0.2.9", &format!("n{event}"));
        }
        assert_eq!(known(&mut book), [false; 4]);
        assert!(book.name_count <= 3 && book.pairs.len() == book.by_age.len());
        let mut book = AddressBook::new(100).expect("names are kept");
        (10..20).for_each(|event| learn(&mut book, event, "192.0.2.9", &format!("n{event}")));
        assert_eq!((book.name_count, book.counts().forgotten), (NAMES_OF_PAIR_MAX, 6));
        assert_eq!(name(&mut book, CLIENT, "192.0.2.9", 150), None, "its name was forgotten");
        assert_eq!(name(&mut book, CLIENT, "192.0.2.9", 165).as_deref(), Some("n16"));
    }

    #[test]
    fn very_many_names_come_and_go_in_bounded_memory() {
        let mut book = AddressBook::new(50).expect("names are kept");
        for event in 0..10_000 {
            let address = format!("198.51.100.{}", event * 7 % 251);
            learn(&mut book, event, &address, &format!("{}.example", event * 13 % 997));
        }
        assert!(book.name_count <= 50 && book.pairs.len() <= 50);
        assert_eq!(book.pairs.values().map(|pair| pair.names.len()).sum::<usize>(), book.name_count);
        // Pieces of two lengths, and the lists.
        assert!(book.pool.memory_bytes() < 2 * (16 << 10) + 50 * 200, "{} bytes", book.pool.memory_bytes());
        for (_, pair) in std::mem::take(&mut book.pairs) {
            pair.names.iter().for_each(|&(_, name)| book.pool.release(name));
        }
        assert!(book.pool.is_empty(), "what was forgotten is gone");
        assert!(AddressBook::new(0).is_none());
    }
}
