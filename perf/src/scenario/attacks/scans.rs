//! Scans: many ports of a host, many hosts, both; by each sort of packet.
//!
//! Owns their parts: each is a contact that fails, and now and then another one that does not.

use super::{ATTACKER, AttackKind, INSIDE, Scaling, VICTIM};
use crate::frame::{ACK, FIN, PSH, RST, URG};
use crate::scenario::script::{End, MS, Outcome, SEC, Script, host};

/// Ports of one host that fail, and hosts on one port, from which on it is a scan by default.
const PORTS: u64 = 25;
const HOSTS: u64 = 10;

const fn scan(
    name: &'static str,
    variant: &'static str,
    technique: &'static str,
    threshold: u64,
    fill: fn(&mut Script, u64, u32),
) -> AttackKind {
    AttackKind {
        name,
        alert: "port_scan",
        variant,
        technique,
        part: if threshold == HOSTS { "hosts" } else { "ports" },
        threshold,
        window_ns: 10 * SEC,
        scaling: Scaling::Rate,
        settles_ns: 0,
        fill,
    }
}

const fn vertical(technique: &'static str, name: &'static str, fill: fn(&mut Script, u64, u32)) -> AttackKind {
    scan(name, "vertical", technique, PORTS, fill)
}

const fn from(i: u32) -> End {
    (ATTACKER, 32_768 + (i % 30_000) as u16)
}

/// A closed port of the victim.
const fn closed(i: u32) -> End {
    (VICTIM, 1 + (i * 3 % 65_000) as u16)
}

/// An open one, with each tenth part.
const fn open(i: u32) -> End {
    (VICTIM, 2 + (i * 3 % 65_000) as u16)
}

const fn target(i: u32) -> u32 {
    // Not in order, as scanners do; 251 is prime.
    i / 251 * 251 + i % 251 * 97 % 251
}

/// A segment that belongs to nothing, and the reset of every third port.
fn stray(script: &mut Script, at: u64, i: u32, flags: u8) {
    script.tcp(at, from(0), closed(i), flags, 9, 0);
    if i.is_multiple_of(3) {
        script.tcp(at + MS, closed(i), from(0), RST | ACK, 0, 10);
    }
}

/// Scans.
pub const SCANS: &[AttackKind] = &[
    vertical("syn", "scan-vertical-syn", |script, at, i| script.connect(at, from(i), closed(i), MS, Outcome::Refused)),
    vertical("syn", "scan-vertical-silent", |script, at, i| script.connect(at, from(i), closed(i), MS, Outcome::Silent)),
    vertical("half_open", "scan-vertical-half-open", |script, at, i| {
        script.connect(at, from(i), closed(i), MS, Outcome::Silent);
        if i % 10 == 3 {
            script.connect(at, from(i + 1), open(i), MS, Outcome::HalfOpen);
        }
    }),
    vertical("connect", "scan-vertical-connect", |script, at, i| {
        script.connect(at, from(i), closed(i), MS, Outcome::Refused);
        if i % 10 == 3 {
            script.connect(at, from(i + 1), open(i), MS, Outcome::Completed);
        }
    }),
    vertical("fin", "scan-vertical-fin", |script, at, i| stray(script, at, i, FIN)),
    vertical("null", "scan-vertical-null", |script, at, i| stray(script, at, i, 0)),
    vertical("xmas", "scan-vertical-xmas", |script, at, i| stray(script, at, i, FIN | PSH | URG)),
    vertical("ack", "scan-vertical-ack", |script, at, i| {
        script.tcp(at, from(0), closed(i), ACK, 9, 77);
        script.tcp(at + MS, closed(i), from(0), RST, 77, 0);
    }),
    vertical("udp", "scan-vertical-udp", |script, at, i| {
        script.udp(at, from(0), closed(i));
        script.unreachable(at + MS, from(0), closed(i));
    }),
    scan("scan-horizontal-syn", "horizontal", "syn", HOSTS, |script, at, i| {
        script.connect(at, from(i), (host([198, 51, 0, 0], target(i)), 23), MS, Outcome::Silent);
    }),
    scan("scan-horizontal-worm", "horizontal", "syn", HOSTS, |script, at, i| {
        let address = host([60, 0, 0, 0], i.wrapping_mul(2_654_435_761) >> 8);
        script.connect(at, (INSIDE, from(i).1), (address, 445), 80 * MS, Outcome::Silent);
    }),
    scan("scan-horizontal-icmp", "horizontal", "icmp_echo", HOSTS, |script, at, i| {
        script.echo(at, ATTACKER, host([192, 0, 2, 0], target(i)), 7, false);
    }),
    scan("scan-horizontal-arp", "horizontal", "arp", HOSTS, |script, at, i| {
        script.arp(at, 1, INSIDE, host([10, 0, 0, 10], target(i)));
    }),
    scan("scan-block", "block", "syn", PORTS, |script, at, i| {
        let address = (host([198, 51, 100, 1], i % 5), 20 + (i / 5 % 60_000) as u16);
        script.connect(at, from(i), address, MS, Outcome::Refused);
    }),
    // With a window of two hours.
    AttackKind {
        window_ns: 7_200 * SEC,
        ..scan("scan-slow", "horizontal", "syn", HOSTS, |script, at, i| {
            script.connect(at, from(i), (host([198, 51, 0, 0], target(i)), 445), MS, Outcome::Silent);
        })
    },
];
