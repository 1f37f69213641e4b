//! Rogue DHCP servers: the rule over made observations, what looks like it, and that evidence merges in any order and any parts.

use super::*;
use crate::app::DhcpMessage;
use crate::detect::DetectorSettings;
use crate::flow::{Direction, Domain, FlowKey};
use crate::wire;
use netscope_backends::{LinkType, Timestamp};
use proptest::prelude::*;

const SECOND: u64 = Timestamp::NS_PER_SEC;

fn rule(servers: &[[u8; 4]]) -> RogueDhcp {
    let servers = servers.iter().map(|server| HostAddress::v4(*server)).collect();
    let settings = RogueDhcpSettings { window_ns: 3600 * SECOND, servers, cooldown_ns: 3600 * SECOND };
    let all = DetectionSettings::of(DetectorSettings::default(), 1 << 20);
    RogueDhcp::new(settings, &all)
}

/// The flow of any DHCP message.
fn flow() -> (FlowKey, Direction) {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 255, 255, 255, 255, 0, 67, 0, 68, 0, 8, 0, 0]);
    let facts = wire::dissect(LinkType::ETHERNET, &frame, 42);
    let ports = crate::flow::ports_of(&facts).expect("a datagram has ports");
    FlowKey::new(&facts.network.expect("a datagram has addresses"), ports)
}

/// An OFFER by server 192.0.2.x: by itself or by a relay agent, with this router and this name server.
fn offer(second: u64, server: u8, router: u8, name_server: u8) -> SeenDhcp {
    let (key, direction) = flow();
    SeenDhcp {
        message: DhcpMessage {
            kind: DhcpKind::Offer,
            transaction: 1,
            client_mac: Some([2, 0, 0, 0, 0, second as u8]),
            client_ip: [192, 0, 2, 100],
            server: Some([192, 0, 2, server]),
            relay: [0; 4],
            router: Some([192, 0, 2, router]),
            name_servers: [[192, 0, 2, name_server], [0; 4], [0; 4]],
        },
        source: HostAddress::v4([192, 0, 2, server]),
        source_mac: Some([2, 0, 0, 0, 1, server]),
        segment: Domain::NONE,
        key,
        direction,
        time: Timestamp((1000 + second) * SECOND),
        number: second + 1,
    }
}

fn table_of<'a>(rule: &RogueDhcp, all: impl IntoIterator<Item = &'a SeenDhcp>) -> EvidenceTable<ServerAnswers> {
    let mut table = EvidenceTable::new(1 << 20, &EvidenceHash::fixed());
    all.into_iter().for_each(|seen| rule.observe(Observation::Dhcp(seen), &mut table));
    table
}

/// Servers that are found: the later one, and whether its router is what differs.
fn contradiction(all: &[SeenDhcp]) -> Option<(HostAddress, bool)> {
    let table = table_of(&rule(&[]), all);
    let key = *table.keys().next()?;
    let found = table.get(&key)?.contradiction().map(|found| (found.rogue.server, found.is_of_router));
    assert_eq!(rule(&[]).holds(&key, table.get(&key)?), found.is_some());
    found
}

#[test]
fn servers_that_hand_out_the_same_are_redundant() {
    assert_eq!(contradiction(&[offer(0, 1, 1, 1), offer(1, 2, 1, 1)]), None);
    assert_eq!(contradiction(&[offer(0, 1, 1, 1), offer(100, 1, 9, 9)]), None, "one server may change its mind");
    let rogue = HostAddress::v4([192, 0, 2, 66]);
    assert_eq!(contradiction(&[offer(0, 1, 1, 1), offer(100, 66, 66, 66)]), Some((rogue, true)));
    assert_eq!(contradiction(&[offer(0, 1, 1, 1), offer(100, 66, 1, 66)]), Some((rogue, false)));
    let mut relayed = [offer(0, 1, 1, 1), offer(1, 2, 9, 1)];
    relayed[1].message.relay = [192, 0, 3, 1];
    let table = table_of(&rule(&[]), &relayed);
    assert_eq!(table.len(), 2, "another segment has another router");
    let mut tagged = [offer(0, 1, 1, 1), offer(1, 2, 9, 1)];
    tagged[1].segment = Domain::new(wire::VlanTags { ids: [5, 0], count: 1 }, None);
    assert_eq!(table_of(&rule(&[]), &tagged).len(), 2);
}

#[test]
fn who_is_not_on_the_list_is_found_by_itself() {
    let known = rule(&[[192, 0, 2, 1], [192, 0, 2, 2]]);
    assert!(table_of(&known, &[offer(0, 1, 1, 1), offer(1, 2, 9, 9)]).is_empty());
    let table = table_of(&known, &[offer(0, 66, 1, 1)]);
    assert_eq!(table.keys().map(|key| key.host).collect::<Vec<_>>(), [HostAddress::v4([192, 0, 2, 66])]);
    let mut relayed = offer(0, 1, 1, 1);
    relayed.source = HostAddress::v4([192, 0, 3, 1]);
    assert!(!table_of(&known, &[relayed]).is_empty(), "another sender says that it is the known server");
    relayed.message.relay = [192, 0, 3, 1];
    assert!(table_of(&known, &[relayed]).is_empty(), "a relay agent");
    let mut request = offer(0, 66, 1, 1);
    request.message.kind = DhcpKind::Request;
    assert!(table_of(&known, &[request]).is_empty(), "clients name servers, too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_parts_give_the_same_answers(
        all in prop::collection::vec((0_u64..200, 0_u8..20, 0_u8..12, 0_u8..12), 0..200),
        shares in prop::collection::vec(0_usize..4, 200),
    ) {
        let all: Vec<_> = all.into_iter().map(|(second, server, router, name)| offer(second, server, router, name)).collect();
        let rule = rule(&[]);
        let whole = table_of(&rule, &all);
        let parts: Vec<_> = (0..4)
            .map(|part| table_of(&rule, all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(seen, _)| seen)))
            .collect();
        for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
            let mut merged = EvidenceTable::new(1 << 20, &EvidenceHash::fixed());
            order.iter().for_each(|&part| merged.merge(&parts[part]));
            prop_assert_eq!((merged.len(), merged.bytes()), (whole.len(), whole.bytes()));
            for key in whole.keys() {
                prop_assert_eq!(merged.get(key), whole.get(key));
            }
        }
    }
}
