//! The uplink of an office: what a page has to show when somebody looks at it for the first time.
//!
//! Owns the mix: transfers whose rates wander, short sessions, names that are looked up, a scan that is over and a flood that goes on at the
//! end. Packets are cut behind their first bytes of payload, so that a reader finds names in them, and long transfers come as segments that a card has joined. Knows no page and no detector.

use super::messages::{client_hello, dns_answer, dns_query, http_get, http_ok, postgresql_startup, server_hello};
use super::script::{End, MS, Outcome, SEC, Said, Script, host, mac};
use crate::frame::{ACK, FIN};
use crate::random::Random;
use std::net::Ipv4Addr;

/// Bytes kept of each packet.
const SNAPLEN: usize = 224;
/// Data of a segment that a card has joined.
const JOINED: u16 = 43_440;
/// Between two looks at how a rate wanders.
const STEP_NS: u64 = SEC;
/// Short sessions a second.
const SESSIONS_PER_SEC: u64 = 14;
const WEB: [u8; 4] = [10, 2, 1, 80];
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 53);
const SCANNER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 23);

/// A kind of transfer that goes on for long: who it is from and to, on which port, and how fast.
struct Bulk {
    client: [u8; 4],
    server: [u8; 4],
    port: u16,
    /// The server's name.
    name: &'static str,
    /// Mean rate in Mbit/s.
    mbps: u64,
    /// The client sends.
    is_upload: bool,
    /// How long one takes, and how long the next one waits, in s.
    lasts: u64,
    waits: u64,
}

const BULKS: &[Bulk] = &[
    Bulk {
        client: [10, 2, 0, 9],
        server: [203, 0, 113, 80],
        port: 443,
        name: "backup.example.net",
        mbps: 34,
        is_upload: true,
        lasts: 900,
        waits: 200,
    },
    Bulk {
        client: [10, 2, 8, 30],
        server: [198, 51, 100, 7],
        port: 443,
        name: "video.example.com",
        mbps: 28,
        is_upload: false,
        lasts: 240,
        waits: 60,
    },
    Bulk {
        client: [10, 2, 8, 31],
        server: [203, 0, 113, 12],
        port: 443,
        name: "meet.example.com",
        mbps: 17,
        is_upload: false,
        lasts: 500,
        waits: 90,
    },
    Bulk {
        client: [10, 2, 7, 44],
        server: [198, 51, 100, 9],
        port: 22,
        name: "",
        mbps: 6,
        is_upload: false,
        lasts: 700,
        waits: 40,
    },
    Bulk {
        client: [192, 0, 2, 15],
        server: WEB,
        port: 443,
        name: "www.example.org",
        mbps: 22,
        is_upload: false,
        lasts: 130,
        waits: 20,
    },
    Bulk {
        client: [192, 0, 2, 77],
        server: WEB,
        port: 443,
        name: "www.example.org",
        mbps: 9,
        is_upload: false,
        lasts: 80,
        waits: 30,
    },
    Bulk {
        client: [10, 2, 4, 17],
        server: [203, 0, 113, 40],
        port: 5432,
        name: "",
        mbps: 8,
        is_upload: false,
        lasts: 3600,
        waits: 1,
    },
    Bulk {
        client: [10, 2, 7, 48],
        server: [198, 51, 100, 40],
        port: 873,
        name: "",
        mbps: 14,
        is_upload: true,
        lasts: 300,
        waits: 400,
    },
];

impl Bulk {
    /// What both sides say first.
    fn beginning(&self) -> [Vec<u8>; 2] {
        match self.port {
            22 => [b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()],
            873 => [b"@RSYNCD: 31.0\n".to_vec(), b"@RSYNCD: 31.0\n".to_vec()],
            5432 => [postgresql_startup("billing", "invoices"), vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0]],
            _ => [client_hello(self.name, &["h2"]), server_hello()],
        }
    }
}

/// Names of sites that are visited.
const SITES: &[&str] = &[
    "www.example.com",
    "cdn.example.net",
    "api.example.com",
    "login.example.org",
    "docs.example.org",
    "static.example.net",
    "img.example.com",
    "git.example.org",
    "news.example.net",
    "maps.example.com",
    "chat.example.org",
    "updates.example.net",
    "fonts.example.com",
    "shop.example.org",
];

/// Adds so many seconds of an office's uplink, with a scan two thirds through, and a flood of its web server in the last eighth.
pub fn office_uplink(script: &mut Script, seconds: u64) {
    script.cut_to(SNAPLEN);
    for (number, bulk) in (1..).zip(BULKS) {
        transfers(script, bulk, number, seconds);
    }
    sessions(script, seconds);
    scan(script, seconds * 2 / 3);
    flood(script, seconds - seconds / 8, seconds);
}

/// One transfer after the other.
fn transfers(script: &mut Script, bulk: &Bulk, number: u64, seconds: u64) {
    let mut random = Random::new(number);
    let mut begins = random.below(60);
    while begins < seconds {
        let ends = (begins + bulk.lasts * (60 + random.below(80)) / 100).min(seconds);
        let client = (Ipv4Addr::from(bulk.client), 33_000 + random.below(20_000) as u16);
        transfer(script, bulk, client, begins * SEC..ends * SEC, &mut random);
        begins = ends + bulk.waits * (50 + random.below(100)) / 100 + 1;
    }
}

