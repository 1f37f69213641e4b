//! `[analysis.anomalies.dns_tunnel]`, in the configuration file only.

use super::{PayloadUse, key, networks, threshold, window};
use crate::config::error::ConfigError;
use crate::config::options::section;
use crate::config::resolve::{nanoseconds, size, within};
use crate::detect::DnsTunnelSettings;
use serde::{Deserialize, Serialize};

/// Domains that have many long names by their design: measurements of Google's pages and what two virus scanners ask their makers by DNS.
const ALLOWED_DOMAINS: [&str; 3] = ["gstatic.com", "mcafee.com", "sophosxl.net"];

/// What can be said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsTunnelOptions {
    /// Detect them.
    pub enabled: Option<bool>,
    /// Length of the window in seconds.
    pub window_secs: Option<f64>,
    /// Different long names of one domain in it.
    pub names_threshold: Option<u64>,
    /// Bytes in front of the domain of a long name.
    pub min_name_bytes: Option<u64>,
    /// Domains whose long names are known.
    pub allowed_domains: Option<Vec<String>>,
    /// Clients and servers that are left out.
    pub allowed_networks: Option<Vec<String>>,
    /// Time without it after which the alert is over, in seconds.
    pub cooldown_secs: Option<f64>,
}

section!(DnsTunnelOptions {
    enabled,
    window_secs,
    names_threshold,
    min_name_bytes,
    allowed_domains,
    allowed_networks,
    cooldown_secs
});

impl DnsTunnelOptions {
    /// Domains in small letters, without a dot at either end.
    fn domains(&self) -> Result<Vec<String>, ConfigError> {
        let Some(said) = &self.allowed_domains else { return Ok(ALLOWED_DOMAINS.map(str::to_owned).to_vec()) };
        let name = key!("dns_tunnel", "allowed_domains");
        let parse = |text: &String| {
            let domain = text.trim_matches('.').to_ascii_lowercase();
            let is_domain = !domain.is_empty() && domain.bytes().all(|byte| byte.is_ascii_graphic());
            let error = || ConfigError::Value { name, what: format!("has \"{text}\": give a domain such as example.com") };
            is_domain.then_some(domain).ok_or_else(error)
        };
        said.iter().map(parse).collect()
    }

    /// On where payload is inspected, unless it is turned off.
    pub(super) fn settings(&self, payload: PayloadUse) -> Result<Option<DnsTunnelSettings>, ConfigError> {
        let is_on = payload.turns_on(key!("dns_tunnel", "enabled"), self.enabled)?;
        let settings = DnsTunnelSettings {
            window_ns: window(key!("dns_tunnel", "window_secs"), self.window_secs, 300.0)?,
            names_threshold: threshold(key!("dns_tunnel", "names_threshold"), self.names_threshold, 50)?,
            name_bytes_min: size(within(key!("dns_tunnel", "min_name_bytes"), self.min_name_bytes.unwrap_or(45), 10, 250)?),
            allowed_domains: self.domains()?,
            allowed_networks: networks(key!("dns_tunnel", "allowed_networks"), self.allowed_networks.as_ref())?,
            cooldown_ns: nanoseconds(key!("dns_tunnel", "cooldown_secs"), self.cooldown_secs.unwrap_or(300.0))?,
        };
        Ok(is_on.then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &DnsTunnelOptions) -> String {
        options.settings(PayloadUse::Inspected).expect_err("it is refused").to_string()
    }

    #[test]
    fn on_where_payload_is_inspected_and_wrong_values_are_refused_by_name() {
        let base = DnsTunnelOptions::default;
        assert!(base().settings(PayloadUse::Inspected).expect("defaults are right").is_some());
        assert_eq!(base().settings(PayloadUse::Missing).expect("not asked for"), None);
        let said = |enabled| DnsTunnelOptions { enabled: Some(enabled), ..base() };
        assert_eq!(said(false).settings(PayloadUse::Inspected).expect("right"), None);
        assert_eq!(said(true).settings(PayloadUse::NotAsked).expect("nothing is detected"), None);
        let error = said(true).settings(PayloadUse::Missing).expect_err("it needs payload").to_string();
        assert!(error.contains("dns_tunnel.enabled") && error.contains("--no-dpi"), "{error}");
        for (options, name) in [
            (DnsTunnelOptions { window_secs: Some(0.0), ..base() }, "window_secs"),
            (DnsTunnelOptions { names_threshold: Some(0), ..base() }, "names_threshold"),
            (DnsTunnelOptions { min_name_bytes: Some(251), ..base() }, "min_name_bytes"),
            (DnsTunnelOptions { allowed_domains: Some(vec!["a b".to_owned()]), ..base() }, "allowed_domains"),
            (DnsTunnelOptions { allowed_networks: Some(vec!["10.0.0.0/40".to_owned()]), ..base() }, "allowed_networks"),
            (DnsTunnelOptions { cooldown_secs: Some(-1.0), ..base() }, "cooldown_secs"),
        ] {
            assert!(refused(&options).contains(name), "{name}");
        }
    }
}
