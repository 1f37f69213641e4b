//! A webhook: each alert is the body of an HTTP POST.
//!
//! Owns the request and what answers mean. Invariants: one request is under way at a time, so order is kept; secrets are in headers and URLs alone, never in a
//! message or a name; a redirection is not followed.

use super::{AlertFormat, AlertMessage, AlertReceiver, AlertTransport, DeliverySettings, NotSent, OnDeliveryNotice, TlsSettings};
use crate::output::OutputError;
use ring::hmac;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::Agent;
use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// More of an answer is not read: its body says nothing to us.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// `[analysis.alerts.webhook]`
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where alerts are posted.
    pub url: Uri,
    /// The body.
    pub format: AlertFormat,
    /// Headers besides ours.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// File with the key of signatures; `None` = requests are not signed.
    pub secret_file: Option<PathBuf>,
    /// File with a token that is sent as `Authorization: Bearer`.
    pub bearer_token_file: Option<PathBuf>,
    /// Certificates, for https.
    pub tls: TlsSettings,
    /// Longest request, its answer included.
    pub timeout: Duration,
    /// How alerts are delivered.
    pub delivery: DeliverySettings,
}

impl fmt::Debug for WebhookSettings {
    /// Without the URL's path and the headers: both may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("name", &self.name()).field("format", &self.format).finish_non_exhaustive()
    }
}

impl WebhookSettings {
    /// Its name: scheme, host and port. Paths of webhooks are often secret.
    pub fn name(&self) -> String {
        let port = self.url.port_u16().map_or(String::new(), |port| format!(":{port}"));
        format!("webhook {}://{}{port}", self.url.scheme_str().unwrap_or("http"), self.url.host().unwrap_or_default())
    }
}

/// Opens the receiver.
pub struct Webhook;

impl Webhook {
    /// A receiver with these settings. Nothing is connected before the first alert.
    ///
    /// # Errors
    /// When a file with a secret or with certificates cannot be used, or a thread cannot be started.
    pub fn open(
        settings: &WebhookSettings,
        community_id_seed: u16,
        notice: Arc<OnDeliveryNotice>,
    ) -> Result<AlertReceiver, OutputError> {
        let key = settings.secret_file.as_deref().map(secret).transpose()?;
        let mut headers = settings.headers.clone();
        if let Some(path) = &settings.bearer_token_file {
            let text = [b"Bearer ".as_slice(), &secret(path)?].concat();
            let mut value = HeaderValue::from_bytes(&text)
                .map_err(|_| OutputError::new("use", path, io::Error::other("it has characters that no header may have")))?;
            value.set_sensitive(true);
            headers.push((ureq::http::header::AUTHORIZATION, value));
        }
        let transport = WebhookTransport {
            agent: agent(settings)?,
            url: settings.url.clone(),
            media_type: settings.format.media_type(),
            headers,
            key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key)),
            run: super::retry::random(),
        };
        let (format, name) = (settings.format, settings.name());
        let encode = move |alert: &_, number| {
            let body = format.line(alert, community_id_seed).into_bytes();
            AlertMessage { number, body, facts: Vec::new() }
        };
        AlertReceiver::start(name.clone(), Box::new(encode), vec![Box::new(transport)], settings.delivery, notice)
            .map_err(|source| OutputError::new("open", Path::new(&name), source))
    }
}

/// The secret in a file, without the line feed that editors put behind it.
fn secret(path: &Path) -> Result<Vec<u8>, OutputError> {
    let mut text = fs::read(path).map_err(|source| OutputError::new("read", path, source))?;
    while text.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        text.pop();
    }
    if text.is_empty() {
        return Err(OutputError::new("use", path, io::Error::new(io::ErrorKind::InvalidData, "there is no secret in it")));
    }
    Ok(text)
}

fn agent(settings: &WebhookSettings) -> Result<Agent, OutputError> {
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if settings.url.scheme_str() == Some("https") {
        let authorities = settings.tls.authorities()?;
        let certificates: Vec<Certificate<'static>> =
            authorities.iter().map(|authority| Certificate::from_der(authority).to_owned()).collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(settings.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        // What the environment says of proxies is for people's programs.
        .proxy(None)
        .user_agent(concat!("netscope/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.new_agent())
}

/// What is signed, and how: `v1=` and the HMAC-SHA256 of the time, a dot and the body, in hex.
fn signature(key: &hmac::Key, time: u64, body: &[u8]) -> String {
    let tag = hmac::sign(key, &[time.to_string().as_bytes(), b".", body].concat());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={digits}")
}

struct WebhookTransport {
    agent: Agent,
    url: Uri,
    media_type: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    key: Option<hmac::Key>,
    /// Of this run, for the names of deliveries.
    run: u64,
}

impl AlertTransport for WebhookTransport {
    fn send(&mut self, message: &AlertMessage, _is_over: &dyn Fn() -> bool) -> Result<(), NotSent> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", self.media_type)
            // The same in each attempt.
            .header("x-netscope-delivery", format!("{:016x}-{}", self.run, message.number))
            .header("x-netscope-timestamp", time.to_string());
        if let Some(key) = &self.key {
            request = request.header("x-netscope-signature", signature(key, time, &message.body));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut answer = request.send(message.body.as_slice()).map_err(NotSent::again)?;
        let status = answer.status();
        let after_secs = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Read so that the connection can be used again. What was said after the status changes nothing.
        let _body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let why = format!("HTTP status {status}");
        match status.as_u16() {
            200..300 => Ok(()),
            408 | 425 | 429 | 500..600 => Err(NotSent::Again { why, after_secs }),
            _ => Err(NotSent::Refused(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_rfc() {
        // RFC 4231, test case 2, by the function below ours.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = hmac::sign(&key, b"what do ya want for nothing?");
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let ours = signature(&key, 1_700_000_000, b"{}");
        let tag: Vec<u8> = (3..ours.len()).step_by(2).map(|at| u8::from_str_radix(&ours[at..at + 2], 16).unwrap()).collect();
        assert!(ours.starts_with("v1=") && hmac::verify(&key, b"1700000000.{}", &tag).is_ok());
        assert_ne!(ours, signature(&key, 1_700_000_001, b"{}"), "an old request cannot be sent with a new time");
    }

    #[test]
    fn a_secret_is_a_files_without_its_line_feed_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(secret(file.path()).is_err(), "none in it");
        fs::write(file.path(), "s3cret\r\n").unwrap();
        assert_eq!(secret(file.path()).unwrap(), b"s3cret");
        let settings = WebhookSettings {
            url: "https://hooks.example:8443/services/s3cret".parse().unwrap(),
            format: AlertFormat::Json,
            headers: vec![(HeaderName::from_static("x-key"), HeaderValue::from_static("s3cret"))],
            secret_file: Some("/etc/key".into()),
            bearer_token_file: None,
            tls: TlsSettings::default(),
            timeout: Duration::from_secs(1),
            delivery: DeliverySettings {
                queue_count_max: 1,
                attempts_max: 1,
                age_max: Duration::from_secs(1),
                drain: Duration::ZERO,
            },
        };
        assert_eq!(settings.name(), "webhook https://hooks.example:8443");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
