//! Opens an interface by the backend that was chosen, or by the best there is.
//!
//! Owns the choice. Reads no packet. Invariant: what was chosen and why can be told.

use super::{Failure, Opened, capturing, check};
use netscope::config::{BackendChoice, LiveSettings, Settings};
use netscope::engine::Source;
use netscope::wire;
use netscope_backends::Backend;
use netscope_backends::pcap::{LiveBackend, LiveOptions};

#[cfg(target_os = "linux")]
use super::{tpacket, xdp};

/// Opens all interfaces that were named, or the system's default.
pub fn interfaces(live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    match &live.interfaces[..] {
        [] => interface(None, live, settings),
        [name] => interface(Some(name), live, settings),
        names => {
            let opened = names.iter().map(|name| interface(Some(name), live, settings)).collect::<Result<Vec<_>, _>>()?;
            join(opened, settings)
        }
    }
}

/// Several interfaces as one source, whose queues are those of the first, then those of the second, and so on.
fn join(several: Vec<Opened>, settings: &Settings) -> Result<Opened, Failure> {
    let mut joined = Opened::new(Source::Queues(Vec::new()), String::new());
    joined.announcements.clear();
    let (mut queues, mut all_pinned) = (Vec::new(), true);
    for (place, mut one) in (0..=u8::MAX).zip(several) {
        let name = one.interfaces.first().cloned().unwrap_or_default();
        let of_one: Vec<Box<dyn Backend>> = match one.take_source() {
            Source::Queues(of_one) => of_one,
            Source::Reader(_) if settings.pipeline.workers > 1 => {
                return Err(format!(
                    "interface {name}: several workers cannot share libpcap's packets where several interfaces are captured: leave --workers \
                     (pipeline.workers) out"
                )
                .into());
            }
            Source::Reader(backend) => vec![backend],
            Source::Mapped(_) => Vec::new(),
        };
        joined.interface_of_queue.extend(of_one.iter().map(|_| place));
        queues.extend(of_one);
        all_pinned &= !one.cpus.is_empty() && one.cpus.iter().all(|cpu| !joined.cpus.contains(cpu));
        joined.cpus.extend(one.cpus);
        joined.backend = one.backend;
        joined.interfaces.push(name);
        joined.announcements.append(&mut one.announcements);
        joined.said.append(&mut one.said);
        joined.notices.append(&mut one.notices);
        #[cfg(target_os = "linux")]
        {
            joined.keys.append(&mut one.keys);
            joined
                .capabilities
                .extend(one.capabilities.into_iter().filter(|kept| !joined.capabilities.contains(kept)).collect::<Vec<_>>());
        }
    }
    // Pinned on one CPU, two workers would wait for each other.
    if !all_pinned {
        joined.cpus.clear();
    }
    joined.set_source(Source::Queues(queues));
    Ok(joined)
}

/// Opens one interface.
fn interface(name: Option<&str>, live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    match live.backend {
        BackendChoice::Libpcap => by_libpcap(name, live, settings),
        BackendChoice::Tpacket => by_tpacket(name, live, settings),
        BackendChoice::Xdp => by_xdp(name, live, settings),
        BackendChoice::Auto => match by_tpacket(name, live, settings) {
            Ok(opened) => Ok(opened),
            // What is wrong for both of them, libpcap says, too.
            Err(error) => {
                let mut opened = by_libpcap(name, live, settings)?;
                opened.said.push(format!("not by tpacket: {error}"));
                Ok(opened)
            }
        },
    }
}

#[cfg(target_os = "linux")]
fn by_tpacket(name: Option<&str>, live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    tpacket::open(name, live, settings)
}

#[cfg(not(target_os = "linux"))]
fn by_tpacket(_name: Option<&str>, _live: &LiveSettings, _settings: &Settings) -> Result<Opened, Failure> {
    Err("tpacket is a part of Linux: use --backend libpcap (capture.backend), or leave it out".into())
}

#[cfg(target_os = "linux")]
fn by_xdp(name: Option<&str>, live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    xdp::open(name, live, settings)
}

#[cfg(not(target_os = "linux"))]
fn by_xdp(_name: Option<&str>, _live: &LiveSettings, _settings: &Settings) -> Result<Opened, Failure> {
    Err("AF_XDP is a part of Linux: use --backend libpcap (capture.backend), or leave it out".into())
}

fn by_libpcap(name: Option<&str>, live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    let backend = LiveBackend::open(LiveOptions {
        interface: name.map(str::to_owned),
        promiscuous: live.promiscuous,
        snaplen: live.snaplen,
        timeout_ms: u32::try_from(live.timeout.as_millis()).unwrap_or(u32::MAX),
        buffer_size_mb: u32::try_from(live.buffer_bytes >> 20).ok(),
        immediate_mode: live.immediate_mode,
        filter: settings.filter.clone(),
        ..LiveOptions::default()
    })?;
    let name = backend.interface().to_owned();
    check(Some(backend.link_type()), &name)?;
    let line = capturing(&name, live, "libpcap", wire::link_name(backend.link_type()), settings.pipeline.workers.max(1));
    #[cfg_attr(not(target_os = "linux"), allow(unused_mut, reason = "rights are kept on Linux alone"))]
    let mut opened =
        Opened { backend: "libpcap", interfaces: vec![name], ..Opened::new(Source::Reader(Box::new(backend)), line) };
    #[cfg(target_os = "linux")]
    opened.capabilities.push(netscope_backends::privilege::Capability::NetRaw);
    Ok(opened)
}
