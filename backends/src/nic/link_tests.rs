//! Tests of the rtnetlink answers: made-up messages, hostile ones, and the loopback that every machine has.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// The payload of a message: its bytes without the header.
fn payload(payload: &AttributeBytes) -> Vec<u8> {
    payload.message(0, 0, 0).split_off(16)
}

fn link_header(index: u32, flags: libc::c_int) -> Vec<u8> {
    [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]].concat()
}

#[test]
fn reads_a_link() {
    let xdp = AttributeBytes::default().bytes(IFLA_XDP_ATTACHED, &[2]).u32(IFLA_XDP_PROG_ID, 77).u32(6, 77);
    let info = AttributeBytes::default().text(IFLA_INFO_KIND, "veth");
    let message = AttributeBytes::new(&link_header(4, libc::IFF_UP))
        .text(IFLA_IFNAME, "v0")
        .u32(IFLA_MTU, 1500)
        .u32(IFLA_LINK, 5)
        .u32(IFLA_MASTER, 9)
        .bytes(IFLA_CARRIER, &[1])
        .nest(IFLA_LINKINFO, &info)
        .nest(IFLA_XDP, &xdp);
    let link = parse_link(&payload(&message)).unwrap();
    assert_eq!((link.index, link.name.as_str(), link.kind.as_deref(), link.mtu), (4, "v0", Some("veth"), 1500));
    assert!(link.up && !link.loopback && link.carrier == Some(true));
    assert_eq!((link.lower, link.master), (Some(5), Some(9)));
    assert_eq!(link.xdp, [AttachedXdp { mode: AttachMode::Generic, program_id: 77 }]);
    let elsewhere = parse_link(&payload(&message.u32(IFLA_LINK_NETNSID, 0))).unwrap();
    assert_eq!(elsewhere.lower, None, "a number of another namespace");
}

#[test]
fn reads_programs_in_several_modes_and_none() {
    let several = payload(&AttributeBytes::default().bytes(IFLA_XDP_ATTACHED, &[ATTACHED_MULTI]).u32(5, 1).u32(6, 2));
    let modes = parse_xdp(&Attributes::parse(&several, 0).unwrap());
    let expected = [(AttachMode::Native, 1), (AttachMode::Generic, 2)].map(|(mode, program_id)| AttachedXdp { mode, program_id });
    assert_eq!(modes, expected);
    let none = payload(&AttributeBytes::default().bytes(IFLA_XDP_ATTACHED, &[0]));
    assert_eq!(parse_xdp(&Attributes::parse(&none, 0).unwrap()), []);
}

#[test]
fn reads_default_routes_and_each_hop_of_several() {
    let route = |bits, kind| AttributeBytes::new(&[2, bits, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0]);
    let plain = payload(&route(0, 1).u32(RTA_OIF, 3).bytes(RTA_GATEWAY, &[10, 0, 0, 1]));
    assert_eq!(parse_default_route(&plain, 3), Ok(Some(Some(IpAddr::from([10, 0, 0, 1])))));
    assert_eq!(parse_default_route(&plain, 4), Ok(None));
    assert_eq!(parse_default_route(&payload(&route(24, 1).u32(RTA_OIF, 3)), 3), Ok(None), "not a default route");
    assert_eq!(parse_default_route(&payload(&route(0, 7).u32(RTA_OIF, 3)), 3), Ok(None), "unreachable");

    let gateway = payload(&AttributeBytes::default().bytes(RTA_GATEWAY, &[10, 0, 0, 2]));
    let hop = |index: u32, more: &[u8]| {
        let length = (NEXT_HOP_HEADER + more.len()) as u16;
        [&length.to_ne_bytes()[..], &[0, 0], &index.to_ne_bytes(), more].concat()
    };
    let hops = [hop(7, &[]), hop(8, &gateway)].concat();
    let several = payload(&route(0, 1).bytes(RTA_MULTIPATH, &hops));
    assert_eq!(parse_default_route(&several, 7), Ok(Some(None)));
    assert_eq!(parse_default_route(&several, 8), Ok(Some(Some(IpAddr::from([10, 0, 0, 2])))));
    assert_eq!(parse_default_route(&several, 9), Ok(None));
    let lying = payload(&route(0, 1).bytes(RTA_MULTIPATH, &[0; 8]));
    assert_eq!(parse_default_route(&lying, 9), Err(DamagedMessage), "a hop of no length would never end");
}

