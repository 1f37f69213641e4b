//! Facts and findings for a person.
//!
//! Owns the layout. Its one invariant: a finding is one line.

use super::facts::Facts;
use super::judge::{Finding, Mark};
use super::trial::{Outcome, Trial};
use crate::record::counted;
use netscope_backends::nic::Nic;
use std::io::{self, Write};

/// Columns of a fact's name.
const NAME_COLUMNS: usize = 16;
/// Columns of a mark.
const MARK_COLUMNS: usize = 8;

/// Writes all of it.
pub fn write(out: &mut impl Write, facts: &Facts, findings: &[Finding]) -> io::Result<()> {
    let nic = &facts.nic;
    writeln!(out, "{}{}", nic.name, nic.kind.as_ref().map_or_else(String::new, |kind| format!(" ({kind})")))?;
    for (name, value) in rows(facts) {
        writeln!(out, "  {name:<NAME_COLUMNS$}{value}")?;
    }
    writeln!(out)?;
    for finding in findings {
        let cure = finding.cure.as_ref().map_or_else(String::new, |cure| format!("; cure: {cure}"));
        writeln!(out, "{:<MARK_COLUMNS$}{}{cure}", finding.mark.word(), finding.what)?;
    }
    let troubles = findings.iter().filter(|finding| finding.mark == Mark::Trouble).count();
    let notes = findings.iter().filter(|finding| finding.mark == Mark::Note).count();
    writeln!(out, "\n{}, {}", counted(troubles as u64, "trouble"), counted(notes as u64, "note"))
}

/// The facts, named.
fn rows(facts: &Facts) -> Vec<(&'static str, String)> {
    let (nic, host) = (&facts.nic, &facts.host);
    let mut rows = vec![
        ("kernel", facts.kernel.clone()),
        ("driver", driver(nic)),
        ("link", link(nic)),
        ("mtu", format!("{} bytes", nic.mtu)),
        ("queues", queues(nic)),
    ];
    rows.extend(nic.queues.iter().filter_map(|queue| Some(("", interrupt(queue.index, queue.interrupt?, &queue.cpus)))));
    rows.extend([
        ("rss", rss(nic)),
        (
            "rings",
            nic.rings.map_or_else(unknown, |rings| {
                format!("rx {} of {}, tx {} of {}", rings.rx, rings.rx_max, rings.tx, rings.tx_max)
            }),
        ),
        ("offloads", offloads(nic)),
        ("addresses", listed(nic.addresses.iter().map(|(address, bits)| format!("{address}/{bits}")))),
        ("used by host", if nic.uses.is_empty() { "no".to_owned() } else { listed(nic.uses.iter().map(ToString::to_string)) }),
        ("xdp by driver", abilities(nic)),
        ("xdp tried", trial(&facts.trial)),
        ("xdp attached", attached(facts)),
        ("packet sockets", packet_sockets(facts)),
        ("xdp sockets", xdp_sockets(facts)),
        ("rights", rights(facts)),
        ("memlock", facts.process.memlock_bytes.map_or_else(|| "no limit".to_owned(), |bytes| format!("{} KiB", bytes >> 10))),
        (
            "huge pages",
            listed(
                host.huge_pages.iter().map(|pages| format!("{} of {} free ({} KiB each)", pages.free, pages.reserved, pages.kib)),
            ),
        ),
        ("cpus", cpus(facts)),
        ("bpf jit", host.bpf_jit.map_or_else(unknown, |jit| if jit == 0 { "off".to_owned() } else { "on".to_owned() })),
    ]);
    rows
}

