//! Certificates: when each is told, by the time of the capture, and how.

use super::*;
use crate::detect::made_up::{MadeFacts, NOW, SECOND, assert_merges, flow, noted};
use crate::detect::{AlertPhase, DetectorSettings, LocalNetworks};
use crate::flow::{FactBuffer, FactId};
use proptest::prelude::*;

fn rule(tells_self_signed: bool) -> TlsCertificate {
    let settings = TlsCertificateSettings { tells_self_signed, allowed_networks: Vec::new(), cooldown_ns: 1 };
    TlsCertificate::new(settings, &DetectionSettings::of(DetectorSettings::default(), 1 << 20))
}

/// A connection whose server shows a certificate.
fn shown_by(server: u8, subject: &str, validity: [u64; 2], is_self_issued: bool, second: u64) -> MadeFacts {
    let mut facts = FactBuffer::default();
    let id = |member| FactId { object: 1, member };
    assert!(facts.text(id(11), subject.as_bytes()) && facts.text(id(12), b"CN=Issuer"));
    assert!(facts.number(id(14), validity[0]) && facts.number(id(15), validity[1]));
    assert!(!is_self_issued || facts.boolean(id(16), true));
    let flow = flow(second as u8, server, [40_000 + second as u16, 443], 6, second + 1);
    MadeFacts { facts, news: FactNews::CERTIFICATE, ..MadeFacts::of("tls", flow, second) }
}

/// The alert about a connection: variant, severity, description.
fn told(rule: &TlsCertificate, made: &MadeFacts) -> Option<(&'static str, AlertSeverity, String)> {
    let table = noted(rule, [Observation::Facts(&made.seen())], 1 << 20);
    let (key, finding) = table.entries().next()?;
    assert!(rule.holds(key, finding));
    let local = LocalNetworks::private_and([]);
    let time = Timestamp((NOW + 1) * SECOND);
    let told = Told { key, phase: AlertPhase::Begin, time, life: finding, window: finding, is_at_least: false, local: &local };
    let alert = rule.alert(&told);
    assert_eq!(alert.counts, [("flows", 1)]);
    Some((alert.variant, alert.severity, alert.description))
}

#[test]
fn certificates_are_judged_by_the_time_of_the_capture() {
    let (day, all) = (86_400, rule(true));
    let of = |validity, is_self_issued| shown_by(1, "CN=a", validity, is_self_issued, 0);
    let fault = |made: &MadeFacts| told(&all, made).map(|(variant, ..)| variant);
    assert_eq!(fault(&of([NOW - day, NOW + day], false)), None);
    assert_eq!(fault(&of([NOW, NOW], false)), None, "both seconds count");
    assert_eq!(fault(&of([NOW - 2 * day, NOW - 1], true)), Some("expired"), "the worst of it");
    assert_eq!(fault(&of([NOW + 1, NOW + day], false)), Some("not_yet_valid"));
    assert_eq!(fault(&of([NOW - day, NOW + day], true)), Some("self_signed"));
    let (long_ago, certificate) =
        (Timestamp(90 * SECOND), ShownCertificate { not_after_secs: NOW, ..ShownCertificate::default() });
    let future = ShownCertificate { not_before_secs: NOW, ..certificate };
    assert_eq!(CertificateFault::of(&future, long_ago), None, "a capture without a calendar");
    assert_eq!(told(&rule(false), &of([NOW - day, NOW + day], true)), None);
    let (_, severity, text) = told(&all, &shown_by(1, "CN=a\u{202e}\n", [0, NOW - 3 * day], false, 0)).expect("expired");
    let expected = "The certificate of 192.0.2.1:443 expired 3 days ago: CN=a\\u{202e}\\u{a}, shown in 1 connection by 10.0.0.0";
    assert_eq!((severity, text.as_str()), (AlertSeverity::Medium, expected));
}

#[test]
fn certificates_survive_their_form_in_evidence() {
    let long = vec![b'x'; 400];
    let certificate =
        ShownCertificate { subject: &long, issuer: b"i", not_before_secs: 1, not_after_secs: u64::MAX, is_self_issued: true };
    let bytes = packed(CertificateFault::NotYetValid, &certificate);
    let expected = ShownCertificate { subject: &long[..TEXT_MAX], ..certificate };
    assert_eq!(unpacked(&bytes), Some((CertificateFault::NotYetValid, expected)));
    assert!((0..19).all(|len| unpacked(&bytes[..len]).is_none()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_and_any_parts_give_the_same(
        all in prop::collection::vec((0_u8..30, 0_u8..3, any::<bool>(), 0_u64..99), 0..120),
        shares in prop::collection::vec(0_usize..4, 120),
    ) {
        let made: Vec<MadeFacts> = all
            .into_iter()
            .map(|(server, name, is_self_issued, second)| {
                shown_by(server, ["CN=a", "CN=b", "O=long"][usize::from(name)], [NOW, NOW + 50], is_self_issued, second)
            })
            .collect();
        let seen: Vec<_> = made.iter().map(MadeFacts::seen).collect();
        assert_merges(&rule(true), &seen.iter().map(Observation::Facts).collect::<Vec<_>>(), &shares);
    }
}
