//! The columns of the logs: names and types as Zeek 7 has them, with those that its scripts for VLANs and Community IDs and the packages
//! for JA3, JA4 and HASSH add behind.
//!
//! Owns names, types and order. Knows no value.

/// What a column holds, by Zeek's names of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZeekType {
    Time,
    String,
    Addr,
    Port,
    Enum,
    Interval,
    Count,
    Int,
    Bool,
    StringSet,
    EnumSet,
    StringVector,
    IntervalVector,
}

impl ZeekType {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::String => "string",
            Self::Addr => "addr",
            Self::Port => "port",
            Self::Enum => "enum",
            Self::Interval => "interval",
            Self::Count => "count",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::StringSet => "set[string]",
            Self::EnumSet => "set[enum]",
            Self::StringVector => "vector[string]",
            Self::IntervalVector => "vector[interval]",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZeekColumn {
    pub name: &'static str,
    pub kind: ZeekType,
}

/// A list of columns behind those that all logs begin with.
macro_rules! columns {
    ($($name:literal $kind:ident),* $(,)?) => {
        &[
            ZeekColumn { name: "ts", kind: ZeekType::Time },
            ZeekColumn { name: "uid", kind: ZeekType::String },
            ZeekColumn { name: "id.orig_h", kind: ZeekType::Addr },
            ZeekColumn { name: "id.orig_p", kind: ZeekType::Port },
            ZeekColumn { name: "id.resp_h", kind: ZeekType::Addr },
            ZeekColumn { name: "id.resp_p", kind: ZeekType::Port },
            $(ZeekColumn { name: $name, kind: ZeekType::$kind },)*
        ]
    };
}

pub(super) const CONN: &[ZeekColumn] = columns! {
    "proto" Enum, "service" String, "duration" Interval, "orig_bytes" Count, "resp_bytes" Count, "conn_state" String,
    "local_orig" Bool, "local_resp" Bool, "missed_bytes" Count, "history" String, "orig_pkts" Count, "orig_ip_bytes" Count,
    "resp_pkts" Count, "resp_ip_bytes" Count, "tunnel_parents" StringSet, "ip_proto" Count, "vlan" Int, "inner_vlan" Int,
    "community_id" String,
};

pub(super) const DNS: &[ZeekColumn] = columns! {
    "proto" Enum, "trans_id" Count, "rtt" Interval, "query" String, "qclass" Count, "qclass_name" String, "qtype" Count,
    "qtype_name" String, "rcode" Count, "rcode_name" String, "AA" Bool, "TC" Bool, "RD" Bool, "RA" Bool, "Z" Count,
    "answers" StringVector, "TTLs" IntervalVector, "rejected" Bool,
};

pub(super) const SSL: &[ZeekColumn] = columns! {
    "version" String, "cipher" String, "curve" String, "server_name" String, "resumed" Bool, "last_alert" String,
    "next_protocol" String, "established" Bool, "ssl_history" String, "cert_chain_fps" StringVector,
    "client_cert_chain_fps" StringVector, "sni_matches_cert" Bool, "subject" String, "issuer" String, "ja3" String, "ja3s" String,
    "ja4" String,
};

pub(super) const HTTP: &[ZeekColumn] = columns! {
    "trans_depth" Count, "method" String, "host" String, "uri" String, "referrer" String, "version" String, "user_agent" String,
    "origin" String, "request_body_len" Count, "response_body_len" Count, "status_code" Count, "status_msg" String,
    "info_code" Count, "info_msg" String, "tags" EnumSet, "username" String, "password" String, "proxied" StringSet,
    "orig_fuids" StringVector, "orig_filenames" StringVector, "orig_mime_types" StringVector, "resp_fuids" StringVector,
    "resp_filenames" StringVector, "resp_mime_types" StringVector,
};

pub(super) const SSH: &[ZeekColumn] = columns! {
    "version" Count, "auth_success" Bool, "auth_attempts" Count, "direction" Enum, "client" String, "server" String,
    "cipher_alg" String, "mac_alg" String, "compression_alg" String, "kex_alg" String, "host_key_alg" String, "host_key" String,
    "hassh" String, "hasshServer" String,
};

pub(super) const QUIC: &[ZeekColumn] = columns! {
    "version" String, "client_initial_dcid" String, "client_scid" String, "server_scid" String, "server_name" String,
    "client_protocol" String, "history" String,
};
