//! Versions of SSL, TLS and DTLS by number.
//!
//! Owns their names.

/// Name of a version; drafts of TLS 1.3 count as it.
pub const fn tls_version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1.0",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 | 0x7f00..=0x7fff | 0xfb17 | 0xfb1a => "TLSv1.3",
        0xfeff => "DTLSv1.0",
        0xfefd => "DTLSv1.2",
        0xfefc => "DTLSv1.3",
        _ => return None,
    })
}

/// True where one side speaks TLS or DTLS 1.3.
pub(super) const fn is_1_3(version: u16) -> bool {
    matches!(version, 0x0304 | 0x7f00..=0x7fff | 0xfb17 | 0xfb1a | 0xfefc)
}

/// A number that grows with the version; DTLS counts down.
pub(super) const fn rank(version: u16) -> u16 {
    match version {
        0x7f00..=0x7fff | 0xfb17 | 0xfb1a => 0x0304,
        0xfe00..=0xfeff => 0xffff - version,
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_rank_higher() {
        assert!(rank(0x0304) > rank(0x0303) && rank(0xfefc) > rank(0xfefd) && rank(0xfefd) > rank(0xfeff));
        assert!(is_1_3(0x7f1c) && !is_1_3(0x0303));
        assert_eq!((tls_version_name(0x0303), tls_version_name(0x1234)), (Some("TLSv1.2"), None));
    }
}
