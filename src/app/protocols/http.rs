//! HTTP/1 (RFC 9112): what its heads tell.
//!
//! Owns which of it are facts: never a query, a cookie or a password.

use super::{write_app, write_credentials};
use crate::app::http1::{HttpRequest, HttpResponse, HttpUpgrade};
use crate::app::{Conversation, FactBuffer, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const HTTP: StreamProtocol = StreamProtocol { is_spoken, read };

/// Number of its facts.
pub(super) const OBJECT: u8 = 4;

/// Members of its object.
mod member {
    pub(super) const HOST: u8 = 0;
    pub(super) const METHOD: u8 = 1;
    pub(super) const PATH: u8 = 2;
    pub(super) const STATUS: u8 = 3;
    pub(super) const USER_AGENT: u8 = 4;
    pub(super) const SERVER: u8 = 5;
    pub(super) const CONTENT_TYPE: u8 = 6;
    pub(super) const VERSION: u8 = 7;
    pub(super) const UPGRADE: u8 = 8;
    pub(super) const REQUESTS: u8 = 9;
    pub(super) const PASSWORD_SEEN: u8 = 10;
    pub(super) const LATENCY_US: u8 = 11;
}

/// True for members that are rarely the same for two connections.
pub(super) const fn is_of_one_flow(member: u8) -> bool {
    matches!(member, member::HOST | member::PATH | member::REQUESTS | member::LATENCY_US)
}

/// Requests of one connection that are told apart.
const REQUESTS_MAX: usize = 64;
/// Their hosts; a proxy's client asks for more than one.
const HOSTS_MAX: usize = 8;

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    let client = HttpRequest::read_stream(conversation.client).map(|_| ());
    let server = HttpResponse::read_stream(conversation.server).map(|_| ());
    match (client, server) {
        (Parsed::Done(()), _) | (_, Parsed::Done(())) => Parsed::Done(()),
        // Nobody has spoken, or a head is not whole yet.
        (Parsed::More { need }, _) if !conversation.client.is_empty() => Parsed::More { need },
        (_, Parsed::More { need }) if !conversation.server.is_empty() => Parsed::More { need },
        (Parsed::More { need }, _) | (_, Parsed::More { need })
            if conversation.client.is_empty() && conversation.server.is_empty() =>
        {
            Parsed::More { need }
        }
        _ => Parsed::No,
    }
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    write_app("http", facts);
    read_inside(conversation, facts)
}

/// The facts of HTTP alone.
pub(super) fn read_inside(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let requests = Requests::read(conversation.client);
    let response = HttpResponse::read_stream(conversation.server);
    write_credentials(requests.has_password, facts);
    let mut http = facts.object(OBJECT);
    let mut upgrade: Option<HttpUpgrade> = None;
    if let Some(first) = &requests.first {
        http.text(member::METHOD, first.method);
        http.list(member::HOST, requests.hosts());
        http.text(member::PATH, first.path);
        http.text(member::USER_AGENT, first.user_agent.unwrap_or_default());
        http.number(member::REQUESTS, requests.count as u64);
        http.flag(member::PASSWORD_SEEN, requests.has_password);
        http.text(member::VERSION, version(first.minor_version));
        upgrade = first.upgrade;
    }
    if let Parsed::Done(response) = &response {
        http.number(member::STATUS, response.status.into());
        http.text(member::SERVER, response.server.unwrap_or_default());
        if let Some(ns) = conversation.answered_after_ns.filter(|_| requests.first.is_some()) {
            http.number(member::LATENCY_US, ns / 1000);
        }
        http.text(member::CONTENT_TYPE, response.content_type.unwrap_or_default());
        if requests.first.is_none() {
            http.text(member::VERSION, version(response.minor_version));
        }
        upgrade = response.upgrade.or(upgrade).filter(|_| response.status == 101);
    }
    if let Some(upgrade) = upgrade {
        http.text(member::UPGRADE, upgrade_name(upgrade));
    }
    let server = match response {
        Parsed::More { need } => Wanted::Bytes(need),
        _ => Wanted::Nothing,
    };
    // More requests may come as long as no answer has; what follows is more of the same, as a rule. Only where a password was asked for,
    // it comes with the next one.
    let is_over = server == Wanted::Nothing && (requests.has_password || !asks_for_password(&response));
    let client = if is_over { Wanted::Nothing } else { requests.wanted };
    Reading { client, server }
}

/// 401 and 407 (RFC 9110 sections 15.5.2 and 15.5.8).
fn asks_for_password(response: &Parsed<HttpResponse<'_>>) -> bool {
    matches!(response, Parsed::Done(response) if matches!(response.status, 401 | 407))
}

const fn version(minor: u8) -> &'static [u8] {
    if minor == 0 { b"1.0" } else { b"1.1" }
}

const fn upgrade_name(upgrade: HttpUpgrade) -> &'static [u8] {
    match upgrade {
        HttpUpgrade::WebSocket => b"websocket",
        HttpUpgrade::Http2 => b"h2c",
        HttpUpgrade::Tls => b"tls",
        HttpUpgrade::Other => b"other",
    }
}

/// The requests of a stream, one after the other.
struct Requests<'a> {
    first: Option<HttpRequest<'a>>,
    hosts: [&'a [u8]; HOSTS_MAX],
    host_count: usize,
    count: usize,
    has_password: bool,
    wanted: Wanted,
}

impl<'a> Requests<'a> {
    fn read(stream: &'a [u8]) -> Self {
        let mut requests =
            Self { first: None, hosts: [&[]; HOSTS_MAX], host_count: 0, count: 0, has_password: false, wanted: Wanted::Nothing };
        let mut at = 0;
        for _ in 0..REQUESTS_MAX {
            let Some(left) = stream.get(at..) else { break };
            match HttpRequest::read_stream(left) {
                Parsed::Done(request) => {
                    requests.take(&request);
                    let body = request.content_len.and_then(|len| usize::try_from(len).ok());
                    match request.head_len.and_then(|head| head.checked_add(body.unwrap_or(0))) {
                        Some(len) => at = at.saturating_add(len),
                        None => break,
                    }
                }
                Parsed::More { need } => {
                    requests.wanted = Wanted::Bytes(at + need);
                    break;
                }
                Parsed::No => break,
            }
        }
        requests
    }

    fn take(&mut self, request: &HttpRequest<'a>) {
        self.count += 1;
        self.has_password |= request.has_basic_auth;
        self.first.get_or_insert(*request);
        let Some(host) = request.host.filter(|host| !host.is_empty()) else { return };
        let is_known = self.hosts[..self.host_count].iter().any(|known| known.eq_ignore_ascii_case(host));
        if !is_known && self.host_count < HOSTS_MAX {
            self.hosts[self.host_count] = host;
            self.host_count += 1;
        }
    }

    fn hosts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (hosts, count) = (self.hosts, self.host_count);
        hosts.into_iter().take(count)
    }
}
