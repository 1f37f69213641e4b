//! What a packet of a known flow and a packet of a new one cost in the flow table: `cargo bench --bench flow`.
//!
//! Random order over N flows, in batches of 64 with the two prefetch waves, as the worker does it. Best of 5 rounds.

use netscope::flow::{Direction, FlowKey, FlowSettings, FlowTable, HashSecret, Sighting, ports_of};
use netscope::wire::{Dissected, IpVersion, Layer, Network, Ports, TcpFlags, TcpOptions, TcpSegment, Transport, VlanTags};
use netscope_backends::Timestamp;
use std::sync::LazyLock;
use std::time::Instant;

const BATCH: usize = 64;

fn packet(flow: u32, tcp: bool, syn: bool) -> Dissected {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source[..4].copy_from_slice(&(0x0a00_0000 + flow / 50_000).to_be_bytes());
    destination[..4].copy_from_slice(&[192, 0, 2, 1]);
    let ports = Ports { source: (flow % 50_000) as u16 + 1024, destination: 443 };
    let flags = if syn { TcpFlags::SYN } else { TcpFlags::ACK };
    let segment = TcpSegment {
        ports,
        sequence: u32::from(!syn),
        acknowledgment: 0,
        flags,
        window: 1000,
        payload_len: 0,
        options: TcpOptions::default(),
    };
    let (protocol, transport) = if tcp { (6, Transport::Tcp(segment)) } else { (17, Transport::Udp(ports)) };
    Dissected {
        network: Some(Network { version: IpVersion::V4, protocol, ttl: 64, source, destination, fragment: None }),
        transport,
        payload_offset: 54,
        payload_len: 0,
        vlan: VlanTags::default(),
        tunnel: None,
        tunnel_depth: 0,
        layer: Layer::Udp,
        fault: None,
        ipv4_checksum_bad: false,
    }
}

struct Load {
    keys: Vec<(FlowKey, Direction)>,
    packets: Vec<Dissected>,
}

fn run(table: &mut FlowTable, load: &Load, order: &[u32], number: &mut u64, waves: bool) -> f64 {
    let start = processor_ns();
    let mut hashes = [0u64; BATCH];
    for batch in order.chunks(BATCH) {
        for (hash, &flow) in hashes.iter_mut().zip(batch) {
            *hash = table.hash(&load.keys[flow as usize].0);
            if waves {
                table.prefetch_bucket(*hash);
            }
        }
        if waves {
            for &hash in &hashes[..batch.len()] {
                table.prefetch_entry(hash);
            }
        }
        for (&hash, &flow) in hashes.iter().zip(batch) {
            *number += 1;
            let (key, direction) = load.keys[flow as usize];
            let time = Timestamp(*number * 100);
            let dissected = &load.packets[flow as usize % load.packets.len()];
            table.advance(time, usize::MAX, &mut |_| {});
            let sighting = Sighting {
                key: &key,
                hash,
                direction,
                time,
                wire_len: 64,
                number: *number,
                dissected,
                fragment: false,
                candidate: netscope::flow::Candidate::NONE,
            };
            table.observe(&sighting, &mut |_| {});
        }
    }
    (processor_ns() - start) / order.len() as f64
}

/// Time this thread has had a processor (Linux), so that other programs on the machine count less; elsewhere time on the wall.
fn processor_ns() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| START.elapsed().as_nanos() as f64)
}

fn main() {
    for (flow_count, top_count) in [(100_000u32, 0), (100_000, 10), (1_000_000, 0)] {
        for tcp in [false, true] {
            let keys = (0..flow_count)
                .filter_map(|flow| {
                    let dissected = packet(flow, tcp, true);
                    Some(FlowKey::new(dissected.network.as_ref()?, ports_of(&dissected)?))
                })
                .collect();
            // Few packets and many keys: the reading of packets is not what is measured.
            let mut load = Load { keys, packets: (0..64).map(|flow| packet(flow, tcp, true)).collect() };
            let settings = FlowSettings { flow_count_max: flow_count as usize, top_count, ..FlowSettings::default() };
            let mut table = FlowTable::new(&settings, HashSecret::random());
            let mut number = 1;
            let in_order: Vec<u32> = (0..flow_count).collect();
            let open = run(&mut table, &load, &in_order, &mut number, true);
            load.packets = (0..64).map(|flow| packet(flow, tcp, false)).collect();
            let mut state = 0x9e37_79b9_7f4a_7c15u64;
            let order: Vec<u32> = (0..1_000_000)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 33) % u64::from(flow_count)) as u32
                })
                .collect();
            let mut best = [f64::INFINITY; 2];
            for _ in 0..5 {
                for waves in [false, true] {
                    let ns = run(&mut table, &load, &order, &mut number, waves);
                    best[usize::from(waves)] = best[usize::from(waves)].min(ns);
                }
            }
            println!(
                "{flow_count} {} flows, top {top_count}: open {open:.1} ns, known flow {:.1} ns with waves, {:.1} ns without; {:.0} B/flow",
                if tcp { "TCP" } else { "UDP" },
                best[1],
                best[0],
                table.memory_bytes() as f64 / f64::from(flow_count),
            );
        }
    }
    // A flood against a full table: every packet evicts.
    let keys = (0..1_000_000)
        .filter_map(|flow| {
            let dissected = packet(flow, true, true);
            Some(FlowKey::new(dissected.network.as_ref()?, ports_of(&dissected)?))
        })
        .collect();
    let load = Load { keys, packets: (0..64).map(|flow| packet(flow, true, true)).collect() };
    let mut table = FlowTable::new(&FlowSettings::default(), HashSecret::random());
    let mut number = 1;
    let order: Vec<u32> = (0..1_000_000).collect();
    let ns = run(&mut table, &load, &order, &mut number, true);
    println!("SYN flood of 1000000 against 100000 places: {ns:.1} ns");
}
