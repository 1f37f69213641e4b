//! Lines of made packets.

use super::*;
use crate::flow::tcp::TcpMarks;
use crate::record::text::pushed;
use crate::wire::tests::build::{ethernet, gre, ipv4, ipv4_with, ipv6, join, tcp, tcp_with, udp_ports, vlan, vxlan, zoo};
use netscope_backends::{LinkType, Timestamp};
use proptest::prelude::*;

const STYLE: LineStyle =
    LineStyle { time: LineTime::Epoch, first_date: true, link: false, absolute_seq: false, payload: true, color: false };
const TIME: Timestamp = Timestamp(50_587_123_456_789);

fn line_as(style: LineStyle, link: u16, data: &[u8], wire_len: usize) -> String {
    let packet = Packet { data, time: TIME, wire_len: wire_len as u32, link_type: LinkType(link) };
    String::from_utf8(pushed(|out| PacketLines::new(style).push(out, 12, None, &packet))).expect("lines are UTF-8")
}

/// What comes behind number and time.
#[track_caller]
fn line(link: u16, data: &[u8]) -> String {
    let text = line_as(STYLE, link, data, data.len());
    text.strip_prefix("#12 50587.123456 ").and_then(|text| text.strip_suffix('\n')).expect("number, time, end").to_owned()
}

/// The same of an Ethernet frame, its length left out.
#[track_caller]
fn frame(ether_type: u16, payload: &[u8]) -> String {
    let text = line(1, &ethernet(ether_type, payload));
    text.replace(&format!(" frame={}", payload.len() + 14), "")
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const ENDS: &str = "10.1.2.3:443 > 192.0.2.7:51234";
const HOSTS: &str = "10.1.2.3 > 192.0.2.7";
const HOSTS_V6: &str = "2001:db8::1 > 2001:db8::2";

#[test]
fn tcp_with_what_a_syn_announces() {
    let numbers = "seq=16909060 ack=168496141 win=4096";
    assert_eq!(line(1, &ethernet(0x800, &ipv4(6, &tcp(b"ab")))), format!("{ENDS} tcp [PSH,ACK] {numbers} len=2 frame=56"));
    let linux = hex("020405b4 0402080a 00000005 00000000 01030307");
    assert_eq!(
        frame(0x800, &ipv4(6, &tcp_with(0x12, &linux, &[]))),
        format!("{ENDS} tcp [SYN,ACK] {numbers} mss=1460 wscale=7 sackOK ts=5/0 len=0")
    );
    let sack = hex("0101050a 00000010 00000020");
    assert_eq!(frame(0x800, &ipv4(6, &tcp_with(0x10, &sack, &[]))), format!("{ENDS} tcp [ACK] {numbers} sack=16-32 len=0"));
    assert_eq!(
        frame(0x86dd, &ipv6(6, &tcp_with(0x1ff, &[], &[]))),
        format!("[2001:db8::1]:443 > [2001:db8::2]:51234 tcp [FIN,SYN,RST,PSH,ACK,URG,ECE,CWR,AE] {numbers} len=0")
    );
    assert!(frame(0x800, &ipv4(6, &tcp_with(0, &[], &[]))).contains("tcp [none] seq=16909060 win="));
}

#[test]
fn what_is_cut_or_wrong_is_said() {
    let whole = ethernet(0x800, &ipv4(6, &tcp(b"abcd")));
    let cut = |len: usize| line_as(STYLE, 1, &whole[..len], whole.len());
    assert_eq!(
        cut(56),
        format!("#12 50587.123456 {ENDS} tcp [PSH,ACK] seq=16909060 ack=168496141 win=4096 len=4 frame=58 captured=56\n")
    );
    assert_eq!(cut(40), format!("#12 50587.123456 {ENDS} tcp frame=58 captured=40 (truncated tcp)\n"));
    assert_eq!(cut(20), "#12 50587.123456 ethertype 0x0800 (IPv4) len=6 frame=58 captured=20 (truncated ipv4)\n");
    let mut wrong = whole.clone();
    wrong[24] ^= 1;
    assert!(line(1, &wrong).ends_with(" frame=58 (bad ipv4 checksum)"));
    let udp = ethernet(0x800, &ipv4(17, &udp_ports(53, 5353, b"abc")));
    assert_eq!(line(1, &udp), "10.1.2.3:53 > 192.0.2.7:5353 udp len=3 frame=45");
    assert_eq!(
        line_as(STYLE, 1, &udp[..38], 45),
        "#12 50587.123456 10.1.2.3:53 > 192.0.2.7:5353 udp frame=45 captured=38 (truncated udp)\n"
    );
}

#[test]
fn icmp_in_words_with_what_it_quotes() {
    let quoted = ipv4(17, &udp_ports(40_000, 9, b""));
    let error =
        |kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]| frame(0x800, &ipv4(1, &join(&[&[kind, code, 0, 0], &rest, quoted])));
    let tail = "(quotes 10.1.2.3:40000 > 192.0.2.7:9 udp)";
    for (kind, code, rest, words) in [
        (3, 0, [0; 4], "192.0.2.7 network unreachable"),
        (3, 1, [0; 4], "192.0.2.7 host unreachable"),
        (3, 2, [0; 4], "192.0.2.7 protocol unreachable 17"),
        (3, 3, [0; 4], "192.0.2.7 udp port 9 unreachable"),
        (3, 4, [0, 0, 5, 120], "192.0.2.7 unreachable, needs fragmentation, mtu 1400"),
        (3, 13, [0; 4], "192.0.2.7 communication administratively prohibited"),
        (3, 99, [0; 4], "192.0.2.7 code 99"),
        (4, 0, [0; 4], "source quench"),
        (5, 1, [10, 0, 0, 9], "redirect 192.0.2.7 to 10.0.0.9"),
        (11, 0, [0; 4], "time exceeded in transit"),
        (11, 1, [0; 4], "time exceeded in reassembly"),
        (12, 0, [20, 0, 0, 0], "parameter problem at byte 20"),
    ] {
        assert_eq!(error(kind, code, rest, &quoted), format!("{HOSTS} icmp {words} {tail}"));
    }
    assert_eq!(error(3, 3, [0; 4], &quoted[..10]), format!("{HOSTS} icmp port unreachable"), "no whole header is quoted");
    let echo = ipv4(1, &[8, 0, 0, 0, 0, 7, 0, 1, 0, 0]);
    assert_eq!(
        error(3, 1, [0; 4], &echo),
        format!("{HOSTS} icmp 192.0.2.7 host unreachable (quotes {HOSTS} icmp echo request id=7)")
    );
    assert_eq!(frame(0x800, &ipv4(1, &[8, 0, 0, 0, 0, 7, 0, 2, 1])), format!("{HOSTS} icmp echo request id=7 seq=2 len=1"));
    assert_eq!(frame(0x800, &ipv4(1, &[0, 0, 0, 0, 0, 7, 0, 2])), format!("{HOSTS} icmp echo reply id=7 seq=2 len=0"));
    assert_eq!(frame(0x800, &ipv4(1, &[13, 0, 0, 0, 0, 0, 0, 0])), format!("{HOSTS} icmp timestamp request"));
    assert_eq!(frame(0x800, &ipv4(1, &[200, 3, 0, 0, 0, 0, 0, 0])), format!("{HOSTS} icmp type 200 code 3"));
}

