//! How far the conversation of a flow is, as its facts say.
//!
//! Owns which facts say it. Knows no packet and no clock. Invariant: facts that do not say it give `None`.

use super::{APP, dns_summary, quic, ssh};
use crate::app::{FactId, FactSet, FactValue};

/// How far a QUIC connection is (RFC 9000 section 7, 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuicStage {
    /// Only one side was heard.
    Initial,
    /// Both sides were heard.
    Handshake,
    /// The client has sent a packet with a short header, so it has completed the handshake.
    Established,
    /// An Initial packet closed it. Later closes are encrypted.
    Closed,
}

impl QuicStage {
    const ALL: [Self; 4] = [Self::Initial, Self::Handshake, Self::Established, Self::Closed];

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Handshake => "handshake",
            Self::Established => "established",
            Self::Closed => "closed",
        }
    }
}

/// How far the conversation is, in the protocols of which it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppStage {
    /// DNS, mDNS and LLMNR: no response was seen.
    DnsQueried,
    /// The same: one was.
    DnsAnswered,
    /// QUIC.
    Quic(QuicStage),
    /// SSH.
    Ssh,
}

const PROTOCOL: FactId = FactId { object: APP, member: 0 };

impl AppStage {
    /// What the facts of a flow say.
    pub fn of(facts: FactSet<'_>) -> Option<Self> {
        facts.iter().find_map(|(id, value)| match (id, value) {
            (dns_summary::RESPONSES, FactValue::Number(0)) => Some(Self::DnsQueried),
            (dns_summary::RESPONSES, FactValue::Number(_)) => Some(Self::DnsAnswered),
            (quic::STATE, FactValue::Text(text)) => {
                QuicStage::ALL.into_iter().find(|stage| stage.name().as_bytes() == text).map(Self::Quic)
            }
            (PROTOCOL, FactValue::Text(text)) if text == ssh::NAME.as_bytes() => Some(Self::Ssh),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::FactBuffer;

    #[test]
    fn facts_of_each_protocol_say_how_far_it_is() {
        let stage = |id, value: &dyn Fn(&mut FactBuffer, FactId) -> bool| {
            let mut facts = FactBuffer::default();
            assert!(facts.text(PROTOCOL, b"any") && value(&mut facts, id));
            AppStage::of(facts.facts())
        };
        assert_eq!(stage(dns_summary::RESPONSES, &|facts, id| facts.number(id, 0)), Some(AppStage::DnsQueried));
        assert_eq!(stage(dns_summary::RESPONSES, &|facts, id| facts.number(id, 7)), Some(AppStage::DnsAnswered));
        for known in QuicStage::ALL {
            let told = stage(quic::STATE, &|facts, id| facts.text(id, known.name().as_bytes()));
            assert_eq!(told, Some(AppStage::Quic(known)));
        }
        assert_eq!(stage(quic::STATE, &|facts, id| facts.text(id, b"else")), None);
        let mut ssh = FactBuffer::default();
        assert!(ssh.text(PROTOCOL, b"ssh"));
        assert_eq!((AppStage::of(ssh.facts()), AppStage::of(FactSet::NONE)), (Some(AppStage::Ssh), None));
    }
}
