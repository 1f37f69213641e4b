//! TLS alerts in the clear (RFC 8446 section 6).
//!
//! Owns their two bytes and the registry's names.

const CLOSE_NOTIFY: u8 = 0;

/// What a side complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsAlert {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// Which; see [`Self::name`].
    pub description: u8,
}

impl TlsAlert {
    /// Of a record's body; `None` where it is cut or, being longer than two bytes, encrypted.
    pub(super) fn of_record(body: &[u8], len: usize) -> Option<Self> {
        match *body {
            [level @ 1..=2, description] if len == 2 => Some(Self { level, description }),
            _ => None,
        }
    }

    /// True where the connection ends by it: a fatal one, or `close_notify`.
    pub const fn ends_connection(self) -> bool {
        self.level == 2 || self.description == CLOSE_NOTIFY
    }

    /// Name in IANA's registry of TLS alerts.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.description {
            CLOSE_NOTIFY => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            52 => "too_many_cids_requested",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_bytes_are_in_the_clear() {
        let alert = TlsAlert { level: 2, description: 40 };
        assert_eq!(TlsAlert::of_record(&[2, 40], 2), Some(alert));
        assert_eq!((alert.name(), alert.ends_connection()), (Some("handshake_failure"), true));
        assert_eq!(TlsAlert::of_record(&[2, 40], 26), None);
        assert_eq!(TlsAlert::of_record(&[9, 40], 2), None);
        assert_eq!(TlsAlert { level: 1, description: 255 }.name(), None);
        let ends = |level, description| TlsAlert { level, description }.ends_connection();
        assert!(ends(1, 0) && ends(2, 112) && !ends(1, 112));
    }
}
