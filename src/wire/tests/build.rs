//! Builders of packets, innermost first: each puts its header before what it is given.

pub const A4: [u8; 4] = [10, 1, 2, 3];
pub const B4: [u8; 4] = [192, 0, 2, 7];
pub const A6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub const B6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &ether_type.to_be_bytes(), payload])
}

/// A tag's type before an Ethernet payload whose own type is `inner`.
pub fn vlan(id: u16, inner: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&(0xe000 | id).to_be_bytes(), &inner.to_be_bytes(), payload])
}

pub fn ip_checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// IPv4 with options; `fragment` is the flags and offset field.
pub fn ipv4_with(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut header = join(&[
        &[0x40 | (header_len / 4) as u8, 0],
        &((header_len + payload.len()) as u16).to_be_bytes(),
        &0x1234u16.to_be_bytes(),
        &fragment.to_be_bytes(),
        &[64, protocol, 0, 0],
        &A4,
        &B4,
        options,
    ]);
    let sum = ip_checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    join(&[&header, payload])
}

pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 0x4000, &[], payload)
}

pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    join(&[&[0x60, 0, 0, 0], &(payload.len() as u16).to_be_bytes(), &[next, 57], &A6, &B6, payload])
}

pub fn tcp_with(flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = (5 + options.len() / 4) as u16;
    join(&[
        &443u16.to_be_bytes(),
        &51234u16.to_be_bytes(),
        &0x0102_0304u32.to_be_bytes(),
        &0x0a0b_0c0du32.to_be_bytes(),
        &(words << 12 | flags).to_be_bytes(),
        &4096u16.to_be_bytes(),
        &[0, 0, 0, 0],
        options,
        payload,
    ])
}

pub fn tcp(payload: &[u8]) -> Vec<u8> {
    tcp_with(0x18, &[], payload)
}

pub fn udp_ports(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&source.to_be_bytes(), &destination.to_be_bytes(), &((payload.len() + 8) as u16).to_be_bytes(), &[0, 0], payload])
}

pub fn udp(payload: &[u8]) -> Vec<u8> {
    udp_ports(5353, 40000, payload)
}

pub fn gre(flags: u16, protocol: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    join(&[&flags.to_be_bytes(), &protocol.to_be_bytes(), fields, payload])
}

pub fn vxlan(payload: &[u8]) -> Vec<u8> {
    udp_ports(50000, 4789, &join(&[&[8, 0, 0, 0, 0, 0x12, 0x34, 0], payload]))
}

pub fn geneve(protocol: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = [(options.len() / 4) as u8, 0];
    udp_ports(50000, 6081, &join(&[&header, &protocol.to_be_bytes(), &[0, 0, 9, 0], options, payload]))
}

pub fn gtpu(first: u8, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = ((fields.len() + payload.len()) as u16).to_be_bytes();
    udp_ports(2152, 2152, &join(&[&[first, 255], &len, &0xdead_beefu32.to_be_bytes(), fields, payload]))
}

pub fn teredo(indications: &[u8], payload: &[u8]) -> Vec<u8> {
    udp_ports(51413, 3544, &join(&[indications, payload]))
}

pub fn l2tp(fields: &[u8], payload: &[u8]) -> Vec<u8> {
    udp_ports(1701, 1701, &join(&[fields, payload]))
}

pub fn pppoe(payload: &[u8]) -> Vec<u8> {
    join(&[&[0x11, 0, 0, 7], &(payload.len() as u16).to_be_bytes(), payload])
}

pub fn mpls(label: u32, bottom: bool) -> [u8; 4] {
    (label << 12 | u32::from(bottom) << 8 | 63).to_be_bytes()
}

