//! What payload said of a flow, by names of protocols: the facts of a record, read once, for formats that have names of their own
//! for them.
//!
//! Owns what each fact is, and what follows from several of them. Knows no format. Invariants: what is not among the facts is `None`;
//! nothing is guessed; texts are those of packets: any bytes.

use super::facts::fact_id;
use crate::app::dns::{dns_rcode_name, dns_type_name};
use crate::flow::{FactList, FactSet, FactValue};
use std::net::IpAddr;

/// Makes the struct of an object of facts, and the function that takes one of its members.
macro_rules! told {
    ($(#[$doc:meta])* $told:ident of $object:literal { $($field:ident: $read:ident $type:ty = $member:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct $told<'a> {
            $(pub $field: Option<$type>,)*
        }

        impl<'a> $told<'a> {
            /// A member; the first of a name counts.
            fn take(&mut self, member: u8, value: FactValue<'a>) {
                match member {
                    $(member if member == const { fact_id($object, $member).member } => {
                        self.$field = self.$field.or_else(|| $read(value));
                    })*
                    _ => {}
                }
            }
        }
    };
}

told! {
    /// What it is.
    ToldApp of "app" { protocol: text &'a [u8] = "protocol" }
}

told! {
    /// A TLS session.
    ToldTls of "tls" {
        sni: text &'a [u8] = "sni", version: text &'a [u8] = "version", cipher: text &'a [u8] = "cipher", alpn: list FactList<'a> = "alpn",
        alpn_chosen: text &'a [u8] = "alpn_chosen", ja4: text &'a [u8] = "ja4", ja3: text &'a [u8] = "ja3", ja3s: text &'a [u8] = "ja3s",
        resumed: truth bool = "resumed", alert: text &'a [u8] = "alert", subject: text &'a [u8] = "subject",
        issuer: text &'a [u8] = "issuer", names: list FactList<'a> = "names", not_before: number u64 = "not_before",
        not_after: number u64 = "not_after",
    }
}

told! {
    /// A QUIC connection.
    ToldQuic of "quic" {
        sni: text &'a [u8] = "sni", version: text &'a [u8] = "version", alpn: list FactList<'a> = "alpn", ja4: text &'a [u8] = "ja4",
        cipher: text &'a [u8] = "cipher", tls_version: text &'a [u8] = "tls_version", user_agent: text &'a [u8] = "user_agent",
    }
}

told! {
    /// The DNS messages of a flow together.
    ToldDns of "dns" {
        names: list FactList<'a> = "name", types: list FactList<'a> = "type", rcodes: list FactList<'a> = "rcode",
        answers: list FactList<'a> = "answers", queries: number u64 = "queries", responses: number u64 = "responses",
        latency_us: number u64 = "latency_us", truncated: truth bool = "truncated",
    }
}

told! {
    /// An HTTP/1 connection: its first request and the answer.
    ToldHttp of "http" {
        hosts: list FactList<'a> = "host", method: text &'a [u8] = "method", path: text &'a [u8] = "path", status: number u64 = "status",
        user_agent: text &'a [u8] = "user_agent", content_type: text &'a [u8] = "content_type", version: text &'a [u8] = "version",
    }
}

told! {
    /// An SSH connection.
    ToldSsh of "ssh" {
        banners: list FactList<'a> = "banner", client: text &'a [u8] = "client", server: text &'a [u8] = "server",
        hassh: text &'a [u8] = "hassh", hassh_server: text &'a [u8] = "hassh_server", key_exchange: text &'a [u8] = "key_exchange",
        host_key: text &'a [u8] = "host_key", cipher: text &'a [u8] = "cipher",
    }
}

fn text(value: FactValue<'_>) -> Option<&[u8]> {
    if let FactValue::Text(text) = value { Some(text) } else { None }
}

fn number(value: FactValue<'_>) -> Option<u64> {
    if let FactValue::Number(number) = value { Some(number) } else { None }
}

fn truth(value: FactValue<'_>) -> Option<bool> {
    if let FactValue::Boolean(truth) = value { Some(truth) } else { None }
}

fn list(value: FactValue<'_>) -> Option<FactList<'_>> {
    if let FactValue::List(list) = value { Some(list) } else { None }
}

/// All of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToldFlow<'a> {
    /// Its protocol, by a name of ours.
    pub protocol: Option<&'a [u8]>,
    pub tls: Option<ToldTls<'a>>,
    pub quic: Option<ToldQuic<'a>>,
    pub dns: Option<ToldDns<'a>>,
    pub http: Option<ToldHttp<'a>>,
    pub ssh: Option<ToldSsh<'a>>,
}

impl<'a> ToldFlow<'a> {
    /// Reads facts, once.
    pub fn of(facts: FactSet<'a>) -> Self {
        const APP: u8 = fact_id("app", "protocol").object;
        const TLS: u8 = fact_id("tls", "sni").object;
        const QUIC: u8 = fact_id("quic", "sni").object;
        const DNS: u8 = fact_id("dns", "name").object;
        const HTTP: u8 = fact_id("http", "host").object;
        const SSH: u8 = fact_id("ssh", "banner").object;
        let (mut told, mut app) = (Self::default(), ToldApp::default());
        for (id, value) in facts.iter() {
            match id.object {
                APP => app.take(id.member, value),
                TLS => told.tls.get_or_insert_default().take(id.member, value),
                QUIC => told.quic.get_or_insert_default().take(id.member, value),
                DNS => told.dns.get_or_insert_default().take(id.member, value),
                HTTP => told.http.get_or_insert_default().take(id.member, value),
                SSH => told.ssh.get_or_insert_default().take(id.member, value),
                _ => {}
            }
        }
        told.protocol = app.protocol;
        told
    }
}

/// The texts of a list that may not be there.
pub(super) fn items<'a>(list: Option<FactList<'a>>) -> impl Iterator<Item = &'a [u8]> + Clone {
    list.into_iter().flat_map(FactList::iter)
}

