//! The events of what payload said: `dns`, `tls`, `quic`, `http`, `ssh`.
//!
//! Owns the names of their members. Knows no flow. DNS events have the shape of version 2: a query for each name, an answer for all
//! responses of the flow together.

use super::names::{quic_version, tls_version};
use crate::record::calendar::{date_time, push_date_time};
use crate::record::members::JsonMembers;
use crate::record::told::{
    ToldDns, ToldHttp, ToldQuic, ToldSsh, ToldTls, answered_address, items, only, quic_version_number, ssh_protocol,
};
use std::net::IpAddr;

/// A name that was asked for. Its type is known where the flow asks for one type alone.
pub(super) fn push_query(object: &mut JsonMembers<'_>, dns: &ToldDns<'_>, name: &[u8]) {
    object.word("type", Some("query"));
    object.text("rrname", Some(name));
    object.text("rrtype", only(dns.types));
}

/// All responses of a flow. An answer that is an address says its type; of a name it is not known.
pub(super) fn push_answer(object: &mut JsonMembers<'_>, dns: &ToldDns<'_>) {
    object.number("version", Some(2));
    object.word("type", Some("answer"));
    object.truth("qr", Some(true));
    object.truth("tc", dns.truncated);
    object.text("rrname", only(dns.names));
    object.text("rrtype", only(dns.types));
    object.text("rcode", only(dns.rcodes));
    object.objects("answers", items(dns.answers), |object, answer| {
        object.word("rrtype", answered_address(answer).map(address_type));
        object.text("rdata", Some(answer));
    });
    object.object("grouped", |object| {
        for kind in ["A", "AAAA"] {
            object.texts(kind, items(dns.answers).filter(|answer| answered_address(answer).map(address_type) == Some(kind)));
        }
    });
}

const fn address_type(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "A" } else { "AAAA" }
}

pub(super) fn push_tls(object: &mut JsonMembers<'_>, tls: &ToldTls<'_>) {
    object.text("subject", tls.subject);
    object.text("issuerdn", tls.issuer);
    object.texts("subjectaltname", items(tls.names));
    object.truth("session_resumed", tls.resumed);
    object.text("sni", tls.sni);
    object.text("version", tls.version.map(tls_version));
    for (name, secs) in [("notbefore", tls.not_before), ("notafter", tls.not_after)] {
        if let Some(time) = secs.and_then(date_time) {
            object.quoted(name, |text| push_date_time(text, time, [b'-', b'T', b':']));
        }
    }
    object.object("ja3", |object| object.text("hash", tls.ja3));
    object.object("ja3s", |object| object.text("hash", tls.ja3s));
    object.text("ja4", tls.ja4);
    object.texts("client_alpns", items(tls.alpn));
    object.texts("server_alpns", tls.alpn_chosen.into_iter());
}

pub(super) fn push_quic(object: &mut JsonMembers<'_>, quic: &ToldQuic<'_>) {
    object.word("version", quic.version.and_then(quic_version_number).map(quic_version).as_deref());
    object.text("sni", quic.sni);
    object.text("ua", quic.user_agent);
    object.text("ja4", quic.ja4);
}

pub(super) fn push_http(object: &mut JsonMembers<'_>, http: &ToldHttp<'_>) {
    let host = http.host();
    object.text("hostname", host.map(|(name, _)| name));
    object.number("http_port", host.and_then(|(_, port)| port).map(u64::from));
    object.text("url", http.path);
    object.text("http_user_agent", http.user_agent);
    object.text("http_content_type", http.content_type.map(without_parameters));
    object.text("http_method", http.method);
    object.text("protocol", http.version.map(|version| [b"HTTP/", version].concat()).as_deref());
    object.number("status", http.status);
}

/// A media type without what follows a semicolon, as it is there.
fn without_parameters(kind: &[u8]) -> &[u8] {
    kind.split(|&byte| byte == b';').next().unwrap_or(kind).trim_ascii()
}

pub(super) fn push_ssh(object: &mut JsonMembers<'_>, ssh: &ToldSsh<'_>) {
    let [client, server] = ssh.sides();
    for (side, banner, software, hassh) in
        [("client", client, ssh.client, ssh.hassh), ("server", server, ssh.server, ssh.hassh_server)]
    {
        object.object(side, |object| {
            object.text("proto_version", banner.and_then(ssh_protocol));
            object.text("software_version", software);
            object.object("hassh", |object| object.text("hash", hassh));
        });
    }
}
