//! What the worst payload costs grows with the payload and not with its square: instructions of the real program, counted by valgrind, for
//! a shape of some size and for one twice as large.
//!
//! Owns the shapes. Instructions and not times: they are the same however busy the machine is.
#![cfg(target_os = "linux")]

mod common;

use common::{netscope, run, skip, temp_dir};
use netscope_perf::scenario::messages::{client_hello, dns_query};
use netscope_perf::scenario::{End, MS, Outcome, Script, host, mac};
use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac::{HMAC_SHA256, Key, sign};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// Twice the payload may cost so many times as much: twice, and a little for what grows in steps.
const RATIO_MAX: f64 = 2.5;
/// The widest limits that can be set, so that nothing ends early.
const LIMITS: &str = "[analysis]\ndpi_packets = 1000\ndpi_stream_bytes = 1048576\n";
/// Flows of each shape: what one flow costs is to be seen beside start and end of the program.
const FLOWS: u32 = 4;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const MICROSECOND: u64 = 1000;

fn client(number: u32) -> End {
    (host([10, 0, 1, 1], number), 40_000)
}

/// Instructions of reading what `fill` puts into each flow.
fn instructions(directory: &Path, name: &str, fill: impl Fn(&mut Script, End)) -> f64 {
    let of = |ending: &str| directory.join(format!("{name}.{ending}"));
    let mut script = Script::default();
    (0..FLOWS).for_each(|number| fill(&mut script, client(number)));
    script.write(&of("pcap"));
    fs::write(of("toml"), LIMITS).expect("the file is written");
    let mut counted = Command::new("valgrind");
    counted.args(["--tool=cachegrind", "--cache-sim=no"]).arg(format!("--cachegrind-out-file={}", of("counts").display()));
    counted.arg(netscope().get_program()).args(["--quiet", "--dpi", "--workers", "1", "--max-flows", "1000"]);
    counted.arg("--export-json").arg(of("json")).arg("--config").arg(of("toml")).arg("-r").arg(of("pcap"));
    run(&mut counted).expect_code(0);
    let flows = fs::read_to_string(of("json")).expect("the table is there");
    assert_eq!(flows.matches("\"endpoint_a\"").count(), FLOWS as usize, "{name}");
    let counts = fs::read_to_string(of("counts")).expect("valgrind has counted");
    let sum = counts.lines().find_map(|line| line.strip_prefix("summary:")).expect("a sum");
    sum.trim().parse().expect("a number")
}

/// `fill` puts so many pieces into a flow: with twice as many it costs about twice as much.
fn grows_with_its_size(count: usize, fill: impl Fn(&mut Script, End, usize)) {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return skip("valgrind is not installed");
    }
    let directory = temp_dir("worst-cases");
    let counted = |name: &str, count: usize| instructions(directory.path(), name, |script, client| fill(script, client, count));
    // Start and end of the program, and what is the same for each flow.
    let least = counted("least", 1);
    let (one, two) = (counted("one", count) - least, counted("two", 2 * count) - least);
    println!("{count} pieces: {:.1} M instructions, twice as many: {:.1} M, {:.2} times", one / 1e6, two / 1e6, two / one);
    assert!(one > 0.0 && two <= RATIO_MAX * one, "{:.2} times the instructions: {one} and {two}", two / one);
}

/// Segments of a connection to a port, each with its place in the stream of one side.
fn stream<'a>(script: &mut Script, client: End, port: u16, by_server: bool, pieces: impl Iterator<Item = (usize, &'a [u8])>) {
    let server = (SERVER, port);
    script.connect(0, client, server, MS, Outcome::Unfinished);
    for (number, (offset, piece)) in (0..).zip(pieces) {
        let at = 3 * MS + number * MICROSECOND;
        if by_server {
            script.tcp_data(at, server, client, 5001 + offset as u32, 1001, piece);
        } else {
            script.tcp_data(at, client, server, 1001 + offset as u32, 5001, piece);
        }
    }
}