/// One packet of every kind that is read, for tests of damage: name, link type, bytes.
pub fn zoo() -> Vec<(&'static str, u16, Vec<u8>)> {
    let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let inner = ipv4(6, &tcp(b"inner"));
    let inner6 = ipv6(17, &udp(b"inner"));
    let frame = ethernet(0x0800, &inner);
    let on_eth = |ip: &[u8]| ethernet(if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd }, ip);
    let chain = join(&[
        &[43, 0, 5, 2, 0, 0, 0, 0],
        &[60, 0, 0, 0, 0, 0, 0, 0],
        &[51, 0, 1, 4, 0, 0, 0, 0],
        &[44, 4, 0, 0],
        &[7; 20],
        &[6, 0, 0, 1, 0, 0, 0, 9],
        &tcp(b"x"),
    ]);
    let optioned = ipv4_with(17, 0, &[0x94, 4, 0, 0], &udp(b"12345678"));
    let later_fragment = ipv4_with(17, 0x0010, &[], &[9; 200]);
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner]);
    let mut packets = vec![
        ("tcp", 1, on_eth(&ipv4(6, &tcp_with(2, &syn, b"")))),
        ("tcp data", 1, on_eth(&ipv4(6, &tcp(b"hello")))),
        ("udp", 1, on_eth(&ipv4(17, &udp(b"hello")))),
        ("ipv4 options", 1, on_eth(&ipv4_with(6, 0, &[0x94, 4, 0, 0], &tcp(b"x")))),
        ("ipv4 first fragment", 1, on_eth(&ipv4_with(17, 0x2000, &[], &udp(b"12345678")))),
        ("ipv4 later fragment", 1, on_eth(&ipv4_with(17, 0x0010, &[], b"12345678"))),
        ("ipv4 ah", 1, on_eth(&ipv4(51, &join(&[&[6, 4, 0, 0], &[7; 20], &tcp(b"x")])))),
        ("ipv6", 1, on_eth(&ipv6(6, &tcp_with(0x10, &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], b"abc")))),
        ("ipv6 chain", 1, on_eth(&ipv6(0, &chain))),
        ("icmp echo", 1, on_eth(&ipv4(1, &[8, 0, 0, 0, 1, 2, 0, 1, 9, 9]))),
        ("icmp error", 1, on_eth(&ipv4(1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], &inner])))),
        ("icmp error about options", 1, on_eth(&ipv4(1, &join(&[&[11, 0, 0, 0, 0, 0, 0, 0], &optioned])))),
        ("icmp error about a fragment", 1, on_eth(&ipv4(1, &join(&[&[11, 1, 0, 0, 0, 0, 0, 0], &later_fragment[..28]])))),
        (
            "icmp error about an echo",
            1,
            on_eth(&ipv4(1, &join(&[&[5, 1, 0, 0, 10, 0, 0, 1], &ipv4(1, &[8, 0, 0, 0, 1, 2, 0, 1])]))),
        ),
        (
            "icmp error about a tunnel",
            1,
            on_eth(&ipv4(1, &join(&[&[3, 3, 0, 0, 0, 32, 0, 0], &ipv4(17, &vxlan(&frame)), &[0; 60]]))),
        ),
        ("icmpv6 error", 1, on_eth(&ipv6(58, &join(&[&[1, 4, 0, 0, 0, 0, 0, 0], &ipv6(0, &chain)])))),
        ("icmpv6 error about 8 bytes", 1, on_eth(&ipv6(58, &join(&[&[3, 0, 0, 0, 0, 0, 0, 0], &inner6[..48]])))),
        ("icmpv6", 1, on_eth(&ipv6(58, &[129, 0, 0, 0, 1, 2, 0, 1]))),
        ("igmp", 1, on_eth(&ipv4(2, &[0x16, 0, 0, 0, 224, 0, 0, 5]))),
        ("sctp", 1, on_eth(&ipv4(132, &[0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]))),
        ("udp-lite", 1, on_eth(&ipv4(136, &[0, 1, 0, 2, 0, 8, 0, 3, 0, 0]))),
        ("arp", 1, ethernet(0x0806, &arp)),
        ("llc snap", 1, ethernet(snap.len() as u16, &snap)),
        ("qinq", 1, ethernet(0x88a8, &vlan(5, 0x8100, &vlan(6, 0x0800, &inner)))),
        ("mpls", 1, ethernet(0x8847, &join(&[&mpls(16, false), &mpls(17, true), &inner]))),
        ("pseudowire", 1, ethernet(0x8847, &join(&[&mpls(17, true), &[0, 0, 0, 0], &frame]))),
        ("pppoe", 1, ethernet(0x8864, &pppoe(&join(&[&[0, 0x21], &inner])))),
        ("sll", 113, join(&[&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &inner])),
        ("sll2", 276, join(&[&[0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0], &inner6])),
        ("null", 0, join(&[&[30, 0, 0, 0], &inner6])),
        ("loop", 108, join(&[&[0, 0, 0, 2], &inner])),
        ("raw", 101, inner6.clone()),
        ("ppp", 9, join(&[&[0xff, 3, 0x21], &inner])),
    ];
    packets.extend(tags());
    packets.extend(links());
    packets.extend(cooked());
    packets.extend(tunnels(&arp));
    packets.extend(rare_tunnels());
    packets
}