#[test]
fn members_and_what_stands_above_are_uses_a_veth_peer_is_not() {
    let link =
        |index, name: &str, kind: &str| Link { index, name: name.to_owned(), kind: Some(kind.to_owned()), ..Link::default() };
    let own = Link { master: Some(2), ..link(1, "v0", "veth") };
    let bridge = link(2, "br0", "bridge");
    let vlan = Link { lower: Some(1), ..link(3, "v0.5", "vlan") };
    let peer = Link { lower: Some(1), ..link(4, "v1", "veth") };
    let uses = relations(&own, &[own.clone(), bridge, vlan, peer]);
    let said: Vec<_> = uses.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["is a member of the bridge br0", "carries the vlan v0.5"]);
}

#[test]
fn link_local_addresses_are_told_apart() {
    for (address, expected) in [("fe80::1", true), ("169.254.3.4", true), ("10.0.0.1", false), ("2001:db8::1", false)] {
        assert_eq!(is_link_local(&address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn the_loopback_is_a_link_and_a_missing_one_is_not() {
    let mut route = RouteNetlink::open().unwrap();
    let link = route.link("lo").unwrap();
    assert!(link.loopback && link.mtu > 0 && link.index > 0);
    assert!(route.links().unwrap().iter().any(|other| other.index == link.index));
    assert_eq!(route.link("no-such-link").unwrap_err().raw_os_error(), Some(libc::ENODEV));
}

/// Runs `work` on a thread in a network namespace of its own; not (told) without the right to make one.
pub fn in_new_namespace(work: impl FnOnce() + Send) {
    let in_thread = || match nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        Ok(()) => work(),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            eprintln!("skipped: no new network namespace without root");
        }
    };
    std::thread::scope(|scope| scope.spawn(in_thread).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
}

/// Runs `ip` in the namespace of this thread.
#[track_caller]
pub fn ip(arguments: &str) {
    let status = std::process::Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
}

#[test]
fn default_routes_are_found_among_others_in_any_table() {
    in_new_namespace(|| {
        for (own, peer, net) in [("a0", "a1", 1), ("b0", "b1", 2)] {
            ip(&format!("link add {own} type veth peer name {peer}"));
            ip(&format!("link set {own} up"));
            ip(&format!("address add 10.0.{net}.1/24 dev {own}"));
            for other in 0..20 {
                ip(&format!("route add 10.{net}.{other}.0/24 via 10.0.{net}.2"));
            }
        }
        let mut route = RouteNetlink::open().unwrap();
        let (a, b) = (route.link("a0").unwrap(), route.link("b0").unwrap());
        assert_eq!(route.default_routes(a.index).unwrap(), []);
        ip("route add default via 10.0.1.9");
        ip("route add default table 77 via 10.0.2.7");
        assert_eq!(route.default_routes(a.index).unwrap(), [Some(IpAddr::from([10, 0, 1, 9]))]);
        assert_eq!(route.default_routes(b.index).unwrap(), [Some(IpAddr::from([10, 0, 2, 7]))]);
        ip("route replace default nexthop via 10.0.1.3 nexthop via 10.0.2.3");
        assert_eq!(route.default_routes(a.index).unwrap(), [Some(IpAddr::from([10, 0, 1, 3]))]);
        assert_eq!(route.default_routes(b.index).unwrap().len(), 2);
        assert_eq!(route.addresses(b.index).unwrap().first(), Some(&(IpAddr::from([10, 0, 2, 1]), 24)));
        assert_eq!(route.name_of(b.index).unwrap().as_deref(), Some("b0"));
        ip("link delete b0");
        assert_eq!(route.name_of(b.index).unwrap(), None);
    });
}

proptest! {
    #[test]
    fn hostile_answers_never_panic(bytes in vec(any::<u8>(), 0..200), index in any::<u32>()) {
        let _ = parse_link(&bytes);
        let _ = parse_address(&bytes, index);
        let _ = parse_default_route(&bytes, index);
        let hops = payload(&AttributeBytes::new(&[2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]).bytes(RTA_MULTIPATH, &bytes));
        let _ = parse_default_route(&hops, index);
    }
}
