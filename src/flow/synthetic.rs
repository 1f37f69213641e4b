//! A table filled with made-up connections, to see what a flow costs.
//!
//! Owns the made-up traffic. Knows the table from outside only. Its invariant: what is measured came in through
//! [`FlowTable::count`].

use super::{Content, FlowKey, FlowPacket, FlowSettings, FlowTable, FullFacts, HashSecret, Keyed, ports_of};
use crate::wire::{Dissected, IpVersion, Layer, Network, Ports, TcpFlags, TcpOptions, TcpSegment, Transport, VlanTags};
use netscope_backends::Timestamp;

/// A filled table and what it costs.
pub struct Synthetic {
    /// The table; its memory is resident as long as this lives.
    pub table: FlowTable,
    /// Bytes per flow by the table's own count ([`FlowTable::memory_bytes`]).
    pub bytes_per_flow: f64,
}

/// Fills a table that is bounded to `flow_count` flows with as many TCP connections, each by the three segments of its handshake. Of
/// the settings, the bound and the idle timeout are not asked for.
pub fn synthetic(flow_count: usize, settings: &FlowSettings) -> Synthetic {
    let settings = FlowSettings { flow_count_max: flow_count.max(1), idle_timeout_ns: 0, ..*settings };
    let mut table = FlowTable::new(&settings, HashSecret::random());
    let mut number = 0;
    for flow in 0..flow_count {
        for (reply, flags, sequence) in
            [(false, TcpFlags::SYN.0, 0), (true, TcpFlags::SYN.0 | TcpFlags::ACK.0, 0), (false, TcpFlags::ACK.0, 1)]
        {
            number += 1;
            let dissected = segment_of(flow, reply, TcpFlags(flags), sequence);
            if let (Some(network), Some(ports)) = (&dissected.network, ports_of(&dissected)) {
                let (key, direction) = FlowKey::new(network, ports);
                let (hash, time) = (table.hash(&key), Timestamp(number * 1000));
                let candidate = table.prefetch_entry(hash);
                let keyed = &Keyed { key, hash, direction };
                let packet = FlowPacket { keyed, candidate, time, wire_len: 74, content: Content::Other };
                table.count(packet, FullFacts { number, dissected: &dissected }, false, |_, _| {});
            }
        }
    }
    let bytes_per_flow = table.memory_bytes() as f64 / flow_count.max(1) as f64;
    Synthetic { table, bytes_per_flow }
}

/// A segment of made-up connection number `flow`, from its client or, as a `reply`, from its server.
fn segment_of(flow: usize, reply: bool, flags: TcpFlags, sequence: u32) -> Dissected {
    let flow = flow as u64;
    let (mut client, mut server) = ([0; 16], [0; 16]);
    // 60,000 connections of each client address.
    let [.., b1, b2, b3] = (flow / 60_000).to_be_bytes();
    client[..4].copy_from_slice(&[10, b1, b2, b3]);
    server[..4].copy_from_slice(&[192, 0, 2, 1]);
    let client_port = (flow % 60_000) as u16 + 1024;
    let (source, destination) = if reply { (server, client) } else { (client, server) };
    let ports =
        if reply { Ports { source: 443, destination: client_port } } else { Ports { source: client_port, destination: 443 } };
    let segment = TcpSegment {
        ports,
        sequence,
        acknowledgment: u32::from(flags.has(TcpFlags::ACK)),
        flags,
        window: 64_240,
        payload_len: 0,
        options: TcpOptions { mss: flags.has(TcpFlags::SYN).then_some(1460), ..TcpOptions::default() },
    };
    Dissected {
        network: Some(Network {
            version: IpVersion::V4,
            protocol: 6,
            ttl: 64,
            traffic_class: 0,
            source,
            destination,
            fragment: None,
        }),
        transport: Transport::Tcp(segment),
        payload_offset: 74,
        payload_len: 0,
        vlan: VlanTags::default(),
        tunnel: None,
        tunnel_depth: 0,
        layer: Layer::Tcp,
        fault: None,
        ipv4_checksum_bad: false,
        arp_offset: None,
    }
}