#[test]
fn icmpv6_in_words() {
    let message = |kind: u8, code: u8, body: &[u8]| frame(0x86dd, &ipv6(58, &join(&[&[kind, code, 0, 0], body])));
    let quoted = join(&[&[0, 0, 5, 0], &ipv6(17, &udp_ports(40_000, 9, b""))]);
    let tail = "(quotes [2001:db8::1]:40000 > [2001:db8::2]:9 udp)";
    for (kind, code, words) in [
        (1, 0, "2001:db8::2 unreachable, no route"),
        (1, 4, "2001:db8::2 udp port 9 unreachable"),
        (2, 0, "packet too big, mtu 1280"),
        (3, 0, "time exceeded in transit"),
        (4, 1, "parameter problem at byte 1280"),
    ] {
        assert_eq!(message(kind, code, &quoted), format!("{HOSTS_V6} icmpv6 {words} {tail}"));
    }
    let target = hex("20010db8 00000000 00000000 00000009");
    let link_address = [1, 1, 2, 0, 0, 0, 0, 1];
    let body = |fixed: [u8; 4], parts: &[&[u8]]| join(&[&fixed, &parts.concat()]);
    let solicitation = message(135, 0, &body([0; 4], &[&target, &link_address]));
    assert_eq!(solicitation, format!("{HOSTS_V6} icmpv6 neighbor solicitation who-has 2001:db8::9 from 02:00:00:00:00:01"));
    let advertisement = message(136, 0, &body([0xe0, 0, 0, 0], &[&target, &[2], &link_address[1..]]));
    assert_eq!(
        advertisement,
        format!("{HOSTS_V6} icmpv6 neighbor advertisement 2001:db8::9 router solicited override is-at 02:00:00:00:00:01")
    );
    let prefix = join(&[&[3, 4, 64, 0xc0], &[0; 12], &hex("20010db8 000a0000 00000000 00000000")]);
    let router = message(134, 0, &body([64, 0xc0, 7, 8], &[&[0; 8], &[5, 1, 0, 0, 0, 0, 5, 220], &prefix]));
    assert_eq!(
        router,
        format!(
            "{HOSTS_V6} icmpv6 router advertisement hop limit 64, lifetime 1800 s, managed, other mtu 1500 prefix 2001:db8:a::/64"
        )
    );
    let redirect = message(137, 0, &body([0; 4], &[&target, &hex("20010db8 00000000 00000000 0000000a")]));
    assert_eq!(redirect, format!("{HOSTS_V6} icmpv6 redirect 2001:db8::a to 2001:db8::9"));
    assert_eq!(message(133, 0, &[0; 4]), format!("{HOSTS_V6} icmpv6 router solicitation"));
    assert_eq!(message(128, 0, &[0, 1, 0, 2, 9]), format!("{HOSTS_V6} icmpv6 echo request id=1 seq=2 len=1"));
    let report = join(&[
        &[0, 0, 0, 4],
        &[4, 0, 0, 0],
        &target,
        &[3, 0, 0, 1],
        &target,
        &target,
        &[2, 0, 0, 0],
        &target,
        &[1, 0, 0, 0],
        &target,
    ]);
    assert_eq!(
        message(143, 0, &report),
        format!("{HOSTS_V6} icmpv6 multicast listener report v2 2001:db8::9 to_ex, 2001:db8::9 to_in of 1, 2001:db8::9 is_ex +1")
    );
}

