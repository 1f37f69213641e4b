//! How far a flow is, in a word, whatever its protocol.
//!
//! Owns the words and what each is told from: counters and facts that a flow has anyhow. Nothing is kept for it. Invariant: the state of
//! TCP is that of [`TcpState`], with its names.

use super::tcp::TcpState;
use super::{Direction, FactSet, FlowKey, FlowRecord, IcmpFlow};
use crate::app::protocols::{AppStage, QuicStage};

const TCP: u8 = 6;

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// A TCP connection, whatever is spoken in it.
    Tcp(TcpState),
    /// A QUIC connection.
    Quic(QuicStage),
    /// DNS over datagrams, mDNS, LLMNR: no response was seen.
    Queried,
    /// The same: one was.
    Answered,
    /// ICMP echo: no reply was seen.
    Request,
    /// The same: one was.
    Replied,
    /// Any other flow: packets came from one side alone.
    OneWay,
    /// The same: from both.
    TwoWay,
}

impl FlowState {
    /// Names of all states, each once, in the order in which a flow has them.
    pub const NAMES: [&'static str; 15] = {
        use TcpState::{Closed, Established, FinWait, Reset, SynAck, SynSent, Unknown};
        [
            Unknown.name(),
            SynSent.name(),
            SynAck.name(),
            Established.name(),
            FinWait.name(),
            Closed.name(),
            Reset.name(),
            QuicStage::Initial.name(),
            QuicStage::Handshake.name(),
            Self::Queried.name(),
            Self::Answered.name(),
            Self::Request.name(),
            Self::Replied.name(),
            Self::OneWay.name(),
            Self::TwoWay.name(),
        ]
    };

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp(state) => state.name(),
            Self::Quic(stage) => stage.name(),
            Self::Queried => "queried",
            Self::Answered => "answered",
            Self::Request => "request",
            Self::Replied => "replied",
            Self::OneWay => "one_way",
            Self::TwoWay => "two_way",
        }
    }

    /// Of a record with its facts. `None` for TCP of which later fragments alone were seen.
    pub fn of(record: &FlowRecord, facts: FactSet<'_>) -> Option<Self> {
        match &record.tcp {
            Some(tcp) => Some(Self::Tcp(tcp.state)),
            None if record.key.protocol() == TCP => None,
            None => Some(Self::of_other(&record.key, record.packets, record.initiator, || AppStage::of(facts))),
        }
    }

    /// Of a flow that is no TCP connection. `stage` is asked where the protocol may have one.
    pub(super) fn of_other(
        key: &FlowKey,
        packets: [u64; 2],
        initiator: Direction,
        stage: impl FnOnce() -> Option<AppStage>,
    ) -> Self {
        match IcmpFlow::of(key) {
            Some(IcmpFlow::Echo(_)) if packets[initiator.reverse().index()] > 0 => return Self::Replied,
            Some(IcmpFlow::Echo(_)) => return Self::Request,
            Some(_) => {}
            None => match stage() {
                Some(AppStage::Quic(stage)) => return Self::Quic(stage),
                Some(AppStage::DnsQueried) => return Self::Queried,
                Some(AppStage::DnsAnswered) => return Self::Answered,
                Some(AppStage::Ssh) | None => {}
            },
        }
        if packets.iter().all(|&count| count > 0) { Self::TwoWay } else { Self::OneWay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::icmp::icmp_ports;
    use crate::flow::tests::key_of;

    #[test]
    fn every_protocol_has_its_words() {
        let state = |(key, initiator): (FlowKey, Direction), there: u64, back: u64, stage| {
            let mut packets = [0; 2];
            (packets[initiator.index()], packets[initiator.reverse().index()]) = (there, back);
            FlowState::of_other(&key, packets, initiator, || stage).name()
        };
        let udp = key_of("10.0.0.9", "10.0.0.1", 40_000, 53, 17);
        let echo = key_of("10.0.0.9", "10.0.0.1", 7, 7, 1);
        let echo6 = key_of("2001:db8::9", "2001:db8::1", 7, 7, 58);
        let ports = icmp_ports(1, 3, 1);
        let error = key_of("10.0.0.9", "10.0.0.1", ports.source, ports.destination, 1);
        let esp = key_of("10.0.0.9", "10.0.0.1", 0, 0, 50);
        for (flow, there, back, stage, expected) in [
            (udp, 1, 0, None, "one_way"),
            (udp, 0, 1, None, "one_way"),
            (udp, 1, 1, None, "two_way"),
            (udp, 1, 1, Some(AppStage::DnsQueried), "queried"),
            (udp, 1, 1, Some(AppStage::DnsAnswered), "answered"),
            (udp, 9, 0, Some(AppStage::Quic(QuicStage::Initial)), "initial"),
            (udp, 9, 9, Some(AppStage::Quic(QuicStage::Handshake)), "handshake"),
            (udp, 9, 9, Some(AppStage::Quic(QuicStage::Established)), "established"),
            (udp, 9, 9, Some(AppStage::Quic(QuicStage::Closed)), "closed"),
            (echo, 2, 0, None, "request"),
            (echo, 0, 1, None, "replied"),
            (echo6, 1, 1, None, "replied"),
            (error, 3, 0, None, "one_way"),
            (esp, 1, 1, None, "two_way"),
        ] {
            assert_eq!(state(flow, there, back, stage), expected, "{flow:?} {there} {back}");
            assert!(FlowState::NAMES.contains(&expected));
        }
    }
}
