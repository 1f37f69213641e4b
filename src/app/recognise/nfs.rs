//! NFS (RFC 1813, RFC 7530) and what belongs to it: mounting, locks, states, access lists.
//!
//! Owns the programs' numbers. It begins as [`super::rpc`] does.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};
use super::rpc::{Call, call, call_of_stream};

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    mark(&call(Look::datagram(client))?)
}

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    mark(&call_of_stream(client)?)
}

fn mark(call: &Call) -> Looked<'static> {
    ensure(is_program(call.program))?;
    let name: &[u8] = match call.program {
        100_005 => b"mount",
        100_021 => b"nlm",
        100_024 => b"status",
        100_227 => b"nfs_acl",
        _ => b"nfs",
    };
    Ok(AppMark::of(AppProtocol::Nfs).number(call.version).object(name))
}

pub(super) const fn is_program(number: u32) -> bool {
    matches!(number, 100_003 | 100_005 | 100_021 | 100_024 | 100_227)
}
