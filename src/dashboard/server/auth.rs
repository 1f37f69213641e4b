//! Who asks: HTTP Basic (RFC 7617), bearer tokens (RFC 6750) and sessions of a link.
//!
//! Owns the credentials that count. Knows no route. Invariants: secrets are compared by keyed hashes, so that the time tells nothing; a password's hash is
//! computed off the server's threads, one at a time, and not for credentials that were right before; wrong credentials cost a client its tries, right
//! ones that are known never do.

use super::ServerError;
use super::counts::{ServerCounters, count};
use super::limits::{FAILURE_BURST, FAILURE_SECS, PASSWORDS_WAITING_MAX};
use super::login::Sessions;
use super::password::KnownPassword;
use super::rate::{BucketRate, ClientKey, RateLimit};
use super::settings::{SecretSource, ServerAuth};
use crate::dashboard::Role;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};
use ring::hmac;
use ring::rand::SystemRandom;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Spellings of right credentials that are remembered; there is one user, so a few are enough.
const VERIFIED_MAX: usize = 8;
/// Bytes of `Authorization`; longer ones are wrong.
const CREDENTIALS_BYTES_MAX: usize = 2048;

/// Somebody who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// What it may do.
    pub(super) role: Role,
    /// The user's name, or the token's.
    pub(super) user: Option<String>,
    /// By a bearer token, which no browser sends by itself.
    pub(super) is_bearer: bool,
}

/// Somebody who may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthRefusal {
    /// There are no credentials.
    Missing,
    /// They are wrong.
    Wrong,
    /// There were too many wrong ones.
    Wait(Duration),
    /// Too many passwords wait to be looked at.
    Busy,
}

/// Checks credentials.
pub(super) struct Authenticator {
    key: hmac::Key,
    /// `None`: everybody may come.
    known: Option<KnownUsers>,
    sessions: Sessions,
    /// The cookie's name: browsers keep cookies of all ports together.
    cookie: String,
    failures: RateLimit,
    counters: Arc<ServerCounters>,
}

struct KnownUsers {
    /// The name, its tag and the password.
    user: Option<(String, hmac::Tag, Arc<KnownPassword>)>,
    /// By their tags.
    tokens: HashMap<Vec<u8>, (String, Role)>,
    /// Tags of `Authorization` values that were right.
    verified: Mutex<Vec<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
    hashing: Arc<Semaphore>,
}

impl Authenticator {
    /// Reads the secrets of the settings.
    ///
    /// # Errors
    /// When a file cannot be read, or what is in it cannot be used.
    pub(super) fn new(
        settings: Option<&ServerAuth>,
        port: u16,
        counters: Arc<ServerCounters>,
        now: Instant,
    ) -> Result<Self, ServerError> {
        let no_random = |_| ServerError::System { what: "get random numbers", source: io::Error::other("the system gives none") };
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(no_random)?;
        let known = settings.map(|settings| KnownUsers::new(settings, &key)).transpose()?;
        let rate = BucketRate { per_sec: 1.0 / f64::from(FAILURE_SECS), burst: f64::from(FAILURE_BURST) };
        let sessions = Sessions::new(key.clone());
        Ok(Self { key, known, sessions, cookie: format!("netscope_{port}"), failures: RateLimit::new(rate, now), counters })
    }

    /// True where credentials are needed.
    pub(super) const fn is_on(&self) -> bool {
        self.known.is_some()
    }

    /// A token for a link to log in, where credentials are needed.
    pub(super) fn make_link(&self, now: Instant) -> Option<String> {
        self.known.as_ref()?;
        self.sessions.make_link(now)
    }

    /// Name and value of the cookie of a new session, for the token of a link.
    pub(super) fn log_in(&self, token: &str, client: ClientKey, now: Instant) -> Result<(&str, String), AuthRefusal> {
        self.try_once(client, now)?;
        let session = self.sessions.redeem(token, now).ok_or_else(|| self.wrong())?;
        Ok((&self.cookie, session))
    }

