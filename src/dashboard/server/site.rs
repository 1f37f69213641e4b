//! What all connections share: settings, files, credentials, limits, the interface behind.
//!
//! Owns no logic but that of who looks. Invariant: the interface is told of each change of the number of lookers, in order.

use super::admission::Admission;
use super::assets::Assets;
use super::auth::Authenticator;
use super::body::AnswerBudget;
use super::counts::{ServerCounters, count, uncount};
use super::forwarded::TrustedProxies;
use super::host::HostRules;
use super::limits::{ANSWERS_MAX, LOOPBACK_FACTOR};
use super::rate::{BucketRate, ClientKey, RateLimit};
use super::settings::ServerSettings;
use crate::dashboard::PageApi;
use hyper::HeaderMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};

/// Told what a person should know while the server runs.
pub type OnServerNotice = dyn Fn(&str) + Send + Sync;

/// What all connections share.
pub(super) struct Site {
    pub(super) api: Arc<dyn PageApi>,
    pub(super) prefix: String,
    pub(super) has_tls: bool,
    pub(super) hosts: HostRules,
    pub(super) assets: Assets,
    pub(super) auth: Authenticator,
    pub(super) counters: Arc<ServerCounters>,
    pub(super) admission: Arc<Admission>,
    pub(super) proxies: TrustedProxies,
    requests: RateLimit,
    local_requests: RateLimit,
    /// Requests that the interface answers now.
    pub(super) answers: Arc<Semaphore>,
    pub(super) budget: Arc<AnswerBudget>,
    /// For a client to take an answer.
    pub(super) take_time: Duration,
    /// Places of WebSocket clients.
    pub(super) sockets: Arc<Semaphore>,
    lookers: Mutex<usize>,
    /// True when the server ends.
    pub(super) ending: watch::Receiver<bool>,
    /// Dropped with the site, when all connections have ended.
    _alive: mpsc::Sender<()>,
}

/// Waits until the server ends, or is gone.
pub(super) async fn ended(ending: &mut watch::Receiver<bool>) {
    let _or_gone = ending.wait_for(|is_ending| *is_ending).await.is_ok();
}

/// What a site is made of, besides the interface.
pub(super) struct SiteParts {
    pub(super) assets: Assets,
    pub(super) auth: Authenticator,
    pub(super) counters: Arc<ServerCounters>,
    pub(super) ending: watch::Receiver<bool>,
    pub(super) alive: mpsc::Sender<()>,
    pub(super) take_time: Duration,
    pub(super) request_rate: BucketRate,
}

impl Site {
    /// For these settings.
    pub(super) fn new(settings: &ServerSettings, api: Arc<dyn PageApi>, parts: SiteParts) -> Self {
        let SiteParts { assets, auth, counters, ending, alive, take_time, request_rate } = parts;
        let now = Instant::now();
        let factor = f64::from(LOOPBACK_FACTOR);
        let local_rate = BucketRate { per_sec: request_rate.per_sec * factor, burst: request_rate.burst * factor };
        let has_tls = settings.tls.is_some();
        Self {
            api,
            prefix: settings.prefix.clone(),
            has_tls,
            hosts: HostRules::new(&settings.hosts, has_tls),
            assets,
            auth,
            admission: Admission::new(Arc::clone(&counters)),
            counters,
            proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
            requests: RateLimit::new(request_rate, now),
            local_requests: RateLimit::new(local_rate, now),
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
            budget: Arc::default(),
            take_time,
            sockets: Arc::new(Semaphore::new(settings.clients_max)),
            lookers: Mutex::new(0),
            ending,
            _alive: alive,
        }
    }

    /// For whom a request counts that came from `peer`.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientKey {
        ClientKey::of(self.proxies.client(peer, headers).unwrap_or_else(|_| {
            count(&self.counters.forwarded_unclear);
            peer
        }))
    }

    /// Takes one of a client's requests, or tells how long it has to wait.
    pub(super) fn take_request(&self, client: ClientKey, now: Instant) -> Result<(), Duration> {
        let limit = if client.is_loopback() { &self.local_requests } else { &self.requests };
        limit.take(client, now).inspect_err(|_| count(&self.counters.requests_refused_rate))
    }
}

/// A WebSocket client that looks, or does not.
pub(super) struct Looker {
    site: Arc<Site>,
    is_looking: bool,
}

impl Looker {
    /// One that looks.
    pub(super) fn new(site: &Arc<Site>) -> Self {
        count(&site.counters.sockets);
        count(&site.counters.sockets_open);
        let mut looker = Self { site: Arc::clone(site), is_looking: false };
        looker.set(true);
        looker
    }

    /// True when it looks.
    pub(super) const fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// From now on it looks, or does not.
    pub(super) fn set(&mut self, is_looking: bool) {
        if std::mem::replace(&mut self.is_looking, is_looking) == is_looking {
            return;
        }
        // A number is whole after each step. Held while the interface is told, so that it hears of the changes in order.
        let mut lookers = self.site.lookers.lock().unwrap_or_else(PoisonError::into_inner);
        *lookers = if is_looking { *lookers + 1 } else { lookers.saturating_sub(1) };
        self.site.api.set_lookers(*lookers);
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.set(false);
        uncount(&self.site.counters.sockets_open);
    }
}
