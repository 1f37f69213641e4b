//! What the numbers of ICMP and ICMPv6 messages are called.
//!
//! Owns the names, those of the IANA registries "ICMP Parameters" and "ICMPv6 Parameters" in the words that people know. Knows no
//! bytes.

/// Name of an ICMP message type (RFC 792, RFC 950, RFC 1256, RFC 8335).
pub const fn icmp_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "echo reply",
        3 => "unreachable",
        4 => "source quench",
        5 => "redirect",
        8 => "echo request",
        9 => "router advertisement",
        10 => "router solicitation",
        11 => "time exceeded",
        12 => "parameter problem",
        13 => "timestamp request",
        14 => "timestamp reply",
        15 => "information request",
        16 => "information reply",
        17 => "address mask request",
        18 => "address mask reply",
        42 => "extended echo request",
        43 => "extended echo reply",
        _ => return None,
    })
}

/// What an ICMP message says cannot be reached, by its code; protocol and port (2 and 3) are numbers of the quoted packet
/// (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
pub const fn unreachable_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "network unreachable",
        1 => "host unreachable",
        2 => "protocol unreachable",
        3 => "port unreachable",
        4 => "unreachable, needs fragmentation",
        5 => "source route failed",
        6 => "network unknown",
        7 => "host unknown",
        8 => "source host isolated",
        9 => "network administratively prohibited",
        10 => "host administratively prohibited",
        11 => "network unreachable for this type of service",
        12 => "host unreachable for this type of service",
        13 => "communication administratively prohibited",
        14 => "host precedence violation",
        15 => "precedence cutoff in effect",
        _ => return None,
    })
}

/// Name of an ICMPv6 message type (RFC 4443, RFC 4861, RFC 2710, RFC 3810, RFC 4286, RFC 6275, RFC 6550).
pub const fn icmpv6_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "unreachable",
        2 => "packet too big",
        3 => "time exceeded",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        137 => "redirect",
        138 => "router renumbering",
        139 => "node information query",
        140 => "node information reply",
        143 => "multicast listener report v2",
        144 => "home agent address discovery request",
        145 => "home agent address discovery reply",
        146 => "mobile prefix solicitation",
        147 => "mobile prefix advertisement",
        151 => "multicast router advertisement",
        152 => "multicast router solicitation",
        153 => "multicast router termination",
        155 => "rpl control",
        160 => "extended echo request",
        161 => "extended echo reply",
        _ => return None,
    })
}

/// What an ICMPv6 message says cannot be reached, by its code; port (4) is a number of the quoted packet (RFC 4443 section 3.1).
pub const fn unreachable_v6_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "no route",
        1 => "administratively prohibited",
        2 => "beyond scope of source address",
        3 => "address unreachable",
        4 => "port unreachable",
        5 => "source address failed policy",
        6 => "route rejected",
        7 => "error in source routing header",
        _ => return None,
    })
}
