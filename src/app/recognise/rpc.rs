//! ONC RPC (RFC 5531) with the port mapper (RFC 1833) and other programs than NFS.
//!
//! Owns the header of a call. Over streams a client begins with 0x80 and zero, as a call is shorter than 64 KiB in one piece; in a
//! datagram with any four bytes and four that are zero. A server is not asked.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// The last piece of a message.
const LAST_PIECE: u32 = 1 << 31;
/// Header of a call without credentials.
const CALL_LEN_MIN: u32 = 40;
const CALL_LEN_MAX: u32 = 0xffff;
/// Highest number of a program that is registered; those above are made up while they run.
const PROGRAM_MAX: u32 = 0x3fff_ffff;
const VERSION_MAX: u32 = 255;
const PROCEDURE_MAX: u32 = 255;
/// Longest credentials (RFC 5531 section 8.2).
const CREDENTIALS_MAX: u32 = 400;

/// Who is called.
pub(super) struct Call {
    pub(super) program: u32,
    pub(super) version: u8,
}

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    mark(&call(Look::datagram(client))?)
}

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    mark(&call_of_stream(client)?)
}

fn mark(call: &Call) -> Looked<'static> {
    let name: &[u8] = match call.program {
        100_000 => b"portmap",
        100_001 => b"rstat",
        100_002 => b"rusers",
        100_004 => b"ypserv",
        100_007 => b"ypbind",
        100_011 => b"rquota",
        _ => b"",
    };
    ensure(!super::nfs::is_program(call.program))?;
    Ok(AppMark::of(AppProtocol::Rpc).number(call.version).object(name))
}

/// Of a stream, where a length stands in front.
pub(super) fn call_of_stream(client: &[u8]) -> Result<Call, Unread<'static>> {
    let mut look = Look::stream(client);
    look.expect(&[0x80, 0])?;
    let len = u32::from(look.u16()?);
    ensure((CALL_LEN_MIN..=CALL_LEN_MAX).contains(&(len & !LAST_PIECE)))?;
    call(look)
}

pub(super) fn call(mut look: Look<'_>) -> Result<Call, Unread<'static>> {
    look.take(4)?;
    // A call; version 2.
    look.expect(&[0, 0, 0, 0, 0, 0, 0, 2])?;
    let (program, version, procedure) = (look.u32()?, look.u32()?, look.u32()?);
    ensure(program <= PROGRAM_MAX && program > 0 && version <= VERSION_MAX && procedure <= PROCEDURE_MAX)?;
    let (kind, len) = (look.u32()?, look.u32()?);
    ensure((kind <= 6 || kind == 390_004) && len <= CREDENTIALS_MAX)?;
    Ok(Call { program, version: version as u8 })
}
