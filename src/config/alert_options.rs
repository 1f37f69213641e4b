//! `[analysis.alerts]` and what is below it: who is told of alerts, and which nobody is told of.
//!
//! Owns names and help texts, as its parent does.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

use super::choices::AlertFormatChoice;
use super::options::section;
use super::said::{names, path_unset_when_empty, unset_when_empty};
use clap::Args;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// `[analysis.alerts]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertOptions {
    /// Alerts that may wait for each receiver.
    #[arg(skip)]
    pub queue: Option<u32>,
    /// Attempts for one alert.
    #[arg(skip)]
    pub attempts: Option<u32>,
    /// Time after which an alert is given up, in seconds.
    #[arg(skip)]
    pub age_secs: Option<f64>,
    /// Time for what is left at the end, in seconds.
    #[arg(skip)]
    pub drain_secs: Option<f64>,
    /// Alerts that nobody is told of.
    #[arg(skip)]
    pub mute: Option<Vec<MuteOptions>>,

    /// Syslog.
    #[command(flatten)]
    pub syslog: SyslogOptions,
    /// A webhook.
    #[command(flatten)]
    pub webhook: WebhookOptions,
    /// A command.
    #[command(flatten)]
    pub command: HookOptions,
}

impl AlertOptions {
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            queue: self.queue.or(under.queue),
            attempts: self.attempts.or(under.attempts),
            age_secs: self.age_secs.or(under.age_secs),
            drain_secs: self.drain_secs.or(under.drain_secs),
            mute: self.mute.or(under.mute),
            syslog: self.syslog.over(under.syslog),
            webhook: self.webhook.over(under.webhook),
            command: self.command.over(under.command),
        }
    }

    /// The flag of a receiver that was named.
    pub(super) fn flag(&self) -> Option<&'static str> {
        let Self { syslog, webhook, command, .. } = self;
        let flags = [
            ("--alerts-syslog", syslog.target.is_some()),
            ("--alerts-webhook", webhook.url.is_some()),
            ("--alerts-command", command.program.is_some()),
        ];
        flags.into_iter().find(|(_, is_named)| *is_named).map(|(flag, _)| flag)
    }
}

/// `[[analysis.alerts.mute]]`, in the configuration file only.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuteOptions {
    /// The alert's kind.
    pub kind: Option<String>,
    /// A network that the attacker or the victim is in.
    pub network: Option<String>,
    /// The victim's port, or the only one that is scanned.
    pub port: Option<u16>,
    /// The rule is over at this time (RFC 3339).
    #[serde(deserialize_with = "text_or_time")]
    pub until: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A time as a text or as TOML writes it.
fn text_or_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    /// As it is written.
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a time such as 2026-12-31T23:59:59Z")]
    enum TextOrTime {
        Text(String),
        Time(toml::value::Datetime),
    }
    Ok(Some(match TextOrTime::deserialize(deserializer)? {
        TextOrTime::Text(text) => text,
        TextOrTime::Time(time) => time.to_string(),
    }))
}

/// `[analysis.alerts.syslog]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyslogOptions {
    /// Send alerts to syslog: unix:/dev/log, udp://HOST:514, tcp://HOST:601 or tls://HOST:6514
    #[arg(id = "syslog_target", long = "alerts-syslog", value_name = "TARGET")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub target: Option<String>,
    /// What is behind the header.
    #[arg(skip)]
    pub format: Option<AlertFormatChoice>,
    /// Facility of the header.
    #[arg(skip)]
    pub facility: Option<String>,
    /// Name of the program in the header.
    #[arg(skip)]
    pub app_name: Option<String>,
    /// Name of the structured data.
    #[arg(skip)]
    pub sd_id: Option<String>,
    /// Authorities of the server's certificate, in PEM.
    #[arg(skip)]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate, in PEM.
    #[arg(skip)]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub client_cert_file: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(skip)]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub client_key_file: Option<PathBuf>,
    /// Longest connect and longest write, in seconds.
    #[arg(skip)]
    pub write_timeout_secs: Option<f64>,
}

section!(SyslogOptions {
    target,
    format,
    facility,
    app_name,
    sd_id,
    ca_file,
    client_cert_file,
    client_key_file,
    write_timeout_secs,
});

/// `[analysis.alerts.webhook]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookOptions {
    /// Post each alert to this URL (http or https), as JSON
    #[arg(id = "webhook_url", long = "alerts-webhook", value_name = "URL")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub url: Option<String>,
    /// The body.
    #[arg(skip)]
    pub format: Option<AlertFormatChoice>,
    /// Headers besides ours, each `Name: value`.
    #[arg(skip)]
    #[serde(deserialize_with = "names")]
    pub extra_headers: Option<Vec<String>>,
    /// File with the key of signatures.
    #[arg(skip)]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub secret_file: Option<PathBuf>,
    /// File with a token for `Authorization: Bearer`.
    #[arg(skip)]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub bearer_token_file: Option<PathBuf>,
    /// Authorities of the server's certificate, in PEM.
    #[arg(skip)]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub ca_file: Option<PathBuf>,
    /// Longest request, in seconds.
    #[arg(skip)]
    pub request_timeout_secs: Option<f64>,
}

section!(WebhookOptions { url, format, extra_headers, secret_file, bearer_token_file, ca_file, request_timeout_secs });

/// `[analysis.alerts.command]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HookOptions {
    /// Run this program, without a shell, for each alert, with the alert as JSON on its standard input
    #[arg(id = "command_program", long = "alerts-command", value_name = "PATH")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub program: Option<PathBuf>,
    /// Its arguments.
    #[arg(skip)]
    pub args: Option<Vec<String>>,
    /// What is on its standard input.
    #[arg(skip)]
    pub format: Option<AlertFormatChoice>,
    /// Commands that run at once.
    #[arg(skip)]
    pub concurrency: Option<u32>,
    /// Time after which one is killed, in seconds.
    #[arg(skip)]
    pub run_timeout_secs: Option<f64>,
}

section!(HookOptions { program, args, format, concurrency, run_timeout_secs });
