//! What the kernel's "netdev" family (6.3 and newer; queues since 6.8) says: XDP abilities of a driver, the
//! interrupt of a queue.
//!
//! Owns the messages of `linux/netdev.h` that are asked here. Its one invariant: a kernel or driver without
//! an answer is `None`.

use std::collections::BTreeMap;
use std::io;

use super::codec::{Attributes, DamagedMessage};
use super::netlink::{Generic, offered};

const FAMILY: &str = "netdev";
const DEV_GET: u8 = 1;
const QUEUE_GET: u8 = 10;
const NAPI_GET: u8 = 11;

const DEV_IFINDEX: u16 = 1;
const DEV_XDP_FEATURES: u16 = 3;
const DEV_XDP_ZC_MAX_SEGS: u16 = 4;
const DEV_RX_METADATA: u16 = 5;
const QUEUE_ID: u16 = 1;
const QUEUE_IFINDEX: u16 = 2;
const QUEUE_TYPE: u16 = 3;
const QUEUE_NAPI_ID: u16 = 4;
const QUEUE_TYPE_RX: u32 = 0;
const NAPI_IFINDEX: u16 = 1;
const NAPI_ID: u16 = 2;
const NAPI_IRQ: u16 = 3;

/// What a driver says it can do with XDP (`enum netdev_xdp_act`, `enum netdev_xdp_rx_metadata`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpAbilities {
    /// Bits of `netdev_xdp_act`.
    act: u64,
    /// Bits of `netdev_xdp_rx_metadata`.
    metadata: u64,
    /// Most buffers that zero copy takes for one packet.
    pub zero_copy_segments_max: Option<u32>,
}

impl XdpAbilities {
    /// From the bits of `enum netdev_xdp_act` and `enum netdev_xdp_rx_metadata`.
    pub const fn from_bits(act: u64, metadata: u64) -> Self {
        Self { act, metadata, zero_copy_segments_max: None }
    }

    const fn can(self, bit: u32) -> bool {
        self.act & (1 << bit) != 0
    }

    /// Native programs that pass and drop.
    pub const fn native(self) -> bool {
        self.can(0)
    }

    /// Native programs that redirect, to an AF_XDP socket among others.
    pub const fn redirect(self) -> bool {
        self.can(1)
    }

    /// AF_XDP without a copy.
    pub const fn zero_copy(self) -> bool {
        self.can(3)
    }

    /// Packets of several buffers (jumbo frames).
    pub const fn several_buffers(self) -> bool {
        self.can(5)
    }

    /// Tells a program the time the hardware saw a packet.
    pub const fn tells_time(self) -> bool {
        self.metadata & 1 != 0
    }

    /// Tells a program the hash.
    pub const fn tells_hash(self) -> bool {
        self.metadata & 2 != 0
    }

    /// Tells a program the VLAN tag that the hardware took off.
    pub const fn tells_vlan(self) -> bool {
        self.metadata & 4 != 0
    }
}

/// What the driver of interface `index` says it can do with XDP.
pub fn xdp_abilities(index: u32) -> io::Result<Option<XdpAbilities>> {
    let Some(mut generic) = offered(Generic::open(FAMILY).map(Some))? else { return Ok(None) };
    let Some(bytes) = offered(generic.get(DEV_GET, |request| request.u32(DEV_IFINDEX, index)))? else { return Ok(None) };
    let attributes = Attributes::parse(&bytes, 0).map_err(io::Error::other)?;
    Ok(attributes.u64(DEV_XDP_FEATURES).map(|act| XdpAbilities {
        act,
        metadata: attributes.u64(DEV_RX_METADATA).unwrap_or_default(),
        zero_copy_segments_max: attributes.u32(DEV_XDP_ZC_MAX_SEGS),
    }))
}

/// Interrupts of the RX queues of interface `index`, where driver and kernel say which; queues without one
/// are missing.
pub fn queue_interrupts(index: u32) -> io::Result<BTreeMap<u32, u32>> {
    let Some(mut generic) = offered(Generic::open(FAMILY).map(Some))? else { return Ok(BTreeMap::new()) };
    // Kernels that have the family without these commands know no queue.
    let queues = offered(generic.dump(QUEUE_GET, |request| request.u32(QUEUE_IFINDEX, index)).map(Some))?.unwrap_or_default();
    let napis = offered(generic.dump(NAPI_GET, |request| request.u32(NAPI_IFINDEX, index)).map(Some))?.unwrap_or_default();
    joined(&queues, &napis, index).map_err(io::Error::other)
}

/// Queue to NAPI instance to interrupt.
fn joined(queues: &[Vec<u8>], napis: &[Vec<u8>], index: u32) -> Result<BTreeMap<u32, u32>, DamagedMessage> {
    let mut interrupts = BTreeMap::new();
    for napi in napis {
        let napi = Attributes::parse(napi, 0)?;
        if let (Some(id), Some(irq)) = (napi.u32(NAPI_ID), napi.u32(NAPI_IRQ)) {
            interrupts.insert(id, irq);
        }
    }
    let mut of_queue = BTreeMap::new();
    for queue in queues {
        let queue = Attributes::parse(queue, 0)?;
        let is_ours = queue.u32(QUEUE_IFINDEX) == Some(index) && queue.u32(QUEUE_TYPE) == Some(QUEUE_TYPE_RX);
        let irq = queue.u32(QUEUE_NAPI_ID).and_then(|napi| interrupts.get(&napi));
        if let (true, Some(id), Some(irq)) = (is_ours, queue.u32(QUEUE_ID), irq) {
            of_queue.insert(id, *irq);
        }
    }
    Ok(of_queue)
}

#[cfg(test)]
mod tests {
    use super::super::codec::AttributeBytes;
    use super::*;

    #[test]
    fn joins_queues_with_their_interrupts() {
        let payload = |payload: AttributeBytes| payload.message(0, 0, 0).split_off(16);
        let queue = |id, kind, index, napi| {
            payload(
                AttributeBytes::default()
                    .u32(QUEUE_ID, id)
                    .u32(QUEUE_TYPE, kind)
                    .u32(QUEUE_IFINDEX, index)
                    .u32(QUEUE_NAPI_ID, napi),
            )
        };
        let queues = [queue(0, 0, 3, 100), queue(1, 0, 3, 101), queue(0, 1, 3, 102), queue(2, 0, 4, 100), queue(3, 0, 3, 999)];
        let napi = |id, irq| payload(AttributeBytes::default().u32(NAPI_ID, id).u32(NAPI_IRQ, irq));
        let napis = [napi(100, 40), napi(101, 41), napi(102, 42), payload(AttributeBytes::default().u32(NAPI_ID, 999))];
        assert_eq!(joined(&queues, &napis, 3), Ok(BTreeMap::from([(0, 40), (1, 41)])));
        assert_eq!(joined(&[vec![1, 0, 0]], &[], 3), Err(DamagedMessage));
    }

    #[test]
    fn abilities_are_the_bits_of_the_header_file() {
        let veth = XdpAbilities { act: 0x67, metadata: 0x6, zero_copy_segments_max: None };
        assert!(veth.native() && veth.redirect() && !veth.zero_copy() && veth.several_buffers());
        assert!(!veth.tells_time() && veth.tells_hash() && veth.tells_vlan());
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error_or_unknown() {
        let answer = xdp_abilities(i32::MAX.cast_unsigned());
        assert!(answer.is_err() || answer.is_ok_and(|abilities| abilities.is_none()));
    }
}
