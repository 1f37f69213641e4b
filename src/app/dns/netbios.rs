//! Names of the NetBIOS name service (RFC 1001 section 14.1, RFC 1002 section 4.1).
//!
//! Owns the first level of their coding: 16 bytes as 32 letters.

use super::name::DnsName;

const NAME_LEN: usize = 16;

/// A name of 15 bytes and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetbiosName {
    bytes: [u8; NAME_LEN],
}

impl NetbiosName {
    /// `None` where the first label is no coded name.
    pub fn of(name: DnsName<'_>) -> Option<Self> {
        let label: &[u8; 2 * NAME_LEN] = name.labels().next()?.try_into().ok()?;
        let mut bytes = [0; NAME_LEN];
        for (byte, pair) in bytes.iter_mut().zip(label.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|letter| letter.wrapping_sub(b'A'));
            if high > 15 || low > 15 {
                return None;
            }
            *byte = high << 4 | low;
        }
        Some(Self { bytes })
    }

    /// The name without the spaces behind it.
    pub fn text(&self) -> &[u8] {
        let name = &self.bytes[..NAME_LEN - 1];
        let len = name.iter().rposition(|&byte| !matches!(byte, b' ' | 0)).map_or(0, |last| last + 1);
        &name[..len]
    }

    /// What it stands for: 0x00 a workstation or a group, 0x20 a file server, 0x1d a master browser, ...
    pub const fn suffix(&self) -> u8 {
        self.bytes[NAME_LEN - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1001() {
        let message = b"\x20EGFCEFEECACACACACACACACACACACACA\x00";
        let name = NetbiosName::of(DnsName { message, at: 0 }).unwrap();
        assert_eq!((name.text(), name.suffix()), (&b"FRED"[..], b' '));
        let mut message = *message;
        message[5] = b'Q';
        assert_eq!(NetbiosName::of(DnsName { message: &message, at: 0 }), None);
        assert_eq!(NetbiosName::of(DnsName { message: b"\x03www\x00", at: 0 }), None);
        let all = NetbiosName::of(DnsName { message: b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00", at: 0 }).unwrap();
        assert_eq!((all.text(), all.suffix()), (&b"*"[..], 0));
    }
}
