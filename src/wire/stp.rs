//! Spanning tree BPDUs, behind an LLC header with the service access point 0x42, or in Cisco's SNAP frames.

use super::view::{array_at, be16, be32};

/// A bridge: priority with its extension (VLAN), and hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeId {
    /// Priority and system id extension.
    pub priority: u16,
    /// Hardware address.
    pub address: [u8; 6],
}

/// A bridge protocol data unit (IEEE 802.1D-2004 clause 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bpdu {
    /// Topology change notification.
    TopologyChange,
    /// Configuration, or that of rapid (version 2) and multiple (3) spanning trees.
    Configuration {
        /// Protocol version: 0 STP, 2 RSTP, 3 MSTP.
        version: u8,
        /// Bit 0 topology change, bit 7 its acknowledgment.
        flags: u8,
        /// The root of the tree.
        root: BridgeId,
        /// Cost of the path to it.
        root_cost: u32,
        /// The sender.
        bridge: BridgeId,
        /// The sender's port.
        port: u16,
    },
}

impl Bpdu {
    /// Of what follows the LLC or SNAP header; `None` when it is not whole or something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (&[0, 0, version, kind], rest) = bytes.split_first_chunk::<4>()? else { return None };
        match kind {
            0x80 => Some(Self::TopologyChange),
            0 | 2 => {
                let fixed = rest.first_chunk::<23>()?;
                Some(Self::Configuration {
                    version,
                    flags: fixed[0],
                    root: BridgeId { priority: be16(fixed, 1), address: array_at(fixed, 3) },
                    root_cost: be32(fixed, 9),
                    bridge: BridgeId { priority: be16(fixed, 13), address: array_at(fixed, 15) },
                    port: be16(fixed, 21),
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpdus_of_any_length() {
        let all: Vec<u8> =
            [&[0, 0, 2, 2, 0x3c][..], &[0x80, 1, 2, 0, 0, 0, 0, 1], &[0, 0, 0, 4], &[0x90, 1, 2, 0, 0, 0, 0, 2], &[0x80, 3]]
                .concat();
        (0..all.len()).for_each(|len| assert_eq!(Bpdu::read(&all[..len]), None, "{len}"));
        let Some(Bpdu::Configuration { version, root, root_cost, bridge, port, .. }) = Bpdu::read(&all) else { panic!() };
        assert_eq!((version, root.priority, root_cost, bridge.address[5], port), (2, 0x8001, 4, 2, 0x8003));
        assert_eq!(Bpdu::read(&[0, 0, 0, 0x80]), Some(Bpdu::TopologyChange));
    }
}
