//! Opens what the settings name: a capture file for every worker, or an interface.
//!
//! Owns what was opened until the run begins, and what can be told of it. Invariant: everything that takes root is open afterwards.

mod live;
#[cfg(target_os = "linux")]
mod tpacket;
#[cfg(target_os = "linux")]
mod xdp;

#[cfg(target_os = "linux")]
use netscope::config::RssChoice;
use netscope::config::{FileSettings, LiveSettings, PipelineSettings, Settings, SourceSettings};
use netscope::engine::Source;
use netscope::output::{is_broken_pipe, stdout};
use netscope::query::AddressList;
use netscope::wire;
use netscope_backends::file::{CaptureFile, FileMerge, FileOptions, FileSeries, STDIN_PATH, capture_directory};
use netscope_backends::memory::MemoryBackend;
#[cfg(target_os = "linux")]
use netscope_backends::nic::{self, SymmetricKey};
use netscope_backends::pcap::list_interfaces as interfaces;
#[cfg(target_os = "linux")]
use netscope_backends::privilege::Capability;
use netscope_backends::{Backend, BackendError, LinkType, PacedBackend, PacketChoice, ReplaySpeed, chosen};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Workers for a source with one reader where their number is left to us: the reader is what takes the time.
const READER_WORKERS_ENOUGH: usize = 2;

type Failure = Box<dyn Error + Send + Sync>;

/// An open source and what it is.
pub struct Opened {
    /// Packets for the workers; taken once.
    source: Option<Source>,
    /// What captures or reads: `libpcap`, `tpacket`, `xdp` or `file`.
    pub backend: &'static str,
    /// The interfaces that are captured on.
    pub interfaces: Vec<String>,
    /// Of each queue the place of its interface among these, where there are several.
    pub interface_of_queue: Vec<u8>,
    /// A line for each of them, or for the files: what is captured or read, and how.
    pub announcements: Vec<String>,
    /// Lines for `-v`.
    pub said: Vec<String>,
    /// What a person should know in any case.
    pub notices: Vec<String>,
    /// Workers, where what was opened says how many.
    pub workers: Option<usize>,
    /// CPUs that workers are best pinned to, in order; empty = none is better.
    pub cpus: Vec<usize>,
    /// The rights that opening it again takes.
    #[cfg(target_os = "linux")]
    pub capabilities: Vec<Capability>,
    /// Hash keys that go back to their cards when this is dropped.
    #[cfg(target_os = "linux")]
    pub keys: Vec<SymmetricKey>,
}

impl Opened {
    fn new(source: Source, announcement: String) -> Self {
        Self {
            source: Some(source),
            backend: "file",
            interfaces: Vec::new(),
            interface_of_queue: Vec::new(),
            announcements: vec![announcement],
            said: Vec::new(),
            notices: Vec::new(),
            workers: None,
            cpus: Vec::new(),
            #[cfg(target_os = "linux")]
            capabilities: Vec::new(),
            #[cfg(target_os = "linux")]
            keys: Vec::new(),
        }
    }

    /// Gives it another source.
    fn set_source(&mut self, source: Source) {
        self.source = Some(source);
    }

    /// The source, for the run. Without packets when asked for again.
    pub fn take_source(&mut self) -> Source {
        self.source.take().unwrap_or_else(|| Source::Queues(Vec::new()))
    }

    /// Gives up root and all rights but those that open the interface again, after it was away, and put its hash key back. What a
    /// person should know of it, where not all of them are there.
    #[cfg(target_os = "linux")]
    pub fn become_user(&self, user: &str) -> Result<Option<String>, Failure> {
        let mut kept = self.capabilities.clone();
        if self.keys.iter().any(SymmetricKey::changed) && !kept.contains(&Capability::NetAdmin) {
            kept.push(Capability::NetAdmin);
        }
        let missing = netscope_backends::privilege::become_user(user, &kept)?;
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Ok((!missing.is_empty()).then(|| {
            format!(
                "--user {user} (run.user) keeps no {}, which root does not have here: should the interface be lost, opening it again (and \
                 putting its hash key back) may fail",
                missing.join(", ")
            )
        }))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn become_user(&self, user: &str) -> Result<Option<String>, Failure> {
        Err(format!("--user {user} (run.user) is for Linux, where rights can be given up one by one; leave it out").into())
    }

    /// After the run: what was changed for it is as it was before.
    pub fn close(self) -> Result<(), Failure> {
        #[cfg(target_os = "linux")]
        for key in self.keys {
            key.restore()?;
        }
        Ok(())
    }
}

/// The link type of a source is not one that is read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name}: link type {link_type} ({}) is not supported; docs/protocols-supported.md lists those that are read",
    wire::link_name(*link_type)
)]
struct UnsupportedLink {
    name: String,
    link_type: LinkType,
}

