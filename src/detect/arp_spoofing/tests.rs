//! ARP spoofing: the rule over made observations, what looks like it, and that evidence merges in any order and any parts.

use super::judge::Wrong;
use super::*;
use crate::detect::{DetectorSettings, KeyEvidence};
use crate::wire::ArpMessage;
use netscope_backends::Timestamp;
use proptest::prelude::*;

const SECOND: u64 = Timestamp::NS_PER_SEC;
const GATEWAY: [u8; 4] = [192, 0, 2, 1];
const HOST: [u8; 4] = [192, 0, 2, 7];
const OTHER: [u8; 4] = [192, 0, 2, 66];
const TRUE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FORGED_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x66];
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const CARD_PORTS: [[u8; 6]; 2] = [[0, 0x1b, 0x21, 9, 8, 0x10], [0, 0x1b, 0x21, 9, 8, 0x11]];

fn rule() -> ArpSpoofing {
    let settings = ArpSpoofingSettings {
        window_ns: 300 * SECOND,
        unsolicited_threshold: 5,
        changes_threshold: 3,
        cooldown_ns: 300 * SECOND,
        gateways: Vec::new(),
    };
    let all = DetectionSettings::of(DetectorSettings::default(), 1 << 20);
    ArpSpoofing::new(settings, &all)
}

fn arp(second: u64, operation: u16, (sender_mac, sender_ip): ([u8; 6], [u8; 4]), target_ip: [u8; 4]) -> SeenArp {
    let message = ArpMessage { operation, sender_mac, sender_ip, target_mac: [0; 6], target_ip };
    SeenArp {
        message,
        source_mac: Some(sender_mac),
        segment: crate::flow::Domain::NONE,
        time: Timestamp((1000 + second) * SECOND),
    }
}

fn table_of<'a>(all: impl IntoIterator<Item = &'a SeenArp>) -> EvidenceTable<AddressClaims> {
    let rule = rule();
    let mut table = EvidenceTable::new(1 << 20, &rule.hash);
    all.into_iter().for_each(|arp| rule.observe(Observation::Arp(arp), &mut table));
    table
}

fn verdict(all: &[SeenArp]) -> Option<Verdict> {
    let (rule, table) = (rule(), table_of(all));
    let key = key_of(GATEWAY, LinkSegment::from(crate::flow::Domain::NONE));
    Verdict::of(table.get(&key)?, &rule.settings, rule.unit_ns)
}

fn wrong(all: &[SeenArp]) -> Option<(Wrong, Option<HardwareAddress>)> {
    verdict(all).map(|verdict| (verdict.wrong, verdict.attacker))
}

/// Asks for and tells the gateway's address as usual.
fn asked_and_told(second: u64, mac: [u8; 6]) -> [SeenArp; 2] {
    [arp(second, ARP_REQUEST, (HOST_MAC, HOST), GATEWAY), arp(second, ARP_REPLY, (mac, GATEWAY), HOST)]
}

#[test]
fn replies_that_nobody_asked_for_are_forged_once_there_are_enough() {
    let mut all: Vec<SeenArp> = asked_and_told(0, TRUE_MAC).into();
    all.extend((0..4).map(|i| arp(10 + i, ARP_REPLY, (FORGED_MAC, GATEWAY), HOST)));
    // The host asked once, so one of them may be an answer.
    assert_eq!(wrong(&all), None);
    all.extend((4..6).map(|i| arp(10 + i, ARP_REPLY, (FORGED_MAC, GATEWAY), HOST)));
    assert_eq!(wrong(&all), Some((Wrong::ForgedReplies, Some(HardwareAddress(FORGED_MAC)))));
    assert_eq!(verdict(&all).map(|verdict| verdict.unsolicited), Some(5));
    // The same from a host that took over, at the times of a host that asks by itself.
    let mut slow: Vec<SeenArp> = asked_and_told(0, TRUE_MAC).into();
    slow.extend((0..10).map(|i| arp(20 + 25 * i, ARP_REPLY, (FORGED_MAC, GATEWAY), HOST)));
    assert_eq!(wrong(&slow), None, "requests were not captured");
}

