//! What looks like an attack and is none.
//!
//! Owns the list. Each has a size: the one that is asked for, and a smaller one for tests that still tells.

use super::attacks::{GATEWAY, INSIDE, VICTIM};
use super::script::{End, MS, Outcome, SEC, Said, Script, Seen, host, mac};
use crate::frame::{ACK, PSH, RST, SYN};
use crate::random::Random;
use std::net::Ipv4Addr;

/// Traffic of which nobody should be told.
pub struct LookAlike {
    /// Its name on the command line.
    pub name: &'static str,
    /// What the size counts.
    pub unit: &'static str,
    /// The size that is asked for.
    pub size: u32,
    /// A size for tests.
    pub test_size: u32,
    fill: fn(&mut Script, u32),
}

impl LookAlike {
    /// Look-alike of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        LOOK_ALIKES.iter().find(|one| one.name == name)
    }

    /// Its packets.
    pub fn script(&self, size: u32) -> Script {
        let mut script = Script::default();
        (self.fill)(&mut script, size);
        script
    }
}

const fn look_alike(name: &'static str, size: (u32, &'static str), test_size: u32, fill: fn(&mut Script, u32)) -> LookAlike {
    LookAlike { name, size: size.0, unit: size.1, test_size, fill }
}

/// All of them.
pub const LOOK_ALIKES: &[LookAlike] = &[
    look_alike("resolver", (10_000, "clients"), 3_000, resolver),
    look_alike("web-server", (50_000, "connections a second"), 3_000, web_server),
    look_alike("crawler", (500, "hosts"), 500, crawler),
    look_alike("nat-gateway", (200, "users"), 200, nat_gateway),
    look_alike("health-checks", (1_000, "targets"), 1_000, health_checks),
    look_alike("bittorrent", (2_000, "peers"), 400, bittorrent),
    look_alike("backup", (500, "MB"), 50, backup),
    look_alike("backscatter", (20_000, "hosts"), 4_000, backscatter),
    look_alike("link-up", (2_000, "clients"), 1_000, link_up),
    look_alike("asymmetric-clients", (2_000, "connections"), 2_000, |script, size| asymmetric(script, size, Seen::ClientsOnly)),
    look_alike("asymmetric-servers", (2_000, "connections"), 2_000, |script, size| asymmetric(script, size, Seen::ServersOnly)),
    look_alike("began-before", (1_000, "connections"), 300, began_before),
    look_alike("page-at-once", (60, "hosts"), 60, page_at_once),
    look_alike("slow-clients-at-once", (5_000, "clients"), 1_000, slow_clients_at_once),
    look_alike("remote-clients", (4_000, "connections"), 4_000, remote_clients),
    look_alike("late-replies", (5_000, "clients"), 500, late_replies),
    look_alike("automation-over-ssh", (300, "sessions"), 300, automation),
    look_alike("video-stream", (20_000, "datagrams"), 5_000, video_stream),
    look_alike("time-servers", (1_000, "clients"), 300, time_servers),
    look_alike("dhcp-morning", (250, "clients"), 40, dhcp_morning),
    look_alike("gateway-failover", (20, "announcements"), 5, gateway_failover),
];

/// A server inside that is asked from everywhere.
const SERVER: End = (VICTIM, 443);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);
/// A request and an answer of 3 KB.
const PAGE: &[Said] =
    &[Said { by_server: false, bytes: 400, after_ns: MS }, Said { by_server: true, bytes: 3_000, after_ns: 4 * MS }];

const fn client_port(number: u32) -> u16 {
    32_768 + (number % 28_000) as u16
}

/// Each client asks three times in ten seconds; the resolver asks 400 servers, of which some do not answer, from random ports. Some clients have gone when the
/// answer comes.
fn resolver(script: &mut Script, clients: u32) {
    let mut random = Random::new(1);
    for i in 0..clients * 3 {
        let at = random.below(10 * SEC);
        let client = (host([10, 1, 0, 0], i % clients), 30_000 + (i / clients * 1_000 + i % 1_000) as u16);
        script.datagram(at, client, (RESOLVER, 53), 35);
        let recursion = (RESOLVER, 1_024 + random.below(60_000) as u16);
        let authority = (host([198, 41, 0, 4], random.below(400) as u32 * 131), 53);
        if i % 2 == 0 {
            script.datagram(at + MS / 2, recursion, authority, 40);
            if random.below(25) != 0 {
                script.datagram(at + 30 * MS, authority, recursion, 180);
            }
        }
        script.datagram(at + 31 * MS, (RESOLVER, 53), client, 160);
        if random.below(12) == 0 {
            script.unreachable(at + 32 * MS, (RESOLVER, 53), client);
        }
    }
}

