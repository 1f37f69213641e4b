//! The web server: it listens before the capture starts, and serves a [`PageApi`] on threads of its own.
//!
//! Owns connections, TLS, auth, limits and the page's files. Knows nothing of what the interface answers. Invariants: no client makes the capture
//! wait; memory is bounded; every limit that is reached is counted; nothing gets past the checks of host, origin and credentials.

mod admission;
mod answer;
mod assets;
mod auth;
mod body;
mod connection;
mod counts;
mod error;
mod forwarded;
mod frame_limit;
mod handshake;
mod holder;
mod host;
mod limits;
mod login;
mod password;
mod path;
mod rate;
mod secret;
mod service;
mod settings;
mod site;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod validity;

pub use counts::{ServerCounters, ServerCounts};
pub use error::ServerError;
pub use host::is_host_name;
pub use limits::SOCKETS_DEFAULT;
pub use password::{PasswordError, hash_password};
pub use secret::Secret;
pub use settings::{SecretSource, ServerAuth, ServerSettings, ServerTls, TokenSettings};
pub use site::OnServerNotice;

use super::PageApi;
use assets::Assets;
use auth::Authenticator;
use counts::count;
use limits::{ACCEPT_PAUSE, BLOCKING_THREADS, REQUEST_BURST, REQUESTS_PER_SEC, STOP_TIME, TAKE_TIME, THREADS, TLS_LOOK_INTERVAL};
use netscope_backends::thread::{keep_off_cpus, lower_thread_priority};
use rate::{BucketRate, ClientKey};
use site::{Site, SiteParts, ended};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::{Certificate, CertificateWatch};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// What a client gets for which there is no place.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// For threads that take long, at the end.
const LAST_TIME: Duration = Duration::from_secs(1);

/// A server that listens and does not answer yet.
pub struct Server {
    settings: ServerSettings,
    listener: std::net::TcpListener,
    address: SocketAddr,
    assets: Assets,
    auth: Authenticator,
    certificate: Option<Arc<Certificate>>,
    counters: Arc<ServerCounters>,
    warnings: Vec<String>,
    /// [`TAKE_TIME`].
    take_time: Duration,
    /// How many requests a client may send.
    request_rate: BucketRate,
}

/// A server that answers. Dropping it ends it at once.
pub struct RunningServer {
    runtime: Option<Runtime>,
    ending: watch::Sender<bool>,
    /// Ends when nobody holds the other side any more.
    alive: mpsc::Receiver<()>,
}

