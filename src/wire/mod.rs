//! Bytes in, facts out: one file per protocol header, and [`dissect`].
//!
//! Owns the reading of headers. Knows no time and keeps no state between packets. Its invariant: any bytes at all give facts or
//! a counted [`Fault`], never a panic.

mod arp;
mod ayiya;
mod checksum;
mod cmd;
mod depth;
mod discovery;
mod dsa;
mod erspan;
mod etag;
mod etherip;
mod ethernet;
mod facts;
mod fast;
mod fragment;
mod geneve;
mod gre;
mod gtpu;
mod hdlc;
mod headers;
mod icmp;
mod icmp_names;
mod igmp;
mod ipv4;
mod ipv6;
mod l2tp;
mod l2tpv3;
mod link;
mod lisp;
mod llc;
mod macsec;
mod membership;
mod mpls;
mod neighbor;
mod nflog;
mod nsh;
mod null;
mod outer;
mod pbb;
mod ppp;
mod pppoe;
mod quote;
mod radio;
mod redundancy;
mod reread;
mod sctp;
mod sll;
mod stp;
mod syn;
mod tcp;
mod teredo;
mod udp;
mod view;
mod vlan;
mod vntag;
mod vxlan;
mod walk;
mod wccp;
mod wlan;

#[cfg(test)]
pub(crate) mod tests;

pub use arp::{Arp, ArpMessage};
pub use ayiya::Ayiya;
pub use checksum::{PseudoHeader, TransportChecksum, verify_transport};
pub use cmd::Cmd;
pub use depth::{DepthLimits, EXTENSION_COUNT_MAX, LINK_HEADER_COUNT_MAX, TUNNEL_DEPTH_MAX, set_depth_limits};
pub use discovery::{Cdp, Lldp, LldpId};
pub use dsa::{Dsa, DsaTag, Edsa};
pub use erspan::Erspan;
pub use etag::Etag;
pub use etherip::EtherIp;
pub use ethernet::{Ethernet, ethertype};
pub use facts::{
    Dissected, Fault, FaultKind, Fragment, IpVersion, Layer, Network, Ports, TcpFlags, TcpOptions, TcpSegment, Transport, Tunnel,
    TunnelKind, VlanTags,
};
pub use fast::{Common, CommonNetwork, PlainSegment, common, common_tcp4};
pub use fragment::seems_fragment;
pub use geneve::Geneve;
pub use gre::Gre;
pub use gtpu::Gtpu;
pub use hdlc::Hdlc;
pub use headers::{PacketHeaders, TcpHeaders};
pub use icmp::{Icmp, Icmpv6};
pub use icmp_names::{icmp_name, icmpv6_name, unreachable_name, unreachable_v6_name};
pub use igmp::Igmp;
pub use ipv4::Ipv4;
pub use ipv6::{Ipv6, Ipv6Extension, extension};
pub use l2tp::L2tp;
pub use l2tpv3::L2tpv3;
pub use link::{MacAddresses, link_name, mac_addresses, supports};
pub use lisp::Lisp;
pub use llc::Llc;
pub use macsec::Macsec;
pub use membership::{GroupRecord, group_record_name, group_records};
pub use mpls::Mpls;
pub use neighbor::{NeighborMessage, NeighborOption, RouterAdvertisement, neighbor_options};
pub use nflog::Nflog;
pub use nsh::Nsh;
pub use null::Null;
pub use outer::OuterAddresses;
pub use pbb::Pbb;
pub use ppp::Ppp;
pub use pppoe::Pppoe;
pub use quote::QuotedPacket;
pub use radio::{Ppi, Radio};
pub use redundancy::Redundancy;
pub use reread::{common_headers, common_tcp_options, common_vlan};
pub use sctp::{Sctp, sctp_chunk_name, sctp_chunks};
pub use sll::{Sll, Sll2, packet_type_name};
pub use stp::{Bpdu, BridgeId};
pub use syn::{Announced, SynSegment};
pub use tcp::{Tcp, parse_options};
pub use teredo::Teredo;
pub use udp::{Udp, UdpLite};
pub use view::{Unreadable, View};
pub(crate) use view::{array_at, be16};
pub use vlan::Vlan;
pub use vntag::Vntag;
pub use vxlan::Vxlan;
pub use walk::walk;
pub use wccp::Wccp;
pub use wlan::Wlan;

use netscope_backends::LinkType;

