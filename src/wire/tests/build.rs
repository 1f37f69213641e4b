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
    packets.extend(tunnels(&arp));
    packets
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
