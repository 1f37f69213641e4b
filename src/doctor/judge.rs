//! What the facts mean for a capture: a pure function from facts to findings.
//!
//! Owns every judgement and the command that cures each trouble. Asks nothing. Its one invariant: the same facts give the same findings in the
//! same order.

use super::facts::Facts;
use super::holders::Owner;
use super::trial::Trial;
use netscope_backends::nic::{Fanout, Nic, Use};
use netscope_backends::xdp::{LostTags, XdpOptions, lost_tags};

/// Bytes of the largest AF_XDP frame: a page.
const FRAME_BYTES_MAX: u32 = 4096;
/// The largest MTU that drivers take for programs that see one buffer only (measured on veth: 3506 with its header).
const MTU_ONE_BUFFER: u32 = 3498;
/// Memory that one queue of AF_XDP takes: 32768 frames of 2048 bytes.
const QUEUE_BYTES: u64 = 64 << 20;
/// Size of the huge pages that AF_XDP's frames lie in.
const HUGE_PAGE_KIB: u64 = 2048;
/// First kernel with bpf_link for XDP.
const KERNEL_XDP_LINK: (u32, u32) = (5, 9);

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A capture goes wrong, loses packets or tells something untrue.
    Trouble,
    /// Good to know.
    Note,
    /// As it should be.
    Ok,
}

impl Mark {
    /// Its word in text and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Note => "note",
            Self::Ok => "ok",
        }
    }
}

/// One judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub mark: Mark,
    /// A name that does not change between versions.
    pub id: &'static str,
    /// What it is and why it matters, in one line.
    pub what: String,
    /// The command that cures it.
    pub cure: Option<String>,
}

/// Collects findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, mark: Mark, id: &'static str, what: impl Into<String>, cure: Option<String>) {
        self.0.push(Finding { mark, id, what: what.into(), cure });
    }

    fn trouble(&mut self, id: &'static str, what: impl Into<String>, cure: impl Into<Option<String>>) {
        self.add(Mark::Trouble, id, what, cure.into());
    }

    fn note(&mut self, id: &'static str, what: impl Into<String>, cure: impl Into<Option<String>>) {
        self.add(Mark::Note, id, what, cure.into());
    }
}

/// All findings, troubles first. Never empty.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings::default();
    link(facts, &mut findings);
    others(facts, &mut findings);
    queues(facts, &mut findings);
    offloads(&facts.nic, &mut findings);
    sizes(facts, &mut findings);
    xdp(facts, &mut findings);
    rights(facts, &mut findings);
    machine(facts, &mut findings);
    let mut findings = findings.0;
    findings.sort_by_key(|finding| finding.mark); // stable: within a mark the order stays
    if findings.first().is_none_or(|finding| finding.mark != Mark::Trouble) {
        let what = "nothing here stands in the way of a capture".to_owned();
        findings.push(Finding { mark: Mark::Ok, id: "no-trouble", what, cure: None });
    }
    findings
}

