//! Where in its header a field lies.
//!
//! Owns the places, from the header's start. Knows no value. Invariant: a field's value depends on the bytes of its range; a field whose
//! place depends on more than is looked at here has none.

use crate::wire::{Header, View};

/// Bytes: where they begin, how many.
type ByteRange = (usize, usize);

/// The place of a field of this layer, the `nth` of its name, in a header of `bytes`.
pub(super) fn field_range(header: &Header<'_>, bytes: &[u8], name: &str, nth: usize) -> Option<ByteRange> {
    let fixed = match header {
        Header::Arp(_) => return arp(bytes, name),
        Header::Tcp(h) => tcp(name).or_else(|| tcp_option(bytes.get(20..h.header_len())?, name, nth)),
        Header::Gre(h) => gre(h.flags(), name),
        Header::Ipv4(h) if name == "options" => Some((20, h.header_len().checked_sub(20)?)),
        Header::Ipv4(_) => ipv4(name),
        Header::Ipv6(_) => ipv6(name),
        Header::Ipv6Extension(_) => extension(name),
        Header::Icmp(_) | Header::Icmpv6(_) => icmp(name),
        Header::Udp(_) | Header::UdpLite(_) | Header::Sctp(_) | Header::Igmp(_) => transport(header, name),
        Header::Vxlan(_) | Header::Geneve(_) | Header::Gtpu(_) => tunnel(header, name),
        _ => link(header, name),
    };
    fixed.filter(|&(_, len)| len > 0)
}

/// IEEE 802.3, IEEE 802.1Q, RFC 3032, RFC 2516, linux/if_packet.h.
fn link(header: &Header<'_>, name: &str) -> Option<ByteRange> {
    Some(match (header, name) {
        (Header::Ethernet(_), "destination") => (0, 6),
        (Header::Ethernet(_), "source") => (6, 6),
        (Header::Ethernet(_), "type") => (12, 2),
        (Header::Vlan(_), "priority" | "drop eligible") => (0, 1),
        (Header::Vlan(_), "id") => (0, 2),
        (Header::Vlan(_), "type") => (2, 2),
        (Header::Llc(_), "dsap") => (0, 1),
        (Header::Llc(_), "ssap") => (1, 1),
        (Header::Llc(_), "control") => (2, 1),
        (Header::Llc(_), "snap organisation") => (3, 3),
        (Header::Llc(_), "snap protocol") => (6, 2),
        (Header::Mpls(_), "label") => (0, 3),
        (Header::Mpls(_), "traffic class" | "bottom of stack") => (2, 1),
        (Header::Mpls(_), "ttl") => (3, 1),
        (Header::Pppoe(_), "code") => (1, 1),
        (Header::Pppoe(_), "session") => (2, 2),
        (Header::Pppoe(_), "payload length") => (4, 2),
        (Header::Sll(_), "packet type") => (0, 2),
        (Header::Sll(_), "hardware type") => (2, 2),
        (Header::Sll(h), "sender") => (6, usize::from(h.address_len()).min(8)),
        (Header::Sll(_), "protocol") => (14, 2),
        (Header::Sll2(_), "protocol") => (0, 2),
        (Header::Sll2(_), "interface") => (4, 4),
        (Header::Sll2(_), "hardware type") => (8, 2),
        (Header::Sll2(_), "packet type") => (10, 1),
        (Header::Sll2(h), "sender") => (12, usize::from(h.address_len()).min(8)),
        (Header::Hdlc(_), "address") => (0, 1),
        (Header::Hdlc(_), "type") => (2, 2),
        (Header::Wlan(_), "type" | "subtype") => (0, 1),
        (Header::Wlan(_), "flags") => (1, 1),
        _ => return None,
    })
}

/// RFC 826: addresses are as long as the header says.
fn arp(bytes: &[u8], name: &str) -> Option<ByteRange> {
    let [hardware, protocol] = [4, 5].map(|at| bytes.get(at).copied().map(usize::from));
    let (hardware, protocol) = (hardware?, protocol?);
    let both = hardware + protocol;
    let range = match name {
        "operation" => (6, 2),
        "sender hardware" => (8, hardware),
        "sender address" => (8 + hardware, protocol),
        "target hardware" => (8 + both, hardware),
        "target address" => (8 + both + hardware, protocol),
        _ => return None,
    };
    (range.1 > 0).then_some(range)
}

