//! Link types: which are read, what all of them are called, and whose frame it is.
//!
//! Owns what is said of the outermost link layer alone. Knows nothing of what a frame carries.

use super::view::View;
use super::{Ethernet, Sll, Sll2};
use netscope_backends::LinkType;

/// Addresses of a frame (IEEE 802 MAC addresses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddresses {
    /// Its sender.
    pub source: [u8; 6],
    /// Its receiver; `None` in cooked captures, which do not keep it.
    pub destination: Option<[u8; 6]>,
}

/// The addresses of the outermost link-layer header: Ethernet, or Linux cooked capture with a sender's
/// address of 6 bytes. `None` for other link types, and when the header was cut.
#[inline]
pub fn mac_addresses(link_type: LinkType, data: &[u8]) -> Option<MacAddresses> {
    let cooked = |len: u16, address: [u8; 8]| {
        let [source @ .., _, _] = address;
        (len == 6).then_some(MacAddresses { source, destination: None })
    };
    match link_type {
        // The addresses stand before a switch's tag.
        LinkType::ETHERNET | LinkType::DSA | LinkType::EDSA => {
            let header = Ethernet::read(data).ok()?;
            Some(MacAddresses { source: header.source(), destination: Some(header.destination()) })
        }
        LinkType::LINUX_SLL => Sll::read(data).ok().and_then(|h| cooked(h.address_len(), h.address())),
        LinkType::LINUX_SLL2 => Sll2::read(data).ok().and_then(|h| cooked(h.address_len(), h.address())),
        _ => None,
    }
}

/// True for the link types that [`super::dissect`] reads.
pub const fn supports(link_type: LinkType) -> bool {
    matches!(
        link_type.0,
        0 | 1
            | 9
            | 12
            | 14
            | 50
            | 51
            | 101
            | 104
            | 105
            | 108
            | 113
            | 119
            | 127
            | 163
            | 166
            | 192
            | 204
            | 205
            | 228
            | 229
            | 239
            | 276
            | 284
            | 285
    )
}

/// The name of a link type, for messages; "unknown" for those nobody is likely to meet. Numbers and meanings follow
/// <https://www.tcpdump.org/linktypes.html>.
pub const fn link_name(link_type: LinkType) -> &'static str {
    match link_type.0 {
        0 => "BSD loopback",
        1 => "Ethernet",
        3 => "AX.25",
        6 => "IEEE 802.5 Token Ring",
        7 => "ARCNET",
        8 => "SLIP",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "raw IP",
        50 => "PPP in HDLC-like framing",
        51 => "PPPoE",
        100 => "RFC 1483 ATM",
        104 => "Cisco HDLC",
        105 => "IEEE 802.11",
        107 => "Frame Relay",
        108 => "OpenBSD loopback",
        113 => "Linux cooked v1",
        114 => "LocalTalk",
        117 => "OpenBSD pflog",
        119 => "IEEE 802.11 with Prism header",
        122 => "IP over Fibre Channel",
        127 => "IEEE 802.11 with radiotap header",
        138 => "Apple IP over IEEE 1394",
        140 => "MTP2",
        141 => "MTP3",
        143 => "DOCSIS",
        144 => "Linux IrDA",
        147..=162 => "reserved for private use",
        163 => "IEEE 802.11 with AVS header",
        166 => "PPP with direction (pppd)",
        169 => "GPRS LLC",
        177 => "Linux LAPD",
        187 => "Bluetooth HCI H4",
        189 => "Linux USB",
        192 => "PPI",
        195 => "IEEE 802.15.4 with FCS",
        197 => "ERF",
        201 => "Bluetooth HCI H4 with direction",
        204 => "PPP with direction",
        205 => "Cisco HDLC with direction",
        206 => "Frame Relay with direction",
        209 => "I2C",
        215 => "IEEE 802.15.4 with non-ASK PHY",
        220 => "Linux USB, memory mapped",
        224 => "Fibre Channel FC-2",
        226 => "Solaris ipnet",
        227 => "SocketCAN",
        228 => "raw IPv4",
        229 => "raw IPv6",
        230 => "IEEE 802.15.4 without FCS",
        231 => "D-Bus",
        239 => "Linux netfilter log",
        240 => "netANALYZER",
        243 => "MPEG-2 transport stream",
        247 => "InfiniBand",
        248 => "SCTP",
        249 => "USBPcap",
        251 => "Bluetooth Low Energy",
        252 => "Wireshark upper PDU",
        253 => "Linux netlink",
        254 => "Bluetooth Linux monitor",
        256 => "Bluetooth Low Energy with PHY",
        258 => "Apple pktap",
        264 => "ISO 14443",
        265 => "RDS",
        266 => "USB on Darwin",
        271 => "vsock",
        272 => "nRF sniffer",
        273 => "DOCSIS with MACsec",
        274 => "Ethernet with mPacket preamble",
        275 => "DisplayPort AUX",
        276 => "Linux cooked v2",
        284 => "Marvell DSA",
        285 => "Marvell EDSA",
        288 => "USB 2.0",
        _ => "unknown",
    }
}