fn link(facts: &Facts, findings: &mut Findings) {
    let nic = &facts.nic;
    if !nic.up {
        findings.trouble("down", "the interface is down: no packet arrives", format!("ip link set dev {} up", nic.name));
    } else if nic.carrier == Some(false) {
        findings.trouble(
            "no-carrier",
            "nothing is at the other end of the link: no packet arrives; check cable and switch",
            None,
        );
    }
    if !nic.uses.is_empty() {
        let uses: Vec<_> = nic.uses.iter().map(ToString::to_string).collect();
        findings.note(
            "in-use",
            format!("it {}: AF_XDP would take those packets away from the host; --backend tpacket does not", uses.join(", ")),
            None,
        );
    }
    let vlans: Vec<&str> = nic
        .uses
        .iter()
        .filter_map(|reason| match reason {
            Use::Carries { name, kind } if kind == "vlan" => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if vlans.len() > 1 {
        findings.note(
            "several-vlans",
            format!(
                "it carries the VLANs {}: flows with the same addresses and ports in two of them are counted as one; the summary says \
                 when that happens",
                vlans.join(", ")
            ),
            format!("netscope -i {} --flow-key vlan", nic.name),
        );
    }
}

fn others(facts: &Facts, findings: &mut Findings) {
    for program in &facts.xdp {
        findings.trouble(
            "xdp-attached",
            format!("the XDP program {program} is attached: AF_XDP capture never replaces another's"),
            program.cure(&facts.nic.name),
        );
    }
    for (socket, owner) in facts.holders.xdp.iter().flatten() {
        let whose =
            owner.as_ref().map_or_else(|| "another process".to_owned(), |owner| format!("{} ({})", owner.name, owner.pid));
        findings.trouble(
            "xdp-socket",
            format!("{whose} has an AF_XDP socket on queue {}: that queue cannot be captured by AF_XDP", socket.queue),
            owner.as_ref().map(|owner| format!("kill {}", owner.pid)),
        );
    }
    packet_sockets(facts, findings);
}

/// A note for each process and fanout group.
fn packet_sockets(facts: &Facts, findings: &mut Findings) {
    let mut groups: Vec<(Option<&Owner>, Option<Fanout>, usize)> = Vec::new();
    for (socket, owner) in facts.holders.packet.iter().flatten() {
        let (owner, fanout) = (owner.as_ref(), socket.fanout);
        match groups.iter_mut().find(|(whose, of, _)| (*whose, of.map(|of| of.id)) == (owner, fanout.map(|of| of.id))) {
            Some((_, _, count)) => *count += 1,
            None => groups.push((owner, fanout, 1)),
        }
    }
    for (owner, fanout, count) in groups {
        let whose = owner.map_or_else(|| "another process".to_owned(), |owner| format!("{} ({})", owner.name, owner.pid));
        let sockets = if count == 1 { "a packet socket".to_owned() } else { format!("{count} packet sockets") };
        let group = fanout.map_or_else(String::new, |fanout| format!(" in fanout group {} by {}", fanout.id, fanout.mode_name()));
        findings.note(
            "packet-socket",
            format!("{whose} has {sockets} here{group}: the kernel does its work for each packet too"),
            None,
        );
    }
}

fn queues(facts: &Facts, findings: &mut Findings) {
    let nic = &facts.nic;
    let count = nic.queues.len();
    if count == 0 {
        findings.note(
            "queues-unknown",
            "the driver does not say how many queues are in use: name the workers with --workers",
            None,
        );
    }
    if count > 1 {
        symmetry(nic, findings);
    }
    if count > facts.host.cpus {
        let cpus = facts.host.cpus;
        findings.note(
            "queues-beyond-cpus",
            format!("{count} queues for {cpus} CPUs: workers that share a CPU disturb each other"),
            nic.channels.map(|channels| {
                let which = if channels.combined.1 > 0 { "combined" } else { "rx" };
                format!("ethtool -L {} {which} {cpus}", nic.name)
            }),
        );
    }
    let known: Vec<_> = nic.queues.iter().filter_map(|queue| Some((queue, *queue.cpus.first()?))).collect();
    if let Some(((queue, cpu), other)) = known.iter().enumerate().find_map(|(index, (queue, cpu))| {
        known.get(..index)?.iter().find(|(_, other)| other == cpu).map(|(other, _)| ((*queue, *cpu), *other))
    }) {
        let free = (0..facts.host.cpus).find(|cpu| known.iter().all(|(_, other)| other != cpu));
        findings.note(
            "interrupts-share-cpu",
            format!("queues {} and {} interrupt the same CPU {cpu}: it receives for both", other.index, queue.index),
            free.zip(queue.interrupt).map(|(free, irq)| format!("echo {free} >/proc/irq/{irq}/smp_affinity_list")),
        );
    }
    let near = &facts.host.cpus_near;
    if let Some((queue, cpu)) = known.iter().find(|(_, cpu)| !near.is_empty() && !near.contains(cpu)) {
        findings.note(
            "interrupt-far",
            format!(
                "queue {} interrupts CPU {cpu}, which is not on the card's NUMA node: each packet crosses nodes",
                queue.index
            ),
            near.first().zip(queue.interrupt).map(|(near, irq)| format!("echo {near} >/proc/irq/{irq}/smp_affinity_list")),
        );
    }
    if facts.host.irqbalance && !known.is_empty() {
        findings.note(
            "irqbalance",
            "irqbalance moves interrupts between CPUs: workers do not stay where their queues are served",
            "systemctl stop irqbalance".to_owned(),
        );
    }
}

fn symmetry(nic: &Nic, findings: &mut Findings) {
    match nic.keeps_flows_together() {
        Some(true) => findings.add(Mark::Ok, "rss-symmetric", "the hash brings both directions of a flow to one queue", None),
        Some(false) => {
            let bytes = nic.rss.as_ref().map_or(0, |rss| rss.key.len());
            let key: Vec<_> = netscope_backends::nic::symmetric_key(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            findings.trouble(
                "rss-asymmetric",
                "the hash may bring the two directions of a flow to different queues: TCP analysis sees half of it",
                format!("ethtool -X {} hkey {}", nic.name, key.join(":")),
            );
        }
        None => findings.note(
            "rss-unknown",
            "the driver does not show its hash: whether both directions of a flow come to one queue is not known (TPACKET's \
             fanout brings them together by their outermost addresses and ports)",
            None,
        ),
    }
}

fn offloads(nic: &Nic, findings: &mut Findings) {
    if let Some(LostTags { who, what, cure, is_certain }) = lost_tags(nic) {
        let (mark, what) = if nic.xdp_abilities.is_some_and(|abilities| abilities.tells_vlan()) {
            (
                Mark::Note,
                format!(
                    "VLAN tags that {who} beside the packet: AF_XDP asks the driver and puts them back, but not in generic mode"
                ),
            )
        } else {
            let mark = if is_certain { Mark::Trouble } else { Mark::Note };
            (mark, format!("{what} (TPACKET and libpcap put them back)"))
        };
        findings.add(mark, "vlan-strip", what, cure);
    }
    let Some(features) = &nic.features else { return };
    let off = |flag: &str| Some(format!("ethtool -K {} {flag} off", nic.name));
    let cure = |feature: &str, flag: &str| if features.can_change(feature) { off(flag) } else { None };
    if features.is_active("rx-lro") {
        findings.trouble(
            "lro",
            "LRO joins packets and forgets what they were: sizes, counts and TCP analysis are wrong",
            cure("rx-lro", "lro"),
        );
    }
    if features.is_active("rx-gro-hw") {
        findings.trouble(
            "gro-hw",
            "the card joins packets (hardware GRO): sizes and counts are of joined packets",
            cure("rx-gro-hw", "rx-gro-hw"),
        );
    }
    if features.is_active("rx-gro") && !nic.loopback {
        findings.note(
            "gro",
            "GRO joins packets before TPACKET and libpcap see them (AF_XDP in the driver sees them before): sizes and counts are of joined packets",
            cure("rx-gro", "gro"),
        );
    }
    if let Some((peer, features)) = &nic.peer {
        let joins = ["tx-tcp-segmentation", "tx-generic-segmentation", "tx-udp-segmentation"];
        if joins.iter().any(|feature| features.is_active(feature)) {
            findings.note(
                "peer-segmentation",
                format!(
                    "the other end {peer} sends packets that were never cut (TSO, GSO): up to 64 KiB each, without checksums"
                ),
                format!("ethtool -K {peer} tso off gso off tx off"),
            );
        }
    }
}

fn sizes(facts: &Facts, findings: &mut Findings) {
    let nic = &facts.nic;
    let takes_buffers = nic.xdp_abilities.map(|abilities| abilities.several_buffers());
    let usual = XdpOptions::default();
    let largest = XdpOptions { frame_bytes: FRAME_BYTES_MAX, ..XdpOptions::default() };
    let mtu = nic.mtu;
    if largest.needs_fragments(mtu) && !nic.loopback {
        if takes_buffers == Some(false) {
            findings.trouble(
                "mtu-one-buffer",
                format!(
                    "an MTU of {mtu} needs several buffers per packet, which this driver's XDP cannot: it refuses the program"
                ),
                format!("ip link set dev {} mtu {MTU_ONE_BUFFER}", nic.name),
            );
        } else {
            findings.note(
                "mtu-several-frames",
                format!("with an MTU of {mtu} a packet may fill several AF_XDP frames: Linux before 6.6 drops it"),
                None,
            );
        }
    } else if usual.needs_fragments(mtu) && !nic.loopback {
        findings.note(
            "mtu-several-frames",
            format!(
                "with an MTU of {mtu} a packet may fill several AF_XDP frames of {} bytes: Linux before 6.6 drops it; one of \
                 {FRAME_BYTES_MAX} is enough",
                usual.frame_bytes
            ),
            format!("netscope --interface {} --backend xdp --xdp-frame-size {FRAME_BYTES_MAX}", nic.name),
        );
    }
    if let Some(rings) = nic.rings.filter(|rings| rings.rx < rings.rx_max) {
        findings.note(
            "rx-ring-small",
            format!(
                "the receive ring has {} descriptors of {} possible: bursts longer than that are lost by the card",
                rings.rx, rings.rx_max
            ),
            format!("ethtool -G {} rx {}", nic.name, rings.rx_max),
        );
    }
}

fn xdp(facts: &Facts, findings: &mut Findings) {
    match &facts.trial {
        Trial::Skipped(_) => {}
        Trial::Tried { native: Ok(()), zero_copy: Some(Ok(())), .. } => {
            findings.add(Mark::Ok, "xdp-zero-copy", "AF_XDP works without copying", None);
        }
        Trial::Tried { native: Ok(()), zero_copy: Some(Err(why)), .. } => {
            findings.note("xdp-copies", format!("AF_XDP works in the driver, copying each packet (zero copy: {why})"), None);
        }
        Trial::Tried { native: Ok(()), zero_copy: None, .. } => {
            findings.add(Mark::Ok, "xdp-native", "the driver takes XDP programs", None);
        }
        Trial::Tried { native: Err(why), generic: Ok(()), .. } => findings.note(
            "xdp-generic-only",
            format!("the driver takes no XDP program ({why}): AF_XDP works in the stack, at a third to a half of the rate"),
            None,
        ),
        Trial::Tried { native: Err(_), generic: Err(why), .. } => {
            findings.trouble("xdp-refused", format!("no XDP program can be attached ({why}): use --backend tpacket"), None);
        }
    }
}

fn rights(facts: &Facts, findings: &mut Findings) {
    let process = facts.process;
    let setcap = |capabilities: &str| Some(format!("sudo setcap {capabilities}=eip $(command -v netscope)"));
    if !process.net_raw {
        findings.trouble("no-net-raw", "CAP_NET_RAW is missing: nothing can be captured", setcap("cap_net_raw"));
    }
    let missing: Vec<_> = [(process.net_admin, "CAP_NET_ADMIN"), (process.bpf, "CAP_BPF")]
        .iter()
        .filter(|(has, _)| !has)
        .map(|(_, name)| *name)
        .collect();
    if !missing.is_empty() {
        findings.note(
            "no-xdp-rights",
            format!("missing {}: AF_XDP cannot load its program; TPACKET does without", missing.join(" and ")),
            setcap("cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock"),
        );
    }
    let queues = u64::try_from(facts.nic.queues.len().max(1)).unwrap_or(u64::MAX);
    if let Some(limit) = process.memlock_bytes.filter(|limit| !process.ipc_lock && *limit < QUEUE_BYTES.saturating_mul(queues)) {
        findings.note(
            "memlock",
            format!(
                "{} KiB may be locked into memory, and AF_XDP locks {} MiB per queue: it fails with ENOBUFS",
                limit >> 10,
                QUEUE_BYTES >> 20
            ),
            "ulimit -l unlimited".to_owned(),
        );
    }
}

fn machine(facts: &Facts, findings: &mut Findings) {
    let host = &facts.host;
    if release(&facts.kernel).is_some_and(|release| release < KERNEL_XDP_LINK) {
        findings.trouble(
            "kernel-old",
            "this kernel cannot attach XDP programs by a link (5.9 and newer do): use --backend tpacket",
            None,
        );
    }
    if host.bpf_jit == Some(0) {
        findings.trouble(
            "bpf-jit-off",
            "BPF programs are interpreted: each packet costs several times as much",
            "sysctl -w net.core.bpf_jit_enable=1".to_owned(),
        );
    }
    let slow: Vec<_> = host.governors.iter().filter(|governor| *governor != "performance").cloned().collect();
    if !slow.is_empty() {
        findings.note(
            "governor",
            format!("CPUs change their frequency (governor {}): bursts meet a slow CPU", slow.join(", ")),
            "cpupower frequency-set -g performance".to_owned(),
        );
    }
    let queues = facts.nic.queues.len().max(1) as u64;
    let need = queues * QUEUE_BYTES.div_ceil(HUGE_PAGE_KIB << 10);
    // The frames ask for pages of this size; others do not serve them.
    if let Some(pages) = host.huge_pages.iter().find(|pages| pages.kib == HUGE_PAGE_KIB && pages.free < need) {
        let (free, reserved) = (pages.free, pages.reserved.saturating_add(need - pages.free));
        findings.note(
            "huge-pages",
            format!(
                "{free} huge pages of 2 MiB are free, and AF_XDP's frames of all queues fill {need}: the rest are large pages only where the \
                 kernel finds some to merge (THP), else small ones, which cost misses of the TLB"
            ),
            format!("echo {reserved} >/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE_KIB}kB/nr_hugepages"),
        );
    }
}

/// Major and minor number of a kernel release.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
