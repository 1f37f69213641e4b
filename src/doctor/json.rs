//! Facts and findings as one JSON object (`netscope doctor --json`), described in `docs/formats.md`.
//!
//! Owns its names. Its one invariant: every key is always there; what is not known is null.

use super::facts::Facts;
use super::holders::Owner;
use super::judge::Finding;
use super::text::OFFLOADS;
use super::trial::{Outcome, Trial};
use netscope_backends::nic::{Nic, Use};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Writes the object, indented.
pub fn write(out: &mut impl Write, facts: &Facts, findings: &[Finding]) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(facts, findings))?;
    out.write_all(b"\n")
}

fn document(facts: &Facts, findings: &[Finding]) -> Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| json!({"mark": finding.mark.word(), "id": finding.id, "what": finding.what, "cure": finding.cure}))
        .collect();
    let process = facts.process;
    let host = &facts.host;
    let pages = |pages: &super::facts::HugePages| json!({"kib": pages.kib, "reserved": pages.reserved, "free": pages.free});
    json!({
        "kernel": facts.kernel,
        "interface": interface(&facts.nic),
        "xdp": xdp(facts),
        "packet_sockets": facts.holders.packet.as_ref().map(|sockets| sockets.iter().map(|(socket, of)| json!({
            "process": owner(of.as_ref()),
            "protocol": socket.protocol,
            "every_interface": socket.every_interface,
            "fanout": socket.fanout.map(|fanout| json!({"group": fanout.id, "mode": fanout.mode_name()})),
        })).collect::<Vec<_>>()),
        "process": {
            "cap_net_raw": process.net_raw,
            "cap_net_admin": process.net_admin,
            "cap_bpf": process.bpf,
            "cap_ipc_lock": process.ipc_lock,
            "memlock_bytes": process.memlock_bytes,
        },
        "host": {
            "cpus": host.cpus,
            "cpus_near": host.cpus_near,
            "governors": host.governors,
            "bpf_jit": host.bpf_jit.map(|jit| jit != 0),
            "huge_pages": host.huge_pages.iter().map(pages).collect::<Vec<_>>(),
            "irqbalance": host.irqbalance,
        },
        "findings": findings,
    })
}

fn interface(nic: &Nic) -> Value {
    let queue =
        |queue: &netscope_backends::nic::Queue| json!({"queue": queue.index, "interrupt": queue.interrupt, "cpus": queue.cpus});
    let offloads = nic.features.as_ref().map(|features| {
        OFFLOADS.iter().map(|(name, feature)| ((*name).to_owned(), features.is_active(feature).into())).collect::<Map<_, _>>()
    });
    json!({
        "name": nic.name,
        "index": nic.index,
        "kind": nic.kind,
        "driver": nic.driver.as_ref().map(|driver| json!({
            "name": driver.name, "version": driver.version, "firmware": driver.firmware, "bus_address": driver.bus_address,
        })),
        "up": nic.up,
        "carrier": nic.carrier,
        "mtu": nic.mtu,
        "speed_mbps": nic.speed_mbps,
        "numa_node": nic.numa_node,
        "queues": nic.queues.iter().map(queue).collect::<Vec<_>>(),
        "queues_max": nic.channels.map(|channels| channels.rx_queues_max()),
        "rings": nic.rings.map(|rings| json!({"rx": rings.rx, "rx_max": rings.rx_max, "tx": rings.tx, "tx_max": rings.tx_max})),
        "rss": nic.rss.as_ref().map(|rss| json!({
            "function": rss.function.map(|function| function.name()),
            "key": rss.key.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "indirection": rss.indirection,
            "symmetric": rss.is_symmetric(),
        })),
        "offloads": offloads,
        "peer": nic.peer.as_ref().map(|(peer, _)| peer),
        "addresses": nic.addresses.iter().map(|(address, bits)| format!("{address}/{bits}")).collect::<Vec<_>>(),
        "uses": nic.uses.iter().map(used).collect::<Vec<_>>(),
    })
}

fn used(used: &Use) -> Value {
    let kind = match used {
        Use::Address { .. } => "address",
        Use::DefaultRoute { .. } => "default_route",
        Use::Member { .. } => "member",
        Use::Carries { .. } => "carries",
    };
    json!({"kind": kind, "what": used.to_string()})
}

fn xdp(facts: &Facts) -> Value {
    let outcome = |outcome: &Outcome| json!({"taken": outcome.is_ok(), "why": outcome.as_ref().err()});
    let tried = match &facts.trial {
        Trial::Skipped(_) => None,
        Trial::Tried { native, generic, zero_copy } => Some(json!({
            "native": outcome(native), "generic": outcome(generic), "zero_copy": zero_copy.as_ref().map(outcome),
        })),
    };
    let skipped = match &facts.trial {
        Trial::Skipped(why) => Some(why),
        Trial::Tried { .. } => None,
    };
    json!({
        "driver_says": facts.nic.xdp_abilities.map(|abilities| json!({
            "native": abilities.native(),
            "redirect": abilities.redirect(),
            "zero_copy": abilities.zero_copy(),
            "several_buffers": abilities.several_buffers(),
            "hardware_time": abilities.tells_time(),
            "hash": abilities.tells_hash(),
            "vlan_tag": abilities.tells_vlan(),
        })),
        "tried": tried,
        "not_tried_because": skipped,
        "attached": facts.xdp.iter().map(|program| json!({
            "mode": program.mode.to_string(), "id": program.id, "name": program.name, "link": program.link,
        })).collect::<Vec<_>>(),
        "sockets": facts.holders.xdp.as_ref().map(|sockets| sockets.iter().map(|(socket, of)| json!({
            "process": owner(of.as_ref()), "queue": socket.queue,
        })).collect::<Vec<_>>()),
    })
}

fn owner(owner: Option<&Owner>) -> Option<Value> {
    owner.map(|owner| json!({"pid": owner.pid, "name": owner.name}))
}