/// Tags and headers between Ethernet and IP, in several orders.
fn tags() -> Vec<(&'static str, u16, Vec<u8>)> {
    let (inner, inner6) = (ipv4(6, &tcp(b"inner")), ipv6(17, &udp(b"inner")));
    let frame = ethernet(0x0800, &inner);
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd], &inner6]);
    let typed = |kind: u16, tag: &[u8], next: u16, payload: &[u8]| ethernet(kind, &join(&[tag, &next.to_be_bytes(), payload]));
    let icv = |payload: &[u8]| join(&[payload, &[0x1c; 16]]);
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let nested = typed(0x893f, &ETAG, 0x8926, &join(&[&VNTAG, &[0x88, 0xe7], &[0, 0, 0, 9], &frame]));
    vec![
        ("e-tag", 1, typed(0x893f, &ETAG, 0x0800, &inner)),
        ("e-tag vlan", 1, typed(0x893f, &ETAG, 0x8100, &vlan(5, 0x86dd, &inner6))),
        ("vlan e-tag", 1, ethernet(0x8100, &vlan(5, 0x893f, &join(&[&ETAG, &[8, 0], &inner])))),
        ("vn-tag", 1, typed(0x8926, &VNTAG, 0x86dd, &inner6)),
        ("vn-tag llc", 1, typed(0x8926, &VNTAG, snap.len() as u16, &snap)),
        ("e-tag vn-tag pbb", 1, nested),
        ("pbb", 1, ethernet(0x88e7, &join(&[&[0, 0, 0, 100], &frame]))),
        (
            "b-tag pbb c-tag",
            1,
            ethernet(0x88a8, &vlan(7, 0x88e7, &join(&[&[0xfc, 0, 0, 1], &ethernet(0x8100, &vlan(9, 0x0800, &inner))]))),
        ),
        ("nsh ethernet", 1, ethernet(0x894f, &join(&[&nsh(1, 3), &frame]))),
        ("nsh ipv4", 1, ethernet(0x894f, &join(&[&nsh(2, 1), &inner]))),
        ("nsh ipv6", 1, ethernet(0x894f, &join(&[&nsh(2, 2), &inner6]))),
        ("nsh nsh", 1, ethernet(0x894f, &join(&[&nsh(1, 4), &nsh(2, 1), &inner]))),
        ("nsh mpls", 1, ethernet(0x894f, &join(&[&nsh(2, 5), &mpls(100, true), &inner]))),
        ("macsec", 1, typed(0x88e5, &[0, 0, 0, 0, 0, 1], 0x0800, &icv(&inner))),
        (
            "macsec channel",
            1,
            typed(0x88e5, &[0x21, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0, 1], 0x8100, &icv(&vlan(5, 0x86dd, &inner6))),
        ),
        ("macsec short arp", 1, typed(0x88e5, &[0, 30, 0, 0, 0, 1], 0x0806, &icv(&join(&[&arp])))),
        ("hsr", 1, typed(0x892f, &[0x10, 0x34, 0, 1], 0x0800, &inner)),
        ("r-tag", 1, typed(0xf1c1, &[0, 0, 0, 1], 0x86dd, &inner6)),
        ("cisco metadata", 1, typed(0x8909, &[1, 1, 0, 1, 0, 5], 0x0800, &inner)),
        ("edsa ethertype", 1, typed(0xdada, &[0, 0, 0xc0, 8, 0, 1], 0x0800, &inner)),
        ("ethernet in ethernet", 1, ethernet(0x6558, &frame)),
    ]
}

