//! Opens what the settings name: a capture file for every worker, or an interface.

use netscope::config::{FileSettings, LiveSettings, Settings, SourceSettings};
use netscope::engine::Source;
use netscope::output::{is_broken_pipe, stdout};
use netscope::wire;
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::memory::MemoryBackend;
use netscope_backends::pcap::{LiveBackend, LiveOptions, list_interfaces as interfaces};
use netscope_backends::{Backend, BackendError, LinkType};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Failure = Box<dyn Error + Send + Sync>;

/// An open source and what it is.
pub struct Opened {
    /// Packets for the workers.
    pub source: Source,
    /// A line for `-v`.
    pub description: String,
}

/// The link type of a source is not one that is read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name}: link type {link_type} ({}) is not supported; Ethernet, Linux cooked, loopback, PPP and raw IP captures are read",
    wire::link_name(*link_type)
)]
struct UnsupportedLink {
    name: String,
    link_type: LinkType,
}

/// Opens the source of a run.
pub fn source(settings: &Settings, stop: &Arc<AtomicBool>) -> Result<Opened, Failure> {
    match &settings.source {
        SourceSettings::File(reading) => file(reading, settings, stop),
        SourceSettings::Live(live) => interface(live, settings),
    }
}

fn file(reading: &FileSettings, settings: &Settings, stop: &Arc<AtomicBool>) -> Result<Opened, Failure> {
    let path = &reading.path;
    let options = FileOptions { filter: settings.filter.clone(), snaplen: reading.snaplen, stop: Some(Arc::clone(stop)) };
    let file = match CaptureFile::open(path, &options) {
        // Asked to end before a pipe said anything: a run without packets, whose exports are written all the same.
        Err(BackendError::Io { source, .. }) if source.kind() == ErrorKind::Interrupted && stop.load(Ordering::Relaxed) => {
            let nothing = MemoryBackend::new(LinkType::ETHERNET, Vec::new());
            let description = format!("nothing was read from {}", path.display());
            return Ok(Opened { source: Source::Broadcast(Box::new(nothing)), description });
        }
        opened => opened?,
    };
    let workers = settings.pipeline.workers;
    let description = format!("reading {} with {workers} workers", path.display());
    let scanner = if workers > 1 { file.scanner()? } else { None };
    let source = match scanner {
        Some(scanner) => Source::Shared(scanner),
        None if file.is_mapped() => Source::Same(vec![Box::new(file.backend()?)]),
        None => Source::Broadcast(Box::new(file.backend()?)),
    };
    let link_type = Some(file.link_type());
    check(link_type, &path.display().to_string())?;
    Ok(Opened { source, description })
}

fn interface(live: &LiveSettings, settings: &Settings) -> Result<Opened, Failure> {
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
    let description = format!("capturing on {name} by libpcap, {}", wire::link_name(backend.link_type()));
    Ok(Opened { source: Source::Broadcast(Box::new(backend)), description })
}

fn check(link_type: Option<LinkType>, name: &str) -> Result<(), UnsupportedLink> {
    match link_type {
        Some(link_type) if !wire::supports(link_type) => Err(UnsupportedLink { name: name.to_owned(), link_type }),
        _ => Ok(()),
    }
}

/// Prints the interfaces: name, state, description, addresses.
pub fn list_interfaces() -> Result<(), Failure> {
    let mut text = String::new();
    for interface in interfaces()? {
        let state = if interface.up { "up" } else { "down" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{} [{state}]", interface.name);
        if let Some(description) = &interface.description {
            let _ = write!(text, " {description}");
        }
        text.push('\n');
        for address in &interface.addresses {
            let _ = writeln!(text, "    {address}");
        }
    }
    let mut out = stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if !is_broken_pipe(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
