//! DHCP floods: the rule over made observations, what looks like it, and that evidence merges in any order and any parts.

use super::*;
use crate::app::DhcpMessage;
use crate::detect::{DetectorSettings, EvidenceWindow, KeyEvidence};
use crate::flow::{Direction, Domain, FlowKey, HostAddress};
use crate::wire;
use netscope_backends::{LinkType, Timestamp};
use proptest::prelude::*;

const SECOND: u64 = Timestamp::NS_PER_SEC;

fn rule() -> DhcpFlood {
    let settings =
        DhcpFloodSettings { window_ns: 120 * SECOND, clients_threshold: 50, messages_threshold: 200, cooldown_ns: 120 * SECOND };
    let all = DetectionSettings::of(DetectorSettings::default(), 1 << 20);
    DhcpFlood::new(settings, &all)
}

/// The flow of any DHCP message.
fn flow() -> (FlowKey, Direction) {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67, 0, 8, 0, 0]);
    let facts = wire::dissect(LinkType::ETHERNET, &frame, 42);
    let ports = crate::flow::ports_of(&facts).expect("a datagram has ports");
    FlowKey::new(&facts.network.expect("a datagram has addresses"), ports)
}

fn message(at: u64, kind: DhcpKind, client: [u8; 6], station: [u8; 6]) -> SeenDhcp {
    let (key, direction) = flow();
    SeenDhcp {
        message: DhcpMessage {
            kind,
            transaction: 1,
            client_mac: Some(client),
            client_ip: [0; 4],
            server: None,
            relay: [0; 4],
            router: None,
            name_servers: [[0; 4]; 3],
        },
        source: HostAddress::v4([0; 4]),
        source_mac: Some(station),
        segment: Domain::NONE,
        key,
        direction,
        time: Timestamp(1000 * SECOND + at),
        number: at / 1_000_000 + 1,
    }
}

/// A client of its own, with the address of a maker.
fn client(number: u64) -> [u8; 6] {
    [0, 0x1b, 0x21, 0, (number >> 8) as u8, number as u8]
}

fn table_of<'a>(all: impl IntoIterator<Item = &'a SeenDhcp>) -> EvidenceTable<ClientCounts> {
    let rule = rule();
    let mut table = EvidenceTable::new(1 << 20, &rule.hash);
    all.into_iter().for_each(|seen| rule.observe(Observation::Dhcp(seen), &mut table));
    table
}

fn shape(all: &[SeenDhcp]) -> Option<FloodShape> {
    let table = table_of(all);
    let key = *table.keys().next()?;
    rule().shape(table.get(&key)?)
}

/// `count` clients, one each 50 ms, each with messages at these times after its first.
fn clients(count: u64, after: &[(u64, DhcpKind)]) -> Vec<SeenDhcp> {
    let of_client = |number: u64| {
        let own = client(number);
        after.iter().map(move |&(later, kind)| message(number * 50_000_000 + later, kind, own, own))
    };
    (0..count).flat_map(of_client).collect()
}

#[test]
fn clients_that_never_go_on_nor_ask_again_are_a_flood() {
    assert_eq!(shape(&clients(300, &[(0, DhcpKind::Discover)])), Some(FloodShape::Unfinished));
    assert_eq!(shape(&clients(49, &[(0, DhcpKind::Discover)])), None, "below the threshold");
    assert_eq!(shape(&clients(100, &[(0, DhcpKind::Discover)])), None, "they have not had time to ask again");
    let mut late = clients(60, &[(0, DhcpKind::Discover)]);
    late.push(message(0, DhcpKind::Discover, client(999), client(999)));
    late.iter_mut().take(60).for_each(|seen| seen.time = seen.time.plus(60 * SECOND));
    assert_eq!(shape(&late), None, "power is back just now, and another one had asked before");
    let again = [(0, DhcpKind::Discover), (4 * SECOND, DhcpKind::Discover)];
    assert_eq!(shape(&clients(150, &again)), None, "the server does not live, and clients ask again");
    let served = [(0, DhcpKind::Discover), (1, DhcpKind::Offer), (2, DhcpKind::Request), (3, DhcpKind::Ack)];
    assert_eq!(shape(&clients(150, &served)), None, "power is back");
}

