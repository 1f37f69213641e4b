//! What one host does to another: guesses logins, takes over addresses, calls home, takes data away.
//!
//! Owns their parts. Sizes and durations of logins are those of OpenSSH, vsftpd, Windows, Postfix and Dovecot at one wrong password.

use super::{ATTACKER, AttackKind, GATEWAY, INSIDE, Scaling, VICTIM};
use crate::random::mix;
use crate::scenario::script::{End, MS, SEC, Said, Script, host, mac};
use std::net::Ipv4Addr;

const fn says(bytes: u32, after_ms: u64) -> Said {
    Said { by_server: false, bytes, after_ns: after_ms * MS }
}

const fn hears(bytes: u32, after_ms: u64) -> Said {
    Said { by_server: true, bytes, after_ns: after_ms * MS }
}

/// A wrong password over SSH: versions, key exchange, authentication.
const SSH: &[Said] = &[
    hears(41, 8),
    says(23, 1),
    says(1_392, 1),
    hears(1_080, 2),
    says(48, 4),
    hears(452, 6),
    says(16, 3),
    says(44, 1),
    hears(44, 1),
    says(68, 2),
    hears(52, 4),
    says(148, 1),
    hears(52, 1_900),
];
const FTP: &[Said] = &[hears(20, 5), says(12, 1), hears(34, 1), says(15, 1), hears(22, 2_900), says(6, 1), hears(14, 1)];
const RDP: &[Said] = &[
    says(47, 1),
    hears(19, 3),
    says(250, 1),
    hears(1_210, 4),
    says(340, 3),
    hears(51, 2),
    says(98, 2),
    hears(240, 2),
    says(690, 3),
];
const SMTP: &[Said] = &[
    hears(38, 20),
    says(18, 1),
    hears(140, 1),
    says(12, 1),
    hears(18, 1),
    says(26, 1),
    hears(18, 1),
    says(18, 1),
    hears(53, 2_000),
    says(6, 1),
    hears(15, 1),
];
const IMAP: &[Said] = &[hears(110, 5), says(34, 1), hears(62, 2_000), says(11, 1), hears(50, 1)];
const POP3: &[Said] = &[hears(20, 5), says(12, 1), hears(5, 1), says(15, 1), hears(40, 2_000), says(6, 1), hears(17, 1)];

const fn logins(name: &'static str, variant: &'static str, threshold: u64, fill: fn(&mut Script, u64, u32)) -> AttackKind {
    AttackKind {
        name,
        alert: "brute_force",
        variant,
        technique: "",
        part: "logins",
        threshold,
        window_ns: 300 * SEC,
        scaling: Scaling::Rate,
        settles_ns: 3 * SEC,
        fill,
    }
}

fn login(script: &mut Script, at: u64, i: u32, from: Ipv4Addr, port: u16, said: &[Said]) {
    script.session(at, (from, 32_768 + (i % 28_000) as u16), (VICTIM, port), 12 * MS, said);
}

/// Sources of logins that come from many.
const SOURCES: u32 = 20;

/// Logins that fail. Nobody tries more than a few hundred a second. Of services that honest clients ask often, too, it takes more.
pub const LOGINS: &[AttackKind] = &[
    logins("logins-ssh", "single_source", 20, |script, at, i| login(script, at, i, ATTACKER, 22, SSH)),
    logins("logins-ftp", "single_source", 20, |script, at, i| login(script, at, i, ATTACKER, 21, FTP)),
    logins("logins-rdp", "single_source", 20, |script, at, i| login(script, at, i, ATTACKER, 3_389, RDP)),
    logins("logins-smtp", "single_source", 300, |script, at, i| login(script, at, i, ATTACKER, 25, SMTP)),
    logins("logins-imap", "single_source", 300, |script, at, i| login(script, at, i, ATTACKER, 143, IMAP)),
    logins("logins-pop3", "single_source", 300, |script, at, i| login(script, at, i, ATTACKER, 110, POP3)),
    // Two guesses from each of many sources.
    logins("logins-ssh-distributed", "distributed", 40, |script, at, i| {
        login(script, at, i, host([45, 0, 0, 1], i % SOURCES), 22, SSH);
    }),
];

/// Hardware address of the host that attacks inside.
const MALLORY: [u8; 6] = [2, 0x66, 0x66, 0, 0, 1];
const DHCP_SERVER: End = (GATEWAY, 67);
const BROADCAST: [u8; 6] = [0xff; 6];

/// Forged replies. The owner has spoken before.
const fn spoofing(name: &'static str, fill: fn(&mut Script, u64, u32)) -> AttackKind {
    AttackKind {
        name,
        alert: "arp_spoofing",
        variant: "forged_replies",
        technique: "",
        part: "forged replies",
        threshold: 5,
        window_ns: 50 * SEC,
        scaling: Scaling::Rate,
        settles_ns: 0,
        fill,
    }
}

fn forge(script: &mut Script, at: u64, i: u32, owner: Ipv4Addr, told: Ipv4Addr) {
    if i == 0 {
        script.arp(at - SEC, 1, owner, told);
    }
    script.arp_from(at, 2, (MALLORY, owner), told);
}

/// A BOOTP message (RFC 951) with a DHCP message type, options that are addresses and the end (RFC 2132).
fn dhcp(operation: u8, transaction: u32, client: [u8; 6], offered: Ipv4Addr, kind: u8, options: &[(u8, Ipv4Addr)]) -> Vec<u8> {
    let mut message = vec![operation, 1, 6, 0];
    message.extend(transaction.to_be_bytes());
    message.extend([0, 0, 0x80, 0, 0, 0, 0, 0]);
    message.extend(offered.octets());
    message.extend([0; 8]);
    message.extend(client);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, kind]);
    for (code, address) in options {
        message.extend([*code, 4]);
        message.extend(address.octets());
    }
    message.push(255);
    message.resize(300, 0);
    message
}

