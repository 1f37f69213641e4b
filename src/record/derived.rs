//! What is told of a flow from all that is known of it: how far it is, and how its application is known.
//!
//! Owns the words. Knows no format. Invariant: nothing is kept for them; they are made when a record is written or asked for.

use super::application::{OTHERS_NAME, SPOKEN, SPOKEN_SOURCE};
use super::fields::endpoint_of;
use super::services::service_word;
use super::text::FieldWord;
use crate::app::protocols::QuicStage;
use crate::flow::tcp::TcpState;
use crate::flow::{FactSet, FactValue, FlowRecord, FlowState};

/// How the application of a flow is known, the surest first.
pub const KNOWN_BY: [&str; 4] = ["content", "announced", "port", "passive_dns"];

/// What the server's port is registered for.
pub(super) fn port_name(record: &FlowRecord) -> Option<&'static FieldWord> {
    service_word(record.key.protocol(), endpoint_of(record, record.client().reverse()).1)
}

/// The word of a state.
pub(super) fn flow_state_word(record: &FlowRecord, facts: FactSet<'_>) -> Option<&'static FieldWord> {
    macro_rules! word {
        ($name:expr) => {
            const { &FieldWord::new($name) }
        };
    }
    Some(match FlowState::of(record, facts)? {
        FlowState::Tcp(TcpState::Unknown) => word!(TcpState::Unknown.name()),
        FlowState::Tcp(TcpState::SynSent) => word!(TcpState::SynSent.name()),
        FlowState::Tcp(TcpState::SynAck) => word!(TcpState::SynAck.name()),
        FlowState::Tcp(TcpState::Established) => word!(TcpState::Established.name()),
        FlowState::Tcp(TcpState::FinWait) => word!(TcpState::FinWait.name()),
        FlowState::Tcp(TcpState::Closed) => word!(TcpState::Closed.name()),
        FlowState::Tcp(TcpState::Reset) => word!(TcpState::Reset.name()),
        FlowState::Quic(QuicStage::Initial) => word!(QuicStage::Initial.name()),
        FlowState::Quic(QuicStage::Handshake) => word!(QuicStage::Handshake.name()),
        FlowState::Quic(QuicStage::Established) => word!(QuicStage::Established.name()),
        FlowState::Quic(QuicStage::Closed) => word!(QuicStage::Closed.name()),
        FlowState::Queried => word!(FlowState::Queried.name()),
        FlowState::Answered => word!(FlowState::Answered.name()),
        FlowState::Request => word!(FlowState::Request.name()),
        FlowState::Replied => word!(FlowState::Replied.name()),
        FlowState::OneWay => word!(FlowState::OneWay.name()),
        FlowState::TwoWay => word!(FlowState::TwoWay.name()),
    })
}

/// How the application is known: by content or by what another flow announced, else by a registered port of the server, else by the name that another flow told.
/// `has_port_name`: the server's port is registered.
pub(super) fn known_by_word(facts: FactSet<'_>, has_port_name: impl FnOnce() -> bool) -> Option<&'static FieldWord> {
    let [content, announced, port, passive_dns] = const {
        &[FieldWord::new(KNOWN_BY[0]), FieldWord::new(KNOWN_BY[1]), FieldWord::new(KNOWN_BY[2]), FieldWord::new(KNOWN_BY[3])]
    };
    if facts.get(SPOKEN).is_some() {
        let is_announced = facts.get(SPOKEN_SOURCE) == Some(FactValue::Text(KNOWN_BY[1].as_bytes()));
        Some(if is_announced { announced } else { content })
    } else if has_port_name() {
        Some(port)
    } else {
        facts.get(OTHERS_NAME).map(|_| passive_dns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::FactBuffer;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};

    #[test]
    fn the_surest_way_is_told() {
        let known = |facts: &FactBuffer, has_port| known_by_word(facts.facts(), || has_port).map(FieldWord::as_str);
        let (mut named, none) = (FactBuffer::default(), FactBuffer::default());
        assert!(named.text(OTHERS_NAME, b"www.example.com"));
        let mut spoken = named.clone();
        assert!(spoken.text(SPOKEN, b"tls"));
        let mut announced = spoken.clone();
        assert!(announced.text(SPOKEN_SOURCE, b"announced"));
        for (facts, has_port, expected) in [
            (&none, false, None),
            (&none, true, Some("port")),
            (&named, false, Some("passive_dns")),
            (&named, true, Some("port")),
            (&spoken, false, Some("content")),
            (&spoken, true, Some("content")),
            (&announced, true, Some("announced")),
        ] {
            assert_eq!(known(facts, has_port), expected);
        }
    }

    #[test]
    fn every_state_has_the_word_of_its_name() {
        for record in [tcp_record(), udp6_record(), icmp_record()] {
            let state = FlowState::of(&record, FactSet::NONE).expect("a state");
            let word = flow_state_word(&record, FactSet::NONE).map(FieldWord::as_str);
            assert_eq!(word, Some(state.name()));
            assert!(FlowState::NAMES.contains(&state.name()));
        }
        let mut fragments = tcp_record();
        fragments.tcp = None;
        assert!(flow_state_word(&fragments, FactSet::NONE).is_none());
    }
}
