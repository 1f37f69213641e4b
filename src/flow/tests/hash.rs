//! The keyed hash spreads what real and crafted tuples have in common.

use super::*;

/// Flows that differ in few bits fill 1024 buckets at least as evenly as chance would: chi-squared with 1023 degrees of freedom
/// stays below 6 standard deviations (45.2 each) over its mean for bucket bits, tag bits and share bits alike.
#[test]
fn near_tuples_spread_over_every_part_of_the_hash() {
    for (name, key) in [
        ("ports", (|i: u32| key_of("10.0.0.1", "10.0.0.2", i as u16, 443, 6).0) as fn(u32) -> FlowKey),
        ("addresses", |i| key_of(&format!("10.0.{}.{}", i >> 8, i & 0xff), "10.1.0.1", 80, 80, 17).0),
        ("both", |i| key_of(&format!("10.0.0.{}", i & 0xff), &format!("10.0.1.{}", i >> 8), 5, 5, 17).0),
    ] {
        for shift in [54, 6, 22] {
            let mut counts = [0u32; 1024];
            for i in 0..65_536 {
                counts[(key(i).hash(&HashSecret::FIXED) >> shift & 1023) as usize] += 1;
            }
            let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 64.0).powi(2) / 64.0).sum();
            assert!(chi - 1023.0 < 6.0 * 45.2, "{name} >> {shift}: {chi}");
        }
    }
}

#[test]
fn another_secret_is_another_hash() {
    let (key, _) = key_of("10.0.0.1", "10.0.0.2", 1, 2, 6);
    assert_ne!(key.hash(&HashSecret::random()), key.hash(&HashSecret::random()));
}

#[test]
fn a_tuple_in_another_domain_is_another_key_of_the_same_worker() {
    for (key, direction) in [key_of("10.0.0.1", "10.0.0.2", 1, 2, 6), key_of("2001:db8::2", "2001:db8::1", 7, 9, 17)] {
        let mut hashes = std::collections::HashSet::new();
        for number in [0, 1, 2, 127, 128, 255, 256, 4095, 4096, 32_766, 32_767] {
            let inside = key.in_domain(number);
            assert_eq!((inside.domain(), inside == key, inside.tuple()), (number, number == 0, key));
            assert_eq!((inside.a_ip(), inside.b_ip(), inside.version()), (key.a_ip(), key.b_ip(), key.version()));
            assert_eq!((inside.a_port(), inside.b_port(), inside.protocol()), (key.a_port(), key.b_port(), key.protocol()));
            assert_eq!(inside.share(4), key.share(4), "{direction:?}");
            assert!(hashes.insert(inside.hash(&HashSecret::FIXED)), "{number}");
        }
    }
}

/// As for tuples: somebody who sends one tuple under many numbers does not fill one bucket.
#[test]
fn domains_spread_over_every_part_of_the_hash() {
    for (key, _) in [key_of("10.0.0.1", "10.0.0.2", 1, 2, 6), key_of("2001:db8::2", "2001:db8::1", 7, 9, 17)] {
        for shift in [54, 6, 22] {
            let mut counts = [0u32; 1024];
            for number in 0..32_768 {
                counts[(key.in_domain(number).hash(&HashSecret::FIXED) >> shift & 1023) as usize] += 1;
            }
            let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 32.0).powi(2) / 32.0).sum();
            assert!(chi - 1023.0 < 6.0 * 45.2, "{shift}: {chi}");
        }
    }
}