/// Data in one direction whose rate wanders, and an acknowledgment of each segment.
fn transfer(script: &mut Script, bulk: &Bulk, client: End, time: std::ops::Range<u64>, random: &mut Random) {
    let server = (Ipv4Addr::from(bulk.server), bulk.port);
    let (from, to) = if bulk.is_upload { (client, server) } else { (server, client) };
    let rtt = (3 + random.below(40)) * MS;
    script.connect(time.start, client, server, rtt, Outcome::Unfinished);
    let [asks, answers] = bulk.beginning();
    let begun = (1001 + asks.len() as u32, 5001 + answers.len() as u32);
    script.tcp_data(time.start + rtt + MS / 2, client, server, 1001, 5001, &asks);
    script.tcp_data(time.start + rtt + MS, server, client, 5001, begun.0, &answers);
    let (mut sent, answered) = if bulk.is_upload { begun } else { (begun.1, begun.0) };
    let mut at = time.start + 2 * rtt;
    let (mut percent, mut looked) = (100_u64, at);
    while at < time.end {
        if at - looked >= STEP_NS {
            looked = at;
            percent = (percent * 9 + 40 + random.below(125)) / 10;
            percent = percent.clamp(35, 190);
        }
        script.joined_segment(at, from, to, sent, answered, JOINED);
        sent = sent.wrapping_add(JOINED.into());
        let wait = rtt / 2 + random.below(rtt / 8);
        script.tcp(at + wait, to, from, ACK, answered, sent);
        let mean = u64::from(JOINED) * 8 * 1000 * 100 / (bulk.mbps * percent.max(1));
        at += mean / 2 + random.below(mean);
    }
    let (client_next, server_next) = if bulk.is_upload { (sent, answered) } else { (answered, sent) };
    let fin = FIN | ACK;
    script.tcp(at + rtt, client, server, fin, client_next, server_next);
    script.tcp(at + 2 * rtt, server, client, fin, server_next, client_next.wrapping_add(1));
    script.tcp(at + 3 * rtt, client, server, ACK, client_next.wrapping_add(1), server_next.wrapping_add(1));
}

/// Names that are looked up, and short sessions with what they name.
fn sessions(script: &mut Script, seconds: u64) {
    let mut random = Random::new(7);
    for number in 0..seconds * SESSIONS_PER_SEC {
        let at = number * SEC / SESSIONS_PER_SEC + random.below(SEC / SESSIONS_PER_SEC);
        let client = host([10, 2, 8, 20], random.below(180) as u32);
        let asked = (client, 33_000 + (number * 7 % 30_000) as u16);
        let site = random.below(SITES.len() as u64) as usize;
        let name = SITES[site];
        let server = host([93, 184, 216, 1], (site * 5) as u32 + random.below(3) as u32);
        let hardware = (mac(client), mac(RESOLVER));
        script.datagram_with(at, asked, (RESOLVER, 53), &dns_query(number as u16, name), hardware);
        let answer = dns_answer(number as u16, name, (random.below(60) > 0).then_some(server));
        script.datagram_with(at + MS, (RESOLVER, 53), asked, &answer, (mac(RESOLVER), mac(client)));
        let port = [443, 443, 443, 443, 80, 993, 8_080][random.below(7) as usize];
        let rtt = (4 + random.below(70)) * MS;
        let said = [
            Said { by_server: false, bytes: 300 + random.below(900) as u32, after_ns: MS },
            Said { by_server: true, bytes: 400 + random.below(9_000) as u32, after_ns: 5 * MS },
        ];
        match port {
            443 => script.next_begins_with(client_hello(name, &["h2"]), server_hello()),
            993 => script.next_begins_with(client_hello("imap.example.org", &[]), server_hello()),
            _ => script.next_begins_with(http_get(name, "/index.html"), http_ok()),
        }
        script.session(at + 2 * MS, (client, 32_768 + (number % 28_000) as u16), (server, port), rtt, &said);
    }
}

/// Somebody tries the ports of three hosts.
fn scan(script: &mut Script, from_secs: u64) {
    let mut random = Random::new(11);
    for number in 0..612_u64 {
        let at = from_secs * SEC + number * 60 * MS;
        let outcome = if random.below(50) == 0 { Outcome::HalfOpen } else { Outcome::Refused };
        let victim = (host(WEB, (number % 3) as u32), 1 + (number / 3) as u16);
        script.connect(at, (SCANNER, 40_000 + (number % 20_000) as u16), victim, 2 * MS, outcome);
    }
}

/// SYNs of many sources to the web server.
fn flood(script: &mut Script, from_secs: u64, to_secs: u64) {
    const PER_SEC: u64 = 700;
    let mut random = Random::new(13);
    for number in 0..(to_secs - from_secs) * PER_SEC {
        let at = from_secs * SEC + number * SEC / PER_SEC + random.below(MS);
        let source = (host([11, 0, 0, 0], random.below(1 << 22) as u32), 1_024 + random.below(60_000) as u16);
        script.connect(at, source, (Ipv4Addr::from(WEB), 443), MS, Outcome::Silent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seconds_give_the_same_packets_in_any_case() {
        let made = || {
            let mut script = Script::default();
            office_uplink(&mut script, 64);
            script.timed_frames()
        };
        let packets = made();
        assert!(packets == made() && packets.is_sorted_by_key(|(time, _)| *time));
        assert!(packets.len() > 30_000 && packets.iter().all(|(_, frame)| frame.len() <= SNAPLEN));
    }
}
