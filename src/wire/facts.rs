//! What one packet says of itself: plain `Copy` values, no borrowed bytes, no time.
//!
//! Facts of rare packets are read from the packet's bytes when they are asked for: [`Dissected::arp`],
//! [`Dissected::quoted_packet`].

use std::num::NonZeroU32;

/// IP version of a network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IpVersion {
    /// RFC 791
    V4 = 4,
    /// RFC 8200
    V6 = 6,
}

/// Everything [`super::dissect`] found out about a packet. The network and transport layers are the innermost complete ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dissected {
    /// Innermost IP header that could be read; `None` for ARP, LLC and the like, or when a fault came first.
    pub network: Option<Network>,
    /// What the innermost IP header carries.
    pub transport: Transport,
    /// Offset in bytes, from the start of the packet, of the first byte behind the innermost transport header, or behind the
    /// innermost IP header where no transport was read; without an IP header, behind the last header read.
    pub payload_offset: u32,
    /// Captured payload bytes from `payload_offset` on, link-layer padding left out.
    pub payload_len: u32,
    /// 802.1Q and 802.1ad tags under the outermost network layer, outermost first.
    pub vlan: VlanTags,
    /// The innermost tunnel the network layer was carried in.
    pub tunnel: Option<Tunnel>,
    /// Number of tunnels around the innermost network layer.
    pub tunnel_depth: u8,
    /// The innermost layer that was recognised.
    pub layer: Layer,
    /// What stopped the dissection, if it did not come to a regular end. A fault below a readable IP header leaves
    /// `network` set.
    pub fault: Option<Fault>,
    /// An IPv4 header checksum on the way was wrong (0, as left by offloading senders, counts as wrong too).
    pub ipv4_checksum_bad: bool,
    /// Offset in bytes, from the start of the packet, of a whole ARP packet, also of one in a tunnel; `None`
    /// when there is none.
    pub arp_offset: Option<NonZeroU32>,
}

impl Dissected {
    /// What is known before the first header.
    pub const NOTHING: Self = Self {
        network: None,
        transport: Transport::None,
        payload_offset: 0,
        payload_len: 0,
        vlan: VlanTags { ids: [0; VlanTags::KEPT], count: 0 },
        tunnel: None,
        tunnel_depth: 0,
        layer: Layer::Link,
        fault: None,
        ipv4_checksum_bad: false,
        arp_offset: None,
    };
}

const _: () = assert!(size_of::<Dissected>() == 176);

/// An IP header's facts. IPv4 addresses stand in the first 4 bytes, the rest is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// IPv4 or IPv6.
    pub version: IpVersion,
    /// Protocol number of what follows the IP header and all IPv6 extension headers (IANA protocol numbers).
    pub protocol: u8,
    /// Time to live, hop limit.
    pub ttl: u8,
    /// Differentiated services (six bits) and ECN (two bits).
    pub traffic_class: u8,
    /// Source address, network byte order.
    pub source: [u8; 16],
    /// Destination address, network byte order.
    pub destination: [u8; 16],
    /// Set when this packet is a fragment (an IPv6 atomic fragment, offset 0 and none to follow, is none: RFC 6946).
    pub fragment: Option<Fragment>,
}

/// Fragmentation facts (RFC 791, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification (16 bits for IPv4).
    pub id: u32,
    /// Offset of this fragment's data in bytes.
    pub offset: u32,
    /// Bytes of fragmentable data in this fragment, by the IP header.
    pub len: u32,
    /// More fragments follow.
    pub more: bool,
}

/// What the innermost IP header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// No IP header, or its payload could not be read, or a later fragment.
    None,
    /// RFC 9293
    Tcp(TcpSegment),
    /// The snap length or a broken header left only the ports of a TCP segment.
    TcpPorts(Ports),
    /// RFC 768
    Udp(Ports),
    /// RFC 3828
    UdpLite(Ports),
    /// RFC 9260
    Sctp(Ports),
    /// ICMP or ICMPv6 echo request or reply with its identifier (RFC 792, RFC 4443).
    Echo {
        /// Identifier, the same in request and reply.
        id: u16,
        /// A request, as opposed to a reply.
        request: bool,
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
    },
    /// Any other ICMP or ICMPv6 message (RFC 792, RFC 4443).
    Icmp {
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
    },
    /// Any other protocol; its number is in [`Network::protocol`].
    Other,
}

