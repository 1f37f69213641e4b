//! `[flow.timeouts]`: after how long without packets flows end, by protocol and state.
//!
//! Owns its keys, the least time and what cannot be combined. Knows no table.

use super::error::ConfigError;
use super::options::section;
use super::resolve::{combination, nanoseconds};
use crate::flow::StateTimeouts;
use serde::{Deserialize, Serialize};

/// Least timeout by state that is not 0: every flow that may get it is looked at as often.
const TIMEOUT_NS_MIN: u64 = 100_000_000;

/// `[flow.timeouts]`, in the configuration file only. Seconds; 0 = never; unset = as other flows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutOptions {
    /// TCP with a handshake that is not complete.
    pub tcp_handshake_secs: Option<f64>,
    /// Other TCP that is not closed.
    pub tcp_established_secs: Option<f64>,
    /// The same in which SSH is spoken.
    pub ssh_secs: Option<f64>,
    /// UDP from one side.
    pub udp_one_way_secs: Option<f64>,
    /// UDP from both sides.
    pub udp_two_way_secs: Option<f64>,
    /// ICMP echo without a reply.
    pub echo_request_secs: Option<f64>,
    /// ICMP echo with a reply.
    pub echo_replied_secs: Option<f64>,
    /// DNS without a response.
    pub dns_queried_secs: Option<f64>,
    /// DNS with a response.
    pub dns_answered_secs: Option<f64>,
    /// QUIC with a handshake that is not complete.
    pub quic_handshake_secs: Option<f64>,
    /// QUIC with a complete handshake.
    pub quic_established_secs: Option<f64>,
    /// QUIC that was closed in its handshake.
    pub quic_closed_secs: Option<f64>,
}

section!(TimeoutOptions {
    tcp_handshake_secs,
    tcp_established_secs,
    ssh_secs,
    udp_one_way_secs,
    udp_two_way_secs,
    echo_request_secs,
    echo_replied_secs,
    dns_queried_secs,
    dns_answered_secs,
    quic_handshake_secs,
    quic_established_secs,
    quic_closed_secs,
});

/// What the flow table is told. `inspects`: payload is looked at, which alone tells DNS, QUIC and SSH.
pub(super) fn state_timeouts(options: &TimeoutOptions, inspects: bool) -> Result<StateTimeouts, ConfigError> {
    let time = |key: &'static str, said: Option<f64>| {
        let Some(seconds) = said else { return Ok(None) };
        match nanoseconds(key, seconds)? {
            ns if ns > 0 && ns < TIMEOUT_NS_MIN => {
                Err(ConfigError::Value { name: key, what: format!("is {seconds}: give 0 for never, or 0.1 and more seconds") })
            }
            ns => Ok(Some(ns)),
        }
    };
    let of_payload = |key: &'static str, said: Option<f64>| match said {
        Some(_) if !inspects => Err(combination(format!(
            "{key} is about what payload says, and no payload is looked at: leave out --no-dpi (analysis.dpi = false)"
        ))),
        said => time(key, said),
    };
    Ok(StateTimeouts {
        tcp_handshake_ns: time("flow.timeouts.tcp_handshake_secs", options.tcp_handshake_secs)?,
        tcp_established_ns: time("flow.timeouts.tcp_established_secs", options.tcp_established_secs)?,
        ssh_ns: of_payload("flow.timeouts.ssh_secs", options.ssh_secs)?,
        udp_one_way_ns: time("flow.timeouts.udp_one_way_secs", options.udp_one_way_secs)?,
        udp_two_way_ns: time("flow.timeouts.udp_two_way_secs", options.udp_two_way_secs)?,
        echo_request_ns: time("flow.timeouts.echo_request_secs", options.echo_request_secs)?,
        echo_replied_ns: time("flow.timeouts.echo_replied_secs", options.echo_replied_secs)?,
        dns_queried_ns: of_payload("flow.timeouts.dns_queried_secs", options.dns_queried_secs)?,
        dns_answered_ns: of_payload("flow.timeouts.dns_answered_secs", options.dns_answered_secs)?,
        quic_handshake_ns: of_payload("flow.timeouts.quic_handshake_secs", options.quic_handshake_secs)?,
        quic_established_ns: of_payload("flow.timeouts.quic_established_secs", options.quic_established_secs)?,
        quic_closed_ns: of_payload("flow.timeouts.quic_closed_secs", options.quic_closed_secs)?,
    })
}
