//! Handshake messages (RFC 8446 section 4) one after the other.
//!
//! Owns the header of four bytes and the kinds that others ask for.

use super::server_hello::ServerHello;

/// Kind of a ClientHello.
pub const CLIENT_HELLO: u8 = 1;
/// Kind of a ServerHello.
pub const SERVER_HELLO: u8 = 2;
/// Kind of a Certificate.
pub const CERTIFICATE: u8 = 11;

const HEADER_LEN: usize = 4;

/// A message, maybe cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeMessage<'a> {
    /// IANA's number.
    pub kind: u8,
    /// Length by its header.
    pub len: usize,
    /// What there is of it.
    pub body: &'a [u8],
    /// False for one whose end is missing.
    pub is_whole: bool,
}

impl HandshakeMessage<'_> {
    /// Bytes that are missing.
    pub const fn missing(&self) -> usize {
        self.len - self.body.len()
    }
}

/// The messages of a flight; ends after one that is cut.
#[derive(Clone, Debug)]
pub struct HandshakeMessages<'a> {
    left: &'a [u8],
}

impl<'a> HandshakeMessages<'a> {
    pub(super) const fn new(handshake: &'a [u8]) -> Self {
        Self { left: handshake }
    }
}

impl<'a> Iterator for HandshakeMessages<'a> {
    type Item = HandshakeMessage<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&[kind, a, b, c], body) = self.left.split_first_chunk::<HEADER_LEN>()?;
        let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let is_whole = body.len() >= len;
        let (body, left) = body.split_at(body.len().min(len));
        self.left = left;
        Some(HandshakeMessage { kind, len, body, is_whole })
    }
}

/// True where a HelloRetryRequest is all there is.
pub(super) fn is_retry_alone(handshake: &[u8]) -> bool {
    let mut messages = HandshakeMessages::new(handshake);
    let first = messages.next().filter(|message| message.is_whole && message.kind == SERVER_HELLO);
    messages.left.is_empty() && first.and_then(|message| ServerHello::read(message.body)).is_some_and(|hello| hello.is_retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_may_be_cut() {
        let mut messages = HandshakeMessages::new(&[14, 0, 0, 0, 2, 0, 0, 3, 1, 2]);
        assert_eq!(messages.next(), Some(HandshakeMessage { kind: 14, len: 0, body: &[], is_whole: true }));
        let cut = messages.next().unwrap();
        assert_eq!((cut.kind, cut.is_whole, cut.missing()), (2, false, 1));
        assert_eq!(messages.next(), None);
    }
}
