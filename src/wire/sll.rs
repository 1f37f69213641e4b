//! Linux cooked capture headers, versions 1 and 2. Know nothing of what they carry.

use super::view::{array_at, be16, be32, fixed_view};

/// Protocol value of frames with an 802.2 LLC header (linux/if_ether.h ETH_P_802_2).
pub const PROTOCOL_LLC: u16 = 4;
/// Protocol value of whole Ethernet frames (ETH_P_ALL).
pub const PROTOCOL_ETHERNET: u16 = 3;
/// Protocol value of PPP frames (ETH_P_WAN_PPP).
pub const PROTOCOL_PPP: u16 = 7;
/// Hardware types (linux/if_arp.h) whose protocol field may be no EtherType.
pub const HARDWARE_FRAME_RELAY: u16 = 770;
/// Of GRE interfaces: the field is GRE's protocol.
pub const HARDWARE_GRE: u16 = 778;
/// 802.11.
pub const HARDWARE_WLAN: u16 = 801;
/// 802.11 with Prism header.
pub const HARDWARE_PRISM: u16 = 802;
/// 802.11 with radiotap header.
pub const HARDWARE_RADIOTAP: u16 = 803;
/// Netlink messages.
pub const HARDWARE_NETLINK: u16 = 824;

/// Names of the packet types (linux/if_packet.h).
pub const fn packet_type_name(value: u16) -> &'static str {
    match value {
        0 => "to us",
        1 => "broadcast",
        2 => "multicast",
        3 => "to another host",
        4 => "from us",
        _ => "unknown",
    }
}

fixed_view! {
    /// Version 1 (LINKTYPE_LINUX_SLL).
    Sll, 16, Sll
}

impl Sll<'_> {
    /// Direction and kind of delivery, see [`packet_type_name`].
    pub const fn packet_type(&self) -> u16 {
        be16(self.bytes, 0)
    }

    /// ARPHRD number of the interface (linux/if_arp.h).
    pub const fn hardware_type(&self) -> u16 {
        be16(self.bytes, 2)
    }

    /// Length of the sender's address; may be larger than what is stored.
    pub const fn address_len(&self) -> u16 {
        be16(self.bytes, 4)
    }

    /// Sender's address, padded with zeros.
    pub const fn address(&self) -> [u8; 8] {
        array_at(self.bytes, 6)
    }

    /// EtherType, or a Linux ETH_P number below 1536.
    pub const fn protocol(&self) -> u16 {
        be16(self.bytes, 14)
    }
}

fixed_view! {
    /// Version 2 (LINKTYPE_LINUX_SLL2).
    Sll2, 20, Sll
}

impl Sll2<'_> {
    /// EtherType, or a Linux ETH_P number below 1536.
    pub const fn protocol(&self) -> u16 {
        be16(self.bytes, 0)
    }

    /// Number of the interface.
    pub const fn interface_index(&self) -> u32 {
        be32(self.bytes, 4)
    }

    /// ARPHRD number of the interface (linux/if_arp.h).
    pub const fn hardware_type(&self) -> u16 {
        be16(self.bytes, 8)
    }

    /// Direction and kind of delivery, see [`packet_type_name`].
    pub const fn packet_type(&self) -> u16 {
        self.bytes[10] as u16
    }

    /// Length of the sender's address; may be larger than what is stored.
    pub const fn address_len(&self) -> u16 {
        self.bytes[11] as u16
    }

    /// Sender's address, padded with zeros.
    pub const fn address(&self) -> [u8; 8] {
        array_at(self.bytes, 12)
    }
}