    /// Who sends these headers.
    pub(super) async fn identify(&self, headers: &HeaderMap, client: ClientKey, now: Instant) -> Result<Identity, AuthRefusal> {
        let Some(known) = &self.known else { return Ok(Identity { role: Role::Download, user: None, is_bearer: false }) };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            if self.session_names(headers).any(|name| self.sessions.is_open(name, now)) {
                let user = known.user.as_ref().map(|(name, ..)| name.clone());
                return Ok(Identity { role: Role::Download, user, is_bearer: false });
            }
            count(&self.counters.unauthorized);
            return Err(AuthRefusal::Missing);
        };
        let is_short = value.len() <= CREDENTIALS_BYTES_MAX && values.next().is_none();
        let text = value.to_str().ok().filter(|_| is_short);
        let (scheme, credentials) = text.and_then(|text| text.split_once(' ')).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") {
            let tag = hmac::sign(&self.key, credentials.trim().as_bytes());
            if let Some((name, role)) = known.tokens.get(tag.as_ref()) {
                return Ok(Identity { role: *role, user: Some(name.clone()), is_bearer: true });
            }
        }
        let tag = hmac::sign(&self.key, value.as_bytes());
        if known.verified().iter().any(|known| known == tag.as_ref()) {
            return Ok(known.person());
        }
        self.try_once(client, now)?;
        if scheme.eq_ignore_ascii_case("basic")
            && let Some((name, password)) = basic(credentials)
            && self.is_user(known, name, password).await?
        {
            let mut verified = known.verified();
            if verified.len() == VERIFIED_MAX {
                verified.remove(0);
            }
            verified.push(tag.as_ref().to_vec());
            drop(verified);
            return Ok(known.person());
        }
        Err(self.wrong())
    }

    fn wrong(&self) -> AuthRefusal {
        count(&self.counters.logins_failed);
        AuthRefusal::Wrong
    }

    /// Takes one of the tries of a client.
    fn try_once(&self, client: ClientKey, now: Instant) -> Result<(), AuthRefusal> {
        self.failures.take(client, now).map_err(|wait| {
            count(&self.counters.logins_refused);
            AuthRefusal::Wait(wait)
        })
    }

    /// True for the user's name with its password. Both are looked at in any case.
    async fn is_user(&self, known: &KnownUsers, name: String, password: String) -> Result<bool, AuthRefusal> {
        let Some((_, tag, right)) = &known.user else { return Ok(false) };
        let is_name = hmac::verify(&self.key, name.as_bytes(), tag.as_ref()).is_ok();
        if !right.is_slow() {
            return Ok(right.is(&password, &self.key) & is_name);
        }
        let _waiting = Waiting::enter(&known.waiting).ok_or(AuthRefusal::Busy)?;
        let turn = Arc::clone(&known.hashing).acquire_owned().await.map_err(|_| AuthRefusal::Busy)?;
        let (right, key) = (Arc::clone(right), self.key.clone());
        // The turn is over when the hash is made, also where the client has gone before.
        let hashing = move || {
            let _turn = turn;
            right.is(&password, &key)
        };
        let is_right = tokio::task::spawn_blocking(hashing).await.map_err(|_| AuthRefusal::Busy)?;
        Ok(is_right & is_name)
    }

    /// Values of our cookie.
    fn session_names<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .map(|(_, value)| value)
            .take(2)
    }
}

impl KnownUsers {
    fn new(settings: &ServerAuth, key: &hmac::Key) -> Result<Self, ServerError> {
        const PASSWORD: &str = "--web-auth-pass-file (web.auth.password_file)";
        let user = settings.user.as_ref().map(|(name, source)| {
            let text = read(source, PASSWORD)?;
            let password =
                KnownPassword::new(&text, key).map_err(|error| unusable(source, PASSWORD, "web.auth.password", error))?;
            Ok::<_, ServerError>((name.clone(), hmac::sign(key, name.as_bytes()), Arc::new(password)))
        });
        let mut tokens = HashMap::new();
        for token in &settings.tokens {
            const TOKEN: &str = "web.auth.tokens.token_file";
            let text = read(&token.token, TOKEN)?;
            if text.len() < TOKEN_BYTES_MIN {
                let what = format!("of {} is shorter than {TOKEN_BYTES_MIN} characters: make it longer, at random", token.name);
                return Err(unusable(&token.token, TOKEN, "web.auth.tokens.token", what));
            }
            if tokens.insert(hmac::sign(key, text.as_bytes()).as_ref().to_vec(), (token.name.clone(), token.role)).is_some() {
                let what = format!("of {} is that of another one, too: give each its own", token.name);
                return Err(unusable(&token.token, TOKEN, "web.auth.tokens.token", what));
            }
        }
        Ok(Self {
            user: user.transpose()?,
            tokens,
            verified: Mutex::default(),
            waiting: Arc::default(),
            hashing: Arc::new(Semaphore::new(1)),
        })
    }

    fn person(&self) -> Identity {
        Identity { role: Role::Download, user: self.user.as_ref().map(|(name, ..)| name.clone()), is_bearer: false }
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // Whole after each step.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shortest token: 96 bits of base64.
const TOKEN_BYTES_MIN: usize = 16;

/// A place among the passwords that wait.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn enter(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        // Relaxed: the number carries no data.
        let place = Self(Arc::clone(waiting));
        (waiting.fetch_add(1, Ordering::Relaxed) < PASSWORDS_WAITING_MAX).then_some(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Relaxed: as above.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Name and password of HTTP Basic.
fn basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// The text of a secret.
fn read(source: &SecretSource, name: &'static str) -> Result<String, ServerError> {
    match source {
        SecretSource::Text(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| ServerError::Read { name, path: path.clone(), source })?;
            let mut lines = text.lines();
            let first = lines.next().unwrap_or_default();
            if lines.any(|line| !line.trim().is_empty()) {
                let what = "has several lines: leave one".to_owned();
                return Err(ServerError::File { name, path: path.clone(), what });
            }
            Ok(first.to_owned())
        }
    }
}

fn unusable(source: &SecretSource, file: &'static str, key: &'static str, what: impl ToString) -> ServerError {
    match source {
        SecretSource::Text(_) => ServerError::Value { name: key, what: what.to_string() },
        SecretSource::File(path) => ServerError::File { name: file, path: path.clone(), what: what.to_string() },
    }
}

#[cfg(test)]
mod tests;
