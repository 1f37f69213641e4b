//! DNS tunnels: the rule over made-up messages, what looks like one, and that evidence merges.

use super::*;
use crate::detect::made_up::{assert_merges, dns_message, noted, seen_dns};
use crate::detect::{DetectorSettings, KeyEvidence};
use proptest::prelude::*;

const RESPONSE: u16 = 0x8180;
const TXT: u16 = 16;

fn rule() -> DnsTunnel {
    let settings = DnsTunnelSettings {
        window_ns: 300_000_000_000,
        names_threshold: 20,
        name_bytes_min: 45,
        allowed_domains: vec!["known.example".to_owned()],
        allowed_networks: Vec::new(),
        cooldown_ns: 1,
    };
    DnsTunnel::new(settings, &DetectionSettings::of(DetectorSettings::default(), 1 << 20))
}

/// A label of hexadecimal digits, another one for each number.
fn data(number: u64) -> String {
    format!("{:016x}{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15), u128::from(number) << 64 | 0x0123_4567_89ab_cdef)
}

/// Domains by which these names are a tunnel, each asked for and answered.
fn tunnels(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let rule = rule();
    let messages: Vec<Vec<u8>> =
        names.into_iter().flat_map(|name| [dns_message(&name, TXT, 0x100), dns_message(&name, TXT, RESPONSE)]).collect();
    let seen: Vec<_> = messages.iter().zip(0..).map(|(bytes, second)| seen_dns(bytes, 1, second / 8)).collect();
    let table = noted(&rule, seen.iter().map(Observation::Dns), 1 << 20);
    let holding = table.entries().filter(|(key, names)| names.weight() >= rule.floor() && rule.holds(key, names));
    let mut domains: Vec<String> =
        holding.map(|(_, names)| String::from_utf8_lossy(names.domain.all().next().unwrap_or_default()).into_owned()).collect();
    domains.sort();
    domains
}

#[test]
fn many_long_names_of_one_domain_are_a_tunnel() {
    assert_eq!(tunnels((0..20).map(|i| format!("{}.t.example.com", data(i)))), ["example.com"]);
    assert_eq!(tunnels((0..20).map(|i| format!("{}.T.Example.Co.UK", data(i).to_uppercase()))), ["example.co.uk"]);
    assert_eq!(tunnels((0..20).map(|i| format!("dnscat.{}.{:x}0", data(i), i + 160))), [""], "without a domain");
    assert_eq!(tunnels((0..19).map(|i| format!("{}.t.example.com", data(i)))), [""; 0], "fewer");
}

#[test]
fn other_names_are_none() {
    for (names, why) in [
        ((0..200).map(|i| format!("host-{i}.example.com")).collect::<Vec<_>>(), "short ones"),
        ((0..200).map(|i| format!("{}.d{i}.com", data(i))).collect(), "of a domain each"),
        ((0..200).map(|i| format!("{}.known.example", data(i))).collect(), "of a known domain"),
        (
            (0..200).map(|i| format!("{}.a.ip6.arpa", "a.".repeat(29) + &format!("{}.{}", i % 10, i / 10 % 10))).collect(),
            "reverse ones",
        ),
        ((0..200).map(|i| format!("{}.example.com", data(i % 19))).collect(), "the same again"),
        ((0..2000).map(|i| format!("{}.example.com", data(i % 25))).collect(), "names that are asked for again and again"),
        ((0..200).map(|i| format!("{}{}.example.com", "a".repeat(50), i % 10)).collect(), "padding"),
    ] {
        assert_eq!(tunnels(names), [""; 0], "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_order_and_any_parts_give_the_same(
        all in prop::collection::vec((0_u8..9, 0_u64..120, 0_u8..4, any::<bool>(), 0_u64..99), 0..300),
        shares in prop::collection::vec(0_usize..4, 300),
    ) {
        let messages: Vec<_> = all
            .into_iter()
            .map(|(client, number, domain, is_response, second)| {
                let name = format!("{}.d{domain}.com", data(number));
                (dns_message(&name, u16::from(domain), if is_response { RESPONSE } else { 0x100 }), client, second)
            })
            .collect();
        let seen: Vec<_> = messages.iter().map(|(bytes, client, second)| seen_dns(bytes, *client, *second)).collect();
        assert_merges(&rule(), &seen.iter().map(Observation::Dns).collect::<Vec<_>>(), &shares);
    }
}
