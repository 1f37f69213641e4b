//! Which protocol a connection speaks, by the first bytes of both sides.
//!
//! Owns the list of recognisers. One file for each protocol; each tells no more than version, program and what is asked for. TLS, QUIC,
//! DNS, HTTP and SSH have parsers of their own.

mod ajp;
mod amqp;
mod asking;
mod bacnet;
mod bitcoin;
mod bittorrent;
mod capwap;
mod cassandra;
mod dce_rpc;
mod dnp3;
mod enip;
mod ftp;
mod git;
mod gnutella;
mod iec104;
mod ike;
mod imap;
mod irc;
mod kafka;
mod kerberos;
mod ldap;
mod look;
mod mark;
mod memcached;
mod modbus;
mod mongodb;
mod mqtt;
mod mysql;
mod nat_pmp;
mod nats;
mod netbios_dgm;
mod netflow;
mod nfs;
mod ntp;
mod openvpn;
mod pop3;
mod radius;
mod rdp;
mod redis;
mod rpc;
mod rsync;
mod rtcp;
mod rtmp;
mod rtp;
mod rtsp;
mod s7comm;
mod sip;
mod smb;
mod smtp;
mod snmp;
mod ssdp;
mod stun;
mod syslog;
mod tacacs;
mod telnet;
#[cfg(test)]
mod tests;
mod tftp;
mod vnc;
mod wireguard;
mod ws_discovery;
mod x11;
mod xmpp;
mod zabbix;

use super::parsed::Parsed;
use asking::{RecogniserAnswers, ask_datagram, ask_stream, is_asked_of_datagram};
use look::{Looked, parsed};
pub use mark::{AppMark, AppProtocol, AppVersion, MARK_TEXT_MAX};

/// Bytes of each side that are looked at.
pub const RECOGNISE_MAX: usize = 4096;

/// Reads the first bytes of client and server.
type Looking = for<'a> fn(&'a [u8], &'a [u8]) -> Looked<'a>;

/// One protocol's means to be recognised.
struct Recogniser {
    protocol: AppProtocol,
    /// The ports that servers have as a rule.
    ports: &'static [u16],
    /// True where the bytes say too little without the port.
    is_weak: bool,
    read: Looking,
}

const fn row(protocol: AppProtocol, ports: &'static [u16], is_weak: bool, read: Looking) -> Recogniser {
    Recogniser { protocol, ports, is_weak, read }
}

/// Over streams.
const STREAMS: &[Recogniser] = &[
    row(AppProtocol::Ajp, &[8009], false, ajp::read),
    row(AppProtocol::Amqp, &[5672], false, amqp::read),
    row(AppProtocol::Bitcoin, &[8333], false, bitcoin::read),
    row(AppProtocol::BitTorrent, &[6881], false, bittorrent::read_stream),
    row(AppProtocol::Cassandra, &[9042], false, cassandra::read),
    row(AppProtocol::DceRpc, &[135], false, dce_rpc::read),
    row(AppProtocol::Dnp3, &[20_000], false, dnp3::read_stream),
    row(AppProtocol::EtherNetIp, &[44_818], false, enip::read_stream),
    row(AppProtocol::Ftp, &[21], false, ftp::read),
    row(AppProtocol::Git, &[9418], false, git::read),
    row(AppProtocol::Gnutella, &[6346, 6347], false, gnutella::read_stream),
    row(AppProtocol::Iec104, &[2404], false, iec104::read),
    row(AppProtocol::Imap, &[143], false, imap::read),
    row(AppProtocol::Irc, &[6667], false, irc::read),
    row(AppProtocol::Kafka, &[9092], false, kafka::read),
    row(AppProtocol::Kerberos, &[88], false, kerberos::read_stream),
    row(AppProtocol::Ldap, &[389, 3268], false, ldap::read_stream),
    row(AppProtocol::Memcached, &[11_211], false, memcached::read),
    row(AppProtocol::Modbus, &[502], true, modbus::read),
    row(AppProtocol::MongoDb, &[27_017], false, mongodb::read),
    row(AppProtocol::Mqtt, &[1883], false, mqtt::read),
    row(AppProtocol::MySql, &[3306], false, mysql::read),
    row(AppProtocol::Nats, &[4222], false, nats::read),
    row(AppProtocol::Nfs, &[2049], false, nfs::read_stream),
    row(AppProtocol::OpenVpn, &[1194], true, openvpn::read_stream),
    row(AppProtocol::Pop3, &[110], false, pop3::read),
    row(AppProtocol::Rdp, &[3389], false, rdp::read),
    row(AppProtocol::Redis, &[6379], false, redis::read),
    row(AppProtocol::Rpc, &[111], false, rpc::read_stream),
    row(AppProtocol::Rsync, &[873], false, rsync::read),
    row(AppProtocol::Rtmp, &[1935], false, rtmp::read),
    row(AppProtocol::Rtsp, &[554, 8554], false, rtsp::read),
    row(AppProtocol::S7Comm, &[102], false, s7comm::read),
    row(AppProtocol::Sip, &[5060], false, sip::read_stream),
    row(AppProtocol::Smb, &[445, 139], false, smb::read),
    row(AppProtocol::Smtp, &[25, 587], false, smtp::read),
    row(AppProtocol::Stun, &[3478], false, stun::read_stream),
    row(AppProtocol::Syslog, &[514, 601], true, syslog::read_stream),
    row(AppProtocol::Tacacs, &[49], false, tacacs::read),
    row(AppProtocol::Telnet, &[23], true, telnet::read),
    row(AppProtocol::Vnc, &[5900], false, vnc::read),
    row(AppProtocol::X11, &[6000], false, x11::read),
    row(AppProtocol::Xmpp, &[5222, 5269], false, xmpp::read),
    row(AppProtocol::Zabbix, &[10_050, 10_051], false, zabbix::read),
];

