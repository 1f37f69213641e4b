//! Receivers of alerts and mute rules: from options to settings.
//!
//! Owns their defaults and ranges.

use super::alert_options::{AlertOptions, HookOptions, MuteOptions, SyslogOptions, WebhookOptions};
use super::error::ConfigError;
use super::output::can_be_run;
use super::resolve::{combination, nanoseconds, size, within};
use super::settings::ReceiverSettings;
use crate::aggregate::MuteRule;
use crate::detect::ALERT_KINDS;
use crate::output::{
    DeliverySettings, HookSettings, SyslogFacility, SyslogSettings, SyslogTarget, TlsSettings, WebhookSettings, is_sd_id,
};
use netscope_backends::Timestamp;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue, Uri};

const QUEUE_MAX: u32 = 1_000_000;
const ATTEMPTS_MAX: u32 = 1000;
const AGE_SECS_MAX: f64 = 7.0 * 86_400.0;
const DRAIN_SECS_MAX: f64 = 3600.0;
const TIMEOUT_SECS_MIN: f64 = 0.01;
const TIMEOUT_SECS_MAX: f64 = 3600.0;
const CONCURRENCY_MAX: u32 = 256;
const MUTE_RULES_MAX: usize = 1000;
/// RFC 5424, 6.
const APP_NAME_LEN_MAX: usize = 48;
/// What the request itself says.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "x-netscope-delivery",
    "x-netscope-signature",
    "x-netscope-timestamp",
];

fn wrong(name: &'static str, what: impl Into<String>) -> ConfigError {
    ConfigError::Value { name, what: what.into() }
}

fn duration(name: &'static str, seconds: f64, min: f64, max: f64) -> Result<Duration, ConfigError> {
    Ok(Duration::from_nanos(nanoseconds(name, within(name, seconds, min, max)?)?))
}

/// Who is told of alerts.
pub(super) fn receivers(options: &AlertOptions) -> Result<ReceiverSettings, ConfigError> {
    let AlertOptions { queue, attempts, age_secs, drain_secs, mute: _, syslog, webhook, command } = options;
    let delivery = DeliverySettings {
        queue_count_max: size(within("analysis.alerts.queue", queue.unwrap_or(4096), 1, QUEUE_MAX)?.into()),
        attempts_max: within("analysis.alerts.attempts", attempts.unwrap_or(10), 1, ATTEMPTS_MAX)?,
        age_max: duration("analysis.alerts.age_secs", age_secs.unwrap_or(300.0), 0.0, AGE_SECS_MAX)?,
        drain: duration("analysis.alerts.drain_secs", drain_secs.unwrap_or(5.0), 0.0, DRAIN_SECS_MAX)?,
    };
    Ok(ReceiverSettings {
        syslog: syslog_settings(syslog, delivery)?,
        webhook: webhook_settings(webhook, delivery)?,
        command: hook_settings(command, delivery)?,
    })
}