impl Transport {
    /// Type and code of an ICMP or ICMPv6 message; which of the two it is, [`Network::protocol`] says.
    pub const fn icmp_type_and_code(&self) -> Option<(u8, u8)> {
        match *self {
            Self::Echo { kind, code, .. } | Self::Icmp { kind, code } => Some((kind, code)),
            _ => None,
        }
    }
}

/// Source and destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Port of the sender.
    pub source: u16,
    /// Port of the receiver.
    pub destination: u16,
}

/// A TCP header's facts (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment {
    /// Ports.
    pub ports: Ports,
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// Acknowledgment number; meaningless without the ACK flag.
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Payload bytes by the IP header's length, also when fewer were captured, but not more than the wire or the lengths around
    /// an inner packet have room for.
    pub payload_len: u32,
    /// Options that were understood.
    pub options: TcpOptions,
}

/// TCP control bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128, AE 256 (RFC 9293, RFC 9768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(1);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(2);
    /// Reset the connection.
    pub const RST: Self = Self(4);
    /// The answer to a SYN.
    pub const SYN_ACK: Self = Self(Self::SYN.0 | Self::ACK.0);
    /// Push.
    pub const PSH: Self = Self(8);
    /// The acknowledgment field is valid.
    pub const ACK: Self = Self(16);
    /// Congestion was met (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// The congestion window was reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// True when all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// TCP options that the sequence analysis uses (RFC 9293 3.2, RFC 7323, RFC 2018).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size in bytes.
    pub mss: Option<u16>,
    /// Window shift count (at most 14 counts, RFC 7323 section 2.3).
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks: left and right edge; only the first `sack_count` are set.
    pub sack: [(u32, u32); 4],
    /// Number of SACK blocks, at most 4.
    pub sack_count: u8,
    /// Kinds of all options that were there (IANA), one bit each; bit 63 for any kind from 63 on. End of list and NOP are no
    /// options here.
    pub kinds: u64,
    /// An option was cut, or its length was impossible.
    pub malformed: bool,
}

/// Up to [`VlanTags::KEPT`] VLAN ids; further tags are read over and counted in `count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTags {
    /// VLAN ids (12 bits), outermost first.
    pub ids: [u16; Self::KEPT],
    /// Tags seen.
    pub count: u8,
}

impl VlanTags {
    /// Ids remembered.
    pub const KEPT: usize = 2;
}

/// A tunnel around a network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Its protocol.
    pub kind: TunnelKind,
    /// VNI, GRE key (PPTP: call id), TEID, ERSPAN or L2TP session, LISP instance; 0 where there is none.
    pub id: u32,
}

/// Tunnel protocols that are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// IPv4 or IPv6 in IPv4 or IPv6, 6in4 included (RFC 2003, RFC 4213, RFC 2473).
    IpInIp,
    /// RFC 2784, RFC 2890, RFC 2637
    Gre,
    /// draft-foschiano-erspan, types I, II and III.
    Erspan,
    /// RFC 7348
    Vxlan,
    /// RFC 8926
    Geneve,
    /// 3GPP TS 29.281
    GtpU,
    /// RFC 4380
    Teredo,
    /// RFC 2661 and RFC 3931, data messages; the id is the tunnel's in the upper, the session's in the lower 16 bits, in
    /// version 3 the session's alone.
    L2tp,
    /// RFC 3378
    EtherIp,
    /// An Ethernet frame right behind an IP header, as in SRv6 (RFC 8986 section 4.9).
    Ethernet,
    /// An MPLS label stack right behind an IP header or in UDP (RFC 4023, RFC 7510).
    Mpls,
    /// RFC 9300, RFC 9305
    Lisp,
    /// draft-massar-v6ops-ayiya
    Ayiya,
}

impl TunnelKind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::IpInIp,
        Self::Gre,
        Self::Erspan,
        Self::Vxlan,
        Self::Geneve,
        Self::GtpU,
        Self::Teredo,
        Self::L2tp,
        Self::EtherIp,
        Self::Ethernet,
        Self::Mpls,
        Self::Lisp,
        Self::Ayiya,
    ];

    /// The name in records and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpInIp => "ip-in-ip",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::GtpU => "gtp-u",
            Self::Teredo => "teredo",
            Self::L2tp => "l2tp",
            Self::EtherIp => "etherip",
            Self::Ethernet => "ethernet-in-ip",
            Self::Mpls => "mpls-in-ip",
            Self::Lisp => "lisp",
            Self::Ayiya => "ayiya",
        }
    }
}