/// The text of a list that has one.
pub(super) fn only(list: Option<FactList<'_>>) -> Option<&[u8]> {
    let mut items = items(list);
    items.next().filter(|_| items.next().is_none())
}

/// The address that an answer reads as.
pub(super) fn answered_address(answer: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(answer).ok()?.parse().ok()
}

impl ToldDns<'_> {
    /// Time from the question to its answer, in µs, where the flow is one of each.
    pub fn round_trip_us(&self) -> Option<u64> {
        self.latency_us.filter(|_| self.queries == Some(1) && self.responses == Some(1))
    }
}

/// The number of a record type of this name, such as `AAAA` or `TYPE65280`.
pub(super) fn dns_type_number(name: &[u8]) -> Option<u16> {
    numbered(name, "TYPE", dns_type_name)
}

/// The same of a response code.
pub(super) fn dns_rcode_number(name: &[u8]) -> Option<u16> {
    numbered(name, "RCODE", dns_rcode_name)
}

fn numbered(name: &[u8], prefix: &str, known: fn(u16) -> Option<&'static str>) -> Option<u16> {
    let name = std::str::from_utf8(name).ok()?;
    let by_number = name.strip_prefix(prefix).and_then(|number| number.parse().ok());
    by_number.or_else(|| (0..=u16::MAX).find(|&number| known(number) == Some(name)))
}

impl<'a> ToldHttp<'a> {
    /// The first host, and the port behind it.
    pub fn host(&self) -> Option<(&'a [u8], Option<u16>)> {
        let host = items(self.hosts).next()?;
        let Some(colon) = host.iter().rposition(|&byte| byte == b':') else { return Some((host, None)) };
        let (name, port) = (&host[..colon], &host[colon + 1..]);
        // Colons without a port behind them are those of an IPv6 address.
        let is_name = !name.contains(&b':') || name.starts_with(b"[") && name.ends_with(b"]");
        let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok()).filter(|_| is_name);
        Some(if port.is_some() { (name, port) } else { (host, None) })
    }
}

impl<'a> ToldSsh<'a> {
    /// Banners of client and server.
    pub fn sides(&self) -> [Option<&'a [u8]>; 2] {
        let mut banners = items(self.banners);
        match (banners.next(), banners.next()) {
            (client, server @ Some(_)) => [client, server],
            // Of one side alone: whose software is known.
            (one, None) if self.client.is_some() => [one, None],
            (one, None) if self.server.is_some() => [None, one],
            _ => [None, None],
        }
    }
}

/// Protocol version of a banner, as `2.0` of `SSH-2.0-OpenSSH_9.6`.
pub(super) fn ssh_protocol(banner: &[u8]) -> Option<&[u8]> {
    banner.strip_prefix(b"SSH-")?.split(|&byte| byte == b'-').next()
}

/// The number of a QUIC version by our name of it.
pub(super) fn quic_version_number(name: &[u8]) -> Option<u32> {
    let name = std::str::from_utf8(name).ok()?;
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    match name {
        "v1" => Some(1),
        "v2" => Some(0x6b33_43cf),
        _ => name
            .strip_prefix("draft-")
            .and_then(|draft| draft.parse::<u8>().ok())
            .map(|draft| 0xff00_0000 | u32::from(draft))
            .or_else(|| name.strip_prefix("mvfst-").and_then(hex).map(|variant| 0xface_b000 | variant & 0xff))
            .or_else(|| name.strip_prefix("0x").and_then(hex))
            .or_else(|| name.as_bytes().try_into().ok().map(u32::from_be_bytes)),
    }
}

/// A cipher suite's number, from `0x1301`.
pub(super) fn cipher_number(name: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(name).ok()?.strip_prefix("0x")?;
    u16::from_str_radix(digits, 16).ok()
}