/// A client asks for an address.
pub(in crate::scenario) fn dhcp_discover(script: &mut Script, at: u64, client: [u8; 6], transaction: u32) {
    const REQUESTED: u8 = 50;
    let message = dhcp(1, transaction, client, Ipv4Addr::UNSPECIFIED, 1, &[(REQUESTED, Ipv4Addr::UNSPECIFIED)]);
    script.datagram_with(at, (Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67), &message, (client, BROADCAST));
}

/// A server offers one, and itself as router.
pub(in crate::scenario) fn dhcp_offer(script: &mut Script, at: u64, server: (End, [u8; 6]), client: [u8; 6], transaction: u32) {
    const ROUTER: u8 = 3;
    const SERVER: u8 = 54;
    let ((address, port), hardware) = server;
    let message =
        dhcp(2, transaction, client, host([10, 0, 1, 0], transaction % 250), 2, &[(SERVER, address), (ROUTER, address)]);
    script.datagram_with(at, (address, port), (Ipv4Addr::BROADCAST, 68), &message, (hardware, BROADCAST));
}

fn random_mac(i: u32) -> [u8; 6] {
    let drawn = mix(u64::from(i)).to_be_bytes();
    [drawn[0] & 0xfc | 2, drawn[1], drawn[2], drawn[3], drawn[4], drawn[5]]
}

/// On one's own wire.
pub const NEIGHBOURS: &[AttackKind] = &[
    spoofing("arp-spoofing-gateway", |script, at, i| forge(script, at, i, GATEWAY, INSIDE)),
    spoofing("arp-spoofing-host", |script, at, i| forge(script, at, i, INSIDE, GATEWAY)),
    // A client that asks once: after 5 s it is known that it does not ask again.
    AttackKind {
        name: "dhcp-flood",
        alert: "dhcp_flood",
        variant: "unfinished",
        technique: "",
        part: "clients",
        threshold: 50,
        window_ns: 120 * SEC,
        scaling: Scaling::Rate,
        settles_ns: 5 * SEC,
        fill: |script, at, i| dhcp_discover(script, at, random_mac(i), i),
    },
    AttackKind {
        name: "dhcp-rogue-server",
        alert: "rogue_dhcp",
        variant: "other_router",
        technique: "",
        part: "offers",
        threshold: 1,
        window_ns: 10 * SEC,
        scaling: Scaling::Length,
        settles_ns: 0,
        fill: |script, at, i| {
            let client = random_mac(i);
            dhcp_discover(script, at - 2 * MS, client, i);
            dhcp_offer(script, at - MS, (DHCP_SERVER, mac(GATEWAY)), client, i);
            dhcp_offer(script, at, ((Ipv4Addr::new(10, 0, 0, 66), 67), MALLORY), client, i);
        },
    },
];

/// Where data and calls go to.
const OUTSIDE: End = (Ipv4Addr::new(198, 51, 100, 77), 443);
const REQUEST: &[Said] = &[says(517, 1), hears(1_300, 2), says(126, 2), says(220, 1), hears(310, 20)];

/// Ways out.
pub const CHANNELS: &[AttackKind] = &[
    // A call each five minutes, some seconds late, for six hours. It is judged each quarter of an hour.
    AttackKind {
        name: "beacon",
        alert: "beacon",
        variant: "",
        technique: "",
        part: "calls",
        threshold: 72,
        window_ns: 6 * 3_600 * SEC,
        scaling: Scaling::Length,
        settles_ns: 900 * SEC,
        fill: |script, at, i| {
            let jitter = mix(u64::from(i)) % (6 * SEC);
            script.session(at + jitter, (INSIDE, 32_768 + (i % 28_000) as u16), OUTSIDE, 20 * MS, REQUEST);
        },
    },
    // A keep-alive each minute.
    AttackKind {
        name: "long-connection",
        alert: "long_connection",
        variant: "",
        technique: "",
        part: "minutes",
        threshold: 240,
        window_ns: 4 * 3_600 * SEC,
        scaling: Scaling::Length,
        settles_ns: 60 * SEC,
        fill: |script, at, i| {
            const CLIENT: End = (INSIDE, 40_000);
            const DATA: u8 = crate::frame::PSH | crate::frame::ACK;
            if i == 0 {
                script.tcp(at, CLIENT, OUTSIDE, crate::frame::SYN, 1_000, 0);
                script.tcp(at + MS, OUTSIDE, CLIENT, crate::frame::SYN | crate::frame::ACK, 5_000, 1_001);
                script.tcp(at + 2 * MS, CLIENT, OUTSIDE, crate::frame::ACK, 1_001, 5_001);
            }
            script.tcp(at + 60 * SEC, CLIENT, OUTSIDE, DATA, 1_001, 5_001);
            script.tcp(at + 60 * SEC + MS, OUTSIDE, CLIENT, crate::frame::ACK, 5_001, 1_001);
        },
    },
    // 64 KiB each tenth of a second, each in a connection of its own.
    AttackKind {
        name: "upload",
        alert: "data_out",
        variant: "",
        technique: "",
        part: "times 64 KiB",
        threshold: 160,
        window_ns: 16 * SEC,
        scaling: Scaling::Length,
        settles_ns: 40 * MS,
        fill: |script, at, i| {
            let said = [says(400, 1), hears(200, 1), says(64 << 10, 1), hears(150, 5)];
            script.session(at, (INSIDE, 32_768 + (i % 28_000) as u16), OUTSIDE, 8 * MS, &said);
        },
    },
];
