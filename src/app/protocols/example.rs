//! An example of a protocol over TCP, made as `docs/protocols.md` says: tests alone know it.
//!
//! Owns what its first line tells. Knows no segment.

use super::{write_app, write_app_with};
use crate::app::parsed::begins;
use crate::app::{Conversation, FactBuffer, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const EXAMPLE: StreamProtocol = StreamProtocol { is_spoken, read };

/// A client's first line is this and its version.
const MAGIC: &[u8] = b"EXAMPLE/";
/// Bytes of that line at most.
const LINE_MAX: usize = 64;

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    begins(conversation.client, MAGIC)
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let line = conversation.client.get(..conversation.client.len().min(LINE_MAX)).unwrap_or_default();
    let version = line.get(MAGIC.len()..).unwrap_or_default();
    match version.iter().position(|&byte| byte == b'\n') {
        Some(end) => {
            write_app_with("example", [version.get(..end).unwrap_or_default(), &[], &[]], facts);
            Reading::DONE
        }
        None => {
            write_app("example", facts);
            let client = if line.len() < LINE_MAX { Wanted::Bytes(line.len() + 1) } else { Wanted::Nothing };
            Reading { client, server: Wanted::Nothing }
        }
    }
}