const ETAG: [u8; 6] = [0x20, 0, 0x10, 0x64, 0, 0];
const VNTAG: [u8; 4] = [0x80, 1, 0, 2];

/// A network service header with metadata of type 1 or 2; without metadata the latter.
pub fn nsh(metadata: u8, next: u8) -> Vec<u8> {
    let words = if metadata == 1 { 6 } else { 2 };
    join(&[&[0x0f, 0xc0 | words, metadata, next, 0, 0, 1, 0xff], &vec![0x5a; usize::from(words) * 4 - 8]])
}

/// An 802.11 data frame: frame control, the fourth address and what is behind the addresses, payload.
pub fn wlan(control: [u8; 2], behind: &[u8], payload: &[u8]) -> Vec<u8> {
    join(&[&control, &[0, 0], &[2, 0, 0, 0, 0, 1], &[2, 0, 0, 0, 0, 2], &[2, 0, 0, 0, 0, 3], &[0x10, 0], behind, payload])
}

/// A radiotap header with these fields.
pub fn radiotap(present: u32, fields: &[u8]) -> Vec<u8> {
    join(&[&[0, 0], &(8 + fields.len() as u16).to_le_bytes(), &present.to_le_bytes(), fields])
}

/// An attribute of netfilter's log in little-endian order, or the other.
pub fn nflog_attribute(is_big: bool, kind: u16, data: &[u8]) -> Vec<u8> {
    let half = |value: u16| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    join(&[&half(data.len() as u16 + 4), &half(kind), data, &vec![0; data.len().next_multiple_of(4) - data.len()]])
}

