//! Opens an interface by AF_XDP: a worker per receive queue.
//!
//! Owns how settings become the backend's options. Opens no socket itself. Invariant: an interface that the
//! host uses is not touched unless `--xdp-insist` is given.

use super::{Failure, Opened, capturing, cpus_of_queues, symmetric_key};
use netscope::config::{LiveSettings, PipelineSettings, Settings, XdpModeChoice, XdpTimes, XdpUnmatched};
use netscope::engine::Source;
use netscope::wire;
use netscope_backends::privilege::Capability;
use netscope_backends::xdp::{self, BusyPoll, Times, Unmatched, XdpMode, XdpOptions};
use netscope_backends::{Backend, LinkType, nic, pcap};
use std::time::Duration;

/// What opening the interface again takes; with a filter also [`Capability::Perfmon`].
const CAPABILITIES: [Capability; 4] = [Capability::NetRaw, Capability::NetAdmin, Capability::Bpf, Capability::IpcLock];

/// Opens the queues.
pub fn open(name: Option<&str>, live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => pcap::default_interface()?,
    };
    let options = options(&name, live, settings);
    // Before the hash key is touched, too.
    xdp::refuse_used(&options)?;
    let queues = queues(&name, live, &settings.pipeline)?;
    let mut said = Vec::new();
    // Before the sockets, so that no packet comes by the old key.
    let key = symmetric_key(live, &name, &mut said)?;
    let opened = xdp::open(options)?;
    said.insert(0, format!("receive queues: {queues:?}, a worker each"));
    let mut notices = opened.said;
    if key.is_none() && queues.len() > 1 && nic::rss(&name)?.and_then(|rss| rss.is_symmetric()) == Some(false) {
        notices.push(format!(
            "the hash of {name} sends the two directions of a flow to different queues: their records are joined at the end, without \
             round trips; --rss symmetric brings them together"
        ));
    }
    let backends = opened.queues.into_iter().map(|queue| Box::new(queue) as Box<dyn Backend>).collect();
    let cpus = if settings.pipeline.cpus.is_empty() { cpus_of_queues(&name, &queues, &mut said)? } else { Vec::new() };
    let announcement = capturing(&name, live, "AF_XDP", wire::link_name(LinkType::ETHERNET), queues.len());
    let mut capabilities = CAPABILITIES.to_vec();
    if settings.filter.is_some() {
        capabilities.push(Capability::Perfmon);
    }
    let keys = key.into_iter().collect();
    let opened = Opened::new(Source::Queues(backends), announcement);
    Ok(Opened { backend: "xdp", interfaces: vec![name], said, notices, cpus, capabilities, keys, ..opened })
}

/// The queues that will be opened; as many as workers, where those were asked for.
fn queues(name: &str, live: &LiveSettings, pipeline: &PipelineSettings) -> Result<Vec<u32>, Failure> {
    let queues = match &live.xdp.queues {
        Some(chosen) => {
            let mut queues = chosen.clone();
            queues.sort_unstable();
            queues
        }
        None => (0..nic::rx_queue_count(name)?.unwrap_or(1)).collect(),
    };
    let (workers, count) = (pipeline.workers, queues.len());
    if workers != 0 && workers != count {
        let asked = if pipeline.is_off {
            "--no-pipeline (pipeline.enabled = false) is one worker: leave it out, or choose one queue".to_owned()
        } else {
            format!("{workers} workers were asked for: leave --workers (pipeline.workers) out, or choose queues")
        };
        return Err(format!(
            "interface {name}: AF_XDP takes a worker for each receive queue, and there are {count} to read, but {asked} with \
             --xdp-queues (xdp.queues)"
        )
        .into());
    }
    Ok(queues)
}

fn options(name: &str, live: &LiveSettings, settings: &Settings) -> XdpOptions {
    let ours = &live.xdp;
    let defaults = XdpOptions::default();
    XdpOptions {
        interface: name.to_owned(),
        queues: ours.queues.clone(),
        mode: match ours.mode {
            XdpModeChoice::Auto => XdpMode::Auto,
            XdpModeChoice::Zerocopy => XdpMode::ZeroCopy,
            XdpModeChoice::Native => XdpMode::Native,
            XdpModeChoice::Generic => XdpMode::Generic,
        },
        frame_bytes: ours.frame_bytes,
        frame_count: ours.frame_count,
        rx_ring: ours.rx_ring,
        busy_poll: ours.busy_poll_us.map(|timeout_us| BusyPoll { timeout_us, ..BusyPoll::default() }),
        times: match ours.times {
            XdpTimes::Batch => Times::PerBatch,
            XdpTimes::Packet => Times::PerPacket,
        },
        filter: settings.filter.clone(),
        unmatched: match ours.unmatched {
            XdpUnmatched::Pass => Unmatched::Pass,
            XdpUnmatched::Drop => Unmatched::Drop,
        },
        snaplen: live.snaplen,
        promiscuous: live.promiscuous,
        insist: ours.insist,
        nap_max: if live.immediate_mode { Duration::ZERO } else { defaults.nap_max },
        ..defaults
    }
}
