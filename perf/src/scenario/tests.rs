//! The attacks and look-alikes themselves: names, truth, order, and the same bytes each time.
//!
//! Knows no detector.

use super::{ATTACKS, Attack, AttackKind, Intensity, LOOK_ALIKES, SEC, Script};
use std::collections::BTreeSet;

fn attacks() -> impl Iterator<Item = Attack> {
    // What lasts a hundred hours is left out.
    AttackKind::all().flat_map(|kind| {
        let intensities = Intensity::ALL.iter().filter(|(_, intensity)| *intensity != Intensity::Hundredfold);
        intensities.map(move |(_, intensity)| Attack::new(kind, *intensity))
    })
}

#[test]
fn names_are_unique_and_found() {
    let names: Vec<&str> = AttackKind::all().map(|kind| kind.name).chain(LOOK_ALIKES.iter().map(|one| one.name)).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(ATTACKS.iter().all(|kinds| !kinds.is_empty()));
    assert!(names.iter().all(|name| AttackKind::named(name).is_some() != super::LookAlike::named(name).is_some()));
}

#[test]
fn the_threshold_is_crossed_by_the_part_that_crosses_it() {
    for attack in attacks() {
        let (_, truth) = attack.script();
        let interval = attack.interval_ns();
        let crosses = attack.intensity != Intensity::Below;
        assert_eq!(truth.crossed_ns.is_some(), crosses, "{}", attack.kind.name);
        let Some(crossed) = truth.crossed_ns else {
            // Of a single part there are none.
            assert!(u64::from(truth.parts) >= attack.threshold * 80 / 100, "{}", attack.kind.name);
            continue;
        };
        let since = crossed - truth.began_ns - attack.kind.settles_ns;
        assert_eq!(since, interval * (attack.threshold - 1), "{}", attack.kind.name);
        assert!(since <= attack.window_ns, "{}: within the window", attack.kind.name);
        assert!(u64::from(truth.parts) >= attack.threshold);
    }
}

#[test]
fn attacks_and_look_alikes_are_the_same_each_time_and_in_order() {
    let pcap = |script: Script| {
        let frames = script.len();
        let file =
            std::env::temp_dir().join(format!("netscope-perf-{}-{:?}.pcap", std::process::id(), std::thread::current().id()));
        script.write(&file);
        let bytes = std::fs::read(&file).expect("the capture can be read");
        std::fs::remove_file(&file).expect("the capture is there");
        (frames, bytes)
    };
    let all = attacks().filter(|attack| attack.intensity == Intensity::Above);
    let scripts: Vec<Box<dyn Fn() -> Script>> = all
        .map(|attack| -> Box<dyn Fn() -> Script> { Box::new(move || attack.script().0) })
        .chain(LOOK_ALIKES.iter().map(|one| -> Box<dyn Fn() -> Script> { Box::new(|| one.script(one.test_size.min(100))) }))
        .collect();
    for script in scripts {
        let (frames, bytes) = pcap(script());
        assert!(frames > 4 && pcap(script()) == (frames, bytes.clone()));
        let (mut at, mut last, mut seen) = (24, 0, 0);
        while at < bytes.len() {
            let word = |offset: usize| u64::from(u32::from_le_bytes(std::array::from_fn(|i| bytes[at + offset + i])));
            let time = word(0) * SEC + word(4);
            assert!(time >= last, "in the order of time");
            (at, last, seen) = (at + 16 + word(8) as usize, time, seen + 1);
        }
        assert_eq!((at, seen), (bytes.len(), frames));
    }
}

#[test]
fn a_busy_attack_is_the_attack_and_more() {
    let kind = AttackKind::named("scan-vertical-syn").expect("a kind");
    let alone = Attack::new(kind, Intensity::Above);
    let (script, truth) = alone.script();
    let (busy, busy_truth) = Attack { is_busy: true, ..alone }.script();
    assert_eq!(truth, busy_truth);
    let frames: BTreeSet<Vec<u8>> = busy.frames().into_iter().map(|frame| frame[26..34].to_vec()).collect();
    assert!(script.frames().iter().all(|frame| frames.contains(&frame[26..34])));
    assert!(frames.len() > 1_000);
}
