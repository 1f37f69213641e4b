//! Suricata's names for what has another one here.
//!
//! Owns the names. Knows no record. Invariant: what has no name there keeps ours.

use crate::flow::tcp::TcpStateDetail;

/// Gives the name of an IANA protocol number to `take`: three digits where it has none.
pub(super) fn proto(number: u8, take: impl FnOnce(&str)) {
    match number {
        1 => take("ICMP"),
        2 => take("IGMP"),
        6 => take("TCP"),
        17 => take("UDP"),
        33 => take("DCCP"),
        41 => take("IPv6"),
        47 => take("GRE"),
        50 => take("ESP"),
        51 => take("AH"),
        58 => take("IPv6-ICMP"),
        88 => take("EIGRP"),
        89 => take("OSPFIGP"),
        103 => take("PIM"),
        112 => take("VRRP"),
        132 => take("SCTP"),
        136 => take("UDPLite"),
        _ => take(&format!("{number:03}")),
    }
}

/// An application protocol.
pub(super) fn app_proto(name: &[u8]) -> &[u8] {
    match name {
        b"kerberos" => b"krb5",
        b"postgresql" => b"pgsql",
        b"vnc" => b"rfb",
        b"ftp_data" => b"ftp-data",
        _ => name,
    }
}

/// A state of TCP.
pub(super) const fn tcp_state(state: TcpStateDetail) -> &'static str {
    match state {
        TcpStateDetail::Unknown => "none",
        TcpStateDetail::SynReceived => "syn_recv",
        TcpStateDetail::FinWait1 => "fin_wait1",
        TcpStateDetail::FinWait2 => "fin_wait2",
        other => other.name(),
    }
}

/// A version of TLS, from our name of it.
pub(super) fn tls_version(name: &[u8]) -> &[u8] {
    match name {
        b"TLSv1.0" => b"TLSv1",
        b"TLSv1.1" => b"TLS 1.1",
        b"TLSv1.2" => b"TLS 1.2",
        b"TLSv1.3" => b"TLS 1.3",
        _ => name,
    }
}

/// A version of QUIC: the number in hexadecimal, or the name of one of five of Google's.
pub(super) fn quic_version(number: u32) -> String {
    match &number.to_be_bytes() {
        name @ (b"Q039" | b"Q043" | b"Q044" | b"Q045" | b"Q046") => String::from_utf8_lossy(name).into_owned(),
        _ => format!("{number:x}"),
    }
}
