//! memcached's text and binary protocols.
//!
//! Owns the first command and the answer, both of which have to agree; keys and values are passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const COMMANDS: [&[u8]; 16] = [
    b"get ",
    b"gets ",
    b"set ",
    b"add ",
    b"replace ",
    b"append ",
    b"prepend ",
    b"cas ",
    b"delete ",
    b"incr ",
    b"decr ",
    b"touch ",
    b"stats",
    b"version\r\n",
    b"flush_all",
    b"mg ",
];
const ANSWERS: [&[u8]; 12] = [
    b"VALUE ",
    b"END\r\n",
    b"STORED\r\n",
    b"NOT_STORED\r\n",
    b"NOT_FOUND\r\n",
    b"DELETED\r\n",
    b"STAT ",
    b"TOUCHED\r\n",
    b"OK\r\n",
    b"ERROR\r\n",
    b"CLIENT_ERROR ",
    b"EN\r\n",
];
const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mark = AppMark::of(AppProtocol::Memcached);
    let (mut command, mut answer) = (Look::stream(client), Look::stream(server));
    if client.first() == Some(&REQUEST) {
        let header = command.take(24)?;
        ensure(header[1] <= 0x3d && header[5] == 0)?;
        ensure(answer.u8()? == RESPONSE && answer.u8()? == header[1])?;
        return Ok(mark);
    }
    command.expect_one(&COMMANDS)?;
    let mut version = answer;
    if version.expect(b"VERSION ").is_ok() {
        return Ok(mark.version(version.line()?));
    }
    if b"VERSION ".starts_with(server) {
        return Err(Unread::More);
    }
    answer.expect_one(&ANSWERS)?;
    Ok(mark)
}