/// What a list of addresses means under AF_XDP.
const TAKEN_BY_LIST: &str = "--filter-file (capture.filter_file) is asked in user space: packets that it leaves out are taken from the host, \
                             too; --filter leaves packets to it";

/// Opens the source of a run.
pub fn source(settings: &Settings, stop: &Arc<AtomicBool>) -> Result<Opened, Failure> {
    match &settings.source {
        SourceSettings::File(reading) => files(reading, settings, stop),
        SourceSettings::Live(interface) => {
            let choice = choice(settings)?;
            let mut opened = live::interfaces(interface, settings)?;
            if let Some((choice, said)) = choice {
                opened.source = opened.source.map(|source| chosen_of(source, &choice));
                opened.said.push(said);
                if opened.backend == "xdp" {
                    opened.notices.push(TAKEN_BY_LIST.to_owned());
                }
            }
            opened.source = opened.source.map(|source| limited(source, settings));
            Ok(opened)
        }
    }
}

/// Opens what is read: one file in the way that is best for it, several as one source.
fn files(reading: &FileSettings, settings: &Settings, stop: &Arc<AtomicBool>) -> Result<Opened, Failure> {
    let (choice, said) = choice(settings)?.unzip();
    let options = FileOptions { filter: settings.filter.clone(), choice, snaplen: reading.snaplen, stop: Some(Arc::clone(stop)) };
    let mut opened = match &reading.paths[..] {
        [path] if !path.is_dir() => file(path, reading.replay_speed, &options, settings, stop),
        paths => several(paths, reading, options, settings),
    }?;
    opened.said.extend(said);
    Ok(with_fewer_workers(opened, settings))
}

/// A choice of packets, and what is said of it.
type SaidChoice = (Arc<dyn PacketChoice>, String);

/// The choice of packets by a list of addresses; `None` where there is no list.
fn choice(settings: &Settings) -> Result<Option<SaidChoice>, Failure> {
    let Some(path) = &settings.filter_file else { return Ok(None) };
    let list = AddressList::read(path)?;
    let said = format!("addresses and networks in {}: {}", path.display(), list.terms());
    Ok(Some((Arc::new(list), said)))
}

/// The source, with the packets that are chosen alone.
fn chosen_of(source: Source, choice: &Arc<dyn PacketChoice>) -> Source {
    match source {
        Source::Queues(queues) => Source::Queues(chosen(queues, choice)),
        Source::Reader(backend) => chosen(vec![backend], choice).pop().map_or_else(|| Source::Queues(Vec::new()), Source::Reader),
        mapped @ Source::Mapped(_) => mapped,
    }
}

/// The same, saying so where there are fewer workers than were asked for.
fn with_fewer_workers(mut opened: Opened, settings: &Settings) -> Opened {
    let PipelineSettings { workers, asked, processors, .. } = settings.pipeline;
    if workers < asked {
        let processors = if processors == 1 { "1 processor".to_owned() } else { format!("{processors} processors") };
        opened.notices.push(format!(
            "--workers {asked} (pipeline.workers) is more than {processors} have use for: the file is read by {workers}, with the same \
             results"
        ));
    }
    opened
}

/// How many workers there are for a source with one reader.
fn workers_of_reader(pipeline: &PipelineSettings) -> usize {
    if pipeline.asked == 0 { pipeline.workers.min(READER_WORKERS_ENOUGH) } else { pipeline.workers }
}

/// Several files, and those of directories.
fn several(paths: &[PathBuf], reading: &FileSettings, options: FileOptions, settings: &Settings) -> Result<Opened, Failure> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            let found = capture_directory(path)?;
            files.extend(found.files);
            others.extend(found.others);
        } else {
            files.push(path.clone());
        }
    }
    let &FileSettings { merge, replay_speed, .. } = reading;
    let how = if merge { "merged by time" } else { "one after the other" };
    let threads = workers_of_reader(&settings.pipeline);
    let description = format!("reading {} files, {how}{}, {}", files.len(), at_speed(replay_speed), workers(threads));
    let backend: Box<dyn Backend> =
        if merge { Box::new(FileMerge::open(&files, &options)?) } else { Box::new(FileSeries::open(files, options)?) };
    check(Some(backend.link_type()), "the first file")?;
    let source = limited(Source::Reader(paced(backend, replay_speed)), settings);
    let mut opened = Opened { workers: Some(threads), ..Opened::new(source, description) };
    if let [first, rest @ ..] = &others[..] {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        opened.notices.push(format!("not read, as it is no capture file: {}{more}", first.display()));
    }
    Ok(opened)
}

/// The source, ending by itself where that was asked for.
fn limited(source: Source, settings: &Settings) -> Source {
    match source {
        Source::Queues(queues) => Source::Queues(settings.limits.apply(queues)),
        Source::Reader(backend) => {
            settings.limits.apply(vec![backend]).pop().map_or_else(|| Source::Queues(Vec::new()), Source::Reader)
        }
        mapped @ Source::Mapped(_) => mapped,
    }
}

