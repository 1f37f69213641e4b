//! The page: bound before the capture starts, served while it runs, kept after a file's end.
//!
//! Owns what is said of it. Knows no request. Invariant: a port that is taken, or a file that cannot be used, ends the program before the capture starts.

use crate::Failure;
use crate::open::Opened;
use crate::parts::speed_bps;
use crate::reporter::Reporter;
use netscope::aggregate::{AlertingSettings, Output, Questions};
use netscope::config::{Settings, SourceSettings, WebSettings};
use netscope::dashboard::{
    Board, DoctorCall, OnServerNotice, Page, PageFacts, PageHooks, PageSettings, PageSource, RecordStyle, RunningServer, Server,
    ServerError, ServerNumber,
};
use netscope::doctor::DoctorSettings;
use netscope::engine::TapPolicy;
use netscope::flight::FlightSetup;
use netscope::record::FieldWord;
use netscope::session::PacketView;
use netscope_backends::{ReplaySpeed, Timestamp};
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Headers of a sampled packet that are kept, whatever is kept behind them.
const HEADER_BYTES_MAX: usize = 256;
/// How often a page that stays looks whether it is to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of a password that is hashed.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// A server that listens and does not answer yet.
pub struct BoundPage<'a> {
    web: &'a WebSettings,
    server: Server,
}

/// The page while it is served; dropping it ends it at once.
pub struct Dashboard {
    server: RunningServer,
    sampling: Option<TapPolicy>,
    board: Arc<Board>,
    url: String,
    stays: bool,
}

/// Binds the server, where there is to be one. Before root is given up, so that low ports and private keys can be had.
pub fn bind(settings: &Settings) -> Result<Option<BoundPage<'_>>, ServerError> {
    let bound = |web| Ok(BoundPage { web, server: Server::bind(&web.server)? });
    settings.web.as_ref().map(bound).transpose()
}

/// What the page is told of the run that begins.
pub struct Surroundings<'a> {
    /// Of the run.
    pub settings: &'a Settings,
    /// The source.
    pub opened: &'a Opened,
    /// Names of its interfaces, for records.
    pub interfaces: &'static [FieldWord],
    /// By which the run is asked.
    pub questions: &'a Questions,
    /// Mute rules, and the way in for others.
    pub alerting: &'a AlertingSettings,
    /// The flight recorder.
    pub flight: Option<&'a FlightSetup>,
    /// Of the workers.
    pub cpus: &'a [usize],
    /// Who says what is to be said.
    pub reporter: &'a Arc<Reporter>,
}

/// Serves the page.
///
/// # Errors
/// When the system gives no threads or no random bits.
pub fn dashboard(around: &Surroundings<'_>, BoundPage { web, server }: BoundPage<'_>) -> Result<Dashboard, Failure> {
    let Surroundings { settings, reporter, .. } = *around;
    for warning in server.warnings() {
        reporter.warn(warning);
    }
    let url = server.url();
    reporter.warn(&format!("the page: {url}"));
    if let Some(login) = server.login_url() {
        reporter.warn(&format!("to log in without the password, once and within ten minutes: {login}"));
    }
    let stays = web.stay && matches!(settings.source, SourceSettings::File(_));
    let board = Board::new(page_settings(around, web), facts(around), hooks(around, &server))?;
    let telling = Arc::clone(reporter);
    let notice: Arc<OnServerNotice> = Arc::new(move |text: &str| telling.warn(text));
    let server = server.start(Arc::new(Page::new(Arc::clone(&board))), around.cpus, notice)?;
    let sampling = web.sample_rate.map(|one_in| TapPolicy::Sampled {
        one_in,
        per_second_max: usize::try_from(web.sample_per_second).unwrap_or(usize::MAX),
        snaplen: HEADER_BYTES_MAX + web.payload_bytes,
    });
    Ok(Dashboard { server, sampling, board, url, stays })
}

fn page_settings(around: &Surroundings<'_>, web: &WebSettings) -> PageSettings {
    let Surroundings { settings, interfaces, .. } = *around;
    let record = &settings.output.record;
    PageSettings {
        tick_ns: settings.stats.interval_ns,
        top_n: web.top_n,
        top_count: settings.flow.top_count,
        packet_buffer: web.packet_buffer,
        sample_rate: web.sample_rate.unwrap_or(0),
        payload_bytes: web.payload_bytes,
        records: RecordStyle { community_id_seed: record.community_id_seed, times: record.times, interfaces },
        has_history: true,
        has_facts: settings.flow.inspection.enabled,
    }
}

