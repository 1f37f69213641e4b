//! `[web]`, `[web.tls]` and `[web.auth]`: the page.
//!
//! Owns names and help texts, as its parent does.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

use super::choices::RoleChoice;
use super::options::section;
use super::said::{names, path_unset_when_empty, unset_when_empty};
use crate::dashboard::Secret;
use clap::Args;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// `[web]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Page")]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WebOptions {
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Serve a page that shows the traffic live, for a browser at http://127.0.0.1:8080/
    #[arg(id = "web_yes", long = "web", conflicts_with = "web_no")]
    #[serde(skip)]
    pub enabled_yes: bool,
    /// No page [default]
    #[arg(id = "web_no", long = "no-web")]
    #[serde(skip)]
    pub enabled_no: bool,

    /// Listen on this address; 0.0.0.0 = all, for which --web-auth and --web-tls are wise [default: 127.0.0.1]
    #[arg(id = "web_bind", long = "web-bind", value_name = "ADDR")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub bind: Option<String>,

    /// Listen on this port, 0 = one that is free [default: 8080]
    #[arg(id = "web_port", long = "web-port", value_name = "PORT")]
    pub port: Option<u16>,

    /// The path under which a proxy has the page, such as /netscope
    #[arg(id = "web_prefix", long = "web-prefix", value_name = "PATH")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub prefix: Option<String>,

    /// A name by which browsers may ask for the page, besides localhost and addresses; can be given several times
    #[arg(id = "web_hosts", long = "web-host", value_name = "NAME")]
    #[serde(deserialize_with = "names")]
    pub hosts: Option<Vec<String>>,

    #[arg(skip)]
    pub stay: Option<bool>,
    /// After the end of a capture file, keep the page until Ctrl-C [default]
    #[arg(id = "stay_yes", long = "web-stay", conflicts_with = "stay_no")]
    #[serde(skip)]
    pub stay_yes: bool,
    /// End with the capture file
    #[arg(id = "stay_no", long = "no-web-stay")]
    #[serde(skip)]
    pub stay_no: bool,

    /// Milliseconds between two frames of the page.
    #[arg(skip)]
    pub tick_ms: Option<u64>,
    /// Flows of each frame.
    #[arg(skip)]
    pub top_n: Option<u32>,
    /// Packets kept for the page.
    #[arg(skip)]
    pub packet_buffer: Option<u32>,
    /// One packet of so many is kept; 0 = none.
    #[arg(skip)]
    pub sample_rate: Option<u32>,
    /// Packets per second that are kept at most.
    #[arg(skip)]
    pub sample_per_second: Option<u32>,
    /// Bytes kept of each.
    #[arg(skip)]
    pub payload_bytes: Option<u32>,
    /// Proxies that are believed for whom they ask.
    #[arg(skip)]
    pub trusted_proxies: Option<Vec<String>>,
    /// WebSocket clients at once.
    #[arg(skip)]
    pub clients: Option<u32>,

    /// TLS.
    #[command(flatten)]
    pub tls: WebTlsOptions,
    /// Who may come.
    #[command(flatten)]
    pub auth: WebAuthOptions,
}

impl WebOptions {
    pub(super) fn settle(&mut self) {
        let switch = |yes: bool, no: bool, said: Option<bool>| if yes || no { Some(yes) } else { said };
        self.enabled = switch(self.enabled_yes, self.enabled_no, self.enabled);
        self.stay = switch(self.stay_yes, self.stay_no, self.stay);
        self.tls.settle();
        self.auth.settle();
    }

    pub(super) fn over(self, under: Self) -> Self {
        Self {
            enabled: self.enabled.or(under.enabled),
            enabled_yes: self.enabled_yes,
            enabled_no: self.enabled_no,
            bind: self.bind.or(under.bind),
            port: self.port.or(under.port),
            prefix: self.prefix.or(under.prefix),
            hosts: self.hosts.or(under.hosts),
            stay: self.stay.or(under.stay),
            stay_yes: self.stay_yes,
            stay_no: self.stay_no,
            tick_ms: self.tick_ms.or(under.tick_ms),
            top_n: self.top_n.or(under.top_n),
            packet_buffer: self.packet_buffer.or(under.packet_buffer),
            sample_rate: self.sample_rate.or(under.sample_rate),
            sample_per_second: self.sample_per_second.or(under.sample_per_second),
            payload_bytes: self.payload_bytes.or(under.payload_bytes),
            trusted_proxies: self.trusted_proxies.or(under.trusted_proxies),
            clients: self.clients.or(under.clients),
            tls: self.tls.over(under.tls),
            auth: self.auth.over(under.auth),
        }
    }

