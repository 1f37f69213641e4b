//! Any bytes, any link type, any length on the wire: no panic, and facts that fit the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::wire::{Header, TUNNEL_DEPTH_MAX, Transport, Visitor, dissect, mac_addresses, walk};
use netscope_backends::LinkType;

/// Checks that every header lies behind the one before.
struct Forward(Option<usize>);

impl Visitor for Forward {
    fn header(&mut self, _header: &Header<'_>, offset: usize) {
        assert!(self.0.is_none_or(|last| last < offset));
        self.0 = Some(offset);
    }
}

fuzz_target!(|input: (u16, u32, &[u8])| {
    let (link_type, wire_len, data) = input;
    // Half of the inputs are Ethernet, the rest anything.
    let link_type = if link_type & 1 != 0 { LinkType::ETHERNET } else { LinkType(link_type >> 1) };
    let facts = walk(link_type, data, wire_len, &mut Forward(None));
    assert_eq!(facts, dissect(link_type, data, wire_len));
    assert!(facts.payload_offset as usize + facts.payload_len as usize <= data.len());
    assert!(facts.network.is_some() || facts.transport == Transport::None);
    assert!(facts.tunnel_depth <= TUNNEL_DEPTH_MAX);
    assert_eq!(facts.tunnel.is_some(), facts.tunnel_depth > 0);
    assert!(facts.arp(data).is_none() || facts.arp_offset.is_some());
    assert!(facts.quoted_packet(data).is_none() || matches!(facts.transport, Transport::Icmp { .. }));
    let _ = mac_addresses(link_type, data);
});