/// Three seconds of connections from very many clients; one in 200 gives up.
fn web_server(script: &mut Script, per_second: u32) {
    let mut random = Random::new(2);
    for i in 0..per_second * 3 {
        let at = u64::from(i) * SEC / u64::from(per_second.max(1));
        let client = (host([81, 0, 0, 0], random.below(1 << 22) as u32), client_port(i));
        let outcome = if random.below(200) == 0 { Outcome::Unfinished } else { Outcome::Completed };
        script.connect(at, client, SERVER, (5 + random.below(120)) * MS, outcome);
    }
}

/// Three pages of each host in a minute; a tenth of the hosts is dead, and a few refuse.
fn crawler(script: &mut Script, hosts: u32) {
    let mut random = Random::new(3);
    for i in 0..hosts * 3 {
        let at = u64::from(i) * 60 * SEC / u64::from(hosts.max(1) * 3);
        let number = i % hosts;
        let server = (host([13, 0, 0, 0], number * 7_919), if number.is_multiple_of(5) { 80 } else { 443 });
        let client = (INSIDE, client_port(i));
        let rtt = (20 + random.below(200)) * MS;
        match number % 20 {
            3 | 13 => script.connect(at, client, server, rtt, Outcome::Silent),
            7 => script.connect(at, client, server, rtt, Outcome::Refused),
            _ => {
                script.session(at, client, server, rtt, PAGE);
            }
        }
    }
}

/// Twenty connections and as many datagrams of each user in ten seconds, from one address; one in 25 fails.
fn nat_gateway(script: &mut Script, users: u32) {
    let mut random = Random::new(4);
    for i in 0..users * 20 {
        let at = random.below(10 * SEC);
        let client = (INSIDE, 1_024 + (i % 64_000) as u16);
        let port = [443, 443, 443, 80, 993, 5_222, 853, 8_443, 25_565, 3_478][random.below(10) as usize];
        let server = (host([34, 0, 0, 0], random.below(3_000) as u32 * 997), port);
        let rtt = (10 + random.below(250)) * MS;
        match random.below(50) {
            0 => script.connect(at, client, server, rtt, Outcome::Silent),
            1 => script.connect(at, client, server, rtt, Outcome::Refused),
            _ => {
                script.session(at, client, server, rtt, PAGE);
            }
        }
        let peer = (host([35, 0, 0, 0], random.below(500) as u32 * 997), 3_478);
        script.datagram(at, client, peer, 100);
        script.datagram(at + rtt, peer, client, 100);
    }
}

/// Each target is asked by a connection that is reset, and by an echo request, twice in twenty seconds; one in fifty is down.
fn health_checks(script: &mut Script, targets: u32) {
    for i in 0..targets * 2 {
        let at = u64::from(i) * 20 * SEC / u64::from(targets.max(1) * 2);
        let target = i % targets;
        let address = host([10, 1, 0, 0], target);
        let is_down = target % 50 == 7;
        let outcome = if is_down { Outcome::Refused } else { Outcome::HalfOpen };
        script.connect(at, (INSIDE, client_port(i)), (address, 8_080), MS, outcome);
        script.echo_of(at, INSIDE, address, (target % 65_536) as u16, false, 32);
        if !is_down {
            script.echo_of(at + MS, address, INSIDE, (target % 65_536) as u16, true, 32);
        }
    }
}

/// Half of the peers are gone; each has a port of its own. Over TCP, and over UDP for the table of nodes.
fn bittorrent(script: &mut Script, peers: u32) {
    let mut random = Random::new(6);
    for i in 0..peers {
        let at = u64::from(i) * 50 * MS;
        let peer = (host([14, 0, 0, 0], i.wrapping_mul(99_991) & 0x00ff_ffff), 1_024 + (i.wrapping_mul(523) % 60_000) as u16);
        let outcome = if random.below(2) == 0 { Outcome::Completed } else { Outcome::Silent };
        script.connect(at, (INSIDE, client_port(i)), peer, 80 * MS, outcome);
        let node = (host([15, 0, 0, 0], i.wrapping_mul(7_919) & 0x00ff_ffff), peer.1);
        script.datagram(at, (INSIDE, 6_881), node, 100);
        match random.below(3) {
            0 => {}
            1 => script.unreachable(at + 60 * MS, (INSIDE, 6_881), node),
            _ => script.datagram(at + 60 * MS, node, (INSIDE, 6_881), 280),
        }
    }
}

