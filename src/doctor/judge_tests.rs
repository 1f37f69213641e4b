//! Tests of the judging: for each finding the facts that bring it, and the cure that is named.

use super::*;
use crate::doctor::facts::{Host, HugePages, Process};
use crate::doctor::holders::{Holders, Owner};
use netscope_backends::bpf::Attached;
use netscope_backends::nic::{
    AttachMode, Channels, Fanout, Features, HashFunction, PacketSocket, Queue, Rings, Rss, Use, VLAN_STRIP, XdpSocket,
    symmetric_key,
};

/// A fine machine with a fine card of two queues.
fn fine() -> Facts {
    let mut nic = Nic::read("lo").expect("every machine has a loopback");
    nic.name = "eth0".to_owned();
    nic.loopback = false;
    (nic.up, nic.carrier, nic.mtu) = (true, Some(true), 1500);
    nic.queues = (0..2).map(|index| Queue { index, interrupt: Some(40 + index), cpus: vec![index as usize] }).collect();
    nic.channels = Some(Channels { rx: (0, 0), combined: (2, 8) });
    nic.rings = Some(Rings { rx: 4096, rx_max: 4096, tx: 512, tx_max: 4096 });
    nic.features = Some(Features::default());
    nic.rss = Some(Rss { function: Some(HashFunction::Toeplitz), key: symmetric_key(40), indirection: vec![0, 1], transform: 0 });
    (nic.peer, nic.xdp_abilities) = (None, None);
    (nic.xdp, nic.addresses, nic.uses) = (Vec::new(), Vec::new(), Vec::new());
    Facts {
        kernel: "6.18.0-generic".to_owned(),
        nic,
        xdp: Vec::new(),
        trial: Trial::Skipped("made up".to_owned()),
        holders: Holders { packet: Some(Vec::new()), xdp: Some(Vec::new()) },
        process: Process { net_raw: true, net_admin: true, bpf: true, ipc_lock: true, memlock_bytes: Some(8 << 20) },
        host: Host {
            cpus: 2,
            cpus_near: vec![0, 1],
            governors: ["performance".to_owned()].into(),
            bpf_jit: Some(1),
            huge_pages: vec![HugePages { kib: 2048, reserved: 64, free: 64 }],
            irqbalance: false,
        },
    }
}

/// The finding `id` that comes when `change` is made to fine facts, and is not there without.
#[track_caller]
fn found(id: &str, change: impl FnOnce(&mut Facts)) -> Finding {
    let mut facts = fine();
    assert!(judge(&facts).iter().all(|finding| finding.id != id), "`{id}` is found on a fine machine");
    change(&mut facts);
    let findings = judge(&facts);
    findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no `{id}` in {findings:?}")).clone()
}

#[track_caller]
fn check(finding: &Finding, mark: Mark, cure: Option<&str>) {
    assert_eq!((finding.mark, finding.cure.as_deref()), (mark, cure), "{finding:?}");
    assert!(!finding.what.contains('\n') && !finding.what.is_empty(), "one line: {finding:?}");
}

fn owner() -> Option<Owner> {
    Some(Owner { pid: 77, name: "suricata".to_owned() })
}

fn on(facts: &mut Facts, feature: &str) {
    facts.nic.features.get_or_insert_default().active.insert(feature.to_owned());
}

#[test]
fn a_fine_machine_has_no_trouble_and_is_told_so() {
    let findings = judge(&fine());
    let ids: Vec<_> = findings.iter().map(|finding| (finding.mark, finding.id)).collect();
    assert_eq!(ids, [(Mark::Ok, "rss-symmetric"), (Mark::Ok, "no-trouble")]);
}

#[test]
fn troubles_come_first_and_then_nothing_is_called_fine() {
    let mut facts = fine();
    facts.nic.up = false;
    facts.host.irqbalance = true;
    let findings = judge(&facts);
    assert!(findings.is_sorted_by_key(|finding| finding.mark));
    assert!(findings.iter().all(|finding| finding.id != "no-trouble"));
}