    /// A flag that was given and is about the page.
    pub(super) fn flag(&self) -> Option<&'static str> {
        let Self { tls, auth, .. } = self;
        let flags = [
            ("--web-bind", self.bind.is_some()),
            ("--web-port", self.port.is_some()),
            ("--web-prefix", self.prefix.is_some()),
            ("--web-host", self.hosts.is_some()),
            ("--web-stay", self.stay.is_some()),
            ("--web-tls", tls.enabled == Some(true)),
            ("--web-tls-cert", tls.cert_path.is_some()),
            ("--web-tls-key", tls.key_path.is_some()),
            ("--web-auth", auth.enabled == Some(true)),
            ("--web-auth-user", auth.username.is_some()),
            ("--web-auth-pass-file", auth.password_file.is_some()),
            ("--web-auth-without-tls", auth.without_tls == Some(true)),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

/// `[web.tls]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WebTlsOptions {
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Serve the page by HTTPS, with the certificate of --web-tls-cert and --web-tls-key
    #[arg(id = "tls_yes", long = "web-tls", conflicts_with = "tls_no")]
    #[serde(skip)]
    pub enabled_yes: bool,
    /// Serve it by HTTP [default]
    #[arg(id = "tls_no", long = "no-web-tls")]
    #[serde(skip)]
    pub enabled_no: bool,

    /// The certificate and its chain, PEM; read again when it changes
    #[arg(id = "tls_cert_path", long = "web-tls-cert", value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub cert_path: Option<PathBuf>,

    /// Its private key, PEM
    #[arg(id = "tls_key_path", long = "web-tls-key", value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub key_path: Option<PathBuf>,
}

section!(WebTlsOptions { cert_path, key_path } switches { enabled: enabled_yes, enabled_no });

/// `[web.auth]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WebAuthOptions {
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Ask for credentials on every path: HTTP Basic, and the tokens of web.auth.tokens
    #[arg(id = "auth_yes", long = "web-auth", conflicts_with = "auth_no")]
    #[serde(skip)]
    pub enabled_yes: bool,
    /// Ask nobody [default]
    #[arg(id = "auth_no", long = "no-web-auth")]
    #[serde(skip)]
    pub enabled_no: bool,

    /// The user's name
    #[arg(id = "auth_username", long = "web-auth-user", value_name = "USER")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub username: Option<String>,

    /// The password, or its hash.
    #[arg(skip)]
    #[serde(deserialize_with = "secret_unset_when_empty")]
    pub password: Option<Secret>,

    /// File with the password, in clear or as netscope hash-password makes it
    #[arg(id = "auth_password_file", long = "web-auth-pass-file", value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub password_file: Option<PathBuf>,

    #[arg(skip)]
    pub without_tls: Option<bool>,
    /// Allow credentials on an address that others reach without --web-tls, as when a proxy adds TLS
    #[arg(id = "without_tls_yes", long = "web-auth-without-tls", conflicts_with = "without_tls_no")]
    #[serde(skip)]
    pub without_tls_yes: bool,
    /// Refuse that [default]
    #[arg(id = "without_tls_no", long = "no-web-auth-without-tls")]
    #[serde(skip)]
    pub without_tls_no: bool,

    /// Programs that may come.
    #[arg(skip)]
    pub tokens: Option<Vec<WebTokenOptions>>,
}

section!(WebAuthOptions { username, password, password_file, tokens }
    switches { enabled: enabled_yes, enabled_no; without_tls: without_tls_yes, without_tls_no });

/// `[[web.auth.tokens]]`, in the configuration file only.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebTokenOptions {
    /// What it is called.
    pub name: Option<String>,
    /// The token.
    #[serde(deserialize_with = "secret_unset_when_empty")]
    pub token: Option<Secret>,
    /// A file with it.
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub token_file: Option<PathBuf>,
    /// What it may do.
    pub role: Option<RoleChoice>,
}

/// A secret, unless it is empty.
fn secret_unset_when_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Some(Secret::deserialize(deserializer)?).filter(|secret| !secret.reveal().is_empty()))
}