/// A header met on the way through a packet.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Header<'a> {
    Ethernet(Ethernet<'a>),
    Vlan(Vlan<'a>),
    Llc(Llc<'a>),
    Mpls(Mpls<'a>),
    Pppoe(Pppoe<'a>),
    Ppp(Ppp<'a>),
    Sll(Sll<'a>),
    Sll2(Sll2<'a>),
    Etag(Etag<'a>),
    Vntag(Vntag<'a>),
    Pbb(Pbb<'a>),
    Nsh(Nsh<'a>),
    Macsec(Macsec<'a>),
    Redundancy(Redundancy<'a>),
    Cmd(Cmd<'a>),
    Dsa(Dsa<'a>),
    Edsa(Edsa<'a>),
    Hdlc(Hdlc<'a>),
    Nflog(Nflog<'a>),
    Radiotap(Radio<'a>),
    Ppi(Ppi<'a>),
    Wlan(Wlan<'a>),
    Null(Null<'a>),
    Arp(Arp<'a>),
    Ipv4(Ipv4<'a>),
    Ipv6(Ipv6<'a>),
    Ipv6Extension(Ipv6Extension<'a>),
    Icmp(Icmp<'a>),
    Icmpv6(Icmpv6<'a>),
    Igmp(Igmp<'a>),
    Tcp(Tcp<'a>),
    Udp(Udp<'a>),
    UdpLite(UdpLite<'a>),
    Sctp(Sctp<'a>),
    Gre(Gre<'a>),
    Erspan(Erspan<'a>),
    Vxlan(Vxlan<'a>),
    Geneve(Geneve<'a>),
    Gtpu(Gtpu<'a>),
    Teredo(Teredo<'a>),
    L2tp(L2tp<'a>),
    L2tpv3(L2tpv3<'a>),
    Wccp(Wccp<'a>),
    EtherIp(EtherIp<'a>),
    Lisp(Lisp<'a>),
    Ayiya(Ayiya<'a>),
}

/// What every view answers, extension headers left out.
macro_rules! each_view {
    ($header:expr, $view:ident => $result:expr, $($name:ident)*) => {
        match $header {
            Header::Ipv6Extension(extension) => extension.bytes().len(),
            $(Header::$name($view) => $result,)*
        }
    };
}

impl Header<'_> {
    /// Length of the header in bytes, options included; where the capture was cut, it may be more than is there.
    pub fn header_len(&self) -> usize {
        each_view!(self, view => view.header_len(), Ethernet Vlan Llc Mpls Pppoe Ppp Sll Sll2 Etag Vntag Pbb Nsh Macsec Redundancy Cmd
            Dsa Edsa Hdlc Nflog Radiotap Ppi Wlan Null Arp Ipv4 Ipv6 Icmp Icmpv6 Igmp Tcp Udp UdpLite Sctp Gre Erspan Vxlan Geneve
            Gtpu Teredo L2tp L2tpv3 Wccp EtherIp Lisp Ayiya)
    }
}

/// Is shown every header [`walk()`] reads, outermost first.
pub trait Visitor {
    /// `offset` is where the header begins, in bytes from the start of the packet.
    #[inline(always)]
    fn header(&mut self, header: &Header<'_>, offset: usize) {
        let _ = (header, offset);
    }
}

/// A visitor that looks at nothing.
struct Nobody;

impl Visitor for Nobody {}

/// The facts of one packet: `data` are its captured bytes, `wire_len` its length on the wire.
pub fn dissect(link_type: LinkType, data: &[u8], wire_len: u32) -> Dissected {
    let mut out = Dissected::NOTHING;
    dissect_into(&mut out, link_type, data, wire_len);
    out
}

/// As [`dissect`], written over what was in `out`: facts that are kept are never copied.
#[inline]
pub fn dissect_into(out: &mut Dissected, link_type: LinkType, data: &[u8], wire_len: u32) {
    if !fast::dissect_common(link_type, data, wire_len, out) {
        walk_into(out, link_type, data, wire_len);
    }
}

/// As [`dissect_into`], without trying the fast path of [`common`] first: the frame is no common one.
#[inline]
pub fn walk_into(out: &mut Dissected, link_type: LinkType, data: &[u8], wire_len: u32) {
    if !fragment::dissect_fragment(link_type, data, out) {
        walk_whole_into(out, link_type, data, wire_len);
    }
}

#[inline(never)]
fn walk_whole_into(out: &mut Dissected, link_type: LinkType, data: &[u8], wire_len: u32) {
    *out = walk(link_type, data, wire_len, &mut Nobody);
}