/// What captures of other link types begin with.
fn links() -> Vec<(&'static str, u16, Vec<u8>)> {
    let (inner, inner6) = (ipv4(6, &tcp(b"inner")), ipv6(17, &udp(b"inner")));
    let frame = ethernet(0x0800, &inner);
    let ppp = join(&[&[0xff, 3, 0, 0x21], &inner]);
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner]);
    let snap6 = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd], &inner6]);
    let data = wlan([8, 1], &[], &snap);
    let avs = join(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56]]);
    let prism = join(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136]]);
    let nflog = |family: u8, is_big: bool, payload: &[u8]| {
        join(&[
            &[family, 0, 0, 5],
            &nflog_attribute(is_big, 1, &[8, 0, 0, 0]),
            &nflog_attribute(is_big, 10, b"pfx\0"),
            &nflog_attribute(is_big, 9, payload),
        ])
    };
    let aggregate = join(&[&[2; 12], &(snap6.len() as u16).to_be_bytes(), &snap6]);
    let switch = |tag: &[u8]| join(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], tag, &[8, 0], &inner]);
    vec![
        ("ppp hdlc-like", 50, ppp.clone()),
        ("ppp hdlc-like cisco", 50, join(&[&[0x0f, 0, 8, 0], &inner])),
        ("pppoe alone", 51, pppoe(&join(&[&[0, 0x57], &inner6]))),
        ("cisco hdlc", 104, join(&[&[0x8f, 0, 0x86, 0xdd], &inner6])),
        ("cisco hdlc mpls", 104, join(&[&[0x0f, 0, 0x88, 0x47], &mpls(100, true), &inner])),
        ("cisco hdlc ethernet", 104, join(&[&[0x0f, 0, 0x65, 0x58], &frame])),
        ("cisco hdlc direction", 205, join(&[&[1, 0x0f, 0, 8, 0], &inner])),
        ("ppp direction", 204, join(&[&[1], &ppp])),
        ("ppp pppd", 166, join(&[&[0, 3, 0, 0x21], &inner])),
        ("nflog", 239, nflog(2, false, &inner)),
        ("nflog big", 239, nflog(2, true, &inner)),
        ("nflog ipv6", 239, nflog(10, false, &inner6)),
        (
            "nflog packet first",
            239,
            join(&[&[2, 0, 0, 5], &nflog_attribute(false, 9, &inner), &nflog_attribute(false, 10, b"pfx\0")]),
        ),
        ("dsa", 284, switch(&[0xc0, 8, 0, 1])),
        ("dsa tagged", 284, switch(&[0x21, 0x10, 0xe0, 5])),
        ("edsa", 285, switch(&[0xda, 0xda, 0, 0, 0x21, 0x10, 0xe0, 5])),
        ("802.11", 105, data.clone()),
        ("802.11 from the access point", 105, wlan([8, 2], &[], &snap6)),
        ("802.11 qos", 105, wlan([0x88, 1], &[0, 0], &snap)),
        ("802.11 four addresses", 105, wlan([8, 3], &[9; 6], &snap)),
        ("802.11 qos ht four addresses", 105, wlan([0x88, 0x83], &[0x09; 12], &snap6)),
        ("802.11 aggregate", 105, wlan([0x88, 2], &[0x80, 0], &aggregate)),
        ("802.11 null", 105, wlan([0x48, 1], &[], &[])),
        ("802.11 beacon", 105, wlan([0x80, 0], &[], &[7; 40])),
        ("802.11 ack", 105, vec![0xd4, 0, 0, 0, 2, 0, 0, 0, 0, 1]),
        ("radiotap", 127, join(&[&radiotap(0, &[]), &data])),
        ("radiotap fcs", 127, join(&[&radiotap(2, &[0x10]), &data, &[1, 2, 3, 4]])),
        (
            "radiotap time padded",
            127,
            join(&[&radiotap(3, &[9, 9, 9, 9, 9, 9, 9, 9, 0x20]), &wlan([0x88, 1], &[0, 0, 0, 0], &snap)]),
        ),
        ("radiotap two words", 127, join(&[&radiotap(0x8000_0002, &[0, 0, 0, 0, 0x10]), &data, &[1, 2, 3, 4]])),
        ("prism", 119, join(&[&prism, &data])),
        ("prism avs", 119, join(&[&avs, &data])),
        ("avs", 163, join(&[&avs, &data])),
        ("ppi 802.11", 192, join(&[&[0, 0, 16, 0, 105, 0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0], &data])),
        ("ppi ethernet", 192, join(&[&[0, 0, 8, 0, 1, 0, 0, 0], &frame])),
    ]
}

