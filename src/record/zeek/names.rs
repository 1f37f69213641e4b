//! Zeek's names for what has another one here.
//!
//! Owns the names. Knows no record. Invariant: what has no name there keeps ours, or is `unknown-N`, as it is there.

use crate::record::told::cipher_number;
use std::borrow::Cow;

/// The protocol below the application.
pub(super) const fn proto(number: u8) -> &'static str {
    match number {
        1 | 58 => "icmp",
        6 => "tcp",
        17 => "udp",
        _ => "unknown_transport",
    }
}

/// An application protocol.
pub(super) fn service(name: &[u8]) -> &[u8] {
    match name {
        b"tls" => b"ssl",
        b"mdns" | b"llmnr" | b"netbios_ns" => b"dns",
        b"quic" => b"quic,ssl",
        b"vnc" => b"rfb",
        b"ftp_data" => b"ftp-data",
        b"kerberos" => b"krb",
        _ => name,
    }
}

/// A version of TLS, from our name of it.
pub(super) fn tls_version(name: &[u8]) -> Cow<'_, [u8]> {
    match name.strip_prefix(b"0x") {
        Some(_) => unknown(name),
        None => name.iter().copied().filter(|&byte| byte != b'.').collect(),
    }
}

fn unknown(name: &[u8]) -> Cow<'_, [u8]> {
    cipher_number(name).map_or(Cow::Borrowed(name), |number| format!("unknown-{number}").into_bytes().into())
}

/// A version of QUIC.
pub(super) fn quic_version(number: u32) -> String {
    match number {
        1 => "1".to_owned(),
        0x6b33_43cf => "quicv2".to_owned(),
        0xff00_0000..=0xff00_00ff => format!("draft-{}", number & 0xff),
        _ => format!("unknown-{number:x}"),
    }
}

/// A cipher suite's name in the registry of IANA, where it is one of those in use (RFC 5246, 5288, 5289, 7905, 8446).
pub(super) fn cipher(name: &[u8]) -> Cow<'_, [u8]> {
    let known = cipher_number(name).and_then(|number| CIPHERS.iter().find(|(known, _)| *known == number));
    known.map_or_else(|| unknown(name), |(_, name)| name.as_bytes().into())
}

const CIPHERS: [(u16, &str); 45] = [
    (0x0004, "TLS_RSA_WITH_RC4_128_MD5"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    (0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"),
    (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    (0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
    (0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    (0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    (0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
    (0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xc09c, "TLS_RSA_WITH_AES_128_CCM"),
    (0xc09d, "TLS_RSA_WITH_AES_256_CCM"),
    (0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
    (0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM"),
    (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_readers_know() {
        assert_eq!(
            ["TLSv1.0", "TLSv1.3", "SSLv3", "DTLSv1.2"].map(|name| tls_version(name.as_bytes()).into_owned()),
            [b"TLSv10".to_vec(), b"TLSv13".to_vec(), b"SSLv3".to_vec(), b"DTLSv12".to_vec()]
        );
        assert_eq!(&*tls_version(b"0x0305"), b"unknown-773");
        assert_eq!(&*cipher(b"0x1301"), b"TLS_AES_128_GCM_SHA256");
        assert_eq!(&*cipher(b"0xfefe"), b"unknown-65278");
        assert_eq!([1, 0x6b33_43cf, 0xff00_001d, 0x5130_3530].map(quic_version), ["1", "quicv2", "draft-29", "unknown-51303530"]);
        assert!(CIPHERS.is_sorted_by_key(|(number, _)| number), "each once");
    }
}