#[test]
fn the_link() {
    check(&found("down", |facts| facts.nic.up = false), Mark::Trouble, Some("ip link set dev eth0 up"));
    check(&found("no-carrier", |facts| facts.nic.carrier = Some(false)), Mark::Trouble, None);
    let used = found("in-use", |facts| facts.nic.uses = vec![Use::Member { of: "br0".to_owned(), kind: "bridge".to_owned() }]);
    check(&used, Mark::Note, None);
    assert!(used.what.contains("is a member of the bridge br0"), "{}", used.what);
    let carries = |name: &str, kind: &str| Use::Carries { name: name.to_owned(), kind: kind.to_owned() };
    let vlans = found("several-vlans", |facts| {
        facts.nic.uses = vec![carries("eth0.10", "vlan"), carries("mac0", "macvlan"), carries("eth0.20", "vlan")];
    });
    check(&vlans, Mark::Note, Some("netscope -i eth0 --flow-key vlan"));
    assert!(vlans.what.contains("eth0.10, eth0.20"), "{}", vlans.what);
}

#[test]
fn others_at_the_interface() {
    let attached = |mode: AttachMode, link| {
        move |facts: &mut Facts| facts.xdp = vec![Attached { id: 12, name: Some("lb".to_owned()), mode, link }]
    };
    let native = found("xdp-attached", attached(AttachMode::Native, None));
    check(&native, Mark::Trouble, Some("ip link set dev eth0 xdpdrv off"));
    assert!(native.what.contains("XDP program lb (id 12, native)"), "{}", native.what);
    let linked = found("xdp-attached", attached(AttachMode::Generic, Some(5)));
    check(&linked, Mark::Trouble, Some("bpftool link detach id 5"));

    let socket = found("xdp-socket", |facts| facts.holders.xdp = Some(vec![(XdpSocket { inode: 1, queue: 3 }, owner())]));
    check(&socket, Mark::Trouble, Some("kill 77"));
    assert!(socket.what.contains("suricata (77)") && socket.what.contains("queue 3"), "{}", socket.what);

    let fanout = Some(Fanout { id: 5, mode: 0 });
    let packet = PacketSocket { inode: 1, protocol: 3, every_interface: false, fanout };
    let packet = found("packet-socket", |facts| facts.holders.packet = Some(vec![(packet, None)]));
    check(&packet, Mark::Note, None);
    assert!(packet.what.contains("another process") && packet.what.contains("fanout group 5 by hash"), "{}", packet.what);
}

#[test]
fn sockets_of_one_process_and_group_are_one_note() {
    let socket = |inode, group: u16| {
        let fanout = Some(Fanout { id: group, mode: 0 });
        (PacketSocket { inode, protocol: 3, every_interface: false, fanout }, owner())
    };
    let mut facts = fine();
    facts.holders.packet = Some(vec![socket(1, 5), socket(2, 5), socket(3, 6), socket(4, 5)]);
    let notes: Vec<_> = judge(&facts).into_iter().filter(|finding| finding.id == "packet-socket").map(|note| note.what).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("suricata (77) has 3 packet sockets here in fanout group 5"), "{notes:?}");
    assert!(notes[1].contains("has a packet socket here in fanout group 6"), "{notes:?}");
}

#[test]
fn queues_and_interrupts() {
    check(&found("queues-unknown", |facts| facts.nic.queues.clear()), Mark::Note, None);
    let many = |channels| {
        move |facts: &mut Facts| {
            facts.nic.queues = (0..4).map(|index| Queue { index, ..Queue::default() }).collect();
            facts.nic.channels = Some(channels);
        }
    };
    let combined = Channels { rx: (0, 0), combined: (4, 8) };
    check(&found("queues-beyond-cpus", many(combined)), Mark::Note, Some("ethtool -L eth0 combined 2"));
    let apart = Channels { rx: (4, 4), combined: (0, 0) };
    check(&found("queues-beyond-cpus", many(apart)), Mark::Note, Some("ethtool -L eth0 rx 2"));
    let shared = found("interrupts-share-cpu", |facts| facts.nic.queues[1].cpus = vec![0]);
    check(&shared, Mark::Note, Some("echo 1 >/proc/irq/41/smp_affinity_list"));
    let far = found("interrupt-far", |facts| facts.host.cpus_near = vec![1]);
    check(&far, Mark::Note, Some("echo 1 >/proc/irq/40/smp_affinity_list"));
    check(&found("irqbalance", |facts| facts.host.irqbalance = true), Mark::Note, Some("systemctl stop irqbalance"));
}