/// Cooked captures whose protocol field is no EtherType, or a rare one.
fn cooked() -> Vec<(&'static str, u16, Vec<u8>)> {
    let (inner, inner6) = (ipv4(6, &tcp(b"inner")), ipv6(17, &udp(b"inner")));
    let frame = ethernet(0x0800, &inner);
    let ppp = join(&[&[0xff, 3, 0, 0x21], &inner]);
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner]);
    let data = wlan([8, 1], &[], &snap);
    let prism = join(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136]]);
    let sll = |hardware: u16, protocol: u16, payload: &[u8]| {
        join(&[&[0, 0], &hardware.to_be_bytes(), &[0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &protocol.to_be_bytes(), payload])
    };
    let sll2 = |hardware: u16, protocol: u16, payload: &[u8]| {
        join(&[&protocol.to_be_bytes(), &[0; 6], &hardware.to_be_bytes(), &[4, 6, 2, 0, 0, 0, 0, 1, 0, 0], payload])
    };
    vec![
        ("sll gre", 113, sll(778, 0x6558, &frame)),
        ("sll radiotap", 113, sll(803, 0, &join(&[&radiotap(0, &[]), &data]))),
        ("sll 802.11", 113, sll(801, 4, &data)),
        ("sll prism", 113, sll(802, 4, &join(&[&prism, &data]))),
        ("sll ethernet", 113, sll(1, 3, &frame)),
        ("sll ppp", 113, sll(512, 7, &ppp)),
        ("sll llc", 113, sll(1, 4, &snap)),
        ("sll e-tag", 113, sll(1, 0x893f, &join(&[&ETAG, &[8, 0], &inner]))),
        ("sll2 gre", 276, sll2(778, 0x86dd, &inner6)),
        ("sll2 radiotap", 276, sll2(803, 0, &join(&[&radiotap(0, &[]), &data]))),
        ("sll2 ethernet", 276, sll2(1, 3, &frame)),
    ]
}

/// The tunnels among them.
fn tunnels(arp: &[u8]) -> Vec<(&'static str, u16, Vec<u8>)> {
    let (inner, inner6) = (ipv4(6, &tcp(b"inner")), ipv6(17, &udp(b"inner")));
    let frame = ethernet(0x0800, &inner);
    let on_eth = |ip: &[u8]| ethernet(if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd }, ip);
    let over_udp = |u: Vec<u8>| on_eth(&ipv4(17, &u));
    let over_gre = |g: Vec<u8>| on_eth(&ipv4(47, &g));
    vec![
        ("arp in vxlan", 1, over_udp(vxlan(&ethernet(0x0806, arp)))),
        ("ip-in-ip", 1, on_eth(&ipv4(4, &inner))),
        ("6in4", 1, on_eth(&ipv4(41, &inner6))),
        ("4in6", 1, on_eth(&ipv6(4, &inner))),
        ("gre", 1, over_gre(gre(0xb000, 0x0800, &[0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 1], &inner))),
        ("gre routing", 1, over_gre(gre(0x4000, 0x0800, &[0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0], &inner))),
        (
            "pptp",
            1,
            over_gre(gre(
                0x3081,
                0x880b,
                &join(&[&((inner.len() + 1) as u16).to_be_bytes(), &[0, 9], &[0; 8]]),
                &join(&[&[0x21], &inner]),
            )),
        ),
        ("bridge", 1, over_gre(gre(0, 0x6558, &[], &frame))),
        ("erspan1", 1, over_gre(gre(0, 0x88be, &[], &frame))),
        ("erspan2", 1, over_gre(gre(0x1000, 0x88be, &[0, 0, 0, 1], &join(&[&[0x10, 5, 0, 0x65, 0, 0, 0, 0], &frame])))),
        (
            "erspan3",
            1,
            over_gre(gre(0x1000, 0x22eb, &[0, 0, 0, 1], &join(&[&[0x20, 5, 0, 0x65, 0, 0, 0, 0, 0, 0, 0, 1], &[0; 8], &frame]))),
        ),
        ("vxlan", 1, over_udp(vxlan(&frame))),
        ("vxlan-gpe", 1, over_udp(udp_ports(50000, 4790, &join(&[&[0x0c, 0, 0, 2, 0, 0, 9, 0], &inner6])))),
        ("geneve", 1, over_udp(geneve(0x6558, &[0, 1, 0, 1, 0, 0, 0, 0], &frame))),
        ("gtp-u", 1, over_udp(gtpu(0x36, &[0, 1, 0, 0x85, 1, 2, 3, 0], &inner))),
        ("teredo", 1, over_udp(teredo(&[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 9, 8, 8, 8, 8], &inner6))),
        ("l2tp", 1, over_udp(l2tp(&[0x40, 2, 0, 99, 0, 3, 0, 4], &join(&[&[0xff, 3, 0, 0x57], &inner6])))),
    ]
}

