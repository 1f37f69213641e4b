//! Protocols on ports of others: what accuses and what does not, and that evidence merges.

use super::*;
use crate::detect::DetectorSettings;
use crate::detect::made_up::{MadeFacts, assert_merges, flow, noted};
use crate::flow::FactBuffer;
use proptest::prelude::*;

fn rule(allowed_ports: &[u16]) -> PortMismatch {
    let settings = PortMismatchSettings { allowed_ports: allowed_ports.to_vec(), allowed_networks: Vec::new(), cooldown_ns: 1 };
    PortMismatch::new(settings, &DetectionSettings::of(DetectorSettings::default(), 1 << 20))
}

fn of(name: &str, ports: [u16; 2], protocol: u8) -> MadeFacts {
    MadeFacts::of(name, flow(1, 1, ports, protocol, 1), 0)
}

/// Flows that accuse.
fn count(rule: &PortMismatch, made: &MadeFacts) -> u64 {
    let table = noted(rule, [Observation::Facts(&made.seen())], 1 << 20);
    table.entries().map(|(_, finding)| finding.flows).sum()
}

#[test]
fn known_protocols_on_ports_of_others_are_told() {
    let rule = rule(&[]);
    for (name, port) in [("ssh", 443), ("ssh", 53), ("http", 22), ("http", 443), ("tls", 22), ("tls", 25), ("smtp", 80)] {
        assert_eq!(count(&rule, &of(name, [40_000, port], 6)), 1, "{name} {port}");
    }
    for (name, port) in [("ssh", 22), ("ssh", 2222), ("tls", 443), ("tls", 993), ("tls", 8443), ("rdp", 3389), ("stun", 443)] {
        assert_eq!(count(&rule, &of(name, [40_000, port], 6)), 0, "{name} {port}");
    }
    assert_eq!(count(&rule, &of("openvpn", [40_000, 53], 17)), 1);
    assert_eq!(count(&rule, &of("quic", [40_000, 443], 17)), 0, "datagrams to 443 are of many");
    assert_eq!(count(&rule, &of("tls", [443, 3306], 6)), 0, "a server of TLS whose client has chosen 3306");
}

#[test]
fn who_is_not_answered_or_allowed_is_not_told() {
    let made = MadeFacts { is_answered: false, ..of("http", [40_000, 22], 6) };
    assert_eq!(count(&rule(&[]), &made), 0, "a scanner");
    assert_eq!(count(&rule(&[443]), &of("ssh", [40_000, 443], 6)), 0);
    let late = MadeFacts { news: FactNews::CREDENTIALS, ..of("http", [40_000, 22], 6) };
    assert_eq!(count(&rule(&[]), &late), 0, "it was told before");
}

#[test]
fn much_that_is_no_dns_is_told_on_its_port_alone() {
    let unknown = |port| MadeFacts { facts: FactBuffer::default(), news: FactNews::UNKNOWN, ..of("", [40_000, port], 17) };
    assert_eq!((count(&rule(&[]), &unknown(53)), count(&rule(&[]), &unknown(123))), (1, 0));
    assert_eq!(count(&rule(&[]), &unknown(5000)), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_and_any_parts_give_the_same(
        all in prop::collection::vec((0_u8..40, 0_u8..9, 0_usize..3, 0_usize..4, 0_u64..99), 0..120),
        shares in prop::collection::vec(0_usize..4, 120),
    ) {
        let made: Vec<MadeFacts> = all
            .into_iter()
            .map(|(client, server, name, port, second)| {
                let ports = [40_000 + second as u16, [22, 443, 80, 53][port]];
                MadeFacts::of(["ssh", "http", "ftp"][name], flow(client, server, ports, 6, second), second)
            })
            .collect();
        let seen: Vec<_> = made.iter().map(MadeFacts::seen).collect();
        assert_merges(&rule(&[]), &seen.iter().map(Observation::Facts).collect::<Vec<_>>(), &shares);
    }
}
