//! Several sockets: both directions of a flow come to one of them, every packet to exactly one, and two
//! captures do not mix.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use netscope_backends::Backend;
use netscope_backends::tpacket::{Fanout, TpacketBackend, TpacketOptions, queue_of_ring};

use crate::netns::NetNs;
use crate::wire::{LIMIT, Seen, datagrams, ipv4, open_in, options, poll_once, send, tun, udp};

const FLOWS: u8 = 64;
const TAG: &[u8] = &[0x81, 0, 0, 5];
const SERVER: [u8; 4] = [10, 9, 9, 9];

/// Reads from all sockets until `count` packets have come, and a while longer.
#[track_caller]
fn read_all(backends: &mut [TpacketBackend], count: usize) -> Vec<Vec<Seen>> {
    let begun = Instant::now();
    let mut seen: Vec<Vec<Seen>> = backends.iter().map(|_| Vec::new()).collect();
    let mut rounds_after = 0;
    while rounds_after < 3 {
        for (backend, seen) in backends.iter_mut().zip(&mut seen) {
            seen.extend(poll_once(backend, Duration::from_millis(20)));
        }
        let total = seen.iter().map(Vec::len).sum::<usize>();
        rounds_after += usize::from(total >= count);
        assert!(begun.elapsed() < LIMIT, "{total} of {count} packets came");
    }
    assert_eq!(seen.iter().map(Vec::len).sum::<usize>(), count);
    seen
}

fn tcp(from: [u8; 4], to: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
    let segment = [
        &ports[0].to_be_bytes()[..],
        &ports[1].to_be_bytes(),
        &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0],
        &[7; 9],
    ]
    .concat();
    ipv4(from, to, 6, 0, &segment, &[])
}

fn udp6(from: u8, to: u8, ports: [u16; 2]) -> Vec<u8> {
    let address = |last: u8| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 12, 17, 64][..],
        &address(from),
        &address(to),
        &ports[0].to_be_bytes(),
        &ports[1].to_be_bytes(),
        &[0, 12, 0, 0, 1, 2, 3, 4],
    ]
    .concat()
}

/// Both directions of each flow: its number and the frame.
fn both_ways() -> Vec<(String, Vec<u8>)> {
    let mut frames = Vec::new();
    for number in 0..FLOWS {
        let (client, port) = ([10, 0, 0, number], 2000 + u16::from(number));
        for (kind, there, back) in [
            ("udp", udp(client, SERVER, [port, 53], 20, &[]), udp(SERVER, client, [53, port], 90, &[])),
            ("vlan", udp(client, SERVER, [port, 54], 20, TAG), udp(SERVER, client, [54, port], 90, TAG)),
            ("tcp", tcp(client, SERVER, [port, 443]), tcp(SERVER, client, [443, port])),
            ("ipv6", udp6(number, 200, [port, 53]), udp6(200, number, [53, port])),
        ] {
            frames.push((format!("{kind} {number}"), there));
            frames.push((format!("{kind} {number}"), back));
        }
    }
    frames
}

#[test]
fn both_directions_of_a_flow_come_to_one_socket() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let frames = both_ways();
    let sent: Vec<Vec<u8>> = frames.iter().map(|(_, frame)| frame.clone()).collect();
    for workers in [2, 4] {
        let mut backends = open_in(&namespace, TpacketOptions { workers, ..options() });
        assert_eq!(backends.len(), workers);
        send(&namespace, &sent);
        let seen = read_all(&mut backends, sent.len());
        let mut sockets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (socket, seen) in seen.iter().enumerate() {
            assert!(!seen.is_empty(), "socket {socket} of {workers} got nothing");
            for packet in seen {
                let (flow, _) = frames.iter().find(|(_, frame)| *frame == packet.data).expect("a frame that was sent");
                sockets.entry(flow).or_default().push(socket);
            }
        }
        assert_eq!(sockets.len(), usize::from(FLOWS) * 4);
        for (flow, sockets) in sockets {
            assert!(sockets.len() == 2 && sockets[0] == sockets[1], "{flow}: {sockets:?}");
        }
        let received: Vec<u64> = backends.iter_mut().map(|backend| backend.counters().unwrap().received).collect();
        assert_eq!(received, seen.iter().map(|seen| seen.len() as u64).collect::<Vec<_>>());
    }
}

/// A datagram of 1000 bytes in two fragments, and one of the same flow in one piece.
fn fragmented(number: u8) -> [Vec<u8>; 3] {
    let client = [10, 0, 0, number];
    let whole = udp(client, SERVER, [2000 + u16::from(number), 53], 992, &[]);
    let (first, second) = whole[34..].split_at(600);
    [
        ipv4(client, SERVER, 17, 0x2000, first, &[]),
        ipv4(client, SERVER, 17, 600 / 8, second, &[]),
        udp(client, SERVER, [2000 + u16::from(number), 53], 30, &[]),
    ]
}