/// Those of them that few networks have.
fn rare_tunnels() -> Vec<(&'static str, u16, Vec<u8>)> {
    let (inner, inner6) = (ipv4(6, &tcp(b"inner")), ipv6(17, &udp(b"inner")));
    let frame = ethernet(0x0800, &inner);
    let over_udp = |port: u16, header: &[u8], payload: &[u8]| {
        ethernet(0x0800, &ipv4(17, &udp_ports(40_000 + port, port, &join(&[header, payload]))))
    };
    let over_ip = |protocol: u8, payload: &[u8]| ethernet(0x0800, &ipv4(protocol, payload));
    let over_ip6 = |protocol: u8, payload: &[u8]| ethernet(0x86dd, &ipv6(protocol, payload));
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner]);
    let erspan = [0x20, 5, 0, 0x65, 0, 0, 0, 0, 0, 0, 8, 0];
    let routing = join(&[&[143, 2, 4, 0, 0, 0, 0, 0], &B6, &frame]);
    vec![
        ("l2tpv3", 1, over_ip(115, &join(&[&[0, 0, 0, 9, 0xc0, 0, 1, 2], &frame]))),
        ("l2tpv3 over udp", 1, over_udp(1701, &[0, 3, 0, 0, 1, 2, 3, 4, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0], &frame)),
        ("wccp 1", 1, over_ip(47, &gre(0, 0x883e, &[], &inner))),
        ("wccp 2", 1, over_ip(47, &gre(0, 0x883e, &[], &join(&[&[0, 0, 7, 9], &inner])))),
        ("wccp 2 ipv6", 1, over_ip(47, &gre(0, 0x883e, &[], &join(&[&[0x80, 0, 7, 9], &inner6])))),
        ("gre 802.11", 1, over_ip(47, &gre(0, 0x8210, &[], &wlan([8, 1], &[], &snap)))),
        ("gre nsh", 1, over_ip(47, &gre(0, 0x894f, &[], &join(&[&nsh(2, 1), &inner])))),
        ("gre in udp", 1, over_udp(4754, &[0x20, 0, 8, 0, 0, 0, 0, 77], &inner)),
        ("erspan3 ip", 1, over_ip(47, &gre(0x1000, 0x22eb, &[0, 0, 0, 1], &join(&[&erspan, &inner])))),
        ("etherip", 1, over_ip6(97, &join(&[&[0x30, 0], &frame]))),
        ("srv6 ethernet", 1, over_ip6(143, &frame)),
        ("srv6 routing ethernet", 1, over_ip6(43, &routing)),
        ("mpls in ip", 1, over_ip(137, &join(&[&mpls(100, true), &inner]))),
        ("mpls in udp", 1, over_udp(6635, &mpls(100, true), &inner6)),
        ("vxlan-gpe nsh", 1, over_udp(4790, &[0x0c, 0, 0, 4, 0, 0, 9, 0], &join(&[&nsh(1, 3), &frame]))),
        ("geneve nsh", 1, over_udp(6081, &[0, 0, 0x89, 0x4f, 0, 0, 9, 0], &join(&[&nsh(2, 2), &inner6]))),
        ("gtp-u ethernet", 1, ethernet(0x0800, &ipv4(17, &gtpu(0x30, &[], &frame)))),
        ("lisp", 1, over_udp(4341, &[0x80, 0, 0, 1, 0, 0, 0, 1], &inner)),
        ("lisp instance", 1, over_udp(4341, &[8, 0, 0, 0, 0, 0, 5, 1], &inner6)),
        ("lisp ethernet", 1, over_udp(4341, &[0x0c, 0, 0, 3, 0, 0, 5, 1], &frame)),
        ("ayiya", 1, over_udp(5072, &join(&[&[0x41, 0x52, 1, 41], &[7; 40]]), &inner6)),
    ]
}
