//! Names of ours for the values of a record: states, reasons, protocols, control bits.
//!
//! Owns the letters of names that `flow` and `wire` do not name themselves. Knows no format. Invariant: a
//! name has letters, digits, `_` and `-` alone, so no format has to quote it.

use super::fields::TimeResolution;
use super::text::FieldWord;
use crate::flow::tcp::{TcpState, TcpStateDetail};
use crate::flow::{Direction, EndReason};
use crate::wire::TunnelKind;

pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;

/// A function from each variant of an enum to the word that is its name.
macro_rules! words {
    ($($function:ident: $enum:ident { $($variant:ident),* $(,)? })*) => {
        $(
            #[inline(always)]
            pub(super) fn $function(value: $enum) -> &'static FieldWord {
                match value {
                    $($enum::$variant => const { &FieldWord::new($enum::$variant.name()) },)*
                }
            }
        )*
    };
}

words! {
    direction_word: Direction { AToB, BToA }
    reason_word: EndReason { Timeout, Eviction, Closed, ActiveTimeout, Exit }
    time_word: TimeResolution { Packet, Batch }
    state_word: TcpState { Unknown, SynSent, SynAck, Established, FinWait, Closed, Reset }
    detail_word: TcpStateDetail {
        Unknown, SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait, Closed
    }
    tunnel_word: TunnelKind {
        IpInIp, Gre, Erspan, Vxlan, Geneve, GtpU, Teredo, L2tp, EtherIp, Ethernet, Mpls, Lisp, Ayiya
    }
}

/// Names of the IANA protocol numbers: "tcp", "udp", ..., "ip-proto-N" for those without a name here.
static PROTOCOLS: [FieldWord; 256] = {
    let mut words = [FieldWord::EMPTY; 256];
    let mut protocol = 0;
    while protocol < 256 {
        let digits = [b'0' + (protocol / 100) as u8, b'0' + (protocol / 10 % 10) as u8, b'0' + (protocol % 10) as u8];
        let number = digits
            .split_at(if protocol < 10 {
                2
            } else if protocol < 100 {
                1
            } else {
                0
            })
            .1;
        words[protocol] = match protocol as u8 {
            ICMP => FieldWord::new("icmp"),
            2 => FieldWord::new("igmp"),
            4 => FieldWord::new("ipip"),
            6 => FieldWord::new("tcp"),
            17 => FieldWord::new("udp"),
            33 => FieldWord::new("dccp"),
            41 => FieldWord::new("ipv6"),
            47 => FieldWord::new("gre"),
            50 => FieldWord::new("esp"),
            51 => FieldWord::new("ah"),
            ICMPV6 => FieldWord::new("icmpv6"),
            88 => FieldWord::new("eigrp"),
            89 => FieldWord::new("ospf"),
            103 => FieldWord::new("pim"),
            112 => FieldWord::new("vrrp"),
            132 => FieldWord::new("sctp"),
            136 => FieldWord::new("udplite"),
            _ => FieldWord::new("ip-proto-").and(number),
        };
        protocol += 1;
    }
    words
};

#[inline(always)]
pub(super) fn protocol_word(protocol: u8) -> &'static FieldWord {
    &PROTOCOLS[usize::from(protocol)]
}

/// Name of an IANA protocol number: "tcp", "udp", ..., "ip-proto-N" for those without a name here.
pub fn protocol_name(protocol: u8) -> &'static str {
    protocol_word(protocol).as_str()
}

/// Letters of the TCP control bits in the order of the header: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN. Every
/// combination.
static FLAGS: [FieldWord; 256] = {
    let mut words = [FieldWord::EMPTY; 256];
    let mut flags = 0;
    while flags < 256 {
        let mut bit = 8;
        while bit > 0 {
            bit -= 1;
            if flags >> bit & 1 == 1 {
                words[flags] = words[flags].and(&[b"FSRPAUEC"[bit]]);
            }
        }
        flags += 1;
    }
    words
};

#[inline(always)]
pub(super) fn flags_word(flags: u8) -> &'static FieldWord {
    &FLAGS[usize::from(flags)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_stand_in_header_order() {
        assert_eq!(flags_word(0xff).as_str(), "CEUAPRSF");
        assert_eq!(flags_word(0x12).as_str(), "AS");
        assert_eq!(flags_word(0).as_str(), "");
    }

    #[test]
    fn every_protocol_has_a_name() {
        assert_eq!(protocol_name(6), "tcp");
        for number in [0, 9, 10, 99, 100, 253] {
            assert_eq!(protocol_name(number), format!("ip-proto-{number}"));
        }
        let names: std::collections::HashSet<&str> = (0..=255).map(protocol_name).collect();
        assert_eq!(names.len(), 256);
    }

    proptest! {
        #[test]
        fn flags_have_one_letter_per_bit(flags: u8) {
            prop_assert_eq!(flags_word(flags).as_str().len(), flags.count_ones() as usize);
        }
    }
}