fn syslog_settings(options: &SyslogOptions, delivery: DeliverySettings) -> Result<Option<SyslogSettings>, ConfigError> {
    let SyslogOptions {
        target,
        format,
        facility,
        app_name,
        sd_id,
        ca_file,
        client_cert_file,
        client_key_file,
        write_timeout_secs,
    } = options;
    let facility = facility.as_deref().unwrap_or("daemon");
    let facility = SyslogFacility::of_name(facility).ok_or_else(|| {
        wrong("analysis.alerts.syslog.facility", format!("is \"{facility}\": give one of {}", SyslogFacility::names()))
    })?;
    let app_name = app_name.as_deref().unwrap_or("netscope");
    if app_name.is_empty() || app_name.len() > APP_NAME_LEN_MAX || !app_name.chars().all(|c| c.is_ascii_graphic()) {
        let what = format!("is \"{app_name}\": give 1 to {APP_NAME_LEN_MAX} letters, digits and signs of ASCII, without blanks");
        return Err(wrong("analysis.alerts.syslog.app_name", what));
    }
    let sd_id = sd_id.as_deref().unwrap_or("netscope@32473");
    if !is_sd_id(sd_id) {
        let what = format!("is \"{sd_id}\": give a name, @ and the number of an enterprise, 32 characters at most");
        return Err(wrong("analysis.alerts.syslog.sd_id", what));
    }
    let client = match (client_cert_file, client_key_file) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => {
            return Err(combination(
                "analysis.alerts.syslog.client_cert_file and client_key_file need each other: give both or none".to_owned(),
            ));
        }
    };
    let timeout = duration(
        "analysis.alerts.syslog.write_timeout_secs",
        write_timeout_secs.unwrap_or(10.0),
        TIMEOUT_SECS_MIN,
        TIMEOUT_SECS_MAX,
    )?;
    let Some(target) = target else { return Ok(None) };
    let target: SyslogTarget = target
        .parse()
        .map_err(|error| wrong("--alerts-syslog (analysis.alerts.syslog.target)", format!("is \"{target}\": {error}")))?;
    if !matches!(target, SyslogTarget::Tls(_)) && (ca_file.is_some() || client.is_some()) {
        return Err(combination(format!(
            "analysis.alerts.syslog.ca_file and client_cert_file are about TLS, and the target is {target}: give a tls:// target, or \
             leave them out"
        )));
    }
    let tls = TlsSettings { ca_file: ca_file.clone(), client };
    let (format, app_name, sd_id) = (format.unwrap_or_default().into(), app_name.to_owned(), sd_id.to_owned());
    Ok(Some(SyslogSettings { target, format, facility, app_name, sd_id, tls, timeout, delivery }))
}

fn webhook_settings(options: &WebhookOptions, delivery: DeliverySettings) -> Result<Option<WebhookSettings>, ConfigError> {
    let WebhookOptions { url, format, extra_headers, secret_file, bearer_token_file, ca_file, request_timeout_secs } = options;
    let timeout = duration(
        "analysis.alerts.webhook.request_timeout_secs",
        request_timeout_secs.unwrap_or(10.0),
        TIMEOUT_SECS_MIN,
        TIMEOUT_SECS_MAX,
    )?;
    let headers = extra_headers.iter().flatten().map(|text| header(text)).collect::<Result<Vec<_>, _>>()?;
    let Some(url) = url else { return Ok(None) };
    // The URL itself is not told: it may be a secret.
    let no_url =
        || wrong("--alerts-webhook (analysis.alerts.webhook.url)", "is no URL: give http://HOST/PATH or https://HOST/PATH");
    let url: Uri = url.parse().map_err(|_| no_url())?;
    let authority = url.authority().ok_or_else(no_url)?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || authority.host().is_empty() {
        return Err(no_url());
    }
    if authority.as_str().contains('@') {
        return Err(wrong(
            "--alerts-webhook (analysis.alerts.webhook.url)",
            "has a name and a password: give a token by analysis.alerts.webhook.bearer_token_file",
        ));
    }
    if url.scheme_str() == Some("http") && ca_file.is_some() {
        return Err(combination(
            "analysis.alerts.webhook.ca_file is about https, and the URL begins with http://: give one of https://, or leave it out"
                .to_owned(),
        ));
    }
    Ok(Some(WebhookSettings {
        url,
        format: format.unwrap_or_default().into(),
        headers,
        secret_file: secret_file.clone(),
        bearer_token_file: bearer_token_file.clone(),
        tls: TlsSettings { ca_file: ca_file.clone(), client: None },
        timeout,
        delivery,
    }))
}

