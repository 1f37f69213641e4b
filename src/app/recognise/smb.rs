//! SMB 1 to 3 (MS-CIFS, MS-SMB2).
//!
//! Owns the header behind NetBIOS's four bytes, and the version that a server chose.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const SESSION_REQUEST: u8 = 0x81;
const SESSION_RESPONSE: u8 = 0x82;

/// Of a stream. Over NetBIOS (RFC 1002 section 4.3) a session is asked for first.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    if client.first() == Some(&SESSION_REQUEST) {
        look.expect(&[SESSION_REQUEST, 0])?;
        let len = look.u16()?;
        ensure((34..=1024).contains(&len))?;
        look.take(len.into())?;
    }
    look.expect(&[0])?;
    look.take(3)?;
    look.expect_one(&[b"\xffSMB", b"\xfeSMB"])?;
    let mark = AppMark::of(AppProtocol::Smb);
    version(mark, server).map_err(|why| if why == Unread::More { Unread::Partial(mark) } else { why })
}

/// With the version that a server chose.
fn version<'a>(mark: AppMark<'a>, server: &'a [u8]) -> Looked<'a> {
    let mut answer = Look::stream(server);
    if server.first() == Some(&SESSION_RESPONSE) {
        answer.expect(&[SESSION_RESPONSE, 0, 0, 0])?;
    }
    answer.expect(&[0])?;
    answer.take(3)?;
    if answer.expect_one(&[b"\xffSMB", b"\xfeSMB"])? == 0 {
        return Ok(mark.version(&b"1"[..]));
    }
    // The rest of the header, the length of the body, the mode of security.
    let header = answer.take(60)?;
    let is_negotiate = header[8..10] == [0, 0];
    answer.take(4)?;
    let [low, high] = [answer.u8()?, answer.u8()?];
    let version: Option<&[u8]> = match u16::from_le_bytes([low, high]) {
        0x0202 => Some(b"2.0.2"),
        0x0210 => Some(b"2.1"),
        0x0300 => Some(b"3.0"),
        0x0302 => Some(b"3.0.2"),
        0x0311 => Some(b"3.1.1"),
        // A server of several versions answers an old client with this one first.
        0x02ff => Some(b"2"),
        _ => None,
    };
    Ok(if is_negotiate { mark.version(version) } else { mark })
}
