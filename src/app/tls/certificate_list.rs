//! The Certificate message up to TLS 1.2 (RFC 5246 section 7.4.2): certificates as DER.
//!
//! Owns where each one ends; what stands in one is `certificate`'s.

use crate::app::reading::ByteReader;

/// The certificates of a server, its own first; ends at one that is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateList<'a>(&'a [u8]);

impl<'a> CertificateList<'a> {
    /// Of the message's body.
    pub fn of_message(body: &'a [u8]) -> Self {
        let mut reader = ByteReader::new(body);
        let len = reader.u24().unwrap_or(0);
        Self(reader.left().get(..len).unwrap_or(reader.left()))
    }

    /// The DER of each.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut reader = ByteReader::new(self.0);
        std::iter::from_fn(move || {
            let len = reader.u24()?;
            reader.take(len)
        })
    }

    /// The server's own.
    pub fn first(self) -> Option<&'a [u8]> {
        self.iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_one_is_left_out() {
        let body = [0, 0, 99, 0, 0, 2, 1, 2, 0, 0, 5, 3];
        let list = CertificateList::of_message(&body);
        assert_eq!(list.iter().collect::<Vec<_>>(), [&[1, 2]]);
        assert_eq!(list.first(), Some(&[1, 2][..]));
        assert_eq!(CertificateList::of_message(&[]).first(), None);
    }
}
