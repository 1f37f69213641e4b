//! Everyday traffic around an attack.
//!
//! Owns its mix: web and mail sessions that are completed, names that are looked up, and now and then somebody who is not there. No part of
//! it is worth an alert.

use super::script::{MS, Outcome, SEC, Said, Script, host};
use crate::random::Random;
use std::net::Ipv4Addr;

/// Sessions a second, and in all.
const SESSIONS_PER_SEC: u64 = 200;
const SESSIONS_MAX: u64 = 5_000;
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);

/// Adds the traffic of 300 clients with 80 servers from the start to `end_ns` after it.
pub fn busy_traffic(script: &mut Script, end_ns: u64) {
    let sessions = (end_ns * SESSIONS_PER_SEC / SEC).clamp(1, SESSIONS_MAX);
    let mut random = Random::new(42);
    for number in 0..sessions {
        let at = end_ns / sessions * number + random.below(end_ns / sessions);
        let client = host([10, 20, 0, 1], random.below(300) as u32);
        let server = host([93, 184, 216, 1], random.below(80) as u32);
        let client_port = 32_768 + (number % 28_000) as u16;
        let asked = (client, 1_024 + (number * 7 % 30_000) as u16);
        script.datagram(at, asked, (RESOLVER, 53), 32);
        script.datagram(at + MS, (RESOLVER, 53), asked, 120);
        let at = at + 2 * MS;
        if random.below(60) == 0 {
            script.connect(at, (client, client_port), (server, 443), 20 * MS, Outcome::Silent);
            continue;
        }
        let port = [443, 443, 443, 80, 993, 8_080][random.below(6) as usize];
        let rtt = (5 + random.below(60)) * MS;
        let said = [
            Said { by_server: false, bytes: 300 + random.below(900) as u32, after_ns: MS },
            Said { by_server: true, bytes: 400 + random.below(9_000) as u32, after_ns: 5 * MS },
        ];
        script.session(at, (client, client_port), (server, port), rtt, &said);
    }
}
