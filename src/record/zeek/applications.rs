//! The logs of what payload said: `dns`, `ssl`, `http`, `ssh`, `quic`.
//!
//! Owns which fact stands in which column. Knows no flow but its protocol.

use super::columns::ZeekType;
use super::names::{cipher, proto, quic_version, tls_version};
use super::row::ZeekRow;
use crate::record::oriented::Oriented;
use crate::record::told::{
    ToldDns, ToldHttp, ToldQuic, ToldSsh, ToldTls, dns_rcode_number, dns_type_number, items, only, quic_version_number,
    ssh_protocol,
};

/// A name that was asked for. What the flow tells of all its messages together is said where it asks for one name, or one type.
pub(super) fn push_dns(mut row: ZeekRow<'_>, flow: &Oriented<'_>, dns: &ToldDns<'_>, name: &[u8]) {
    let (kind, code) = (only(dns.types), only(dns.rcodes));
    let is_alone = only(dns.names).is_some();
    let was_answered = is_alone && dns.responses.is_some_and(|count| count > 0);
    row.word(proto(flow.record.key.protocol()));
    row.unset(&["trans_id"]);
    row.interval(dns.round_trip_us().filter(|_| is_alone).map(|us| us.saturating_mul(1000)));
    row.string(Some(name));
    row.unset(&["qclass", "qclass_name"]);
    row.count(kind.and_then(dns_type_number).map(u64::from));
    row.string(kind);
    row.count(code.and_then(dns_rcode_number).map(u64::from));
    row.string(code);
    row.unset(&["AA"]);
    row.truth(Some(dns.truncated.unwrap_or(false)).filter(|_| was_answered));
    row.unset(&["RD", "RA", "Z"]);
    let answers = items(dns.answers);
    row.strings(ZeekType::StringVector, Some(answers.clone()).filter(|_| was_answered && answers.clone().next().is_some()));
    row.unset(&["TTLs", "rejected"]);
    row.close();
}

pub(super) fn push_tls(mut row: ZeekRow<'_>, tls: &ToldTls<'_>) {
    row.string(tls.version.map(tls_version).as_deref());
    row.string(tls.cipher.map(cipher).as_deref());
    row.unset(&["curve"]);
    row.string(tls.sni);
    // Known when the server answered.
    row.truth(tls.resumed.or(tls.cipher.map(|_| false)));
    row.string(tls.alert);
    row.string(tls.alpn_chosen);
    row.unset(&["established", "ssl_history", "cert_chain_fps", "client_cert_chain_fps", "sni_matches_cert"]);
    for text in [tls.subject, tls.issuer, tls.ja3, tls.ja3s, tls.ja4] {
        row.string(text);
    }
    row.close();
}

/// The session inside a QUIC connection.
pub(super) fn push_tls_of_quic(mut row: ZeekRow<'_>, quic: &ToldQuic<'_>) {
    row.string(quic.tls_version.map(tls_version).as_deref());
    row.string(quic.cipher.map(cipher).as_deref());
    row.unset(&["curve"]);
    row.string(quic.sni);
    row.unset(&[
        "resumed",
        "last_alert",
        "next_protocol",
        "established",
        "ssl_history",
        "cert_chain_fps",
        "client_cert_chain_fps",
        "sni_matches_cert",
        "subject",
        "issuer",
        "ja3",
        "ja3s",
    ]);
    row.string(quic.ja4);
    row.close();
}

/// The first request of a connection.
pub(super) fn push_http(mut row: ZeekRow<'_>, http: &ToldHttp<'_>) {
    row.count(Some(1));
    row.string(http.method);
    row.string(http.host().map(|(name, _)| name));
    row.string(http.path);
    row.unset(&["referrer"]);
    row.string(http.version);
    row.string(http.user_agent);
    row.unset(&["origin", "request_body_len", "response_body_len"]);
    row.count(http.status);
    row.unset(&["status_msg", "info_code", "info_msg"]);
    row.strings(ZeekType::EnumSet, Some(std::iter::empty()));
    row.unset(&[
        "username",
        "password",
        "proxied",
        "orig_fuids",
        "orig_filenames",
        "orig_mime_types",
        "resp_fuids",
        "resp_filenames",
        "resp_mime_types",
    ]);
    row.close();
}

pub(super) fn push_ssh(mut row: ZeekRow<'_>, ssh: &ToldSsh<'_>) {
    let [client, server] = ssh.sides();
    let version = client.or(server).and_then(ssh_protocol);
    // A server of both versions says 1.99 (RFC 4253 section 5.1).
    row.count(version.and_then(|version| match version {
        b"2.0" | b"1.99" => Some(2),
        [b'1', b'.', ..] => Some(1),
        _ => None,
    }));
    row.unset(&["auth_success", "auth_attempts", "direction"]);
    row.string(client);
    row.string(server);
    row.string(ssh.cipher);
    row.unset(&["mac_alg", "compression_alg"]);
    row.string(ssh.key_exchange);
    row.string(ssh.host_key);
    row.unset(&["host_key"]);
    row.string(ssh.hassh);
    row.string(ssh.hassh_server);
    row.close();
}

pub(super) fn push_quic(mut row: ZeekRow<'_>, quic: &ToldQuic<'_>) {
    row.string(quic.version.and_then(quic_version_number).map(quic_version).as_deref().map(str::as_bytes));
    row.unset(&["client_initial_dcid", "client_scid", "server_scid"]);
    row.string(quic.sni);
    row.string(items(quic.alpn).next());
    row.unset(&["history"]);
    row.close();
}
