//! Link layers in a line: their headers where they are asked for, ARP, and what they carry that is not IP.

use super::parts::Line;
use crate::wire::{Arp, Bpdu, BridgeId, Cdp, Header, Lldp, LldpId, ethertype, packet_type_name};

/// Largest value of an EtherType field that is a length (IEEE 802.3 clause 3.2.6).
const LENGTH_MAX: u16 = 1500;
const SAP_SPANNING_TREE: u8 = 0x42;
const OUI_CISCO: [u8; 3] = [0, 0, 0x0c];
const CISCO_CDP: u16 = 0x2000;
const CISCO_PVST: u16 = 0x010b;

/// What a link header says of what follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkProtocol {
    Unknown,
    /// It was shown whole.
    Arp,
    EtherType(u16),
    /// Service access points of destination and source, and control.
    Llc(u8, u8, u8),
    /// Organisation and its protocol.
    Snap([u8; 3], u16),
    Ppp(u16),
    Family(u32),
    /// It carries nothing, or what it carries was said.
    Said,
}

impl LinkProtocol {
    /// It has a number, which names what is not read.
    pub const fn is_numbered(self) -> bool {
        !matches!(self, Self::Unknown | Self::Arp | Self::Said)
    }
}

/// Names of service access points (IEEE 802.2; those that are met).
const fn sap_name(sap: u8) -> Option<&'static str> {
    Some(match sap {
        SAP_SPANNING_TREE => "STP",
        0xe0 => "IPX",
        0xf0 => "NetBIOS",
        0xfe => "OSI",
        0xf4 => "IBM management",
        0x04 | 0x05 | 0x08 | 0x0c => "SNA",
        0xaa => "SNAP",
        _ => return None,
    })
}

const fn snap_name(organisation: [u8; 3], protocol: u16) -> Option<&'static str> {
    Some(match (organisation, protocol) {
        (OUI_CISCO, CISCO_CDP) => "CDP",
        (OUI_CISCO, CISCO_PVST) => "PVST+",
        (OUI_CISCO, 0x2003) => "VTP",
        (OUI_CISCO, 0x2004) => "DTP",
        (OUI_CISCO, 0x0104) => "PAgP",
        (OUI_CISCO, 0x0111) => "UDLD",
        ([0x08, 0x00, 0x07], 0x809b) => "AppleTalk",
        ([0x00, 0xe0, 0x2b], 0x00bb) => "EDP",
        _ => return None,
    })
}

const fn ppp_name(protocol: u16) -> Option<&'static str> {
    Some(match protocol {
        0x0021 => "IPv4",
        0x0057 => "IPv6",
        0x00fd => "compressed data",
        0x8021 => "IPCP",
        0x8057 => "IPV6CP",
        0x80fd => "CCP",
        0x8281 => "MPLSCP",
        0xc021 => "LCP",
        0xc023 => "PAP",
        0xc025 => "link quality",
        0xc223 => "CHAP",
        0xc227 => "EAP",
        _ => return None,
    })
}

/// Codes of PPPoE discovery (RFC 2516 section 5).
const fn pppoe_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0x07 => "PADO",
        0x09 => "PADI",
        0x19 => "PADR",
        0x65 => "PADS",
        0xa7 => "PADT",
        _ => return None,
    })
}

impl Line<'_, '_> {
    /// A link header without a fact of its own but addresses: noted, and shown where that is `asked`. False for any other header.
    #[inline(never)]
    pub fn link_header(&mut self, header: &Header<'_>, link: &mut LinkProtocol, asked: bool) -> bool {
        *link = match header {
            Header::Ethernet(h) => LinkProtocol::EtherType(h.ether_type()),
            Header::Llc(h) => match h.snap() {
                Some((organisation, protocol)) => LinkProtocol::Snap(organisation, protocol),
                None => LinkProtocol::Llc(h.dsap(), h.ssap(), h.control()),
            },
            Header::Sll(h) => LinkProtocol::EtherType(h.protocol()),
            Header::Sll2(h) => LinkProtocol::EtherType(h.protocol()),
            Header::Null(h) => LinkProtocol::Family(h.family()),
            Header::Hdlc(h) => LinkProtocol::EtherType(h.ether_type()),
            Header::Nflog(h) => LinkProtocol::Family(h.family().into()),
            Header::Radiotap(_) | Header::Ppi(_) => LinkProtocol::Unknown,
            _ => return false,
        };
        if asked {
            self.link_addresses(header);
        }
        true
    }