/// A header from `Name: value`. What is wrong is told without the value.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let key = "analysis.alerts.webhook.extra_headers";
    let (name, value) =
        text.split_once(':').ok_or_else(|| wrong(key, "has one without a colon: give each as \"Name: value\""))?;
    let name: HeaderName =
        name.trim().parse().map_err(|_| wrong(key, format!("has \"{name}\", which is no name of a header")))?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err(wrong(key, format!("has {name}, which is set already: leave it out")));
    }
    let mut value: HeaderValue =
        value.trim().parse().map_err(|_| wrong(key, format!("has a value for {name} that no header may have")))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn hook_settings(options: &HookOptions, delivery: DeliverySettings) -> Result<Option<HookSettings>, ConfigError> {
    let HookOptions { program, args, format, concurrency, run_timeout_secs } = options;
    let concurrency = within("analysis.alerts.command.concurrency", concurrency.unwrap_or(2), 1, CONCURRENCY_MAX)?;
    let timeout = duration(
        "analysis.alerts.command.run_timeout_secs",
        run_timeout_secs.unwrap_or(30.0),
        TIMEOUT_SECS_MIN,
        TIMEOUT_SECS_MAX,
    )?;
    let Some(program) = program else { return Ok(None) };
    if !can_be_run(program) {
        return Err(wrong(
            "--alerts-command (analysis.alerts.command.program)",
            format!("is {}: there is no such program; arguments are in analysis.alerts.command.args", program.display()),
        ));
    }
    let args = args.clone().unwrap_or_default();
    if args.iter().any(|argument| argument.contains('\0')) {
        return Err(wrong("analysis.alerts.command.args", "has a NUL, which no program can be given"));
    }
    Ok(Some(HookSettings {
        program: program.clone(),
        args,
        format: format.unwrap_or_default().into(),
        concurrency: size(concurrency.into()),
        timeout,
        delivery,
    }))
}

/// Alerts that nobody is told of.
pub(super) fn mutes(options: &AlertOptions) -> Result<Vec<MuteRule>, ConfigError> {
    let rules = options.mute.as_deref().unwrap_or_default();
    if rules.len() > MUTE_RULES_MAX {
        return Err(wrong("analysis.alerts.mute", format!("has {} rules: give {MUTE_RULES_MAX} at most", rules.len())));
    }
    (1..).zip(rules).map(|(number, rule)| mute(number, rule)).collect()
}

