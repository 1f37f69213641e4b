//! The walk through a packet: which header follows which, and where each one's bytes end.
//!
//! Owns the order of headers and the lengths they set for each other. Knows no time and keeps no state between packets. Its
//! invariant: every step moves forward or ends the walk, so it ends.
//!
//! Two ends are kept for the layer at hand: where its captured bytes end, and where its bytes end by what the packet says of
//! itself. A header that does not fit into the first was cut by the snap length; one that does not fit into the second is a
//! contradiction.

mod ip;
mod link_layer;
mod link_type;
mod tag;
mod transport;
mod tunnel;
mod udp_tunnel;
mod wireless;

pub(super) use udp_tunnel::is_tunnel_port;

use super::view::{Unreadable, View};
use super::{Dissected, Fault, FaultKind, Header, Layer, Network, Transport, Tunnel, Visitor, depth};
use netscope_backends::LinkType;

/// What is to be read next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Ethernet,
    /// What captures of a link type begin with.
    Link(LinkType),
    EtherType(u16),
    Llc,
    Mpls,
    Ppp,
    /// IP of the version its first nibble says.
    Ip,
    Ipv4,
    Ipv6,
    /// What an IP header with this protocol number carries.
    Protocol(u8),
    Stop,
}

/// Reads one packet and shows its headers to `visitor`; otherwise as [`super::dissect`].
#[inline(always)]
pub fn walk<V: Visitor>(link_type: LinkType, data: &[u8], wire_len: u32, visitor: &mut V) -> Dissected {
    let mut walker = Walker {
        data,
        at: 0,
        claim_end: (wire_len as usize).max(data.len()),
        outer_end: (wire_len as usize).max(data.len()),
        link_header_count: 0,
        pending: None,
        depth: 0,
        out: Dissected::NOTHING,
        visitor,
    };
    let mut next = match link_type {
        LinkType::ETHERNET => Next::Ethernet,
        LinkType::IPV4 => Next::Ipv4,
        LinkType::IPV6 => Next::Ipv6,
        other => Next::Link(other),
    };
    loop {
        next = match next {
            Next::Ethernet => walker.ethernet(),
            Next::EtherType(value) => walker.ether_type(value),
            Next::Ipv4 => walker.ipv4(),
            Next::Ipv6 => walker.ipv6(),
            Next::Protocol(number) => walker.protocol(number),
            Next::Stop => break,
            Next::Ip => walker.any_ip(),
            Next::Link(link_type) => walker.link(link_type),
            Next::Llc => walker.llc(),
            Next::Mpls => walker.mpls(),
            Next::Ppp => walker.ppp(),
        };
    }
    walker.finish()
}

/// The state of a walk through one packet.
struct Walker<'a, 'v, V> {
    /// Captured bytes from the start of the packet to the end of the layer at hand.
    data: &'a [u8],
    /// Offset of the next header.
    at: usize,
    /// Offset of the end of the layer at hand by the packet's own lengths; not before the end of `data`.
    claim_end: usize,
    /// The smallest of all such ends so far, that of the wire included: an inner header may claim more than there is room for.
    outer_end: usize,
    /// Link-layer headers since the last network layer; one more than may be at most.
    link_header_count: u8,
    /// Innermost tunnel entered; becomes a fact when an IP header is read in it.
    pending: Option<Tunnel>,
    /// Tunnels entered.
    depth: u8,
    out: Dissected,
    visitor: &'v mut V,
}

impl<'a, V: Visitor> Walker<'a, '_, V> {
    /// Captured bytes of the layer at hand from the next header on.
    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or(&[])
    }

    /// Bytes of the layer at hand from the next header on, captured or not.
    #[inline(always)]
    fn claimed(&self) -> usize {
        self.claim_end.saturating_sub(self.at)
    }

    /// Bytes of the layer at hand from the next header on that were on the wire.
    #[inline(always)]
    fn on_wire(&self) -> usize {
        self.outer_end.saturating_sub(self.at)
    }

    /// Reads the next header and steps behind it.
    #[inline(always)]
    fn header<H: View<'a>>(&mut self) -> Option<H> {
        match H::read(self.rest()) {
            Ok(header) => {
                self.enter(H::LAYER, header.wrap(), header.header_len());
                Some(header)
            }
            Err(why) => {
                self.unreadable(H::LAYER, why);
                None
            }
        }
    }

    /// Shows a header that was read and steps behind it.
    #[inline(always)]
    fn enter(&mut self, layer: Layer, header: Header<'a>, len: usize) {
        self.visitor.header(&header, self.at);
        self.out.layer = layer;
        self.at += len;
    }

    /// Ends the walk at a header that could not be read.
    #[cold]
    fn unreadable(&mut self, layer: Layer, why: Unreadable) -> Next {
        let kind = match why {
            Unreadable::Short(needed) if needed <= self.claimed() => FaultKind::Truncated,
            Unreadable::Short(_) | Unreadable::Malformed => FaultKind::Malformed,
            Unreadable::Unknown => FaultKind::Unknown,
            Unreadable::TooDeep => FaultKind::TooDeep,
        };
        self.fail(layer, kind)
    }

    /// Ends the walk; the first fault stays.
    #[cold]
    fn fail(&mut self, layer: Layer, kind: FaultKind) -> Next {
        self.out.fault.get_or_insert(Fault { layer, kind });
        Next::Stop
    }

    /// Ends the walk at a protocol that is not read.
    #[cold]
    fn unknown(&mut self) -> Next {
        self.fail(self.out.layer, FaultKind::Unknown)
    }

    /// The layer at hand ends at this offset by its own header, and not behind the layers around it.
    #[inline(always)]
    fn end_within(&mut self, end: usize) {
        self.claim_end = self.claim_end.min(end);
        self.outer_end = self.outer_end.min(end);
        self.data = self.data.get(..end).unwrap_or(self.data);
    }

    /// The layer at hand ends at this offset by its own header, whatever is around it.
    #[inline(always)]
    fn end_at(&mut self, end: usize) {
        self.claim_end = end;
        self.outer_end = self.outer_end.min(end);
        self.data = self.data.get(..end).unwrap_or(self.data);
    }

    /// Counts a link-layer header that can repeat; false when there are too many.
    fn count_link_header(&mut self) -> bool {
        self.link_header_count = self.link_header_count.saturating_add(1);
        self.link_header_count <= depth::link_headers_max()
    }

    /// An IP header was read: it is the innermost so far.
    #[inline(always)]
    fn found_network(&mut self, network: Network) {
        self.out.network = Some(network);
        self.out.tunnel = self.pending;
        self.out.tunnel_depth = self.depth;
        self.link_header_count = 0;
        self.found_transport(Transport::None);
    }

    /// What the innermost IP header carries was read; its payload begins at the next byte.
    #[inline(always)]
    fn found_transport(&mut self, transport: Transport) {
        self.out.transport = transport;
        self.mark_payload();
    }

    #[inline(always)]
    fn mark_payload(&mut self) {
        let at = self.at.min(self.data.len());
        self.out.payload_offset = at as u32;
        self.out.payload_len = (self.data.len() - at) as u32;
    }

    #[inline(always)]
    fn finish(mut self) -> Dissected {
        if self.out.network.is_none() {
            self.mark_payload();
        }
        self.out
    }
}
