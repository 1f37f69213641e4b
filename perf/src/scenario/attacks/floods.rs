//! Floods: of connection attempts, and by volume.
//!
//! Owns their parts. Forged sources are spread over 11.0.0.0/8.

use super::{ATTACKER, AttackKind, INSIDE, Scaling, VICTIM};
use crate::frame::SYN;
use crate::scenario::script::{End, MS, Outcome, SEC, Script, host};
use std::net::Ipv4Addr;

const fn syn_flood(name: &'static str, variant: &'static str, threshold: u64, fill: fn(&mut Script, u64, u32)) -> AttackKind {
    AttackKind {
        name,
        alert: "syn_flood",
        variant,
        technique: "syn",
        part: "connection attempts",
        threshold,
        window_ns: 5 * SEC,
        scaling: Scaling::Rate,
        settles_ns: 0,
        fill,
    }
}

/// A source that nobody has.
fn forged(number: u32) -> End {
    (host([11, 0, 0, 0], number.wrapping_mul(7_919) & 0x00ff_ffff), 1_024 + (number % 60_000) as u16)
}

/// Connection attempts that are not completed.
pub const CONNECTIONS: &[AttackKind] = &[
    syn_flood("syn-flood-single", "single_source", 200, |script, at, i| {
        script.connect(at, (ATTACKER, 1_024 + (i % 60_000) as u16), (VICTIM, 80), MS, Outcome::Unfinished);
    }),
    syn_flood("syn-flood-few", "few_sources", 200, |script, at, i| {
        script.connect(at, (host([203, 0, 113, 0], i % 10), 1_024 + (i / 10 % 60_000) as u16), (VICTIM, 80), MS, Outcome::Silent);
    }),
    syn_flood("syn-flood-distributed", "distributed", 200, |script, at, i| {
        script.connect(at, forged(i), (VICTIM, 443), MS, Outcome::Unfinished);
    }),
    syn_flood("syn-flood-carpet", "carpet", 1_024, |script, at, i| {
        script.connect(at, forged(i), (host([192, 0, 2, 0], i % 256), 80), MS, Outcome::Silent);
    }),
    syn_flood("syn-flood-all-ports", "distributed", 200, |script, at, i| {
        script.connect(at, forged(i), (VICTIM, (i * 13 % 60_000) as u16 + 1), MS, Outcome::Silent);
    }),
    // One attempt, and three repetitions of it, are what a client does.
    syn_flood("syn-flood-same-syn", "single_source", 203, |script, at, _| {
        script.tcp(at, (ATTACKER, 4_000), (VICTIM, 22), SYN, 7, 0)
    }),
    syn_flood("syn-flood-refused", "distributed", 200, |script, at, i| {
        script.connect(at, forged(i), (VICTIM, 8_443), MS, Outcome::Refused);
    }),
];

const fn volume(
    name: &'static str,
    variant: &'static str,
    technique: &'static str,
    fill: fn(&mut Script, u64, u32),
) -> AttackKind {
    AttackKind {
        name,
        alert: "volume_flood",
        variant,
        technique,
        part: "packets",
        threshold: 1_000,
        window_ns: 5 * SEC,
        scaling: Scaling::Rate,
        settles_ns: 0,
        fill,
    }
}

/// A large answer to the victim that nobody asked for, from one of 300 reflectors.
fn reflected(script: &mut Script, at: u64, i: u32, port: u16, bytes: usize) {
    let reflector = host([198, 18, 0, 1], (i % 300).wrapping_mul(211));
    script.datagram(at, (reflector, port), (VICTIM, 1_024 + (i % 300) as u16), bytes);
}

/// Many packets or bytes.
pub const VOLUME: &[AttackKind] = &[
    volume("udp-flood-one-flow", "udp", "", |script, at, _| {
        script.datagram(at, (ATTACKER, 4_444), (VICTIM, 27_015), 900);
    }),
    volume("udp-flood-distributed", "udp", "", |script, at, i| {
        script.datagram(at, forged(i), (VICTIM, 27_015), 900);
    }),
    volume("udp-flood-random-ports", "udp", "", |script, at, i| {
        script.datagram(at, (ATTACKER, 4_444), (VICTIM, (i.wrapping_mul(7_919) % 60_000) as u16 + 1_024), 900);
    }),
    volume("icmp-flood-single", "icmp", "", |script, at, i| {
        script.echo_of(at, ATTACKER, VICTIM, (i % 7) as u16, false, 56);
    }),
    volume("icmp-flood-distributed", "icmp", "", |script, at, i| {
        script.echo_of(at, forged(i).0, VICTIM, i as u16, false, 1_000);
    }),
    // First fragments whose rest never comes.
    volume("fragment-flood", "fragments", "", |script, at, i| {
        script.fragment(at, (host([203, 0, 113, 0], i % 20), 5_000), (VICTIM, 80), i as u16, false);
    }),
    volume("amplification-dns", "amplification", "dns", |script, at, i| reflected(script, at, i, 53, 1_380)),
    volume("amplification-ntp", "amplification", "ntp", |script, at, i| reflected(script, at, i, 123, 440)),
    volume("amplification-memcached", "amplification", "memcached", |script, at, i| reflected(script, at, i, 11_211, 1_400)),
    volume("amplification-ssdp", "amplification", "ssdp", |script, at, i| reflected(script, at, i, 1_900, 310)),
    volume("amplification-cldap", "amplification", "cldap", |script, at, i| reflected(script, at, i, 389, 1_460)),
    // A host inside floods somebody outside.
    volume("udp-flood-outbound", "udp", "", |script, at, _| {
        script.datagram(at, (INSIDE, 50_000), (Ipv4Addr::new(198, 51, 100, 9), 80), 1_400);
    }),
];