/// The rule with this number.
fn mute(number: usize, options: &MuteOptions) -> Result<MuteRule, ConfigError> {
    let MuteOptions { kind, network, port, until, reason } = options;
    let wrong = |what: String| wrong("analysis.alerts.mute", format!("rule {number}: {what}"));
    if kind.is_none() && network.is_none() && port.is_none() {
        return Err(wrong("fits every alert: give kind, network or port".to_owned()));
    }
    if let Some(kind) = kind.as_ref().filter(|kind| !ALERT_KINDS.contains(&kind.as_str())) {
        return Err(wrong(format!("kind is \"{kind}\": give one of {}", ALERT_KINDS.join(", "))));
    }
    let network = network
        .as_ref()
        .map(|text| text.parse().map_err(|error| wrong(format!("network is \"{text}\": {error}"))))
        .transpose()?;
    let until = until.as_deref().map(|text| {
        let time: Option<jiff::Timestamp> = text.parse().ok();
        let ns = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
        ns.map(Timestamp).ok_or_else(|| {
            wrong(format!("until is \"{text}\": give a time with its zone, such as 2026-12-31T23:59:59Z (RFC 3339)"))
        })
    });
    Ok(MuteRule {
        kind: kind.clone(),
        network,
        port: *port,
        until: until.transpose()?,
        reason: reason.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::output::AlertFormat;

    /// The receivers of a file with this text below `[analysis.alerts]`, or why there are none.
    fn read(text: &str) -> Result<ReceiverSettings, String> {
        let options: Options = toml::from_str(&format!("[analysis.alerts]\n{text}")).map_err(|error| error.to_string())?;
        receivers(&options.analysis.alerts).map_err(|error| error.to_string())
    }

    #[test]
    fn receivers_are_off_until_they_are_named() {
        let none = read("").unwrap();
        assert_eq!(none, ReceiverSettings { syslog: None, webhook: None, command: None });
        assert_eq!(read("[analysis.alerts.syslog]\ntarget = \"\"\nfacility = \"local1\"\n").unwrap(), none);
        let all = read(
            "queue = 7\n[analysis.alerts.syslog]\ntarget = \"tls://log.example\"\nca_file = \"ca.pem\"\nformat = \"cef\"\n\
             [analysis.alerts.webhook]\nurl = \"https://hooks.example/x\"\nextra_headers = \"X-A: b c\"\n\
             [analysis.alerts.command]\nprogram = \"sh\"\nargs = [\"-c\", \"\", \"a b\"]\n",
        )
        .unwrap();
        let (syslog, webhook, command) = (all.syslog.unwrap(), all.webhook.unwrap(), all.command.unwrap());
        assert_eq!((syslog.target.to_string().as_str(), syslog.format), ("tls://log.example:6514", AlertFormat::Cef));
        assert_eq!((webhook.format, webhook.headers[0].1.as_bytes()), (AlertFormat::Json, b"b c".as_slice()));
        assert_eq!((command.args.as_slice(), command.concurrency), (["-c", "", "a b"].map(String::from).as_slice(), 2));
        assert_eq!([syslog.delivery, webhook.delivery, command.delivery].map(|delivery| delivery.queue_count_max), [7; 3]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (text, why) in [
            ("queue = 0\n", "analysis.alerts.queue is 0"),
            ("attempts = 0\n", "analysis.alerts.attempts is 0"),
            ("drain_secs = -1.0\n", "analysis.alerts.drain_secs is -1"),
            ("age_secs = nan\n", "analysis.alerts.age_secs is NaN"),
            (
                "[analysis.alerts.syslog]\ntarget = \"log.example\"\n",
                "(analysis.alerts.syslog.target) is \"log.example\": no target",
            ),
            ("[analysis.alerts.syslog]\nfacility = \"x\"\n", "analysis.alerts.syslog.facility is \"x\""),
            ("[analysis.alerts.syslog]\napp_name = \"a b\"\n", "analysis.alerts.syslog.app_name"),
            ("[analysis.alerts.syslog]\nsd_id = \"netscope\"\n", "analysis.alerts.syslog.sd_id"),
            ("[analysis.alerts.syslog]\nformat = \"xml\"\n", "unknown variant `xml`"),
            ("[analysis.alerts.syslog]\nclient_key_file = \"k\"\n", "need each other"),
            ("[analysis.alerts.syslog]\ntarget = \"tcp://a\"\nca_file = \"c\"\n", "give a tls:// target"),
            ("[analysis.alerts.webhook]\nurl = \"ftp://s3cret\"\n", "(analysis.alerts.webhook.url) is no URL"),
            ("[analysis.alerts.webhook]\nurl = \"https://me:s3cret@a/\"\n", "bearer_token_file"),
            ("[analysis.alerts.webhook]\nurl = \"http://a/s3cret\"\nca_file = \"c\"\n", "is about https"),
            ("[analysis.alerts.webhook]\nextra_headers = [\"s3cret\"]\n", "without a colon"),
            ("[analysis.alerts.webhook]\nextra_headers = [\"Host: s3cret\"]\n", "has host, which is set already"),
            ("[analysis.alerts.webhook]\nextra_headers = [\"X: s3cret\\u0001x\"]\n", "value for x that no header may have"),
            ("[analysis.alerts.webhook]\nrequest_timeout_secs = 0.0\n", "request_timeout_secs is 0"),
            ("[analysis.alerts.command]\nprogram = \"/nonexistent\"\n", "there is no such program"),
            ("[analysis.alerts.command]\nconcurrency = 0\n", "analysis.alerts.command.concurrency is 0"),
        ] {
            let refusal = read(text).expect_err(text);
            assert!(refusal.contains(why) && !refusal.contains("s3cret"), "{text}: {refusal}");
        }
    }
}