/// To a server inside, in four connections at once, as fast as the link lets it.
fn backup(script: &mut Script, megabytes: u32) {
    for i in 0..4_u32 {
        let said = vec![Said { by_server: false, bytes: 1 << 20, after_ns: MS }; (megabytes / 4).max(1) as usize];
        script.session(u64::from(i) * 20 * MS, (INSIDE, client_port(i)), (Ipv4Addr::new(10, 0, 9, 9), 873), MS, &said);
    }
}

/// What comes back from somebody who is flooded with forged addresses of ours.
fn backscatter(script: &mut Script, hosts: u32) {
    for i in 0..hosts {
        let at = u64::from(i) * MS / 2;
        let ours = (host([10, 40, 0, 0], i.wrapping_mul(613) & 0xffff), 1_024 + (i % 60_000) as u16);
        let flooded = (Ipv4Addr::new(198, 51, 100, 20), 80);
        match i % 4 {
            0 | 1 => script.tcp(at, flooded, ours, SYN | ACK, 1, 1),
            2 => script.tcp(at, flooded, ours, RST | ACK, 0, 1),
            _ => script.unreachable(at, ours, (flooded.0, 53)),
        }
    }
}

/// Silence for half a minute, then all clients connect again at once. The server is slow; some first SYNs are lost and come again after a second; some
/// old connections go on and are reset.
fn link_up(script: &mut Script, clients: u32) {
    let mut random = Random::new(9);
    for i in 0..clients {
        let before = random.below(10 * SEC);
        let client = (host([10, 60, 0, 0], i), client_port(i));
        script.session(before, client, SERVER, 20 * MS, PAGE);
        let at = 40 * SEC + random.below(400 * MS);
        let again = (client.0, client.1 + 1_000);
        let rtt = (50 + random.below(450)) * MS;
        match i % 10 {
            0 => {
                script.tcp(at, again, SERVER, SYN, 1_000, 0);
                script.session(at + SEC, again, SERVER, rtt / 4, PAGE);
            }
            1 => {
                script.tcp(at, (again.0, 40_000), SERVER, ACK | PSH, 77, 99);
                script.tcp(at + rtt / 4, SERVER, (again.0, 40_000), RST, 99, 0);
                script.session(at + rtt / 4, again, SERVER, rtt, PAGE);
            }
            _ => {
                script.session(at, again, SERVER, rtt, PAGE);
            }
        }
        // Each asks for names and for the time as well.
        let asks = (client.0, 20_000 + (i % 1_000) as u16);
        for port in [53, 123] {
            script.datagram(at, asks, (RESOLVER, port), 40);
            script.datagram(at + 60 * MS, (RESOLVER, port), asks, 90);
        }
    }
}

/// Connections to 300 servers, and to one server from 300 clients, of which one direction takes another way.
fn asymmetric(script: &mut Script, connections: u32, seen: Seen) {
    script.see(seen);
    for i in 0..connections {
        let at = u64::from(i) * 4 * MS;
        script.session(at, (INSIDE, client_port(i)), (host([13, 0, 0, 0], i % 300), 443), 40 * MS, PAGE);
        script.session(at, (host([81, 0, 0, 0], i % 300), client_port(i / 300 + 1_000)), SERVER, 40 * MS, PAGE);
    }
}

/// Connections that began before the capture did.
fn began_before(script: &mut Script, connections: u32) {
    for i in 0..connections {
        let (at, client, server) = (u64::from(i) * MS, (INSIDE, client_port(i)), (host([13, 0, 0, 0], i), 443));
        script.tcp(at, client, server, ACK | PSH, 1, 1);
        script.tcp(at + MS, server, client, ACK, 1, 2);
    }
}

/// A page with parts of many hosts, asked for at the end of a second, over a slow path; one in six refuses.
fn page_at_once(script: &mut Script, hosts: u32) {
    for i in 0..hosts {
        let outcome = if i.is_multiple_of(6) { Outcome::Refused } else { Outcome::Completed };
        script.connect(690 * MS, (INSIDE, client_port(i)), (host([13, 0, 0, 0], i * 77), 443), 300 * MS, outcome);
    }
    script.connect(5 * SEC, (INSIDE, 60_000), (host([13, 0, 0, 0], 1), 443), 300 * MS, Outcome::Completed);
}