    fn link_addresses(&mut self, header: &Header<'_>) {
        match header {
            Header::Ethernet(h) => {
                self.text(" eth ");
                self.mac(&h.source());
                self.text(" > ");
                self.mac(&h.destination());
            }
            Header::Llc(h) => {
                self.text(" llc ");
                self.hex_digits(h.ssap().into(), 2);
                self.text(" > ");
                self.hex_digits(h.dsap().into(), 2);
            }
            Header::Sll(h) => {
                self.text(" sll ");
                self.text(packet_type_name(h.packet_type()));
                self.sender(&h.address(), h.address_len());
            }
            Header::Sll2(h) => {
                self.pair(" sll2 if=", h.interface_index().into());
                self.text(" ");
                self.text(packet_type_name(h.packet_type()));
                self.sender(&h.address(), h.address_len());
            }
            Header::Null(h) => self.pair(" loopback family=", h.family().into()),
            Header::Hdlc(h) => self.pair_hex(" hdlc ", h.ether_type().into()),
            Header::Nflog(h) => self.pair(" nflog group=", h.group().into()),
            Header::Radiotap(_) => self.text(" radio"),
            Header::Ppi(_) => self.text(" ppi"),
            _ => {}
        }
    }

    fn sender(&mut self, address: &[u8; 8], len: u16) {
        if let Some(address) = address.get(..usize::from(len)).filter(|address| !address.is_empty()) {
            self.text(" from ");
            self.mac(address);
        }
    }

    /// An address out of ARP: IPv4 where it has 4 bytes.
    fn protocol_address(&mut self, address: &[u8]) {
        match *address {
            [a, b, c, d] => self.ipv4([a, b, c, d]),
            ref other => self.mac(other),
        }
    }

    #[inline(never)]
    pub fn arp(&mut self, arp: &Arp<'_>) {
        self.paint(self.palette.other, |line| line.text(" arp "));
        let (sender, target) = (arp.sender_protocol(), arp.target_protocol());
        match arp.operation() {
            1 => {
                self.text("who-has ");
                self.protocol_address(target);
                if sender.iter().all(|&byte| byte == 0) {
                    return self.text(" (probe)");
                }
                self.text(" tell ");
                self.protocol_address(sender);
                self.text(if sender == target { " (announcement)" } else { "" });
            }
            2 => {
                self.text("reply ");
                self.protocol_address(sender);
                self.text(" is-at ");
                self.mac(arp.sender_hardware());
            }
            other => {
                self.pair("operation ", other.into());
                self.text(" ");
                self.protocol_address(sender);
                self.text(" > ");
                self.protocol_address(target);
            }
        }
    }

    /// What a link header carries where that is neither IP nor ARP: by name or number, with what the better known ones say.
    #[inline(never)]
    pub fn link_payload(&mut self, link: LinkProtocol, payload: &[u8]) {
        match link {
            LinkProtocol::Arp | LinkProtocol::Said => return,
            LinkProtocol::Llc(SAP_SPANNING_TREE, ..) | LinkProtocol::Snap(OUI_CISCO, CISCO_PVST) => {
                if let Some(bpdu) = Bpdu::read(payload) {
                    return self.spanning_tree(&bpdu);
                }
            }
            LinkProtocol::Snap(OUI_CISCO, CISCO_CDP) => {
                if let Some(cdp) = Cdp::read(payload) {
                    return self.cdp(&cdp);
                }
            }
            LinkProtocol::EtherType(ethertype::LLDP) => return self.lldp(&Lldp::read(payload)),
            _ => {}
        }
        self.text(" ");
        self.paint(self.palette.other, |line| line.link_number(link));
        self.pair(" len=", payload.len() as u64);
    }

