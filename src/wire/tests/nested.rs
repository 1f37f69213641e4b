//! Headers in each other without end: followed to a depth, and no further.

use super::build::*;
use super::dissect;
use crate::wire::*;
use netscope_backends::LinkType;

/// `header` many times, before `payload`.
fn repeated(header: &[u8], payload: &[u8]) -> Vec<u8> {
    join(&[&header.repeat(usize::from(LINK_HEADER_COUNT_MAX) + 8), payload])
}

/// Link type, and packets that go deeper than is followed.
pub fn packets() -> Vec<(u16, Vec<u8>)> {
    let ip = ipv4(6, &tcp(b"inner"));
    let on_ethernet = |kind: u16, header: &[u8]| (1, ethernet(kind, &repeated(header, &ip)));
    let tag = |before: &[u8], kind: u16| join(&[before, &kind.to_be_bytes()]);
    let mut found = vec![
        on_ethernet(0x8100, &tag(&[0, 5], 0x8100)),
        on_ethernet(0x8847, &mpls(5, false)),
        on_ethernet(0x893f, &tag(&[0; 6], 0x893f)),
        on_ethernet(0x8926, &tag(&[0; 4], 0x8926)),
        on_ethernet(0x892f, &tag(&[0; 4], 0x892f)),
        on_ethernet(0x8909, &tag(&[0; 6], 0x8909)),
        on_ethernet(0xdada, &tag(&[0; 6], 0xdada)),
        // Each ends with its own check value.
        (1, ethernet(0x88e5, &repeated(&tag(&[0; 6], 0x88e5), &[0; 700]))),
        on_ethernet(0x894f, &nsh(2, 4)),
        on_ethernet(0x88e7, &join(&[&[0; 4], &ethernet(0x88e7, &[])])),
        on_ethernet(0x6558, &ethernet(0x6558, &[])),
        (192, repeated(&[0, 0, 8, 0, 192, 0, 0, 0], &[])),
        (
            1,
            ethernet(
                0x8847,
                &join(&[
                    &repeated(&mpls(5, false), &[])[..4 * usize::from(LINK_HEADER_COUNT_MAX - 1)],
                    &mpls(5, true),
                    &ethernet(100, &[7; 100]),
                ]),
            ),
        ),
    ];
    let mut llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip]);
    for _ in 0..LINK_HEADER_COUNT_MAX {
        llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0], &vlan(1, llc.len() as u16, &llc)]);
    }
    found.push((1, ethernet(llc.len() as u16, &llc)));
    let mut ppp = join(&[&[0, 0x21], &ip]);
    for _ in 0..LINK_HEADER_COUNT_MAX {
        ppp = join(&[&[0x02, 0x81], &mpls(1, true), &[0; 4], &ethernet(0x8864, &pppoe(&ppp))]);
    }
    found.push((1, ethernet(0x8864, &pppoe(&ppp))));
    found.push((
        101,
        ipv6(60, &join(&[&[60, 0, 0, 0, 0, 0, 0, 0].repeat(usize::from(EXTENSION_COUNT_MAX)), &[59, 0, 0, 0, 0, 0, 0, 0]])),
    ));
    let extensions = join(&[&[1, 0, 0, 0xc0].repeat(100), &[1, 0, 0, 0], &ip]);
    found.push((101, ipv4(17, &gtpu(0x34, &join(&[&[0, 0, 0, 0xc0], &extensions]), &[]))));
    found.push((101, ipv4(47, &gre(0x4000, 0x0800, &join(&[&[0; 4], &[0, 2, 0, 0].repeat(40), &[0; 4]]), &ip))));
    found.extend(tunnels(&ip));
    found
}

/// More tunnels of each kind than are followed.
fn tunnels(ip: &[u8]) -> Vec<(u16, Vec<u8>)> {
    type Wrap<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let over_udp = |port: u16, header: &[u8], payload: &[u8]| ipv4(17, &udp_ports(50000, port, &join(&[header, payload])));
    let wraps: [Wrap<'_>; 14] = [
        &|ip| ipv4(4, ip),
        &|ip| ipv6(if ip[0] >> 4 == 4 { 4 } else { 41 }, ip),
        &|ip| ipv4(47, &gre(0, 0x0800, &[], ip)),
        &|ip| ipv4(47, &gre(0, 0x88be, &[], &ethernet(0x0800, ip))),
        &|ip| over_udp(4789, &[8, 0, 0, 0, 0, 0, 9, 0], &ethernet(0x0800, ip)),
        &|ip| over_udp(6081, &[0, 0, 8, 0, 0, 0, 9, 0], ip),
        &|ip| ipv4(17, &gtpu(0x30, &[], ip)),
        &|ip| over_udp(3544, &[], &ipv6(4, ip)),
        &|ip| over_udp(1701, &[0, 2, 0, 1, 0, 2, 0, 0x21], ip),
        &|ip| ipv4(97, &join(&[&[0x30, 0], &ethernet(0x0800, ip)])),
        &|ip| over_udp(4341, &[0; 8], ip),
        &|ip| over_udp(5072, &[0, 0, 1, 4, 0, 0, 0, 0, 0], ip),
        &|ip| over_udp(6635, &mpls(9, true), ip),
        &|ip| ipv4(143, &ethernet(0x0800, ip)),
    ];
    wraps.iter().map(|wrap| (101, (0..TUNNEL_DEPTH_MAX + 2).fold(ip.to_vec(), |inner, _| wrap(&inner)))).collect()
}

#[test]
fn depth_is_bounded_and_counted() {
    for (link, bytes) in packets() {
        let facts = dissect(LinkType(link), &bytes);
        assert_eq!(facts.fault.map(|fault| fault.kind), Some(FaultKind::TooDeep), "{facts:?} of {bytes:02x?}");
    }
}