/// The source, at the pace of its packets where that was asked for.
fn paced(backend: Box<dyn Backend>, speed: Option<ReplaySpeed>) -> Box<dyn Backend> {
    match speed {
        Some(speed) => Box::new(PacedBackend::new(backend, speed)),
        None => backend,
    }
}

/// The pace, in words.
fn at_speed(speed: Option<ReplaySpeed>) -> String {
    speed.map_or_else(String::new, |speed| format!(", at {} times the speed of its capture", speed.factor()))
}

fn file(
    path: &Path,
    speed: Option<ReplaySpeed>,
    options: &FileOptions,
    settings: &Settings,
    stop: &Arc<AtomicBool>,
) -> Result<Opened, Failure> {
    let file = match CaptureFile::open(path, options) {
        // Asked to end before a pipe said anything: a run without packets, whose exports are written all the same.
        Err(BackendError::Io { source, .. }) if source.kind() == ErrorKind::Interrupted && stop.load(Ordering::Relaxed) => {
            let nothing = MemoryBackend::new(LinkType::ETHERNET, Vec::new());
            let description = format!("nothing was read from {}", path.display());
            return Ok(Opened::new(Source::Reader(Box::new(nothing)), description));
        }
        opened => opened?,
    };
    let mut threads = settings.pipeline.workers;
    let name = if path == Path::new(STDIN_PATH) { "standard input".to_owned() } else { path.display().to_string() };
    // Where a run ends by itself, one reader finds the place; and one reader keeps the pace.
    let scanner = if threads > 1 && settings.limits.is_none() && speed.is_none() { file.scanner()? } else { None };
    let source = match scanner {
        Some(scanner) => Source::Mapped(Box::new(scanner)),
        None if file.is_mapped() && threads == 1 => Source::Queues(vec![paced(Box::new(file.backend()?), speed)]),
        None => {
            threads = workers_of_reader(&settings.pipeline);
            Source::Reader(paced(Box::new(file.backend()?), speed))
        }
    };
    let link_type = Some(file.link_type());
    check(link_type, &name)?;
    let link = wire::link_name(file.link_type());
    let description = format!("reading {name}, {link}{}, {}", at_speed(speed), workers(threads));
    Ok(Opened { workers: Some(threads), ..Opened::new(limited(source, settings), description) })
}

/// The CPUs that serve the interrupts of these receive queues, for workers to be pinned to; empty, and told why, where that is not
/// known, or is one CPU for several of them.
#[cfg(target_os = "linux")]
fn cpus_of_queues(interface: &str, queues: &[u32], said: &mut Vec<String>) -> Result<Vec<usize>, Failure> {
    let known = nic::rx_queues(interface)?;
    let cpu_of = |queue: &u32| known.iter().find(|known| known.index == *queue).and_then(|known| known.cpus.first().copied());
    let Some(cpus) = queues.iter().map(cpu_of).collect::<Option<Vec<usize>>>() else {
        said.push(format!("workers are not pinned: which CPU serves which queue of {interface} is not known; --cpus pins them"));
        return Ok(Vec::new());
    };
    if cpus.iter().enumerate().any(|(i, cpu)| cpus.iter().skip(i + 1).any(|other| other == cpu)) {
        said.push(format!("workers are not pinned: one CPU serves several queues of {interface}; --cpus pins them"));
        return Ok(Vec::new());
    }
    said.push(format!("workers are pinned to the CPUs that serve their queues' interrupts: {cpus:?}"));
    Ok(cpus)
}

/// Makes the card's hash symmetric where that was asked for.
#[cfg(target_os = "linux")]
fn symmetric_key(live: &LiveSettings, interface: &str, said: &mut Vec<String>) -> Result<Option<SymmetricKey>, Failure> {
    if live.rss == RssChoice::Unchanged {
        return Ok(None);
    }
    let key = nic::set_symmetric_key(interface)?;
    said.push(match key.cure() {
        Some(cure) => format!(
            "interface {interface} has a symmetric hash key until the end of the run; if that is cut short, `{cure}` puts the old one back"
        ),
        None => format!("interface {interface} keeps flows together as it is"),
    });
    Ok(Some(key))
}

/// How many there are, in words.
fn workers(count: usize) -> String {
    if count == 1 { "1 worker".to_owned() } else { format!("{count} workers") }
}

/// The line that says what is captured, on which interface, and why on this one.
fn capturing(name: &str, live: &LiveSettings, how: &str, link: &str, count: usize) -> String {
    let chosen = if live.interfaces.is_empty() { " (none was named; it is the first that is up)" } else { "" };
    let whose = if live.promiscuous { "promiscuous" } else { "this station's packets alone" };
    format!("capturing on {name}{chosen} by {how}, {link}, {}, {whose}; Ctrl-C to stop", workers(count))
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
