//! What is told of a flow's facts to those who wait for it, such as detectors.
//!
//! Owns which facts are waited for. Knows no flow. Invariant: reading never fails, whatever the facts are: what is not there is not known.

use super::{APP, CREDENTIALS_IN_CLEAR, tls};
use crate::app::{FactId, FactSet, FactValue};

/// What became known of a flow, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactNews(u8);

impl FactNews {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Which protocol it is, once both sides have said something or nothing more is looked at.
    pub const PROTOCOL: Self = Self(1);
    /// The server's certificate.
    pub const CERTIFICATE: Self = Self(1 << 1);
    /// A password or its like was sent in the clear.
    pub const CREDENTIALS: Self = Self(1 << 2);
    /// Inspection gave up: many datagrams told nothing.
    pub const UNKNOWN: Self = Self(1 << 3);

    /// True when all of `other` is in it.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What these facts say.
    pub fn of(facts: FactSet<'_>) -> Self {
        facts.iter().fold(Self::NONE, |news, (id, _)| match id {
            PROTOCOL => news.and(Self::PROTOCOL),
            CREDENTIALS => news.and(Self::CREDENTIALS),
            NOT_AFTER => news.and(Self::CERTIFICATE),
            _ => news,
        })
    }
}

const PROTOCOL: FactId = FactId { object: APP, member: 0 };
const CREDENTIALS: FactId = FactId { object: APP, member: CREDENTIALS_IN_CLEAR };
const SUBJECT: FactId = tls::id(tls::member::SUBJECT);
const ISSUER: FactId = tls::id(tls::member::ISSUER);
const NOT_BEFORE: FactId = tls::id(tls::member::NOT_BEFORE);
const NOT_AFTER: FactId = tls::id(tls::member::NOT_AFTER);
const SELF_ISSUED: FactId = tls::id(tls::member::SELF_ISSUED);

/// The protocol's name, as records have it.
pub fn protocol_of(facts: FactSet<'_>) -> Option<&[u8]> {
    match facts.get(PROTOCOL)? {
        FactValue::Text(name) => Some(name),
        _ => None,
    }
}

/// The certificate that a server showed, not verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShownCertificate<'a> {
    /// Whom it is for; may be empty.
    pub subject: &'a [u8],
    /// Who says so; may be empty.
    pub issuer: &'a [u8],
    /// From when on it counts, in seconds since 1970; 0 for earlier times.
    pub not_before_secs: u64,
    /// Until when it counts, likewise.
    pub not_after_secs: u64,
    /// Subject and issuer are the same.
    pub is_self_issued: bool,
}

impl<'a> ShownCertificate<'a> {
    /// Out of a flow's facts, where they have one.
    pub fn of(facts: FactSet<'a>) -> Option<Self> {
        let (mut certificate, mut is_there) = (Self::default(), false);
        for fact in facts.iter() {
            match fact {
                (SUBJECT, FactValue::Text(text)) => certificate.subject = text,
                (ISSUER, FactValue::Text(text)) => certificate.issuer = text,
                (NOT_BEFORE, FactValue::Number(secs)) => certificate.not_before_secs = secs,
                (NOT_AFTER, FactValue::Number(secs)) => (certificate.not_after_secs, is_there) = (secs, true),
                (SELF_ISSUED, FactValue::Boolean(is_so)) => certificate.is_self_issued = is_so,
                _ => {}
            }
        }
        is_there.then_some(certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{write_app, write_credentials};
    use super::*;
    use crate::app::FactBuffer;

    #[test]
    fn facts_are_told_by_what_is_waited_for() {
        let mut facts = FactBuffer::default();
        assert_eq!((FactNews::of(facts.facts()), protocol_of(facts.facts())), (FactNews::NONE, None));
        write_app("ftp", &mut facts);
        assert_eq!((FactNews::of(facts.facts()), protocol_of(facts.facts())), (FactNews::PROTOCOL, Some(&b"ftp"[..])));
        write_credentials(false, &mut facts);
        assert_eq!(FactNews::of(facts.facts()), FactNews::PROTOCOL);
        write_credentials(true, &mut facts);
        assert_eq!(FactNews::of(facts.facts()), FactNews::PROTOCOL.and(FactNews::CREDENTIALS));
        assert_eq!(ShownCertificate::of(facts.facts()), None);
        let mut tls = facts.object(NOT_AFTER.object);
        tls.text(SUBJECT.member, b"CN=a");
        tls.number(NOT_AFTER.member, 7);
        let certificate = ShownCertificate { subject: b"CN=a", not_after_secs: 7, ..ShownCertificate::default() };
        assert_eq!(ShownCertificate::of(facts.facts()), Some(certificate));
        let news = FactNews::of(facts.facts());
        assert!(news.has(FactNews::CERTIFICATE) && !news.without(FactNews::CERTIFICATE).has(FactNews::CERTIFICATE));
    }
}