#[test]
fn the_hash() {
    let change = |key: Vec<u8>| move |facts: &mut Facts| facts.nic.rss.as_mut().expect("fine facts have one").key = key;
    let cure = "ethtool -X eth0 hkey 6d:5a:6d:5a";
    check(&found("rss-asymmetric", change(vec![1, 2, 3, 4])), Mark::Trouble, Some(cure));
    check(&found("rss-unknown", change(Vec::new())), Mark::Note, None);
    check(&found("rss-unknown", |facts| facts.nic.rss = None), Mark::Note, None);
    let mut one = fine();
    one.nic.queues.truncate(1);
    one.nic.rss = None;
    assert!(judge(&one).iter().all(|finding| !finding.id.starts_with("rss")), "one queue gets everything");
}

#[test]
fn offloads_that_change_what_is_seen() {
    check(&found("lro", |facts| on(facts, "rx-lro")), Mark::Trouble, Some("ethtool -K eth0 lro off"));
    check(&found("gro-hw", |facts| on(facts, "rx-gro-hw")), Mark::Trouble, Some("ethtool -K eth0 rx-gro-hw off"));
    check(&found("gro", |facts| on(facts, "rx-gro")), Mark::Note, Some("ethtool -K eth0 gro off"));
    check(&found("vlan-strip", |facts| on(facts, VLAN_STRIP)), Mark::Trouble, Some("ethtool -K eth0 rxvlan off"));
    let fixed = found("vlan-strip", |facts| {
        on(facts, VLAN_STRIP);
        facts.nic.features.get_or_insert_default().fixed.insert(VLAN_STRIP.to_owned());
    });
    check(&fixed, Mark::Trouble, None);
    let veth = |peer: Option<(String, Features)>| {
        move |facts: &mut Facts| {
            on(facts, VLAN_STRIP);
            (facts.nic.kind, facts.nic.peer) = (Some("veth".to_owned()), peer);
        }
    };
    let inserts = Features { active: ["tx-vlan-hw-insert".to_owned()].into(), ..Features::default() };
    let there = found("vlan-strip", veth(Some(("v1".to_owned(), inserts))));
    check(&there, Mark::Trouble, Some("ethtool -K v1 txvlan off"));
    check(&found("vlan-strip", veth(None)), Mark::Note, None);
    let mut keeps = fine();
    veth(Some(("v1".to_owned(), Features::default())))(&mut keeps);
    assert!(judge(&keeps).iter().all(|finding| finding.id != "vlan-strip"), "the other end sends tags inside packets");
    let told = found("vlan-strip", |facts| {
        on(facts, VLAN_STRIP);
        facts.nic.xdp_abilities = Some(netscope_backends::nic::XdpAbilities::from_bits(0x7f, 4));
    });
    check(&told, Mark::Note, Some("ethtool -K eth0 rxvlan off"));
    let peer = found("peer-segmentation", |facts| {
        let features = Features { active: ["tx-tcp-segmentation".to_owned()].into(), ..Features::default() };
        facts.nic.peer = Some(("v1".to_owned(), features));
    });
    check(&peer, Mark::Note, Some("ethtool -K v1 tso off gso off tx off"));
}

