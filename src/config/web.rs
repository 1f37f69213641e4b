//! What is said of the page, and what it comes to.
//!
//! Owns its defaults, ranges and combinations. Looks at no file and no interface. Invariant: credentials do not cross a network in clear unless somebody
//! said so.

use super::anomalies::networks;
use super::choices::RoleChoice;
use super::error::ConfigError;
use super::options::{Options, StatsOptions};
use super::resolve::{combination, size, within};
use super::settings::WebSettings;
use super::web_options::{WebAuthOptions, WebOptions, WebTlsOptions, WebTokenOptions};
use crate::dashboard::{Role, SOCKETS_DEFAULT, SecretSource, ServerAuth, ServerSettings, ServerTls, TokenSettings, is_host_name};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A frame per screen refresh; more are nothing to a person.
const TICK_MS_MIN: u64 = 16;
const TICK_MS_MAX: u64 = 60_000;
const TICK_MS: u64 = 1000;
const CLIENTS_MAX: u32 = 200;
const PREFIX_BYTES_MAX: usize = 128;
const PAYLOAD_BYTES_MAX: u32 = 65_535;

/// Refuses flags that would do nothing.
pub(super) fn check_flags(said: &WebOptions, file: &WebOptions) -> Result<(), ConfigError> {
    let is_on = |said: Option<bool>, file: Option<bool>| said.or(file).unwrap_or(false);
    if let Some(flag) = said.flag().filter(|_| !is_on(said.enabled, file.enabled)) {
        return Err(combination(format!("{flag} is about the page: add --web")));
    }
    let tls = &said.tls;
    if (tls.cert_path.is_some() || tls.key_path.is_some()) && !is_on(tls.enabled, file.tls.enabled) {
        return Err(combination("--web-tls-cert and --web-tls-key are about HTTPS: add --web-tls".to_owned()));
    }
    let auth = &said.auth;
    if (auth.username.is_some() || auth.password_file.is_some()) && !is_on(auth.enabled, file.auth.enabled) {
        return Err(combination("--web-auth-user and --web-auth-pass-file are about credentials: add --web-auth".to_owned()));
    }
    Ok(())
}

/// The interval of ticks in ms, as the page and the statistics share it.
pub(super) fn tick_ms(options: &Options, stats_are_used: bool) -> Result<u64, ConfigError> {
    let StatsOptions { interval_ms, .. } = options.stats;
    if !options.web.enabled.unwrap_or(false) {
        return Ok(interval_ms.unwrap_or(TICK_MS));
    }
    match (options.web.tick_ms, interval_ms.filter(|_| stats_are_used)) {
        (Some(tick), Some(interval)) if tick != interval => Err(combination(format!(
            "web.tick_ms is {tick} and --stats-interval-ms (stats.interval_ms) is {interval}, and the page and the statistics have one \
             interval: give both the same, or leave one out"
        ))),
        (Some(tick), _) => within("web.tick_ms", tick, TICK_MS_MIN, TICK_MS_MAX),
        (None, Some(interval)) => {
            within("--stats-interval-ms (stats.interval_ms), with --web,", interval, TICK_MS_MIN, TICK_MS_MAX)
        }
        (None, None) => Ok(TICK_MS),
    }
}

/// `None` where there is no page. What is said is checked in any case.
pub(super) fn web(options: &WebOptions, tick_ms: u64) -> Result<Option<WebSettings>, ConfigError> {
    let server = ServerSettings {
        bind: bind(options.bind.as_deref())?,
        port: options.port.unwrap_or(8080),
        prefix: prefix(options.prefix.as_deref().unwrap_or_default())?,
        hosts: hosts(options.hosts.as_deref().unwrap_or_default())?,
        trusted_proxies: networks("web.trusted_proxies", options.trusted_proxies.as_ref())?,
        clients_max: size(within("web.clients", options.clients.unwrap_or(SOCKETS_DEFAULT as u32), 1, CLIENTS_MAX)?.into()),
        tls: tls(&options.tls)?,
        auth: auth(&options.auth)?,
    };
    let goes_in_clear = server.auth.is_some() && server.tls.is_none() && !server.bind.is_loopback();
    if goes_in_clear && !options.auth.without_tls.unwrap_or(false) {
        return Err(combination(format!(
            "--web-auth (web.auth.enabled) on {} without --web-tls (web.tls.enabled) would send credentials in clear: add --web-tls, give \
             --web-bind 127.0.0.1, or --web-auth-without-tls (web.auth.without_tls) where a proxy adds TLS",
            server.bind
        )));
    }
    let sample_rate = options.sample_rate.unwrap_or(1);
    let settings = WebSettings {
        server,
        tick: Duration::from_millis(tick_ms),
        top_n: size(within("web.top_n", options.top_n.unwrap_or(10), 0, 1000)?.into()),
        packet_buffer: size(within("web.packet_buffer", options.packet_buffer.unwrap_or(2000), 1, 1_000_000)?.into()),
        sample_rate: (sample_rate > 0).then_some(sample_rate),
        sample_per_second: within("web.sample_per_second", options.sample_per_second.unwrap_or(200), 1, 100_000)?,
        payload_bytes: size(within("web.payload_bytes", options.payload_bytes.unwrap_or(256), 0, PAYLOAD_BYTES_MAX)?.into()),
        stay: options.stay.unwrap_or(true),
    };
    Ok(options.enabled.unwrap_or(false).then_some(settings))
}

