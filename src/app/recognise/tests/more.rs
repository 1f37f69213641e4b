//! More openings, of protocols of industry, of file servers and of peers.
//!
//! Owns the openings; what is asked of them stands in the module above.

use super::{AppProtocol as P, Sample, sample};

fn stream(protocol: P, client: &[u8], server: &[u8], told: [&'static str; 3]) -> Sample {
    sample(protocol, false, client, server, told)
}

fn datagram(protocol: P, client: &[u8], told: [&'static str; 3]) -> Sample {
    sample(protocol, true, client, b"", told)
}

/// Bytes as they were captured.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn bitcoin(has_checksum: bool) -> Vec<u8> {
    let (checksum, name) =
        if has_checksum { (&[1, 2, 3, 0xff][..], &b"\x10/Satoshi:25.0.0/"[..]) } else { (&[][..], &b"\0"[..]) };
    let body = [&[0x7d, 1, 0, 0][..], &[7; 76], name, &[0; 5]].concat();
    [&b"\xf9\xbe\xb4\xd9version\0\0\0\0\0"[..], &[body.len() as u8, 0, 0, 0], checksum, &body].concat()
}

fn rtmp() -> Vec<u8> {
    let chunk = b"\x03\0\0\0\0\0\xc4\x14\0\0\0\0\x02\0\x07connect\0?\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x06secret";
    [&[3][..], &[7; 3072], &chunk[..]].concat()
}

/// A call to the port mapper, and one to a program of NFS.
fn rpc(program: &str) -> Vec<u8> {
    bytes(&format!("38434f69 00000000 00000002 {program} 00000003 00000003 00000000 00000000 00000000 00000000"))
}

fn marked(call: &[u8]) -> Vec<u8> {
    [&[0x80, 0, 0, call.len() as u8], call].concat()
}

const PORTMAP: &str = "000186a0";
const NFS: &str = "000186a3";
const ASK_ENIP: &str = "6300 0000 00000000 00000000 0000000000000000 00000000";
const GNUTELLA: &str = "f7483102b05f56722c92b7b9fa24a83a 44 01 00 08000000 0147544b47000028";

pub(super) fn streams() -> Vec<Sample> {
    let xmpp =
        b"<?xml version='1.0'?>\n<stream:stream xmlns:stream='http://etherx.jabber.org/streams' from='secret@example.com' \
        to=\"example.com\" xmlns='jabber:client' version='1.0'>";
    let rtsp = b"DESCRIBE rtsp://secret@192.0.2.1/cam RTSP/1.0\r\nCSeq: 2\r\nUser-Agent: VLC/3.0\r\n\r\n";
    let gnutella = b"GNUTELLA CONNECT/0.6\r\nUser-Agent: gtk-gnutella/1.2\r\n\r\n";
    let register = bytes("6500 0400 00000000 00000000 0102030405060708 00000000 0100 0000");
    let unit_data = bytes("7000 ba00 00010211 00000000 0000000000000000 00000000 00000000 0100 0200");
    let setup = bytes("03000016 11e00000000100 c0010a c1020100 c2020102 03000019 02f080 32010000040000080000f0000001000101e0");
    let setup_plus = bytes("0300000b 06e00000000100 03000010 02f080 720100 0000");
    let bind = bytes("05000b03 10000000 a000 0000 02000000 d016d016 00000000 03000000");
    let forward = b"\x12\x34\x03\x36\x02\x04\0\x08HTTP/1.1\0\0\x06secret";
    let tacacs = |number| bytes(&format!("c001{number}00 8ffd55a9 00000017 75eb533c"));
    vec![
        stream(P::Ajp, forward, b"", ["1.3", "", ""]),
        stream(P::Ajp, &bytes("123400010a"), &bytes("4142000109"), ["1.3", "", ""]),
        stream(P::Ajp, b"", &bytes("4142000109"), ["1.3", "", ""]),
        stream(P::Bitcoin, &bitcoin(true), b"", ["", "/Satoshi:25.0.0/", ""]),
        stream(P::Bitcoin, &bitcoin(false), b"", ["", "", ""]),
        stream(P::Bitcoin, b"", &bytes("f9beb4d9 76657261636b000000000000 00000000"), ["", "", ""]),
        stream(P::DceRpc, &bind, b"", ["5.0", "", ""]),
        stream(P::EtherNetIp, &register, b"", ["", "", ""]),
        stream(P::EtherNetIp, &unit_data, b"", ["", "", ""]),
        stream(P::EtherNetIp, &bytes(ASK_ENIP), b"", ["", "", ""]),
        stream(P::Gnutella, gnutella, b"", ["0.6", "gtk-gnutella/1.2", ""]),
        stream(P::Iec104, &bytes("680407000000"), &bytes("68040b000000"), ["", "", ""]),
        stream(P::Iec104, &bytes("680e00000000 01010f01000100000000"), b"", ["", "", ""]),
        stream(P::Irc, b"CAP LS 302\r\nNICK secret\r\n", b"", ["", "", ""]),
        stream(P::Irc, b"PASS secret\r\nNICK secret\r\nUSER secret 0 * :Secret\r\n", b"", ["", "", ""]),
        stream(P::Irc, b"USER foo\nNICK foo\n", b"", ["", "", ""]),
        stream(P::Irc, b"", b":irc.example.com NOTICE AUTH :*** Looking up your hostname\r\n", ["", "", ""]),
        stream(P::Irc, b"NICK secret\r\n", b":irc.example.com 433 * secret :in use\r\n", ["", "", ""]),
        stream(P::Nfs, &marked(&rpc(NFS)), b"", ["3", "", "nfs"]),
        stream(P::Rpc, &marked(&rpc(PORTMAP)), b"", ["3", "", "portmap"]),
        stream(P::Rsync, b"@RSYNCD: 31.0\nbackup\n", b"@RSYNCD: 31.0 sha512 md5\n", ["31.0", "", "backup"]),
        stream(P::Rtmp, &rtmp(), &[3], ["3", "", ""]),
        stream(P::Rtsp, rtsp, b"RTSP/1.0 200 OK\r\n", ["1.0", "VLC/3.0", ""]),
        stream(P::Rtsp, b"", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Cam/2\r\n\r\n", ["1.0", "Cam/2", ""]),
        stream(P::S7Comm, &setup, b"", ["", "", ""]),
        stream(P::S7Comm, &setup_plus, b"", ["", "", ""]),
        stream(P::S7Comm, &setup[22..], b"", ["", "", ""]),
        stream(P::Tacacs, &tacacs("01"), &tacacs("02"), ["", "", ""]),
        stream(P::X11, &bytes("6c00 0b00 0000 1200 1000 0000"), &[1, 0], ["11.0", "", ""]),
        stream(P::X11, &bytes("4200 000b 0000 0000 0000 0000"), b"", ["11.0", "", ""]),
        stream(P::Xmpp, xmpp, b"", ["1.0", "", "example.com"]),
        stream(P::Xmpp, b"<stream:stream to='a' xmlns='jabber:server'>", b"", ["", "", "a"]),
        stream(P::Zabbix, b"ZBXD\x01\x10\0\0\0\0\0\0\0{\"request\":\"x\"}", b"", ["", "", ""]),
        stream(P::Zabbix, b"agent.ping\n", b"ZBXD\x01\x01\0\0\0\0\0\0\x001", ["", "", ""]),
    ]
}

pub(super) fn datagrams() -> Vec<Sample> {
    let flow_record = [&bytes("0005 0001 0000ea60 6553f100 00000000 00000001 00000000")[..], &[7; 48]].concat();
    let names = [&[32][..], &b"FDEBENECEB".repeat(4)[..32], &[0, 32], &[b'C'; 32], &[0]].concat();
    let netbios = [&bytes("110e8001 0a00020f 008a 00bb 0000")[..], &names, &[7; 119]].concat();
    let hello = b"<?xml version=\"1.0\"?><soap:Envelope xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">";
    vec![
        datagram(P::BacNet, &bytes("810a0011 01000005010c0c00000001194d"), ["1", "", ""]),
        datagram(P::BacNet, &bytes("8104000b c0000201bac0 01"), ["1", "", ""]),
        datagram(P::BacNet, &bytes("81050006 003c"), ["", "", ""]),
        datagram(P::BitTorrent, b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n\r\n", ["", "", ""]),
        datagram(P::EtherNetIp, &bytes(ASK_ENIP), ["", "", ""]),
        datagram(P::Gnutella, &bytes(GNUTELLA), ["", "", ""]),
        datagram(P::NetBiosDatagram, &netbios, ["", "", ""]),
        datagram(P::NetFlow, &flow_record, ["5", "", ""]),
        datagram(P::NetFlow, &bytes("0009 0001 00000001 00000002 00000003 00000004 0000 0008 01000001"), ["9", "", ""]),
        datagram(P::NetFlow, &bytes("000a 001a 00000001 00000002 00000003 0100 000a 010203040506"), ["10", "", ""]),
        datagram(P::Nfs, &rpc("000186a5"), ["3", "", "mount"]),
        datagram(P::Rpc, &rpc(PORTMAP), ["3", "", "portmap"]),
        datagram(P::WsDiscovery, hello, ["", "", ""]),
    ]
}

pub(super) fn weak_datagrams() -> Vec<Sample> {
    vec![
        datagram(P::Capwap, &bytes("01000000 15feff0001000000000001003091"), ["", "", ""]),
        datagram(P::Capwap, &bytes("0010020000000000 06580a20690e"), ["", "", ""]),
        datagram(P::NatPmp, &[0, 0], ["0", "", ""]),
        datagram(P::NatPmp, &[&[2, 1, 0, 0][..], &[7; 56]].concat(), ["2", "", ""]),
    ]
}
