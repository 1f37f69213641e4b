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

/// Opens the interface.
pub fn interface(live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    match live.backend {
        BackendChoice::Libpcap => by_libpcap(live, settings),
        BackendChoice::Tpacket => by_tpacket(live, settings),
        BackendChoice::Xdp => by_xdp(live, settings),
        BackendChoice::Auto => match by_tpacket(live, settings) {
            Ok(opened) => Ok(opened),
            // What is wrong for both of them, libpcap says, too.
            Err(error) => {
                let mut opened = by_libpcap(live, settings)?;
                opened.said.push(format!("not by tpacket: {error}"));
                Ok(opened)
            }
        },
    }
}

#[cfg(target_os = "linux")]
fn by_tpacket(live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    tpacket::open(live, settings)
}

#[cfg(not(target_os = "linux"))]
fn by_tpacket(_live: &LiveSettings, _settings: &Settings) -> Result<Opened, Failure> {
    Err("tpacket is a part of Linux: use --backend libpcap (capture.backend), or leave it out".into())
}

#[cfg(target_os = "linux")]
fn by_xdp(live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    xdp::open(live, settings)
}

#[cfg(not(target_os = "linux"))]
fn by_xdp(_live: &LiveSettings, _settings: &Settings) -> Result<Opened, Failure> {
    Err("AF_XDP is a part of Linux: use --backend libpcap (capture.backend), or leave it out".into())
}

fn by_libpcap(live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
    let backend = LiveBackend::open(LiveOptions {
        interface: live.interface.clone(),
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
    let mut opened = Opened { interface: Some(name), ..Opened::new(Source::Reader(Box::new(backend)), line) };
    #[cfg(target_os = "linux")]
    opened.capabilities.push(netscope_backends::privilege::Capability::NetRaw);
    Ok(opened)
}