    /// Number and name of a link header's protocol.
    pub fn link_number(&mut self, link: LinkProtocol) {
        let name = match link {
            LinkProtocol::EtherType(value @ ..=LENGTH_MAX) => {
                return self.pair("802.3 length ", value.into());
            }
            LinkProtocol::EtherType(value) => {
                self.text("ethertype ");
                self.hex_digits(value.into(), 4);
                ethertype::any_name(value)
            }
            LinkProtocol::Llc(destination, source, control) => {
                self.text("llc ");
                self.hex_digits(source.into(), 2);
                self.text(" > ");
                self.hex_digits(destination.into(), 2);
                self.text(" control ");
                self.hex_digits(control.into(), 2);
                sap_name(destination)
            }
            LinkProtocol::Snap(organisation, protocol) => {
                self.text("snap ");
                self.mac(&organisation);
                self.text(" ");
                self.hex_digits(protocol.into(), 4);
                if matches!(organisation, [0, 0, 0 | 0xf8]) {
                    ethertype::any_name(protocol)
                } else {
                    snap_name(organisation, protocol)
                }
            }
            LinkProtocol::Ppp(protocol) => {
                self.text("ppp ");
                self.hex_digits(protocol.into(), 4);
                ppp_name(protocol)
            }
            LinkProtocol::Family(family) => return self.pair("family ", family.into()),
            LinkProtocol::Unknown => return self.text("data"),
            LinkProtocol::Arp | LinkProtocol::Said => return,
        };
        if let Some(name) = name {
            self.text(" (");
            self.text(name);
            self.text(")");
        }
    }

    fn bridge(&mut self, name: &str, bridge: &BridgeId) {
        self.pair(name, bridge.priority.into());
        self.text("/");
        self.mac(&bridge.address);
    }

    fn spanning_tree(&mut self, bpdu: &Bpdu) {
        self.paint(self.palette.other, |line| line.text(" stp"));
        match bpdu {
            Bpdu::TopologyChange => self.text(" topology change notification"),
            Bpdu::Configuration { version, flags, root, root_cost, bridge, port } => {
                self.text(match version {
                    0 => "",
                    2 => " rapid",
                    3 => " multiple",
                    _ => " of another version",
                });
                self.bridge(" root ", root);
                self.pair(" cost ", (*root_cost).into());
                self.bridge(" bridge ", bridge);
                self.text(" port ");
                self.hex_digits((*port).into(), 4);
                self.text(if flags & 1 != 0 { " topology change" } else { "" });
            }
        }
    }

    fn cdp(&mut self, cdp: &Cdp<'_>) {
        self.paint(self.palette.other, |line| line.text(" cdp"));
        self.pair(" v", cdp.version.into());
        for (name, value) in [(" device ", cdp.device), (" port ", cdp.port), (" platform ", cdp.platform)] {
            if let Some(value) = value {
                self.text(name);
                self.quoted(value);
            }
        }
        self.pair(" ttl ", cdp.ttl_secs.into());
        self.text(" s");
    }

    fn lldp(&mut self, lldp: &Lldp<'_>) {
        self.paint(self.palette.other, |line| line.text(" lldp"));
        for (name, id) in [(" chassis ", lldp.chassis), (" port ", lldp.port)] {
            match id {
                Some(LldpId::Address(address)) => {
                    self.text(name);
                    self.mac(&address);
                }
                Some(LldpId::Text(text)) => {
                    self.text(name);
                    self.quoted(text);
                }
                None => {}
            }
        }
        if let Some(system) = lldp.system_name {
            self.text(" system ");
            self.quoted(system);
        }
        if let Some(ttl) = lldp.ttl_secs {
            self.pair(" ttl ", ttl.into());
            self.text(" s");
        }
    }

    /// PPP and PPPoE, which have facts of their own.
    pub fn ppp_header(&mut self, header: &Header<'_>, link: &mut LinkProtocol) {
        match header {
            Header::Pppoe(h) => match pppoe_name(h.code()) {
                Some(name) => {
                    *link = LinkProtocol::Said;
                    self.text(" pppoe ");
                    self.text(name);
                    if h.session_id() != 0 {
                        self.pair(" session=", h.session_id().into());
                    }
                }
                None => self.pair(" pppoe session=", h.session_id().into()),
            },
            Header::Ppp(h) => {
                *link = LinkProtocol::Ppp(h.protocol());
            }
            _ => {}
        }
    }
}