/// What does not change while the run goes on.
fn facts(around: &Surroundings<'_>) -> PageFacts {
    let Surroundings { settings, opened, alerting, .. } = *around;
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    PageFacts {
        version: env!("CARGO_PKG_VERSION"),
        host: host.unwrap_or_default(),
        started: Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)),
        source: source(settings, opened),
        has_detection: settings.detection.is_some(),
        has_directions: true,
        // A table of what was read can be written.
        config_text: toml::to_string(&settings.in_force).unwrap_or_default(),
        config: serde_json::to_value(&settings.in_force).unwrap_or_default(),
        config_mutes: alerting.mutes.clone(),
    }
}

fn source(settings: &Settings, opened: &Opened) -> PageSource {
    match &settings.source {
        SourceSettings::File(file) => {
            let first =
                file.paths.first().map(|path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned());
            let name = first.unwrap_or_default();
            let more = file.paths.len().saturating_sub(1);
            PageSource {
                is_file: true,
                name: if more == 0 { name } else { format!("{name} and {more} more") },
                backend: "file".to_owned(),
                replay_speed: file.replay_speed.map(ReplaySpeed::factor),
                ..PageSource::default()
            }
        }
        SourceSettings::Live(_) => {
            let speeds: Option<Vec<u64>> = opened.interfaces.iter().map(|name| speed_bps(name)).collect();
            PageSource {
                is_file: false,
                name: opened.interfaces.join(", "),
                interfaces: opened.interfaces.clone(),
                queue_interfaces: opened.interface_of_queue.iter().map(|&place| usize::from(place)).collect(),
                backend: opened.backend.to_owned(),
                ring_unit: match opened.backend {
                    "tpacket" => Some("blocks"),
                    "xdp" => Some("descriptors"),
                    _ => None,
                },
                link_speed_bps: speeds.map(|speeds| speeds.iter().sum()).filter(|&speed| speed > 0),
                replay_speed: None,
            }
        }
    }
}

/// Whom the page asks.
fn hooks(around: &Surroundings<'_>, server: &Server) -> PageHooks {
    let counters = server.counters();
    PageHooks {
        questions: around.questions.clone(),
        reloads: around.alerting.reloads.clone(),
        flight: around.flight.map(|flight| (flight.requests.clone(), flight.store.clone())),
        doctor: around.opened.interfaces.first().cloned().map(doctor),
        server: Some(Arc::new(move || {
            let counts = counters.counts();
            let number = |(name, help, value)| ServerNumber { name, help, is_counter: true, label: None, value };
            let open = [
                ("web_connections_open", "Connections that are open now", counts.connections_open),
                ("web_sockets_open", "WebSocket clients now", counts.sockets_open),
            ];
            let open = open.map(|named| ServerNumber { is_counter: false, ..number(named) });
            counts.totals().into_iter().map(number).chain(open).collect()
        })),
    }
}

/// Looks at the interface as `netscope doctor` does.
fn doctor(interface: String) -> DoctorCall {
    Arc::new(move || {
        let settings =
            DoctorSettings { interface: Some(interface.clone()), check: false, json: true, show_xdp: false, try_xdp: false };
        let mut found = Vec::new();
        netscope::doctor::run(&settings, &mut found).map_err(|error| crate::reporter::chain(&error))?;
        String::from_utf8(found).map_err(|error| error.to_string())
    })
}

impl Dashboard {
    /// What the page knows of the run.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Which packets are sampled, and who takes them; `None` where none are.
    pub fn sampled(&self) -> Option<(TapPolicy, PacketView)> {
        Some((self.sampling.clone()?, Box::new(self.board.sampler())))
    }

    /// What brings the run's reports, alerts and flows to the page.
    pub fn output(&self) -> Box<dyn Output> {
        Box::new(self.board.output())
    }

    /// Keeps the page after a file's end until `end` is asked for, and ends it in order.
    pub fn finish(self, end: &AtomicBool, reporter: &Reporter) {
        // Relaxed: the flag carries no data.
        if self.stays && !end.load(Ordering::Relaxed) {
            reporter.warn(&format!("the file was read to its end; the page stays until Ctrl-C: {}", self.url));
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_INTERVAL);
            }
        }
        self.server.stop();
    }
}

/// Reads a password from standard input and prints its hash.
pub fn hash_password() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut line = String::new();
    {
        let _hidden = io::stdin().is_terminal().then(HiddenInput::begin).transpose()?;
        io::Read::take(io::stdin().lock(), PASSWORD_BYTES_MAX).read_line(&mut line)?;
    }
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    let hash = netscope::dashboard::hash_password(password).map_err(|error| format!("the password {error}"))?;
    io::Write::write_all(&mut io::stdout(), format!("{hash}\n").as_bytes())?;
    Ok(())
}

/// What is typed is not shown until this is dropped.
struct HiddenInput(nix::sys::termios::Termios);

impl HiddenInput {
    fn begin() -> Result<Self, io::Error> {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        eprint!("password: ");
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        // A terminal that is gone shows nothing.
        let _gone = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
        eprintln!();
    }
}