#[test]
fn who_claims_an_address_does_not_ask_for_it() {
    let own = [arp(0, ARP_REQUEST, (FORGED_MAC, OTHER), GATEWAY)];
    let forged = [arp(5, ARP_REPLY, (FORGED_MAC, GATEWAY), HOST)];
    assert_eq!(wrong(&[own, forged].concat()), Some((Wrong::Interception, Some(HardwareAddress(FORGED_MAC)))));
    assert_eq!(wrong(&forged), None);
    let answered = [arp(5, ARP_REQUEST, (HOST_MAC, HOST), GATEWAY), forged[0]];
    assert_eq!(wrong(&[&own[..], &answered].concat()), None, "a router that takes over had looked for the other one before");
}

#[test]
fn an_address_that_goes_to_and_fro_is_contested() {
    let turn = |seconds: &[u64], mac| seconds.iter().flat_map(|second| asked_and_told(*second, mac)).collect::<Vec<_>>();
    let there_and_back = [turn(&[0, 200], TRUE_MAC), turn(&[100], FORGED_MAC)].concat();
    assert_eq!(wrong(&there_and_back), None, "a router that failed, and came back");
    let again = [there_and_back, turn(&[290], FORGED_MAC)].concat();
    assert_eq!(wrong(&again), Some((Wrong::Contested, None)));
    let conflict = [turn(&[0, 1, 2, 3], TRUE_MAC), turn(&[1, 2, 3], FORGED_MAC), turn(&[60], TRUE_MAC)].concat();
    assert_eq!(wrong(&conflict), None, "a conflict that was found and given up");
    let ports = [turn(&[0, 60, 120, 180], CARD_PORTS[0]), turn(&[30, 90, 150, 210], CARD_PORTS[1])].concat();
    assert_eq!(wrong(&ports), None, "ports of one card");
}

#[test]
fn probes_and_other_operations_claim_nothing() {
    let probes: Vec<_> = (0..20).map(|i| arp(i * 10, ARP_REQUEST, (FORGED_MAC, NOBODY), GATEWAY)).collect();
    let table = table_of(&[&probes[..], &asked_and_told(5, TRUE_MAC)].concat());
    let key = key_of(GATEWAY, LinkSegment::from(crate::flow::Domain::NONE));
    assert_eq!(table.get(&key).map(|claims| claims.claims().len()), Some(1));
    assert!(table_of(&[arp(0, 8, (TRUE_MAC, GATEWAY), HOST)]).is_empty(), "InARP");
}

fn any_arp() -> impl Strategy<Value = SeenArp> {
    (0_u64..300, 1_u16..3, 0_u8..20, 0_u8..4, 0_u8..4).prop_map(|(second, operation, mac, sender, target)| {
        arp(second, operation, ([2, 0, 0, 0, 0, mac], [192, 0, 2, sender]), [192, 0, 2, target])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_parts_give_the_same_claims(
        all in prop::collection::vec(any_arp(), 0..200), shares in prop::collection::vec(0_usize..4, 200),
    ) {
        let whole = table_of(&all);
        let parts: Vec<_> = (0..4)
            .map(|part| table_of(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(arp, _)| arp)))
            .collect();
        for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
            let mut merged = EvidenceTable::new(1 << 20, &EvidenceHash::fixed());
            order.iter().for_each(|&part| merged.merge(&parts[part]));
            prop_assert_eq!(merged.len(), whole.len());
            prop_assert_eq!(merged.bytes(), whole.bytes());
            for key in whole.keys() {
                prop_assert_eq!(merged.get(key), whole.get(key));
            }
        }
        for key in whole.keys() {
            let mut cleared = whole.get(key).cloned().unwrap_or_default();
            cleared.clear();
            prop_assert_eq!(cleared, AddressClaims::default());
        }
    }
}
