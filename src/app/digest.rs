//! Fingerprints as hashes of a text that is never put together.
//!
//! Owns the hash's bytes and how they are written. MD5 is what JA3 and HASSH are defined by; nothing here is a proof of anything.

use std::fmt;

use md5::{Digest, Md5};

/// An MD5 sum; it shows as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Md5Sum(pub [u8; 16]);

impl fmt::Display for Md5Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that goes into an MD5 sum as it is written.
#[derive(Default)]
pub(crate) struct Md5Text(Md5);

impl Md5Text {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn sum(self) -> Md5Sum {
        Md5Sum(self.0.finalize().into())
    }
}

impl fmt::Write for Md5Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn pieces_make_the_sum_of_the_whole() {
        let mut text = Md5Text::default();
        text.write_str("message ").unwrap();
        text.push(b"digest");
        // RFC 1321 appendix A.5.
        assert_eq!(text.sum().to_string(), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