fn unknown() -> String {
    "not known".to_owned()
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn driver(nic: &Nic) -> String {
    let Some(driver) = &nic.driver else { return nic.kind.clone().unwrap_or_else(unknown) };
    let parts =
        [driver.name.as_str(), driver.version.as_str(), nic.bus.as_deref().unwrap_or_default(), driver.bus_address.as_str()];
    let mut text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if !driver.firmware.is_empty() {
        text.push_str(&format!(", firmware {}", driver.firmware));
    }
    text
}

fn link(nic: &Nic) -> String {
    let mut parts = vec![if nic.up { "up".to_owned() } else { "down".to_owned() }];
    parts.extend(nic.carrier.map(|carrier| if carrier { "carrier".to_owned() } else { "no carrier".to_owned() }));
    parts.extend(nic.speed_mbps.map(|speed| format!("{speed} Mbit/s")));
    parts.extend(nic.numa_node.map(|node| format!("NUMA node {node}")));
    parts.extend(nic.peer.as_ref().map(|(peer, _)| format!("other end {peer}")));
    parts.join(", ")
}

fn queues(nic: &Nic) -> String {
    let count = if nic.queues.is_empty() { unknown() } else { nic.queues.len().to_string() };
    nic.channels.map_or_else(|| count.clone(), |channels| format!("{count} of {}", channels.rx_queues_max()))
}

fn interrupt(queue: u32, interrupt: u32, cpus: &[usize]) -> String {
    format!("queue {queue}: interrupt {interrupt} on CPU {}", listed(cpus.iter().map(ToString::to_string)))
}

fn rss(nic: &Nic) -> String {
    let Some(rss) = &nic.rss else { return "not shown by the driver".to_owned() };
    let mut parts = vec![rss.function.map_or_else(unknown, |function| function.name().to_owned())];
    if !rss.key.is_empty() {
        let start: String = rss.key.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        parts.push(format!("key {start}... of {} bytes", rss.key.len()));
    }
    parts.extend(rss.queues().map(|queues| format!("table of {} over {queues} queues", rss.indirection.len())));
    parts.push(match rss.is_symmetric() {
        Some(true) => "symmetric".to_owned(),
        Some(false) => "not symmetric".to_owned(),
        None => "symmetry not known".to_owned(),
    });
    parts.join(", ")
}

/// Offloads that change what is seen, in the words of `ethtool -K`.
pub const OFFLOADS: [(&str, &str); 6] = [
    ("gro", "rx-gro"),
    ("gro-hw", "rx-gro-hw"),
    ("lro", "rx-lro"),
    ("rxvlan", "rx-vlan-hw-parse"),
    ("rxhash", "rx-hashing"),
    ("ntuple", "rx-ntuple-filter"),
];

fn offloads(nic: &Nic) -> String {
    let Some(features) = &nic.features else { return unknown() };
    let state = |feature| if features.is_active(feature) { "on" } else { "off" };
    listed(OFFLOADS.iter().map(|(name, feature)| format!("{name} {}", state(feature))))
}

fn abilities(nic: &Nic) -> String {
    let Some(abilities) = nic.xdp_abilities else { return unknown() };
    let can = [
        (abilities.native(), "native"),
        (abilities.redirect(), "redirect"),
        (abilities.zero_copy(), "zero copy"),
        (abilities.several_buffers(), "several buffers"),
        (abilities.tells_time(), "hardware time"),
        (abilities.tells_hash(), "hash"),
        (abilities.tells_vlan(), "VLAN tag"),
    ];
    listed(can.into_iter().filter(|(can, _)| *can).map(|(_, name)| name.to_owned()))
}

fn outcome(outcome: &Outcome) -> String {
    outcome.as_ref().map_or_else(|why| format!("no ({why})"), |()| "yes".to_owned())
}

fn trial(trial: &Trial) -> String {
    match trial {
        Trial::Skipped(why) => format!("not tried: {why}"),
        Trial::Tried { native, generic, zero_copy } => {
            let zero_copy = zero_copy.as_ref().map(|taken| format!(", zero copy {}", outcome(taken))).unwrap_or_default();
            format!("native {}, generic {}{zero_copy}", outcome(native), outcome(generic))
        }
    }
}

fn attached(facts: &Facts) -> String {
    listed(facts.xdp.iter().map(ToString::to_string))
}

fn packet_sockets(facts: &Facts) -> String {
    let Some(sockets) = &facts.holders.packet else { return unknown() };
    listed(sockets.iter().map(|(socket, owner)| {
        let owner = owner.as_ref().map_or_else(|| "unknown process".to_owned(), |owner| format!("{} {}", owner.name, owner.pid));
        let group = socket.fanout.map(|fanout| format!(" (fanout group {}, {})", fanout.id, fanout.mode_name()));
        format!("{owner}{}", group.unwrap_or_default())
    }))
}

fn xdp_sockets(facts: &Facts) -> String {
    let Some(sockets) = &facts.holders.xdp else { return unknown() };
    listed(sockets.iter().map(|(socket, owner)| {
        let owner = owner.as_ref().map_or_else(|| "unknown process".to_owned(), |owner| format!("{} {}", owner.name, owner.pid));
        format!("{owner} on queue {}", socket.queue)
    }))
}

fn rights(facts: &Facts) -> String {
    let process = facts.process;
    let rights =
        [("NET_RAW", process.net_raw), ("NET_ADMIN", process.net_admin), ("BPF", process.bpf), ("IPC_LOCK", process.ipc_lock)];
    listed(rights.into_iter().map(|(name, has)| format!("{name} {}", yes(has))))
}

fn cpus(facts: &Facts) -> String {
    let governors = listed(facts.host.governors.iter().cloned());
    let near = &facts.host.cpus_near;
    let near =
        if near.is_empty() { String::new() } else { format!(", near the card {}", listed(near.iter().map(ToString::to_string))) };
    format!("{}{near}, governor {governors}{}", facts.host.cpus, if facts.host.irqbalance { ", irqbalance runs" } else { "" })
}