#[test]
fn fragments_come_whole_to_their_flow_or_as_they_were_to_one_socket() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let sent: Vec<Vec<u8>> = (0..FLOWS).flat_map(fragmented).collect();
    let client = |seen: &Seen| seen.data[29];
    // Put together: two packets for three, both at one socket.
    let mut backends = open_in(&namespace, TpacketOptions { workers: 2, ..options() });
    send(&namespace, &sent);
    let seen = read_all(&mut backends, 2 * usize::from(FLOWS));
    for seen in &seen {
        for number in 0..FLOWS {
            let of_flow: Vec<_> = seen.iter().filter(|seen| client(seen) == number).map(|seen| seen.wire_len).collect();
            assert!(of_flow.is_empty() || of_flow == [34 + 1000, 34 + 38], "{number}: {of_flow:?}");
        }
    }
    drop(backends);
    // As they were: byte for byte, and the fragments of a datagram at one socket.
    let mut backends = open_in(&namespace, TpacketOptions { workers: 2, defrag: false, ..options() });
    send(&namespace, &sent);
    let seen = read_all(&mut backends, sent.len());
    assert!(sent.iter().all(|frame| seen.iter().flatten().any(|seen| seen.data == *frame)));
    for seen in &seen {
        for number in 0..FLOWS {
            let fragments = seen.iter().filter(|seen| client(seen) == number && seen.data[20..22] != [0, 0]).count();
            assert!(fragments == 0 || fragments == 2, "{number}: {fragments}");
        }
    }
}

#[test]
fn two_captures_of_one_interface_each_see_everything() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut first = open_in(&namespace, TpacketOptions { workers: 2, ..options() });
    let mut second = open_in(&namespace, TpacketOptions { workers: 2, ..options() });
    let ids = |backends: &[TpacketBackend]| backends.iter().map(TpacketBackend::fanout_id).collect::<Vec<_>>();
    assert_eq!((ids(&first)[0], ids(&second)[0]), (ids(&first)[1], ids(&second)[1]));
    assert!(ids(&first)[0].is_some() && ids(&first)[0] != ids(&second)[0], "{:?} {:?}", ids(&first), ids(&second));
    let sent = datagrams(500, 40);
    send(&namespace, &sent);
    for backends in [&mut first, &mut second] {
        let mut seen: Vec<_> = read_all(backends, sent.len()).into_iter().flatten().map(|seen| seen.data).collect();
        seen.sort();
        let mut expected = sent.clone();
        expected.sort();
        assert_eq!(seen, expected);
    }
}

#[test]
fn by_cpu_and_by_queue_every_packet_comes_once() {
    let Some(namespace) = NetNs::with_veth() else { return };
    for fanout in [Fanout::Cpu, Fanout::Queue] {
        let mut backends = open_in(&namespace, TpacketOptions { workers: 2, fanout, ..options() });
        let sent = datagrams(300, 40);
        send(&namespace, &sent);
        let seen = read_all(&mut backends, sent.len());
        if fanout == Fanout::Queue {
            // A veth has one receive queue here.
            assert!(seen.iter().any(Vec::is_empty), "{fanout:?}");
        }
    }
}

#[test]
fn each_ring_takes_the_queue_that_is_said() {
    const RINGS: u32 = 3;
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut queues = Vec::new();
    for _ in 0..RINGS {
        let Some(queue) = tun(&namespace, "tap7", libc::IFF_TAP | libc::IFF_MULTI_QUEUE) else { return };
        queues.push(queue);
    }
    namespace.ip(&["link", "set", "dev", "tap7", "up"]);
    let interface = Some("tap7".to_owned());
    let mut backends =
        open_in(&namespace, TpacketOptions { interface, workers: RINGS as usize, fanout: Fanout::Queue, ..options() });
    let frames: Vec<_> = (0..RINGS as u16).map(|queue| udp([10, 0, 0, 1], SERVER, [queue, 53], 20, &[])).collect();
    for (queue, frame) in queues.iter_mut().zip(&frames) {
        queue.write_all(frame).expect("the device receives");
    }
    let seen = read_all(&mut backends, frames.len());
    for (ring, seen) in (0..RINGS).zip(seen) {
        let data: Vec<_> = seen.iter().map(|seen| &seen.data).collect();
        assert_eq!(data, [&frames[queue_of_ring(ring, RINGS) as usize]], "ring {ring}");
    }
}

#[test]
fn no_packet_is_seen_twice_while_a_group_is_being_opened() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            // Alone: nothing else depends on its order.
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) && sent < 200_000 {
                let burst: Vec<_> = (sent..sent + 50_u32)
                    .map(|number| {
                        ipv4(
                            [10, 0, 0, 1],
                            SERVER,
                            17,
                            0,
                            &[&[9, 9, 0, 53, 0, 12, 0, 0][..], &number.to_be_bytes()].concat(),
                            &[],
                        )
                    })
                    .collect();
                send(&namespace, &burst);
                sent += 50;
            }
        });
        for _ in 0..5 {
            let mut backends = open_in(&namespace, TpacketOptions { workers: 4, ..options() });
            let mut numbers = Vec::new();
            let begun = Instant::now();
            while numbers.len() < 200 && begun.elapsed() < LIMIT {
                for backend in &mut backends {
                    let seen = poll_once(backend, Duration::from_millis(10));
                    numbers.extend(seen.iter().map(|seen| <[u8; 4]>::try_from(&seen.data[42..46]).expect("four bytes")));
                }
            }
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert!(count >= 200 && numbers.len() == count, "{} of {count} are different", numbers.len());
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        sender.join().expect("the sender ends");
    });
}