/// Over datagrams.
const DATAGRAMS: &[Recogniser] = &[
    row(AppProtocol::BacNet, &[47_808], false, bacnet::read),
    row(AppProtocol::BitTorrent, &[6881], false, bittorrent::read),
    row(AppProtocol::Capwap, &[5246, 5247], true, capwap::read),
    row(AppProtocol::Dnp3, &[20_000], false, dnp3::read),
    row(AppProtocol::EtherNetIp, &[44_818], false, enip::read),
    row(AppProtocol::Gnutella, &[6346, 6347], false, gnutella::read),
    row(AppProtocol::Ike, &[500, 4500], false, ike::read),
    row(AppProtocol::Kerberos, &[88], false, kerberos::read),
    row(AppProtocol::Ldap, &[389], false, ldap::read),
    row(AppProtocol::NatPmp, &[5350, 5351], true, nat_pmp::read),
    row(AppProtocol::NetBiosDatagram, &[138], false, netbios_dgm::read),
    row(AppProtocol::NetFlow, &[2055, 4739, 9995], false, netflow::read),
    row(AppProtocol::Nfs, &[2049], false, nfs::read),
    row(AppProtocol::Ntp, &[123], true, ntp::read),
    row(AppProtocol::OpenVpn, &[1194], false, openvpn::read),
    row(AppProtocol::Radius, &[1645, 1646, 1812, 1813, 3799], true, radius::read),
    row(AppProtocol::Rpc, &[111], false, rpc::read),
    row(AppProtocol::Rtcp, &[], false, rtcp::read),
    row(AppProtocol::Rtp, &[], true, rtp::read),
    row(AppProtocol::Sip, &[5060], false, sip::read),
    row(AppProtocol::Snmp, &[161, 162], false, snmp::read),
    row(AppProtocol::Ssdp, &[1900], false, ssdp::read),
    row(AppProtocol::Stun, &[3478], false, stun::read),
    row(AppProtocol::Syslog, &[514], true, syslog::read),
    row(AppProtocol::Tftp, &[69], false, tftp::read),
    row(AppProtocol::WireGuard, &[51_820], false, wireguard::read),
    row(AppProtocol::WsDiscovery, &[3702], false, ws_discovery::read),
];

/// The first mark, or whether one may come.
fn first<'a>(asking: RecogniserAnswers<impl Iterator<Item = Looked<'a>>>, client: &[u8], server: &[u8]) -> Parsed<AppMark<'a>> {
    let is_full = client.len() >= RECOGNISE_MAX && server.len() >= RECOGNISE_MAX;
    let need = client.len() + server.len() + 1;
    let mut answer = if asking.others_wait { Parsed::More { need } } else { Parsed::No };
    for one in asking.looked {
        match parsed(one, client, server) {
            Parsed::Done(mark) => return Parsed::Done(mark),
            more @ Parsed::More { .. } if !is_full => answer = more,
            Parsed::More { .. } | Parsed::No => {}
        }
    }
    answer
}

/// Of the bytes that both sides of a stream have sent so far, either of which may be empty. `need` of [`Parsed::More`] counts both
/// sides together. `port` is the server's. A protocol that waits for the other side to tell its version is told without it, as one that
/// may grow.
pub fn recognise_stream<'a>(client: &'a [u8], server: &'a [u8], port: u16) -> Parsed<AppMark<'a>> {
    first(ask_stream(client, server, port), client, server)
}

/// Whether a first datagram may be recognised, by its first byte and the ports of receiver and sender.
pub fn may_be_datagram(payload: &[u8], ports: [u16; 2]) -> bool {
    payload.first().is_some_and(|&byte| ports.iter().any(|&port| is_asked_of_datagram(byte, port)))
}

/// Of the first datagram of each side, either of which may be empty. [`Parsed::More`] asks for the other one. `port` is the server's.
pub fn recognise_datagram<'a>(client: &'a [u8], server: &'a [u8], port: u16) -> Parsed<AppMark<'a>> {
    first(ask_datagram(client, server, port), client, server)
}