#[test]
fn groups_chunks_and_protocols_without_a_reader() {
    let igmp = |bytes: &[u8]| frame(0x800, &ipv4(2, bytes));
    assert_eq!(igmp(&[0x11, 100, 0, 0, 0, 0, 0, 0]), format!("{HOSTS} igmp general query"));
    assert_eq!(igmp(&[0x16, 0, 0, 0, 239, 1, 2, 3]), format!("{HOSTS} igmp v2 report 239.1.2.3"));
    assert_eq!(igmp(&[0x17, 0, 0, 0, 239, 1, 2, 3]), format!("{HOSTS} igmp leave 239.1.2.3"));
    let v3 = [0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 2, 3];
    assert_eq!(igmp(&v3), format!("{HOSTS} igmp v3 report 239.1.2.3 to_ex"));
    let sctp = join(&[&[1, 187, 200, 34, 0, 0, 0, 9, 0, 0, 0, 0], &[14, 0, 0, 4], &[3, 0, 0, 5, 0, 0, 0, 0], &[99, 0, 0, 4]]);
    assert_eq!(frame(0x800, &ipv4(132, &sctp)), format!("{ENDS} sctp [SHUTDOWN-COMPLETE,SACK,chunk 99] len=16"));
    let many = join(&[&sctp[..12], &[0, 0, 0, 4].repeat(11)]);
    assert!(frame(0x800, &ipv4(132, &many)).contains("DATA,+3] len=44"));
    assert_eq!(frame(0x800, &ipv4(89, &[0; 5])), format!("{HOSTS} ospf len=5"));
    assert_eq!(frame(0x800, &ipv4(200, &[0; 5])), format!("{HOSTS} ip-proto-200 len=5"));
}