#[test]
fn sizes_of_packets_and_rings() {
    check(&found("mtu-several-frames", |facts| facts.nic.mtu = 9000), Mark::Note, None);
    let cure = "netscope --interface eth0 --backend xdp --xdp-frame-size 4096";
    let at = |mtu| move |facts: &mut Facts| facts.nic.mtu = mtu;
    check(&found("mtu-several-frames", at(1771)), Mark::Note, Some(cure));
    check(&found("mtu-several-frames", at(3818)), Mark::Note, Some(cure));
    check(&found("mtu-several-frames", at(3819)), Mark::Note, None);
    let mut fits = fine();
    fits.nic.mtu = 1770;
    assert!(judge(&fits).iter().all(|finding| !finding.id.starts_with("mtu")), "it fits in one frame");
    let one_buffer = found("mtu-one-buffer", |facts| {
        facts.nic.mtu = 9000;
        facts.nic.xdp_abilities = Some(netscope_backends::nic::XdpAbilities::default());
    });
    check(&one_buffer, Mark::Trouble, Some("ip link set dev eth0 mtu 3498"));
    let small = |facts: &mut Facts| facts.nic.rings = Some(Rings { rx: 512, rx_max: 4096, tx: 1, tx_max: 1 });
    check(&found("rx-ring-small", small), Mark::Note, Some("ethtool -G eth0 rx 4096"));
}

#[test]
fn what_the_trial_says() {
    let refused = || Err("not here".to_owned());
    let tried = |native, generic, zero_copy| move |facts: &mut Facts| facts.trial = Trial::Tried { native, generic, zero_copy };
    check(&found("xdp-zero-copy", tried(Ok(()), Ok(()), Some(Ok(())))), Mark::Ok, None);
    check(&found("xdp-copies", tried(Ok(()), Ok(()), Some(refused()))), Mark::Note, None);
    check(&found("xdp-native", tried(Ok(()), Ok(()), None)), Mark::Ok, None);
    check(&found("xdp-generic-only", tried(refused(), Ok(()), None)), Mark::Note, None);
    check(&found("xdp-refused", tried(refused(), refused(), None)), Mark::Trouble, None);
}

#[test]
fn rights() {
    let setcap = |what: &str| format!("sudo setcap {what}=eip $(command -v netscope)");
    check(&found("no-net-raw", |facts| facts.process.net_raw = false), Mark::Trouble, Some(&setcap("cap_net_raw")));
    let rights = found("no-xdp-rights", |facts| (facts.process.net_admin, facts.process.bpf) = (false, false));
    check(&rights, Mark::Note, Some(&setcap("cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock")));
    assert!(rights.what.contains("CAP_NET_ADMIN and CAP_BPF"), "{}", rights.what);
    check(&found("memlock", |facts| facts.process.ipc_lock = false), Mark::Note, Some("ulimit -l unlimited"));
    let mut unlimited = fine();
    (unlimited.process.ipc_lock, unlimited.process.memlock_bytes) = (false, None);
    assert!(judge(&unlimited).iter().all(|finding| finding.id != "memlock"));
}

#[test]
fn the_machine() {
    check(&found("kernel-old", |facts| facts.kernel = "5.4.0-100".to_owned()), Mark::Trouble, None);
    let jit = found("bpf-jit-off", |facts| facts.host.bpf_jit = Some(0));
    check(&jit, Mark::Trouble, Some("sysctl -w net.core.bpf_jit_enable=1"));
    let governor = found("governor", |facts| facts.host.governors = ["powersave".to_owned()].into());
    check(&governor, Mark::Note, Some("cpupower frequency-set -g performance"));
    // Two queues fill 64 pages; what others hold of the pool stays theirs.
    let cure = |pages: u64| format!("echo {pages} >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    let pool = |kib, reserved, free| HugePages { kib, reserved, free };
    let of = |pools: Vec<HugePages>| found("huge-pages", |facts| facts.host.huge_pages = pools);
    check(&of(vec![pool(2048, 0, 0)]), Mark::Note, Some(&cure(64)));
    check(&of(vec![pool(2048, 512, 63), pool(1 << 20, 4, 4)]), Mark::Note, Some(&cure(513)));
    let mut others = fine();
    others.host.huge_pages = vec![pool(2048, 64, 64), pool(1 << 20, 0, 0)];
    assert!(judge(&others).iter().all(|finding| finding.id != "huge-pages"), "gigantic pages are not asked for");
}

#[test]
fn releases_are_compared_as_numbers() {
    assert_eq!(release("6.18.44-fc-v595"), Some((6, 18)));
    assert_eq!(release("5.10"), Some((5, 10)));
    assert_eq!((release(""), release("linux")), (None, None));
    assert!(release("5.10.0") > Some(KERNEL_XDP_LINK), "10 is more than 9");
}
