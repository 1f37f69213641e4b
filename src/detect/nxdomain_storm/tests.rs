//! Storms of NXDOMAIN: the rule over made-up answers, what looks like one, and that evidence merges.

use super::*;
use crate::detect::made_up::{NOW, SECOND, assert_merges, dns_message, noted, seen_dns};
use crate::detect::{AlertPhase, DetectorSettings, LocalNetworks};
use netscope_backends::Timestamp;
use proptest::prelude::*;

const NONE: u16 = 0x8183;
const FOUND: u16 = 0x8180;

fn rule() -> NxdomainStorm {
    let settings = NxdomainStormSettings {
        window_ns: 60_000_000_000,
        names_threshold: 20,
        answers_threshold: 100,
        allowed_networks: Vec::new(),
        cooldown_ns: 1,
    };
    NxdomainStorm::new(settings, &DetectionSettings::of(DetectorSettings::default(), 1 << 20))
}

/// The variant of the alert about a client that got these answers, and the domain that it names.
fn storm(answers: impl IntoIterator<Item = (String, u16)>) -> Option<(&'static str, Option<String>)> {
    let rule = rule();
    let messages: Vec<Vec<u8>> = answers.into_iter().map(|(name, flags)| dns_message(&name, 1, flags)).collect();
    let seen: Vec<_> = messages.iter().map(|bytes| seen_dns(bytes, 1, 0)).collect();
    let table = noted(&rule, seen.iter().map(Observation::Dns), 1 << 20);
    let (key, life) = table.entries().next().filter(|(key, life)| life.nxdomain >= rule.floor() && rule.holds(key, life))?;
    let local = LocalNetworks::private_and([]);
    let time = Timestamp(NOW * SECOND);
    let told = Told { key, phase: AlertPhase::Begin, time, life, window: life, is_at_least: false, local: &local };
    let alert = rule.alert(&told);
    assert!(alert.thresholds.iter().all(|crossed| crossed.value >= crossed.limit) && !alert.thresholds.is_empty());
    Some((alert.variant, alert.details.first().map(|(_, domain)| domain.clone())))
}

fn none(names: impl IntoIterator<Item = String>) -> impl Iterator<Item = (String, u16)> {
    names.into_iter().map(|name| (name, NONE))
}

#[test]
fn many_names_that_do_not_exist_are_a_storm() {
    assert_eq!(storm(none((0..20).map(|i| format!("x{i}.com")))), Some(("many_domains", None)));
    let under_one = (0..20).map(|i| format!("x{i}.Example.com"));
    assert_eq!(storm(none(under_one)), Some(("one_domain", Some("example.com".to_owned()))));
    assert_eq!(storm(none((0..100).map(|i| format!("x{}.com", i % 3)))), Some(("few_names", None)));
}

#[test]
fn other_answers_are_none() {
    assert_eq!(storm(none((0..19).map(|i| format!("x{i}.com")))), None, "few");
    assert_eq!(storm(none((0..99).map(|i| format!("x{}.com", i % 3)))), None, "the same, not often");
    let found = (0..21).map(|i| (format!("y{i}.com"), FOUND));
    assert_eq!(storm(none((0..20).map(|i| format!("x{i}.com"))).chain(found)), None, "more are found");
    assert_eq!(storm(none((0..200).map(|i| format!("{i}.0.0.10.in-addr.arpa")))), None, "reverse names");
    assert_eq!(storm(none((0..200).map(|i| format!("{i}.0.0.10.zen.example.org")))), None, "a list of addresses");
    assert_eq!(storm((0..200).map(|i| (format!("x{i}.com"), 0x100))), None, "queries");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_order_and_any_parts_give_the_same(
        all in prop::collection::vec((0_u8..9, 0_u64..120, 0_u8..90, any::<bool>(), 0_u64..99), 0..300),
        shares in prop::collection::vec(0_usize..4, 300),
    ) {
        let messages: Vec<_> = all
            .into_iter()
            .map(|(client, number, domain, is_found, second)| {
                (dns_message(&format!("x{number}.d{domain}.com"), 1, if is_found { FOUND } else { NONE }), client, second)
            })
            .collect();
        let seen: Vec<_> = messages.iter().map(|(bytes, client, second)| seen_dns(bytes, *client, *second)).collect();
        assert_merges(&rule(), &seen.iter().map(Observation::Dns).collect::<Vec<_>>(), &shares);
    }
}