/// Very many clients at the same moment, over a slow path.
fn slow_clients_at_once(script: &mut Script, clients: u32) {
    for i in 0..clients {
        script.connect(650 * MS, (host([172, 16, 0, 0], i), 4_000), SERVER, 400 * MS, Outcome::Completed);
    }
    script.connect(5 * SEC, (INSIDE, 60_000), SERVER, 400 * MS, Outcome::Completed);
}

/// A thousand connections a second over a path of 150 ms.
fn remote_clients(script: &mut Script, connections: u32) {
    for i in 0..connections {
        let client = (host([172, 16, 0, 0], i % 500), 20_000 + (i / 500) as u16);
        script.connect(u64::from(i) * MS, client, SERVER, 150 * MS, Outcome::Completed);
    }
}

/// Replies whose questions were not seen.
fn late_replies(script: &mut Script, clients: u32) {
    for i in 0..clients {
        let client = (host([10, 70, 0, 0], i), 30_000);
        script.udp(u64::from(i) * MS, (RESOLVER, 53), client);
        script.unreachable(u64::from(i) * MS + MS, (RESOLVER, 53), client);
        script.tcp(u64::from(i) * MS, SERVER, client, SYN | ACK, 1, 1);
        script.tcp(u64::from(i) * MS, (VICTIM, 80), client, RST | ACK, 1, 1);
    }
}

/// A machine that runs commands on servers by SSH: many short connections, all of which work.
fn automation(script: &mut Script, sessions: u32) {
    const SAID: &[Said] = &[
        Said { by_server: true, bytes: 41, after_ns: 4 * MS },
        Said { by_server: false, bytes: 1_440, after_ns: MS },
        Said { by_server: true, bytes: 1_540, after_ns: 3 * MS },
        Said { by_server: false, bytes: 640, after_ns: 5 * MS },
        Said { by_server: true, bytes: 500, after_ns: 20 * MS },
        Said { by_server: false, bytes: 2_300, after_ns: 5 * MS },
        Said { by_server: true, bytes: 21_000, after_ns: 700 * MS },
        Said { by_server: false, bytes: 160, after_ns: 5 * MS },
    ];
    for i in 0..sessions {
        script.session(u64::from(i) * 200 * MS, (INSIDE, client_port(i)), (host([10, 3, 0, 1], i % 40), 22), 2 * MS, SAID);
    }
}

/// A film over QUIC: one flow, 20 Mbit/s, acknowledged now and then.
fn video_stream(script: &mut Script, datagrams: u32) {
    let (client, server) = ((INSIDE, 51_000), (Ipv4Addr::new(142, 250, 1, 9), 443));
    script.datagram(0, client, server, 1_200);
    for i in 0..datagrams {
        let at = 20 * MS + u64::from(i) * 500_000;
        script.datagram(at, server, client, 1_250);
        if i.is_multiple_of(4) {
            script.datagram(at + 100_000, client, server, 40);
        }
    }
}

/// Clients of a time server: each asks every 64 s, for ten minutes, and is answered.
fn time_servers(script: &mut Script, clients: u32) {
    for i in 0..clients * 10 {
        let at = u64::from(i / clients) * 64 * SEC + u64::from(i % clients) * 60 * MS;
        let (client, server) = ((host([10, 80, 0, 0], i % clients), 123), (Ipv4Addr::new(162, 159, 200, 1), 123));
        script.datagram(at, client, server, 48);
        script.datagram(at + 15 * MS, server, client, 48);
    }
}

/// An office whose machines are switched on within a minute; one server offers.
fn dhcp_morning(script: &mut Script, clients: u32) {
    for i in 0..clients {
        let at = u64::from(i) * 60 * SEC / u64::from(clients.max(1));
        let client = mac(host([10, 0, 1, 0], i));
        super::attacks::dhcp_discover(script, at, client, i);
        super::attacks::dhcp_offer(script, at + 5 * MS, ((GATEWAY, 67), mac(GATEWAY)), client, i);
        script.arp(at + 20 * MS, 1, host([10, 0, 1, 0], i), GATEWAY);
        script.arp(at + 21 * MS, 2, GATEWAY, host([10, 0, 1, 0], i));
    }
}

/// A router takes over the address of another one: the hardware address of VRRP stays (RFC 9568).
fn gateway_failover(script: &mut Script, announcements: u32) {
    const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];
    for i in 0..announcements {
        let at = u64::from(i) * SEC;
        script.arp_from(at, 1, (VIRTUAL, GATEWAY), GATEWAY);
        script.arp_from(at + MS, 2, (VIRTUAL, GATEWAY), host([10, 0, 1, 0], i));
    }
}
