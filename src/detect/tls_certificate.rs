//! Certificates of TLS servers that count no longer, not yet, or only by themselves, as servers up to TLS 1.2 show them to everybody.
//!
//! Owns the rule. Verifies no signature and no chain: that a certificate names itself as its issuer is all that is known. Invariant: time is that of the
//! capture, so a file gives the same whenever it is read.

use super::domain_name::digest;
use super::flow_finding::{FlowFinding, WINDOW_NS};
use super::texts::shown;
use super::{
    Alert, AlertSeverity, AlertSubject, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, IpPrefix, KeyedRule,
    Observation, SeenFacts, Told,
};
use crate::app::protocols::{FactNews, ShownCertificate};
use netscope_backends::Timestamp;

const KIND: &str = "tls_certificate";

/// 1995, when there was no SSL yet: the times of a capture that says so are of no calendar.
const TLS_BEGAN_SECS: u64 = 788_918_400;

/// `[analysis.anomalies.tls_certificate]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsCertificateSettings {
    /// Certificates that name themselves as their issuers are told.
    pub tells_self_signed: bool,
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without such a connection after which the alert is over.
    pub cooldown_ns: u64,
}

/// What is wrong with a certificate, the worst of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CertificateFault {
    Expired,
    NotYetValid,
    SelfSigned,
}

impl CertificateFault {
    const ALL: [Self; 3] = [Self::Expired, Self::NotYetValid, Self::SelfSigned];

    const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::SelfSigned => "self_signed",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "is not valid yet",
            Self::SelfSigned => "is self-signed",
        }
    }

    fn of(certificate: &ShownCertificate<'_>, now: Timestamp) -> Option<Self> {
        let now_secs = now.0 / Timestamp::NS_PER_SEC;
        if now_secs < TLS_BEGAN_SECS {
            return certificate.is_self_issued.then_some(Self::SelfSigned);
        }
        // It counts up to and in the last second (RFC 5280 section 4.1.2.5).
        if certificate.not_after_secs < now_secs {
            Some(Self::Expired)
        } else if certificate.not_before_secs > now_secs {
            Some(Self::NotYetValid)
        } else {
            certificate.is_self_issued.then_some(Self::SelfSigned)
        }
    }
}

/// What an alert has to know of a certificate, as one run of bytes: the fault, both times and both names.
fn packed(fault: CertificateFault, certificate: &ShownCertificate<'_>) -> Vec<u8> {
    let ShownCertificate { subject, issuer, not_before_secs, not_after_secs, is_self_issued } = *certificate;
    let (subject, issuer) = (&subject[..subject.len().min(TEXT_MAX)], &issuer[..issuer.len().min(TEXT_MAX)]);
    let head = [fault as u8, is_self_issued.into(), subject.len() as u8];
    [&head[..], &not_before_secs.to_le_bytes(), &not_after_secs.to_le_bytes(), subject, issuer].concat()
}

/// Bytes of a name that are kept.
const TEXT_MAX: usize = 255;

fn unpacked(bytes: &[u8]) -> Option<(CertificateFault, ShownCertificate<'_>)> {
    let (&[fault, is_self_issued, subject_len], rest) = bytes.split_first_chunk()?;
    let (not_before, rest) = rest.split_first_chunk()?;
    let (not_after, rest) = rest.split_first_chunk()?;
    let (subject, issuer) = rest.split_at_checked(subject_len.into())?;
    let fault = CertificateFault::ALL.into_iter().find(|known| *known as u8 == fault)?;
    let (not_before_secs, not_after_secs) = (u64::from_le_bytes(*not_before), u64::from_le_bytes(*not_after));
    Some((fault, ShownCertificate { subject, issuer, not_before_secs, not_after_secs, is_self_issued: is_self_issued != 0 }))
}

/// The rule. Keys: server, its port, and the certificate and its fault as a digest.
pub struct TlsCertificate {
    settings: TlsCertificateSettings,
    hash: EvidenceHash,
}