/// The same in order, cut into pieces of so many bytes.
fn in_order(script: &mut Script, client: End, port: u16, by_server: bool, bytes: &[u8], len: usize) {
    stream(script, client, port, by_server, bytes.chunks(len).enumerate().map(|(number, piece)| (number * len, piece)));
}

#[test]
fn segments_of_one_byte_from_the_last_to_the_first() {
    grows_with_its_size(450, |script, client, count| {
        stream(script, client, 443, false, (0..count).rev().map(|at| (at, &b"x"[..])));
    });
}

#[test]
fn segments_that_overlap_behind_a_gap() {
    // Each repeats all of the one before but a byte.
    let piece = [b'y'; 1000];
    grows_with_its_size(450, |script, client, count| {
        stream(script, client, 443, false, (0..count).map(|number| (1 + number, &piece[..])));
    });
}

#[test]
fn segments_with_a_gap_behind_each() {
    grows_with_its_size(450, |script, client, count| {
        stream(script, client, 443, false, (0..count).map(|number| (1 + 2 * number * 500, &b"z"[..])));
    });
}

#[test]
fn heads_of_http_one_behind_the_other() {
    // Each head is nearly as long as one may be, and comes in small pieces.
    let head = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n", format!("x: {}\r\n", "y".repeat(150)).repeat(90));
    grows_with_its_size(5, |script, client, count| in_order(script, client, 80, false, head.repeat(count).as_bytes(), 200));
}

#[test]
fn a_head_of_http_with_very_many_lines() {
    grows_with_its_size(1000, |script, client, count| {
        let head = format!("GET / HTTP/1.1\r\n{}", "a:b\r\n".repeat(count));
        in_order(script, client, 80, false, head.as_bytes(), 20);
    });
}

#[test]
fn records_of_tls_of_one_byte() {
    grows_with_its_size(2000, |script, client, count| {
        let hello = client_hello("a".repeat(200), &[]);
        // The hello grows by an extension that nobody knows.
        let mut handshake = hello[5..].to_vec();
        let extensions_at = handshake.len() - extensions_len(&handshake) - 2;
        handshake.extend([0xfa, 0xfa, (count >> 8) as u8, count as u8]);
        handshake.resize(handshake.len() + count, 0);
        let len = handshake.len() - 4;
        handshake[1..4].copy_from_slice(&(len as u32).to_be_bytes()[1..]);
        let extensions = (handshake.len() - extensions_at - 2) as u16;
        handshake[extensions_at..extensions_at + 2].copy_from_slice(&extensions.to_be_bytes());
        let records: Vec<u8> = handshake.iter().flat_map(|&byte| [22, 3, 1, 0, 1, byte]).collect();
        in_order(script, client, 443, false, &records, 66);
    });
}

/// Bytes of the extensions of a ClientHello, which end it.
fn extensions_len(handshake: &[u8]) -> usize {
    // Version and random; then session, ciphers and compressions, each with its length.
    let mut at = 4 + 2 + 32;
    at += 1 + usize::from(handshake[at]);
    at += 2 + (usize::from(handshake[at]) << 8 | usize::from(handshake[at + 1]));
    at += 1 + usize::from(handshake[at]);
    usize::from(handshake[at]) << 8 | usize::from(handshake[at + 1])
}

#[test]
fn a_banner_of_ssh_that_does_not_end() {
    grows_with_its_size(1000, |script, client, count| {
        let lines = format!("{}SSH-2.0-{}", "welcome\r\n".repeat(count), "x".repeat(8 * count));
        in_order(script, client, 22, true, lines.as_bytes(), 20);
    });
}

#[test]
fn a_session_of_ftp_in_very_short_lines() {
    grows_with_its_size(2000, |script, client, count| {
        let replies = format!("220 FTP\r\n{}", "200 x\r\n".repeat(count));
        in_order(script, client, 21, true, replies.as_bytes(), 14);
    });
}