fn bind(said: Option<&str>) -> Result<IpAddr, ConfigError> {
    let Some(text) = said else { return Ok(Ipv4Addr::LOCALHOST.into()) };
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    address.parse().map_err(|_| ConfigError::Value {
        name: "--web-bind (web.bind)",
        what: format!("is \"{text}\": give an address of this machine, such as 127.0.0.1, 0.0.0.0 for all or ::1"),
    })
}

fn prefix(said: &str) -> Result<String, ConfigError> {
    let prefix = said.trim_end_matches('/');
    let is_plain = |segment: &str| {
        !segment.is_empty()
            && !matches!(segment, "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    if prefix.is_empty() {
        return Ok(String::new());
    }
    match prefix.strip_prefix('/') {
        Some(rest) if prefix.len() <= PREFIX_BYTES_MAX && rest.split('/').all(is_plain) => Ok(prefix.to_owned()),
        _ => Err(ConfigError::Value {
            name: "--web-prefix (web.prefix)",
            what: format!("is \"{said}\": give a path of letters, digits, - and _, such as /netscope"),
        }),
    }
}

fn hosts(said: &[String]) -> Result<Vec<String>, ConfigError> {
    let host = |name: &String| {
        let name = name.to_ascii_lowercase();
        if is_host_name(&name) { Ok(name) } else { Err(name) }
    };
    said.iter().map(host).collect::<Result<_, _>>().map_err(|name| ConfigError::Value {
        name: "--web-host (web.hosts)",
        what: format!("has \"{name}\": give a name without port, such as probe.example"),
    })
}

fn tls(options: &WebTlsOptions) -> Result<Option<ServerTls>, ConfigError> {
    let WebTlsOptions { cert_path, key_path, .. } = options;
    match (options.enabled.unwrap_or(false), cert_path, key_path) {
        (false, ..) => Ok(None),
        (true, Some(cert), Some(key)) => Ok(Some(ServerTls { cert: cert.clone(), key: key.clone() })),
        (true, ..) => Err(combination(
            "--web-tls (web.tls.enabled) needs a certificate and its key: add --web-tls-cert (web.tls.cert_path) and --web-tls-key \
             (web.tls.key_path)"
                .to_owned(),
        )),
    }
}

fn auth(options: &WebAuthOptions) -> Result<Option<ServerAuth>, ConfigError> {
    if !options.enabled.unwrap_or(false) {
        return Ok(None);
    }
    let password = match (&options.password, &options.password_file) {
        (Some(_), Some(_)) => {
            return Err(combination(
                "web.auth.password and --web-auth-pass-file (web.auth.password_file) are both given: leave one of them out"
                    .to_owned(),
            ));
        }
        (Some(password), None) => Some(SecretSource::Text(password.clone())),
        (None, Some(path)) => Some(SecretSource::File(path.clone())),
        (None, None) => None,
    };
    let tokens = options.tokens.iter().flatten().map(token).collect::<Result<Vec<_>, _>>()?;
    let user = match (&options.username, password) {
        (Some(name), _) if name.contains(':') || name.chars().any(char::is_control) => {
            return Err(ConfigError::Value {
                name: "--web-auth-user (web.auth.username)",
                what: "has a colon or a control character, which HTTP Basic cannot say: give another name".to_owned(),
            });
        }
        (Some(name), Some(password)) => Some((name.clone(), password)),
        (None, None) if !tokens.is_empty() => None,
        _ => {
            return Err(combination(
                "--web-auth (web.auth.enabled) needs a user and a password: add --web-auth-user (web.auth.username) and \
                 --web-auth-pass-file (web.auth.password_file)"
                    .to_owned(),
            ));
        }
    };
    Ok(Some(ServerAuth { user, tokens }))
}

fn token(options: &WebTokenOptions) -> Result<TokenSettings, ConfigError> {
    let wrong = |what: &str| ConfigError::Value { name: "web.auth.tokens", what: what.to_owned() };
    let name =
        options.name.clone().filter(|name| !name.is_empty()).ok_or_else(|| wrong("has one without a name: give it one"))?;
    let token = match (&options.token, &options.token_file) {
        (Some(token), None) => SecretSource::Text(token.clone()),
        (None, Some(path)) => SecretSource::File(path.clone()),
        _ => return Err(wrong(&format!("{name}: give either token or token_file"))),
    };
    let role = match options.role.unwrap_or_default() {
        RoleChoice::Look => Role::Look,
        RoleChoice::Download => Role::Download,
    };
    Ok(TokenSettings { name, token, role })
}