#[test]
fn arp_and_what_is_on_a_link_beside_ip() {
    let arp = |operation: u8, sender: [u8; 4], target: [u8; 4]| {
        frame(0x806, &join(&[&[0, 1, 8, 0, 6, 4, 0, operation], &[2, 0, 0, 0, 0, 1], &sender, &[0; 6], &target]))
    };
    assert_eq!(arp(1, [10, 0, 0, 1], [10, 0, 0, 2]), "arp who-has 10.0.0.2 tell 10.0.0.1");
    assert_eq!(arp(1, [0; 4], [10, 0, 0, 2]), "arp who-has 10.0.0.2 (probe)");
    assert_eq!(arp(1, [10, 0, 0, 2], [10, 0, 0, 2]), "arp who-has 10.0.0.2 tell 10.0.0.2 (announcement)");
    assert_eq!(arp(2, [10, 0, 0, 2], [10, 0, 0, 1]), "arp reply 10.0.0.2 is-at 02:00:00:00:00:01");
    assert_eq!(arp(3, [10, 0, 0, 2], [10, 0, 0, 1]), "arp operation 3 10.0.0.2 > 10.0.0.1");
    let bpdu = hex("0000 02 02 3d 8001020000000001 00000004 8003020000000002 8005 0000");
    let llc = |head: &[u8], payload: &[u8]| frame((head.len() + payload.len()) as u16, &join(&[head, payload]));
    let tree = "root 32769/02:00:00:00:00:01 cost 4 bridge 32771/02:00:00:00:00:02 port 0x8005 topology change";
    assert_eq!(llc(&[0x42, 0x42, 3], &bpdu), format!("stp rapid {tree}"));
    assert_eq!(llc(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b], &bpdu), format!("stp rapid {tree}"));
    assert_eq!(llc(&[0x42, 0x42, 3], &[0, 0, 0, 0x80]), "stp topology change notification");
    assert_eq!(llc(&[0x42, 0x42, 3], &[1, 2]), "llc 0x42 > 0x42 control 0x03 (STP) len=2");
    let cdp = join(&[&[2, 180, 0, 0], &[0, 1, 0, 7], b"s\x1b\"", &[0, 3, 0, 8], b"Gi0\\"]);
    assert_eq!(llc(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0], &cdp), r#"cdp v2 device "s\u{1b}\"" port "Gi0\\" ttl 180 s"#);
    assert_eq!(llc(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 4], &[1, 2]), "snap 00:00:0c 0x2004 (DTP) len=2");
    assert_eq!(llc(&[0xaa, 0xaa, 3, 9, 9, 9, 1, 2], &[1, 2]), "snap 09:09:09 0x0102 len=2");
    assert_eq!(llc(&[0xe0, 0xe0, 3], &[1]), "llc 0xe0 > 0xe0 control 0x03 (IPX) len=1");
    let lldp = join(&[&[2, 7, 4, 2, 0, 0, 0, 0, 9], &[4, 5, 5], b"eth0", &[6, 2, 0, 120], &[10, 2], b"sw", &[0, 0]]);
    assert_eq!(frame(0x88cc, &lldp), r#"lldp chassis 02:00:00:00:00:09 port "eth0" system "sw" ttl 120 s"#);
    assert_eq!(frame(0x88b8, &[1, 2]), "ethertype 0x88b8 (GOOSE) len=2");
    assert_eq!(frame(0x1234, &[1, 2]), "ethertype 0x1234 len=2");
    assert_eq!(frame(0x8100, &vlan(7, 0x888e, &[1])), "vlan 7 ethertype 0x888e (EAPOL) len=1");
    assert_eq!(frame(0x8863, &[0x11, 9, 0, 0, 0, 0]), "pppoe PADI");
    assert_eq!(frame(0x8864, &hex("1100 0011 0004 c021 0101")), "pppoe session=17 ppp 0xc021 (LCP) len=2");
    assert_eq!(line(107, &[0]), "data len=1 frame=1 (unknown link)");
}

#[test]
fn tunnels_tags_and_fragments() {
    let inner = ipv4(6, &tcp(b""));
    assert!(frame(0x800, &ipv4(4, &inner)).starts_with(&format!("{HOSTS} ipip {ENDS} tcp [")));
    assert!(
        frame(0x800, &ipv4(47, &gre(0x2000, 0x800, &[0, 0, 0, 5], &inner)))
            .starts_with(&format!("{HOSTS} gre key=0x5 {ENDS} tcp ["))
    );
    assert_eq!(
        frame(0x800, &ipv4(47, &gre(0, 0x1234, &[], &[1, 2]))),
        format!("{HOSTS} gre len=6 ethertype 0x1234"),
        "what it carries has a number"
    );
    assert_eq!(
        frame(0x800, &ipv4(17, &vxlan(&ethernet(0x88b8, &[1])))),
        "10.1.2.3:50000 > 192.0.2.7:4789 udp len=23 vxlan vni=4660 ethertype 0x88b8 (GOOSE)"
    );
    assert!(frame(0x8100, &vlan(5, 0x800, &inner)).starts_with(&format!("vlan 5 {ENDS} tcp [")));
    let first = ipv4_with(17, 0x2000, &[], &udp_ports(53, 54, &[0; 16]));
    assert_eq!(frame(0x800, &first), "10.1.2.3:53 > 192.0.2.7:54 udp len=16 frag id=0x1234 offset=0 more");
    assert_eq!(frame(0x800, &ipv4_with(17, 3, &[], &[0; 9])), format!("{HOSTS} udp len=9 frag id=0x1234 offset=24"));
    let v6 = ipv6(44, &join(&[&[17, 0, 0, 0x11, 0, 0, 0, 9], &[1, 2]]));
    assert_eq!(line(229, &v6), format!("{HOSTS_V6} udp len=2 frag id=0x9 offset=16 more frame=50"));
}