/// A protocol layer, for counting faults and naming what a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Layer {
    Link,
    Ethernet,
    Llc,
    Vlan,
    Mpls,
    Pppoe,
    Ppp,
    Sll,
    Etag,
    Vntag,
    Pbb,
    Nsh,
    Macsec,
    Redundancy,
    Cmd,
    Dsa,
    Hdlc,
    Nflog,
    Radiotap,
    Ppi,
    Wlan,
    Arp,
    Ipv4,
    Ipv6,
    Ipv6Extension,
    Icmp,
    Icmpv6,
    Igmp,
    Tcp,
    Udp,
    UdpLite,
    Sctp,
    Gre,
    Erspan,
    Vxlan,
    Geneve,
    GtpU,
    Teredo,
    L2tp,
    Wccp,
    EtherIp,
    Lisp,
    Ayiya,
}

impl Layer {
    /// All layers, in the order of their discriminants.
    pub const ALL: [Self; 43] = [
        Self::Link,
        Self::Ethernet,
        Self::Llc,
        Self::Vlan,
        Self::Mpls,
        Self::Pppoe,
        Self::Ppp,
        Self::Sll,
        Self::Etag,
        Self::Vntag,
        Self::Pbb,
        Self::Nsh,
        Self::Macsec,
        Self::Redundancy,
        Self::Cmd,
        Self::Dsa,
        Self::Hdlc,
        Self::Nflog,
        Self::Radiotap,
        Self::Ppi,
        Self::Wlan,
        Self::Arp,
        Self::Ipv4,
        Self::Ipv6,
        Self::Ipv6Extension,
        Self::Icmp,
        Self::Icmpv6,
        Self::Igmp,
        Self::Tcp,
        Self::Udp,
        Self::UdpLite,
        Self::Sctp,
        Self::Gre,
        Self::Erspan,
        Self::Vxlan,
        Self::Geneve,
        Self::GtpU,
        Self::Teredo,
        Self::L2tp,
        Self::Wccp,
        Self::EtherIp,
        Self::Lisp,
        Self::Ayiya,
    ];

    /// The name in counters and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Ethernet => "ethernet",
            Self::Llc => "llc",
            Self::Vlan => "vlan",
            Self::Mpls => "mpls",
            Self::Pppoe => "pppoe",
            Self::Ppp => "ppp",
            Self::Sll => "sll",
            Self::Etag => "e-tag",
            Self::Vntag => "vn-tag",
            Self::Pbb => "pbb",
            Self::Nsh => "nsh",
            Self::Macsec => "macsec",
            Self::Redundancy => "redundancy",
            Self::Cmd => "cmd",
            Self::Dsa => "dsa",
            Self::Hdlc => "hdlc",
            Self::Nflog => "nflog",
            Self::Radiotap => "radiotap",
            Self::Ppi => "ppi",
            Self::Wlan => "wlan",
            Self::Arp => "arp",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Ipv6Extension => "ipv6-extension",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Igmp => "igmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpLite => "udp-lite",
            Self::Sctp => "sctp",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::GtpU => "gtp-u",
            Self::Teredo => "teredo",
            Self::L2tp => "l2tp",
            Self::Wccp => "wccp",
            Self::EtherIp => "etherip",
            Self::Lisp => "lisp",
            Self::Ayiya => "ayiya",
        }
    }
}

/// Why a dissection stopped, and where. Small and `Copy`: counted, never formatted in the hot path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The layer that could not be read.
    pub layer: Layer,
    /// In which way.
    pub kind: FaultKind,
}

/// The ways in which a layer can be unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FaultKind {
    /// Fewer bytes were captured than were on the wire, and the header does not fit into them.
    Truncated,
    /// The bytes contradict the protocol: impossible lengths, versions, values.
    Malformed,
    /// A protocol (EtherType, LLC SAP, version) that is not read here. Unknown IP protocols are no fault: they are flows.
    Unknown,
    /// More tunnels or headers in each other than [`super::dissect`] follows.
    TooDeep,
    /// What follows the header is encrypted.
    Encrypted,
}

impl FaultKind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 5] = [Self::Truncated, Self::Malformed, Self::Unknown, Self::TooDeep, Self::Encrypted];

    /// The name in counters and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::TooDeep => "too_deep",
            Self::Encrypted => "encrypted",
        }
    }

    /// True when something is wrong with the packet; false when what follows a header is not read here, or cannot be.
    pub const fn is_error(self) -> bool {
        match self {
            Self::Truncated | Self::Malformed | Self::TooDeep => true,
            Self::Unknown | Self::Encrypted => false,
        }
    }
}