#[test]
fn clients_that_are_made_up_are_a_flood_at_once() {
    let station = [2, 0, 0, 0, 0, 9];
    let forged: Vec<_> = (0..60).map(|i| message(i * 1_000_000, DhcpKind::Discover, client(i), station)).collect();
    assert_eq!(shape(&forged), Some(FloodShape::OneStation));
    let mut relayed = forged.clone();
    relayed.iter_mut().for_each(|seen| seen.message.relay = [192, 0, 2, 1]);
    assert_eq!(shape(&relayed), None, "a relay agent");
    let groups: Vec<_> = (0..60)
        .map(|i| {
            let own = [i as u8, 0x1b, 0x21, 0, 0, i as u8];
            message(i * 1_000_000, DhcpKind::Discover, own, own)
        })
        .collect();
    assert_eq!(shape(&groups), Some(FloodShape::Impossible));
    let endless: Vec<_> = (0..200).map(|i| message(i * 20_000_000, DhcpKind::Inform, client(1), client(1))).collect();
    assert_eq!(shape(&endless), Some(FloodShape::SingleClient));
    assert_eq!(shape(&endless[1..]), None);
}

#[test]
fn clients_go_on_in_the_next_bin() {
    let hash = EvidenceHash::fixed();
    let mut window = EvidenceWindow::new(10 * SECOND, SECOND, 1 << 20, &hash);
    let bin = |second: u64| super::super::BinSpan { start: Timestamp(second * SECOND), end: Timestamp((second + 1) * SECOND) };
    let mut asked = table_of(&clients(60, &[(0, DhcpKind::Discover)]));
    let key = *asked.keys().next().expect("a segment");
    window.push(bin(1), &mut asked);
    window.push(bin(2), &mut table_of(&clients(60, &[(0, DhcpKind::Request)])));
    // The first has had time for its answers, the second is behind it.
    assert_eq!(window.settle(bin(4).end), Some(bin(1)));
    let sum = window.gather(&key, 1).expect("the first bin");
    assert_eq!((sum.client_messages, sum.going_on.count()), (60, 60));
    assert!(sum.sampled().all(|client| client.goes_on));
}

fn any_message() -> impl Strategy<Value = SeenDhcp> {
    let kinds = vec![DhcpKind::Discover, DhcpKind::Request, DhcpKind::Offer, DhcpKind::Ack, DhcpKind::Nak];
    (0_u64..10_000, prop::sample::select(kinds), 0_u64..120, any::<bool>()).prop_map(|(ms, kind, number, is_own)| {
        message(ms * 1_000_000, kind, client(number), if is_own { client(number) } else { client(0) })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_parts_give_the_same_counts(
        all in prop::collection::vec(any_message(), 0..300), shares in prop::collection::vec(0_usize..4, 300),
    ) {
        let whole = table_of(&all);
        let parts: Vec<_> = (0..4)
            .map(|part| table_of(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(seen, _)| seen)))
            .collect();
        for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
            let mut merged = EvidenceTable::new(1 << 20, &EvidenceHash::fixed());
            order.iter().for_each(|&part| merged.merge(&parts[part]));
            prop_assert_eq!((merged.len(), merged.bytes()), (whole.len(), whole.bytes()));
            for key in whole.keys() {
                prop_assert_eq!(merged.get(key), whole.get(key));
                prop_assert_eq!(rule().shape(merged.get(key).expect("it is kept")), rule().shape(whole.get(key).expect("it is kept")));
            }
        }
        let mut cleared = whole.keys().next().and_then(|key| whole.get(key)).cloned().unwrap_or_default();
        cleared.clear();
        prop_assert_eq!(cleared, ClientCounts::default());
    }
}