/// RFC 791.
fn ipv4(name: &str) -> Option<ByteRange> {
    Some(match name {
        "header length" => (0, 1),
        "dscp" | "ecn" => (1, 1),
        "total length" => (2, 2),
        "identification" => (4, 2),
        "don't fragment" | "more fragments" => (6, 1),
        "fragment offset" => (6, 2),
        "ttl" => (8, 1),
        "protocol" => (9, 1),
        "checksum" => (10, 2),
        "source" => (12, 4),
        "destination" => (16, 4),
        _ => return None,
    })
}

/// RFC 8200.
fn ipv6(name: &str) -> Option<ByteRange> {
    Some(match name {
        "dscp" => (0, 2),
        "ecn" => (1, 1),
        "flow label" => (1, 3),
        "payload length" => (4, 2),
        "next header" => (6, 1),
        "hop limit" => (7, 1),
        "source" => (8, 16),
        "destination" => (24, 16),
        _ => return None,
    })
}

/// RFC 8200 section 4.
fn extension(name: &str) -> Option<ByteRange> {
    Some(match name {
        "next header" => (0, 1),
        "fragment offset" => (2, 2),
        "more fragments" => (3, 1),
        "identification" => (4, 4),
        _ => return None,
    })
}

/// RFC 792, RFC 4443.
fn icmp(name: &str) -> Option<ByteRange> {
    Some(match name {
        "type" => (0, 1),
        "code" => (1, 1),
        "checksum" => (2, 2),
        "identifier" => (4, 2),
        "sequence number" => (6, 2),
        _ => return None,
    })
}

/// RFC 768, RFC 3828, RFC 9260, RFC 2236.
fn transport(header: &Header<'_>, name: &str) -> Option<ByteRange> {
    Some(match (header, name) {
        (Header::Igmp(_), "type") => (0, 1),
        (Header::Igmp(_), "group") => (4, 4),
        (_, "source port") => (0, 2),
        (_, "destination port") => (2, 2),
        (Header::Udp(_), "length") | (Header::UdpLite(_), "checksum coverage") => (4, 2),
        (Header::Udp(_), "checksum") => (6, 2),
        (Header::Sctp(_), "verification tag") => (4, 4),
        _ => return None,
    })
}

/// RFC 9293 section 3.1.
fn tcp(name: &str) -> Option<ByteRange> {
    Some(match name {
        "source port" => (0, 2),
        "destination port" => (2, 2),
        "sequence" => (4, 4),
        "acknowledgment" => (8, 4),
        "header length" => (12, 1),
        "flags" => (12, 2),
        "window" => (14, 2),
        "checksum" => (16, 2),
        "urgent pointer" => (18, 2),
        _ => return None,
    })
}

/// A value in these option bytes (RFC 9293 section 3.2, RFC 7323, RFC 2018).
fn tcp_option(options: &[u8], name: &str, nth: usize) -> Option<ByteRange> {
    let (kind, at, len) = match name {
        "mss" => (2, 2, 2),
        "window scale" => (3, 2, 1),
        "sack permitted" => (4, 0, 2),
        "sack" => (5, 2 + 8 * nth, 8),
        "timestamp" => (8, 2, 4),
        "timestamp echo" => (8, 6, 4),
        _ => return None,
    };
    let (mut place, mut found) = (0, None);
    while let Some(&here) = options.get(place) {
        let option_len = match here {
            0 => break,
            1 => 1,
            _ => usize::from(*options.get(place + 1)?).max(2),
        };
        // Of several the last one counts.
        if here == kind && at + len <= option_len && place + option_len <= options.len() {
            found = Some((20 + place + at, len));
        }
        place += option_len;
    }
    found
}

/// RFC 2784, RFC 2890, RFC 2637.
fn gre(flags: u16, name: &str) -> Option<ByteRange> {
    let key = 4 + if flags & 0xc000 == 0 { 0 } else { 4 };
    Some(match name {
        "version" => (1, 1),
        "flags" => (0, 2),
        "protocol" => (2, 2),
        "key" => (key, 4),
        "sequence" => (key + if flags & 0x2000 == 0 { 0 } else { 4 }, 4),
        _ => return None,
    })
}

/// RFC 7348, RFC 8926, 3GPP TS 29.281.
fn tunnel(header: &Header<'_>, name: &str) -> Option<ByteRange> {
    Some(match (header, name) {
        (Header::Vxlan(_), "flags") => (0, 1),
        (Header::Vxlan(_) | Header::Geneve(_), "vni") => (4, 3),
        (Header::Geneve(_), "protocol") => (2, 2),
        (Header::Gtpu(_), "message type") => (1, 1),
        (Header::Gtpu(_), "message length") => (2, 2),
        (Header::Gtpu(_), "teid") => (4, 4),
        _ => return None,
    })
}