impl Server {
    /// Reads certificate and secrets, and begins to listen.
    ///
    /// # Errors
    /// When the port is taken or cannot be had, or a file cannot be used; each names what to change.
    pub fn bind(settings: &ServerSettings) -> Result<Self, ServerError> {
        let counters = Arc::<ServerCounters>::default();
        let mut warnings = Vec::new();
        let certificate = match &settings.tls {
            None => None,
            Some(files) => {
                let (certificate, warning) = Certificate::load(files, Arc::clone(&counters))?;
                warnings.extend(warning);
                Some(certificate)
            }
        };
        let system = |what| move |source| ServerError::System { what, source };
        let assets = Assets::embedded().map_err(system("prepare the page"))?;
        let wanted = SocketAddr::new(settings.bind, settings.port);
        let listener = std::net::TcpListener::bind(wanted).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ServerError::PortTaken { address: wanted, holder: holder::holder(wanted) },
            _ => ServerError::Bind { address: wanted, source },
        })?;
        listener.set_nonblocking(true).map_err(system("set up the socket"))?;
        let address = listener.local_addr().map_err(system("ask for the address"))?;
        let auth = Authenticator::new(settings.auth.as_ref(), address.port(), Arc::clone(&counters), Instant::now())?;
        if !settings.bind.is_loopback() && settings.auth.is_none() {
            warnings.push(format!(
                "the page is open to everybody who can reach {address}, with the packets that it shows: give --web-auth with a user and a \
                 password file and --web-tls, or --web-bind 127.0.0.1"
            ));
        }
        Ok(Self {
            settings: settings.clone(),
            listener,
            address,
            assets,
            auth,
            certificate,
            counters,
            warnings,
            take_time: TAKE_TIME,
            request_rate: BucketRate { per_sec: f64::from(REQUESTS_PER_SEC), burst: f64::from(REQUEST_BURST) },
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a person should know at the start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What it counts; also before it runs.
    pub fn counters(&self) -> Arc<ServerCounters> {
        Arc::clone(&self.counters)
    }

    /// The page's address for a browser on this machine, such as `http://127.0.0.1:8080/`.
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}/", SocketAddr::new(ip, self.address.port()), self.settings.prefix)
    }

    /// Where credentials are needed: an address that makes a session without them, once and for ten minutes.
    pub fn login_url(&self) -> Option<String> {
        self.auth.make_link(Instant::now()).map(|token| format!("{}login?once={token}", self.url()))
    }

    /// Starts to answer, on threads with a low priority that stay off the CPUs of `workers`. `notice` is told what a person should know.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(
        self,
        api: Arc<dyn PageApi>,
        workers: &[usize],
        notice: Arc<OnServerNotice>,
    ) -> Result<RunningServer, ServerError> {
        let system = |what| move |source| ServerError::System { what, source };
        let workers = workers.to_vec();
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("netscope-web")
            .on_thread_start(move || {
                lower_thread_priority();
                keep_off_cpus(&workers);
            })
            .enable_all()
            .build()
            .map_err(system("start threads"))?;
        let (ending, is_ending) = watch::channel(false);
        let (holds, alive) = mpsc::channel(1);
        let tls = self.certificate.as_ref().map(Certificate::config).transpose()?.map(TlsAcceptor::from);
        let Self { assets, auth, counters, take_time, request_rate, .. } = self;
        let parts = SiteParts { assets, auth, counters, ending: is_ending, alive: holds, take_time, request_rate };
        let site = Arc::new(Site::new(&self.settings, api, parts));
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(self.listener).map_err(system("set up the socket"))?
        };
        if let Some(certificate) = &self.certificate {
            runtime.spawn(look_after(certificate.watch(), notice));
        }
        runtime.spawn(listen(site, listener, tls));
        Ok(RunningServer { runtime: Some(runtime), ending, alive })
    }
}

impl RunningServer {
    /// Takes no more connections, lets open requests end for some seconds, and says goodbye to WebSocket clients.
    pub fn stop(mut self) {
        // Nobody listens where all has ended already.
        let _all_ended = self.ending.send(true);
        let Some(runtime) = self.runtime.take() else { return };
        // A sender that is gone is what is waited for; whoever is too slow is cut off.
        let _cut_off = runtime.block_on(async { timeout(STOP_TIME + LAST_TIME, self.alive.recv()).await });
        runtime.shutdown_timeout(LAST_TIME);
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes connections until the end.
async fn listen(site: Arc<Site>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut ending = site.ending.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = ended(&mut ending) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => take(&site, stream, peer, tls.clone()),
            Err(_) => {
                // Without descriptors there is none a moment later either.
                count(&site.counters.accept_failures);
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn take(site: &Arc<Site>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
    let client = ClientKey::of(peer.ip());
    let Some(place) = site.admission.enter(client, site.proxies.trusts(peer.ip())) else {
        if tls.is_none() {
            // It fits into the socket's buffer; where it does not, the client sees that the connection is closed.
            let _told = stream.try_write(NO_PLACE);
        }
        return;
    };
    // Slower without it, and nothing else.
    let _set = stream.set_nodelay(true);
    tokio::spawn(connection::serve(Arc::clone(site), stream, peer.ip(), place, tls));
}

/// Looks after the files of the certificate.
async fn look_after(mut watch: CertificateWatch, notice: Arc<OnServerNotice>) {
    let mut looks = interval(TLS_LOOK_INTERVAL);
    loop {
        looks.tick().await;
        // Files are small; a slow disk holds up one of the server's threads, and no worker.
        if let Some(text) = watch.look() {
            notice(&text);
        }
    }
}
