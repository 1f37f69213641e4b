//! The floor against the generator's own count, and its edges.

use super::{FloorError, count, key_of, write_csv};
use crate::{GeneratorSettings, Profile, Resolution, write_pcap};
use std::path::PathBuf;

/// A file in the temporary directory that goes away at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("netscope-floor-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).expect("a file in the temporary directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[test]
fn totals_are_the_generator_s() {
    for (name, profile) in Profile::ALL {
        let mut bytes = Vec::new();
        let generated =
            write_pcap(&GeneratorSettings::new(*profile, 30_000, 1_234, 3), Resolution::Micro, &mut bytes).expect("generated");
        let file = Scratch::new(name, &bytes);
        let (table, totals) = count(&file.0).expect("counted");
        assert_eq!((totals.packets, totals.bytes, totals.other), (generated.packets, generated.bytes, 0), "{name}");
        assert_eq!(table.len() as u64, generated.flows, "{name}");
        let packets: u64 = table.flows().flat_map(|flow| flow.packets).map(u64::from).sum();
        let bytes: u64 = table.flows().flat_map(|flow| flow.bytes).sum();
        assert_eq!((packets, bytes), (generated.packets, generated.bytes), "{name}");
    }
}

#[test]
fn a_table_that_grows_loses_nothing() {
    let settings = GeneratorSettings { live_flows: 0, ..GeneratorSettings::new(Profile::ManyFlows, 600_000, 300_000, 5) };
    let mut bytes = Vec::new();
    write_pcap(&settings, Resolution::Nano, &mut bytes).expect("generated");
    let file = Scratch::new("grow", &bytes);
    let (table, totals) = count(&file.0).expect("counted");
    assert_eq!((table.len(), totals.packets), (300_000, 600_000));
    assert!(table.flows().all(|flow| flow.packets.iter().sum::<u32>() == 2));
    let mut csv = Vec::new();
    write_csv(&table, &mut csv).expect("a Vec takes all");
    assert_eq!(csv.iter().filter(|&&byte| byte == b'\n').count(), 300_001);
}

#[test]
fn both_directions_have_one_key_and_the_csv_says_which() {
    let mut there = vec![0; 42];
    there[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
    there[23] = 17;
    there[26..34].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
    there[34..38].copy_from_slice(&[0, 53, 0x30, 0x39]);
    let mut back = there.clone();
    back[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    back[34..38].copy_from_slice(&[0x30, 0x39, 0, 53]);
    let (one, other) = (key_of(&there).unwrap(), key_of(&back).unwrap());
    assert_eq!(one.key, other.key);
    assert_eq!((one.is_back, other.is_back), (true, false));
    let mut later_fragment = there.clone();
    later_fragment[21] = 1;
    assert_eq!(key_of(&later_fragment), None);
    assert!((0..there.len() - 4).all(|len| key_of(&there[..len]).is_none()));

    let mut file = vec![0; 24];
    file[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    file[20] = 1;
    for frame in [&there, &there, &back] {
        file.extend([[0; 4], [0; 4], 42_u32.to_le_bytes(), 60_u32.to_le_bytes()].concat());
        file.extend_from_slice(frame);
    }
    let scratch = Scratch::new("both", &file);
    let (table, _) = count(&scratch.0).expect("counted");
    let mut csv = Vec::new();
    write_csv(&table, &mut csv).expect("a Vec takes all");
    assert!(String::from_utf8_lossy(&csv).ends_with("\nudp,10.0.0.1,12345,10.0.0.2,53,1,2,60,120\n"));
}

#[test]
fn other_files_are_refused_and_damage_is_named() {
    let mut sound = Vec::new();
    write_pcap(&GeneratorSettings::new(Profile::Udp, 10, 2, 1), Resolution::Micro, &mut sound).expect("generated");
    let outcome = |name: &str, bytes: &[u8]| count(&Scratch::new(name, bytes).0).map(|(_, totals)| totals.packets);
    assert_eq!(outcome("sound", &sound).unwrap(), 10);
    assert!(matches!(outcome("cut", &sound[..sound.len() - 1]), Err(FloorError::Cut(_))));
    assert!(matches!(outcome("empty", &[]), Err(FloorError::Io(_))));
    let mut other = sound.clone();
    other[20] = 101;
    assert!(matches!(outcome("link", &other), Err(FloorError::Format(_))));
    other[0] = 0;
    assert!(matches!(outcome("magic", &other), Err(FloorError::Format(_))));
    sound[24 + 11] = 0xff;
    assert!(matches!(outcome("length", &sound), Err(FloorError::Length(_))));
}
