//! Ethernet II and IEEE 802.3 frames without preamble and checksum. Knows what a type number stands for, not what follows it.

use super::view::{array_at, be16, fixed_view};

/// Largest value of the type field that is a length (IEEE 802.3 clause 3.2.6).
pub const LENGTH_MAX: u16 = 1500;

/// EtherTypes (IEEE registration authority) that are read here.
pub mod ethertype {
    #![allow(missing_docs)]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const PROVIDER_VLAN: u16 = 0x88a8;
    pub const VLAN_9100: u16 = 0x9100;
    pub const VLAN_9200: u16 = 0x9200;
    pub const MPLS_UNICAST: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE_DISCOVERY: u16 = 0x8863;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const PPP: u16 = 0x880b;
    pub const TRANSPARENT_BRIDGING: u16 = 0x6558;
    pub const ERSPAN_I_II: u16 = 0x88be;
    pub const ERSPAN_III: u16 = 0x22eb;
    pub const WCCP: u16 = 0x883e;
    pub const E_TAG: u16 = 0x893f;
    pub const VN_TAG: u16 = 0x8926;
    pub const I_TAG: u16 = 0x88e7;
    pub const NSH: u16 = 0x894f;
    pub const MACSEC: u16 = 0x88e5;
    pub const HSR: u16 = 0x892f;
    pub const R_TAG: u16 = 0xf1c1;
    pub const CISCO_METADATA: u16 = 0x8909;
    pub const EDSA: u16 = 0xdada;

    /// The name a reader of packet lines expects, for those that are read here.
    pub const fn name(value: u16) -> Option<&'static str> {
        Some(match value {
            IPV4 => "IPv4",
            ARP => "ARP",
            IPV6 => "IPv6",
            VLAN => "802.1Q",
            PROVIDER_VLAN => "802.1ad",
            VLAN_9100 | VLAN_9200 => "QinQ",
            MPLS_UNICAST => "MPLS",
            MPLS_MULTICAST => "MPLS multicast",
            PPPOE_DISCOVERY => "PPPoE discovery",
            PPPOE_SESSION => "PPPoE session",
            PPP => "PPP",
            TRANSPARENT_BRIDGING => "Ethernet",
            ERSPAN_I_II => "ERSPAN",
            ERSPAN_III => "ERSPAN III",
            WCCP => "WCCP",
            E_TAG => "802.1BR",
            VN_TAG => "VN-TAG",
            I_TAG => "802.1ah",
            NSH => "NSH",
            MACSEC => "MACsec",
            HSR => "HSR",
            R_TAG => "802.1CB",
            CISCO_METADATA => "Cisco metadata",
            EDSA => "EDSA",
            _ => return None,
        })
    }

    pub const LLDP: u16 = 0x88cc;

    /// The same also for those that are not read here.
    pub const fn any_name(value: u16) -> Option<&'static str> {
        if let Some(name) = name(value) {
            return Some(name);
        }
        Some(match value {
            0x0842 => "Wake-on-LAN",
            0x22ea => "stream reservation",
            0x22f0 => "AVTP",
            0x6003 => "DECnet",
            0x8035 => "RARP",
            0x809b => "AppleTalk",
            0x80f3 => "AppleTalk ARP",
            0x8137 => "IPX",
            0x8808 => "Ethernet flow control",
            0x8809 => "slow protocols",
            0x886d => "Intel ANS",
            0x8892 => "PROFINET",
            0x8899 => "Realtek",
            0x888e => "EAPOL",
            0x88a2 => "ATA over Ethernet",
            0x88a4 => "EtherCAT",
            0x88ab => "POWERLINK",
            0x88b8 => "GOOSE",
            0x88ba => "sampled values",
            LLDP => "LLDP",
            0x88cd => "SERCOS III",
            0x88e1 => "HomePlug AV",
            0x88f5 => "MVRP",
            0x88f7 => "PTP",
            0x8902 => "CFM",
            0x8906 => "FCoE",
            0x8914 => "FCoE initialization",
            0x891d => "TTEthernet",
            0x893a => "IEEE 1905",
            0x9000 => "loopback test",
            _ => return None,
        })
    }
}

fixed_view! {
    /// Ethernet header (IEEE 802.3 clause 3): destination, source, type or length.
    Ethernet, 14, Ethernet
}

impl Ethernet<'_> {
    /// Receiver.
    pub const fn destination(&self) -> [u8; 6] {
        array_at(self.bytes, 0)
    }

    /// Sender.
    pub const fn source(&self) -> [u8; 6] {
        array_at(self.bytes, 6)
    }

    /// EtherType, or a length when at most 1500.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 12)
    }
}
