//! The live rig: what it makes, what it counts, and that it leaves nothing behind. Root; elsewhere it says
//! that it was skipped.
#![cfg(target_os = "linux")]

use netscope_backends::Backend;
use netscope_perf::live::{
    InterfaceCounters, Load, LoadGenerator, Pace, RECEIVER, Replay, Rig, RigSettings, RingKind, SENDER, Speech, Via,
    offer_flat_out,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn rig(settings: &RigSettings) -> Option<Rig> {
    if let Some(reason) = Rig::obstacle() {
        assert!(std::env::var("CI").is_ok_and(|value| value == "true"), "CI=true, and this test cannot run: {reason}");
        eprintln!("skipped: {reason}");
        return None;
    }
    Some(Rig::new(settings).unwrap())
}

fn exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

#[test]
fn a_rig_is_deleted_after_a_panic() {
    let Some(rig) = rig(&RigSettings { queues: 2, mtu: 3000 }) else { return };
    let name = rig.name().to_owned();
    assert!(exists(&name));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        rig.inside(|| panic!("a test's assertion")).unwrap();
    }));
    assert!(outcome.is_err());
    assert!(!exists(&name));
}

#[test]
fn the_program_makes_the_frames_of_the_model() {
    let Some(rig) = rig(&RigSettings::default()) else { return };
    rig.inside(|| {
        let some = Load { flows: 3, first_flow: 70_000, frame_len: 60, speech: Speech::Tcp };
        for load in [
            some,
            Load { flows: 1, ..some },
            Load { flows: 1 << 20, first_flow: 0, ..some },
            Load { frame_len: 1514, ..some },
            Load { frame_len: 61, speech: Speech::Udp { stamped: false }, ..some },
        ] {
            for via in [Via::Wire, Via::Stack] {
                let generator = LoadGenerator::new(&load, via).unwrap();
                for start in [0, 3 << 20, u64::from(load.flows) * 0x3fff_ffff - 2] {
                    generator.seek(start).unwrap();
                    for position in start..start + 20 {
                        assert_eq!(generator.make_one().unwrap(), load.frame(position), "{load:?} at {position}");
                    }
                }
            }
        }
    })
    .unwrap();
}

/// Counts what a ring lends until it holds `count` packets or 10 s have passed.
fn receive(backend: &mut dyn Backend, count: u64) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let start = Instant::now();
    while (frames.len() as u64) < count && start.elapsed() < Duration::from_secs(10) {
        backend
            .poll(Duration::from_millis(10), &mut |packets| frames.extend(packets.iter().map(|packet| packet.data.to_vec())))
            .unwrap();
    }
    frames
}

fn tpacket() -> Box<dyn Backend> {
    RingKind::Tpacket.open(RECEIVER).unwrap()
}

#[test]
fn frames_arrive_in_order_through_the_stack() {
    let Some(rig) = rig(&RigSettings::default()) else { return };
    rig.inside(|| {
        let load = Load::udp(7);
        let mut ring = tpacket();
        let pace = Pace { packets_max: 500, ..Pace::at_rate(50_000.0, Duration::from_secs(1)) };
        let offered = LoadGenerator::new(&load, Via::Stack).unwrap().run(&pace).unwrap();
        assert_eq!((offered.sent, offered.undelivered, offered.refused), (500, 0, 0));
        let frames = receive(&mut *ring, 500);
        assert_eq!(frames.len(), 500);
        for (position, frame) in frames.iter().enumerate() {
            assert_eq!(*frame, load.frame(position as u64), "position {position}");
        }
    })
    .unwrap();
}

#[test]
fn sent_is_received_and_lost_under_overload() {
    for ring in RingKind::ALL {
        let Some(rig) = rig(&RigSettings::default()) else { return };
        check_ledger(&rig, *ring);
    }
}

/// Offers a million packets flat out to a reader that stalls again and again.
fn check_ledger(rig: &Rig, ring: RingKind) {
    const PACKETS: u64 = 1_000_000;
    let mut backend = rig.inside(|| ring.open(RECEIVER)).unwrap().unwrap();
    let stop = AtomicBool::new(false);
    let offered = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut received = 0_u64;
            // Ordered by nothing: the last packets are fetched after the sender has ended.
            while !stop.load(Ordering::Relaxed) {
                backend.poll(Duration::from_millis(10), &mut |packets| received += packets.len() as u64).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
            received
        });
        let offered = offer_flat_out(rig, &Load::tcp(100_000), ring.via(), PACKETS);
        stop.store(true, Ordering::Relaxed);
        (offered.unwrap(), reader.join().unwrap())
    });
    let (offered, mut received) = offered;
    assert_eq!((offered.sent + offered.undelivered, offered.refused), (PACKETS, 0), "{ring:?}");
    let start = Instant::now();
    let mut counters = backend.counters().unwrap();
    while received + counters.kernel_drops + counters.damaged < offered.sent && start.elapsed() < Duration::from_secs(10) {
        backend.poll(Duration::from_millis(10), &mut |packets| received += packets.len() as u64).unwrap();
        counters = backend.counters().unwrap();
    }
    let account = (received, counters.kernel_drops, counters.damaged);
    assert_eq!(account.0 + account.1 + account.2, offered.sent, "{ring:?}: {offered:?} {counters:?}");
    assert_eq!(counters.received, offered.sent, "{ring:?}: {offered:?} {counters:?}");
    eprintln!("{}: {:.2} Mpps made; received {}, lost {}", ring.name(), offered.rate_made() / 1e6, account.0, account.1);
}

#[test]
fn frames_that_nobody_takes_are_undelivered() {
    let Some(rig) = rig(&RigSettings::default()) else { return };
    // No XDP program and no GRO on the receiver: its driver has no queue, and the kernel counts nothing.
    let offered = offer_flat_out(&rig, &Load::udp(10), Via::Wire, 10_000).unwrap();
    assert_eq!((offered.sent, offered.undelivered), (0, 10_000));
}

#[test]
fn a_capture_is_replayed_in_order() {
    let Some(rig) = rig(&RigSettings::default()) else { return };
    rig.inside(|| {
        let mut ring = tpacket();
        let frames: Vec<Vec<u8>> = (0..200).map(|position| Load::tcp(10).frame(position)).collect();
        let replay = Replay::new(frames.clone());
        let pace = Pace { packets_max: 300, ..Pace::at_rate(100_000.0, Duration::from_secs(1)) };
        let replayed = replay.send(SENDER, 2, &pace).unwrap();
        assert_eq!(replayed.sent, 300);
        let received = receive(&mut *ring, 300);
        assert_eq!(received.len(), 300);
        assert!(received.iter().zip(frames.iter().cycle()).all(|(received, sent)| received == sent));
        assert_eq!(InterfaceCounters::of(SENDER).unwrap().sent, 300);
        assert!(replay.send("nothing", 1, &pace).unwrap_err().contains("nothing"));
    })
    .unwrap();
}
