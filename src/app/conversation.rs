//! Protocols over a stream: what is asked about the beginning of a conversation, and what is answered.
//!
//! Owns the question and the answer; each protocol is a [`StreamProtocol`]. Knows no segment and no gap. Invariant: an answer depends on
//! the bytes alone, not on how they came in pieces, so it may be asked for again with more of them.

use super::{FactBuffer, Parsed};

/// What both sides have sent so far, from their first bytes up to the first gap.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<'a> {
    /// Of the side that opened the connection.
    pub client: &'a [u8],
    /// Of the other side.
    pub server: &'a [u8],
    /// The port of the server: a hint, no more.
    pub server_port: u16,
    /// From what the client sent last before the server's first byte until that came, in ns, where both were seen.
    pub answered_after_ns: Option<u64>,
}

impl<'a> Conversation<'a> {
    /// These bytes, at whatever time.
    pub const fn new(client: &'a [u8], server: &'a [u8], server_port: u16) -> Self {
        Self { client, server, server_port, answered_after_ns: None }
    }
}

/// How much more of one side is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As many bytes from its first one. Where they cannot be had any more, nothing is lost but what they would tell.
    Bytes(usize),
    /// No more.
    Nothing,
}

impl Wanted {
    /// The same where so many bytes come before.
    #[must_use]
    pub const fn after(self, skipped: usize) -> Self {
        match self {
            Self::Bytes(need) => Self::Bytes(need + skipped),
            Self::Nothing => Self::Nothing,
        }
    }
}

/// What is wanted of a conversation after its facts were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of the client.
    pub client: Wanted,
    /// Of the server.
    pub server: Wanted,
}

impl Reading {
    /// All is known.
    pub const DONE: Self = Self { client: Wanted::Nothing, server: Wanted::Nothing };
}

/// A protocol over a stream.
pub struct StreamProtocol {
    /// Whether the conversation is this protocol's. With [`Parsed::More`], `need` counts for the side that has fewer bytes.
    pub is_spoken: fn(&Conversation<'_>) -> Parsed<()>,
    /// Adds what is known to an empty buffer, its name first.
    pub read: fn(&Conversation<'_>, &mut FactBuffer) -> Reading,
}