#[test]
fn link_headers_are_shown_where_they_are_asked_for() {
    let style = LineStyle { link: true, ..STYLE };
    let data = ethernet(0x800, &ipv4(17, &udp_ports(1, 2, b"")));
    let expected = "#12 50587.123456 eth 02:00:00:00:00:01 > 02:00:00:00:00:02 10.1.2.3:1 > 192.0.2.7:2 udp len=0 frame=42\n";
    assert_eq!(line_as(style, 1, &data, data.len()), expected);
    let cooked = join(&[&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &data[14..]]);
    let expected = "#12 50587.123456 sll from us from 02:00:00:00:00:01 10.1.2.3:1 > 192.0.2.7:2 udp len=0 frame=44\n";
    assert_eq!(line_as(style, 113, &cooked, cooked.len()), expected);
}

#[test]
fn marks_are_named_and_counted() {
    let text = |marks: TcpMarks| mark_names(marks).collect::<Vec<_>>();
    assert_eq!(text(TcpMarks::FAST), ["fast retransmission"]);
    assert_eq!(text(TcpMarks::NONE).len(), 0);
    // Every single mark has a name of its own.
    let names: Vec<_> = (0..14).flat_map(|bit| mark_names(TcpMarks::from_bit(bit))).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((names.len(), unique.len()), (14, 14));
}

/// What lines are without their escape sequences.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').expect("a colour").1)
}

#[test]
fn colours_add_nothing_but_colours() {
    for (name, link, bytes) in zoo() {
        for len in 0..=bytes.len() {
            let [plain, colored] = [false, true].map(|color| {
                line_as(LineStyle { color, link: true, time: LineTime::Utc, ..STYLE }, link, &bytes[..len], bytes.len())
            });
            assert_eq!(without_colors(&colored), plain, "{name}");
            assert!(colored.contains("\x1b[2m#12 ") && !plain.contains('\x1b'), "{name}");
        }
    }
}

#[test]
fn dates_stand_where_they_change() {
    let at = |style: LineTime, times: &[u64]| {
        let mut lines = PacketLines::new(LineStyle { time: style, ..STYLE });
        let text = pushed(|out| {
            for &time in times {
                lines.push(out, 1, None, &Packet { data: &[], time: Timestamp(time), wire_len: 0, link_type: LinkType(147) });
            }
        });
        String::from_utf8(text).expect("UTF-8").replace(" data len=0 frame=0 (unknown link)", "")
    };
    const S: u64 = 1_000_000_000;
    let midnight = 19_692 * 86_400 * S;
    let times = [midnight - 1, midnight, midnight + 5 * S, midnight - 1, 0];
    assert_eq!(
        at(LineTime::Utc, &times),
        "--- 2023-11-30 UTC ---\n#1 23:59:59.999999\n--- 2023-12-01 UTC ---\n#1 00:00:00.000000\n#1 00:00:05.000000\n\
         --- 2023-11-30 UTC ---\n#1 23:59:59.999999\n--- 1970-01-01 UTC ---\n#1 00:00:00.000000\n"
    );
    let without = LineStyle { time: LineTime::Utc, first_date: false, ..STYLE };
    assert!(line_as(without, 1, &[], 0).starts_with("#12 14:03:07.123456 "));
    assert_eq!(at(LineTime::Epoch, &[midnight + 1_234_567, u64::MAX]), "#1 1701388800.001234\n#1 18446744073.709551\n");
    assert_eq!(
        at(LineTime::Delta, &[5 * S, 5 * S, 7 * S + 1000, 6 * S]),
        "#1 +0.000000\n#1 +0.000000\n#1 +2.000001\n#1 -1.000001\n"
    );
    assert!(at(LineTime::Utc, &[u64::MAX]).starts_with("--- 2554-07-21 UTC ---\n#1 23:34:33.709551\n"));
}

proptest! {
    #[test]
    fn any_bytes_give_one_line_without_controls(link in 0u16..300, data in prop::collection::vec(any::<u8>(), 0..200), more in 0usize..9) {
        let style = LineStyle { link: true, time: LineTime::Delta, ..STYLE };
        let text = line_as(style, link, &data, data.len() + more);
        prop_assert!(text.ends_with('\n') && text.chars().filter(|c| c.is_control()).count() == 1, "{text:?}");
    }
}