/// A response in which each record's name is a long chain of pointers.
fn pointers(count: usize) -> Vec<u8> {
    let mut query = dns_query(7, "a.example");
    query[2] = 0x81;
    query[6..8].copy_from_slice(&(count as u16).to_be_bytes());
    // The first name leads to the question, and each further one to that before it.
    let mut owner = 12;
    for _ in 0..count {
        let at = query.len();
        query.extend((0xc000 | owner as u16).to_be_bytes());
        query.extend([0, 5, 0, 1, 0, 0, 0, 60, 0, 2]);
        query.extend((0xc000 | owner as u16).to_be_bytes());
        owner = if at < 0x3fff { at } else { owner };
    }
    query
}

#[test]
fn records_of_dns_that_point_at_each_other() {
    grows_with_its_size(45, |script, client, count| {
        let server = (SERVER, 53);
        script.datagram_with(0, client, server, &dns_query(7, "a.example"), (mac(client.0), mac(SERVER)));
        for number in 1..20 {
            script.datagram_with(number * MS, server, client, &pointers(count), (mac(SERVER), mac(client.0)));
        }
    });
}

#[test]
fn messages_of_dns_in_a_stream() {
    grows_with_its_size(40, |script, client, count| {
        let message = pointers(60);
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        in_order(script, client, 53, true, &framed.repeat(count), 200);
    });
}

const QUIC_ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// A client's Initial packet of QUIC v1 (RFC 9001 section 5) with these frames.
fn initial(frames: &[u8], number: u8) -> Vec<u8> {
    let expand = |secret: &[u8], label: &str, len: u8| {
        let label = format!("tls13 {label}");
        let message = [&[0, len, label.len() as u8][..], label.as_bytes(), &[0, 1]].concat();
        sign(&Key::new(HMAC_SHA256, secret), &message).as_ref()[..len.into()].to_vec()
    };
    let salt =
        [0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a];
    let secret = expand(sign(&Key::new(HMAC_SHA256, &salt), &QUIC_ID).as_ref(), "client in", 32);
    let mut frames = frames.to_vec();
    let len = (frames.len() as u16 + 17) | 0x4000;
    let mut packet = [&[0xc0, 0, 0, 0, 1, 8][..], &QUIC_ID, &[0, 0], &len.to_be_bytes()].concat();
    let number_at = packet.len();
    packet.push(number);
    let mut nonce: [u8; 12] = expand(&secret, "quic iv", 12).try_into().expect("12 bytes");
    nonce[11] ^= number;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &expand(&secret, "quic key", 16)).expect("a key"));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(packet.clone()), &mut frames)
        .expect("it is sealed");
    packet.extend(frames);
    let header_key = HeaderProtectionKey::new(&AES_128, &expand(&secret, "quic hp", 16)).expect("a key");
    let mask = header_key.new_mask(&packet[number_at + 4..number_at + 20]).expect("a mask");
    packet[0] ^= mask[0] & 0x0f;
    packet[number_at] ^= mask[1];
    packet
}

/// CRYPTO frames of one byte of a long hello, in this order, over as many packets as it takes.
fn crypto(script: &mut Script, client: End, places: impl Iterator<Item = usize>, len: usize) {
    let byte = |at: usize| match at {
        0 => 1,
        2 => (len >> 8) as u8,
        3 => len as u8,
        _ => 3,
    };
    let frames: Vec<[u8; 5]> = places.map(|at| [6, 0x40 | (at >> 8) as u8, at as u8, 1, byte(at)]).collect();
    for (number, frames) in frames.chunks(200).enumerate() {
        let packet = initial(&frames.concat(), number as u8);
        script.datagram_with(number as u64 * MS, client, (SERVER, 443), &packet, (mac(client.0), mac(SERVER)));
    }
}

#[test]
fn frames_of_crypto_of_one_byte_from_the_last_to_the_first() {
    grows_with_its_size(4000, |script, client, count| crypto(script, client, (0..count).rev(), 16_000));
}

#[test]
fn frames_of_crypto_of_one_byte_in_order() {
    grows_with_its_size(4000, |script, client, count| crypto(script, client, 0..count, 16_000));
}