impl TlsCertificate {
    /// A rule with these settings.
    pub fn new(settings: TlsCertificateSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    fn note(&self, seen: &SeenFacts<'_>, table: &mut EvidenceTable<FlowFinding>) {
        let Some(certificate) = ShownCertificate::of(seen.facts) else { return };
        let Some(fault) = CertificateFault::of(&certificate, seen.time) else { return };
        if fault == CertificateFault::SelfSigned && !self.settings.tells_self_signed {
            return;
        }
        let flow = &seen.flow;
        let ((client, _), (host, port)) = (flow.key.source(flow.initiator), flow.key.destination(flow.initiator));
        if self.settings.allowed_networks.iter().any(|network| network.contains(client) || network.contains(host)) {
            return;
        }
        let name = packed(fault, &certificate);
        let key = EvidenceKey { host, peer: digest(&self.hash, &name), port, protocol: flow.key.protocol() };
        table.observe(key, |finding| finding.note(seen, &name, &self.hash));
    }
}

impl KeyedRule for TlsCertificate {
    type Evidence = FlowFinding;

    fn name(&self) -> &'static str {
        KIND
    }

    fn window_ns(&self) -> u64 {
        WINDOW_NS
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn follows_facts(&self) -> bool {
        true
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<FlowFinding>) {
        if let Observation::Facts(seen) = seen
            && seen.news.has(FactNews::CERTIFICATE)
        {
            self.note(seen, table);
        }
    }

    fn floor(&self) -> u64 {
        1
    }

    fn holds(&self, _key: &EvidenceKey, _window: &FlowFinding) -> bool {
        true
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.tls_certificate {
            self.settings.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, FlowFinding>) -> Alert {
        let life = told.life;
        let (fault, certificate) = unpacked(&life.name).unwrap_or((CertificateFault::SelfSigned, ShownCertificate::default()));
        let service = AlertSubject { port: Some(told.key.port), ..AlertSubject::host(told.key.host) };
        let (subject, issuer) = (shown(certificate.subject), shown(certificate.issuer));
        let since = match fault {
            CertificateFault::Expired => ago(life.span.last(), certificate.not_after_secs),
            CertificateFault::NotYetValid => ahead(life.span.first(), certificate.not_before_secs),
            CertificateFault::SelfSigned => String::new(),
        };
        let alert = Alert {
            description: format!(
                "The certificate of {service} {}{since}{}: {subject}, shown in {}{} {} {}",
                fault.words(),
                told.phase.words(),
                if told.is_at_least { "at least " } else { "" },
                life.flows,
                if life.flows == 1 { "connection" } else { "connections" },
                life.by_whom(),
            ),
            severity: if fault == CertificateFault::SelfSigned { AlertSeverity::Low } else { AlertSeverity::Medium },
            // One service may show several.
            key: format!("{KIND} {service} {} {subject} {}", fault.name(), certificate.not_after_secs),
            details: vec![
                ("subject", subject),
                ("issuer", issuer),
                ("not_before", certificate.not_before_secs.to_string()),
                ("not_after", certificate.not_after_secs.to_string()),
                ("self_issued", certificate.is_self_issued.to_string()),
            ],
            ..Alert::bare(KIND, fault.name(), told.phase)
        };
        FlowFinding::fill(told, self.settings.cooldown_ns, alert)
    }
}

const DAY_SECS: u64 = 86_400;

fn ago(now: Timestamp, secs: u64) -> String {
    format!(" {} days ago", (now.0 / Timestamp::NS_PER_SEC).saturating_sub(secs) / DAY_SECS)
}

fn ahead(now: Timestamp, secs: u64) -> String {
    format!(", but in {} days", secs.saturating_sub(now.0 / Timestamp::NS_PER_SEC) / DAY_SECS)
}

#[cfg(test)]
mod tests;
