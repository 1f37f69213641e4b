//! The page: bound before the capture starts, served while it runs, kept after a file's end.
//!
//! Owns what is said of it. Knows no request. Invariant: a port that is taken, or a file that cannot be used, ends the program before the capture starts.

mod minimal;

use crate::reporter::Reporter;
use netscope::config::{Settings, SourceSettings, WebSettings};
use netscope::dashboard::{OnServerNotice, PageApi, RunningServer, Server, ServerError};
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
    url: String,
    stays: bool,
}

/// Binds the server, where there is to be one. Before root is given up, so that low ports and private keys can be had.
pub fn bind(settings: &Settings) -> Result<Option<BoundPage<'_>>, ServerError> {
    let bound = |web| Ok(BoundPage { web, server: Server::bind(&web.server)? });
    settings.web.as_ref().map(bound).transpose()
}

/// Serves the page. `cpus`: those of the workers.
pub fn dashboard(
    settings: &Settings,
    BoundPage { web, server }: BoundPage<'_>,
    cpus: &[usize],
    reporter: &Arc<Reporter>,
) -> Result<Dashboard, ServerError> {
    for warning in server.warnings() {
        reporter.warn(warning);
    }
    let url = server.url();
    let announce = |line: &str| if settings.announces { reporter.warn(line) } else { reporter.info(line) };
    announce(&format!("the page: {url}"));
    if let Some(login) = server.login_url() {
        announce(&format!("to log in without the password, once and within ten minutes: {login}"));
    }
    let stays = web.stay && matches!(settings.source, SourceSettings::File(_));
    let api = page_api(web);
    let telling = Arc::clone(reporter);
    let notice: Arc<OnServerNotice> = Arc::new(move |text: &str| telling.warn(text));
    Ok(Dashboard { server: server.start(api, cpus, notice)?, url, stays })
}

/// What answers behind the server.
fn page_api(web: &WebSettings) -> Arc<dyn PageApi> {
    Arc::new(minimal::MinimalPage::new(web.tick))
}

impl Dashboard {
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
