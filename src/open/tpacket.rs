//! Opens an interface by TPACKET_V3: a ring per worker.
//!
//! Owns how settings become the backend's options. Invariant: as many rings as workers were asked for, one per receive queue where none
//! were.

use super::{Failure, Opened, capturing, check, cpus_of_queues, symmetric_key};
use netscope::config::{FanoutChoice, LiveSettings, Settings};
use netscope::engine::Source;
use netscope::wire;
use netscope_backends::privilege::Capability;
use netscope_backends::tpacket::{self, Fanout, TpacketOptions};
use netscope_backends::{Backend, nic, pcap};

/// Fewest blocks of a ring: at a trickle each of them is closed by time, and the reader may stand still for as long as they last.
const BLOCK_COUNT_MIN: u32 = 8;

/// Opens the rings.
pub fn open(name: Option<&str>, live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => pcap::default_interface()?,
    };
    let workers = match settings.pipeline.workers {
        // Where nobody knows how many queues there are, it is one.
        0 => nic::rx_queue_count(&name)?.map_or(1, |count| count as usize).max(1),
        workers => workers,
    };
    let ours = &live.tpacket;
    let share = ours.block_count / u32::try_from(workers).unwrap_or(u32::MAX);
    let options = TpacketOptions {
        interface: Some(name.clone()),
        workers,
        fanout: match ours.fanout {
            FanoutChoice::Hash => Fanout::Hash,
            FanoutChoice::Cpu => Fanout::Cpu,
            FanoutChoice::Queue => Fanout::Queue,
        },
        defrag: ours.defrag,
        block_bytes: ours.block_bytes,
        block_count: Some(share.max(BLOCK_COUNT_MIN)),
        retire_ms: ours.retire_ms,
        immediate: live.immediate_mode,
        snaplen: live.snaplen,
        promiscuous: live.promiscuous,
        filter: settings.filter.clone(),
        ..TpacketOptions::default()
    };
    let (blocks, block_kb) = (options.blocks_per_ring(), options.block_bytes >> 10);
    let mut said = Vec::new();
    let key = symmetric_key(live, &name, &mut said)?;
    let backends = tpacket::open(options)?;
    let link_type = backends.first().map(Backend::link_type);
    check(link_type, &name)?;
    let dealt = match ours.fanout {
        _ if workers == 1 => "",
        FanoutChoice::Hash => ", dealt by hash",
        FanoutChoice::Cpu => ", dealt by CPU",
        FanoutChoice::Queue => ", dealt by receive queue",
    };
    let link = link_type.map_or("", wire::link_name);
    let line = capturing(&name, live, "tpacket", link, workers);
    let backends = backends.into_iter().map(|backend| Box::new(backend) as Box<dyn Backend>).collect();
    let capabilities = vec![Capability::NetRaw];
    let mut opened = Opened {
        backend: "tpacket",
        interfaces: vec![name.clone()],
        keys: key.into_iter().collect(),
        capabilities,
        ..Opened::new(Source::Queues(backends), line)
    };
    opened.said.push(format!("rings: {workers}, each {blocks} blocks of {block_kb} KiB{dealt}"));
    opened.said.append(&mut said);
    if ours.fanout == FanoutChoice::Queue && workers > 1 && settings.pipeline.cpus.is_empty() {
        let rings = u32::try_from(workers).unwrap_or(u32::MAX);
        let queues: Vec<u32> = (0..rings).map(|ring| tpacket::queue_of_ring(ring, rings)).collect();
        opened.cpus = cpus_of_queues(&name, &queues, &mut opened.said)?;
    }
    Ok(opened)
}
