//! Made-up flows, facts and messages for the tests of detectors.

use super::{EvidenceHash, EvidenceTable, KeyEvidence, KeyedRule, Observation, SeenDns, SeenFacts};
use crate::app::dns::DnsMessage;
use crate::app::protocols::FactNews;
use crate::flow::{FactBuffer, FactId, FlowEnd, FlowKey, HostAddress, ports_of};
use crate::wire;
use netscope_backends::{LinkType, Timestamp};
use std::fmt;

pub(super) const SECOND: u64 = Timestamp::NS_PER_SEC;
/// The time of tests: late in 2023.
pub(super) const NOW: u64 = 1_700_000_000;
pub(super) const PROTOCOL: FactId = FactId { object: 0, member: 0 };

/// A flow that 10.0.0.`client` opened to port `port` of 192.0.2.`server`.
pub(super) fn flow(client: u8, server: u8, ports: [u16; 2], protocol: u8, number: u64) -> FlowEnd {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, client, 192, 0, 2, server]);
    frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    // The rest of a header of TCP, or the length of a datagram.
    frame.extend(if protocol == 6 {
        [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 9, 0, 0, 0, 0]
    } else {
        [0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    });
    let facts = wire::dissect(LinkType::ETHERNET, &frame, frame.len() as u32);
    let (key, initiator) = FlowKey::new(&facts.network.expect("it has addresses"), ports_of(&facts).expect("it has ports"));
    let at = Timestamp(NOW * SECOND);
    FlowEnd { key, initiator, packets: [1, 1], bytes: [99, 99], first_seen: at, last_seen: at, first_packet: number }
}

/// Facts of a flow that became known so many seconds after [`NOW`].
pub(super) struct MadeFacts {
    pub facts: FactBuffer,
    pub news: FactNews,
    pub is_answered: bool,
    pub flow: FlowEnd,
    pub second: u64,
}

impl MadeFacts {
    /// Of a flow of this protocol by content.
    pub fn of(name: &str, flow: FlowEnd, second: u64) -> Self {
        let mut facts = FactBuffer::default();
        assert!(facts.text(PROTOCOL, name.as_bytes()));
        Self { facts, news: FactNews::PROTOCOL, is_answered: true, flow, second }
    }

    pub fn seen(&self) -> SeenFacts<'_> {
        let Self { news, is_answered, flow, second, .. } = *self;
        SeenFacts { news, facts: self.facts.facts(), is_answered, flow, time: Timestamp((NOW + second) * SECOND) }
    }
}

/// A DNS message with one question.
pub(super) fn dns_message(name: &str, kind: u16, flags: u16) -> Vec<u8> {
    let mut bytes = vec![0, 7];
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// The same as it was seen, of client 10.0.0.`client`.
pub(super) fn seen_dns(bytes: &[u8], client: u8, second: u64) -> SeenDns<'_> {
    let flow = flow(client, 53, [40_000 + second as u16, 53], 17, second + 1);
    SeenDns {
        message: DnsMessage::read(bytes).expect("a message"),
        client: HostAddress::v4([10, 0, 0, client]),
        server: HostAddress::v4([192, 0, 2, 53]),
        flow,
        time: Timestamp((NOW + second) * SECOND),
    }
}

/// What a rule notes.
pub(super) fn noted<'a, R: KeyedRule>(
    rule: &R,
    all: impl IntoIterator<Item = Observation<'a>>,
    bytes_max: usize,
) -> EvidenceTable<R::Evidence> {
    let mut table = EvidenceTable::new(bytes_max, &EvidenceHash::fixed());
    all.into_iter().for_each(|seen| rule.observe(seen, &mut table));
    table
}

/// Asserts that evidence is the same in one table and in parts that are merged in any order; with much and with little memory.
pub(super) fn assert_merges<'a, R: KeyedRule>(rule: &R, all: &[Observation<'a>], shares: &[usize])
where
    R::Evidence: PartialEq + fmt::Debug,
{
    for bytes_max in [1 << 20, 6000] {
        let whole = noted(rule, all.iter().copied(), bytes_max);
        let part = |number: usize| {
            let own = all.iter().zip(shares.iter().cycle()).filter(move |(_, share)| **share == number);
            noted(rule, own.map(|(seen, _)| *seen), bytes_max)
        };
        for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
            let mut merged: EvidenceTable<R::Evidence> = EvidenceTable::new(bytes_max, &EvidenceHash::fixed());
            order.iter().for_each(|&number| merged.merge(&part(number)));
            assert_eq!((merged.len(), merged.bytes(), merged.overflow()), (whole.len(), whole.bytes(), whole.overflow()));
            assert!(whole.keys().all(|key| merged.get(key) == whole.get(key)), "{bytes_max}");
        }
        let reversed = noted(rule, all.iter().rev().copied(), bytes_max);
        assert!(whole.keys().all(|key| reversed.get(key) == whole.get(key)), "{bytes_max}");
        whole.entries().for_each(|(_, evidence)| {
            let mut cleared = evidence.clone();
            cleared.clear();
            assert_eq!(cleared, R::Evidence::default());
        });
    }
}
