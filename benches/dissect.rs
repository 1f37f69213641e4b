//! What it costs to read a packet's headers: `cargo bench --bench dissect`. One iteration is one packet.
//!
//! The floor reads the 5-tuple from where it is known to be in frames of this one kind.

mod setup;

use criterion::{Throughput, criterion_group, criterion_main};
use netscope::wire::{Dissected, Transport, dissect, dissect_into};
use netscope_backends::LinkType;
use setup::{BenchCriterion, floor, frames, in_parts, timed};
use std::hint::black_box;

/// Frames of one kind, where their innermost 5-tuple is, and how its facts are recognised.
struct FrameKind {
    name: &'static str,
    frames: Vec<Vec<u8>>,
    tuple: fn(&[u8]) -> u64,
    is_right: fn(&Dissected) -> bool,
}

fn kinds() -> [FrameKind; 3] {
    [
        FrameKind {
            name: "tcp-ipv4",
            frames: frames::tcp_ipv4(),
            tuple: |frame| floor::five_tuple::<4>(frame, 23, 26, 34),
            is_right: |facts| facts.vlan.count == 0 && facts.tunnel.is_none(),
        },
        FrameKind {
            name: "qinq-ipv6-extensions",
            frames: frames::qinq_ipv6_extensions(),
            tuple: |frame| floor::five_tuple::<16>(frame, 70, 30, 78),
            is_right: |facts| facts.vlan.count == 2,
        },
        FrameKind {
            name: "vxlan",
            frames: frames::vxlan(),
            tuple: |frame| floor::five_tuple::<4>(frame, 73, 76, 84),
            is_right: |facts| facts.tunnel.is_some_and(|tunnel| tunnel.id == 42),
        },
    ]
}

fn wire_len(frame: &[u8]) -> u32 {
    u32::try_from(frame.len()).expect("frames are short")
}

fn dissecting(criterion: &mut BenchCriterion) {
    let mut group = criterion.benchmark_group("dissect");
    group.throughput(Throughput::Elements(1));
    for kind in kinds() {
        for frame in &kind.frames {
            let facts = dissect(LinkType::ETHERNET, frame, wire_len(frame));
            let is_tcp = matches!(facts.transport, Transport::Tcp(_));
            assert!(is_tcp && facts.fault.is_none() && !facts.ipv4_checksum_bad && (kind.is_right)(&facts), "{facts:?}");
        }
        let frames = &kind.frames;
        let mut out = Dissected::NOTHING;
        group.bench_function(kind.name, |bencher| {
            bencher.iter_custom(|packets| {
                in_parts(packets, frames.len(), |count| {
                    timed(|| {
                        for frame in &frames[..count] {
                            dissect_into(&mut out, LinkType::ETHERNET, black_box(frame), wire_len(frame));
                            black_box(&out);
                        }
                    })
                })
            });
        });
        group.bench_function(format!("{}/floor", kind.name), |bencher| {
            bencher.iter_custom(|packets| {
                in_parts(packets, frames.len(), |count| {
                    timed(|| {
                        for frame in &frames[..count] {
                            black_box((kind.tuple)(black_box(frame)));
                        }
                    })
                })
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = dissecting }
criterion_main!(benches);
