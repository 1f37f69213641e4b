//! Internet Relay Chat (RFC 1459, RFC 2812, IRCv3's negotiation).
//!
//! Owns its first lines; names and what is said are passed over. A client begins with a letter of CAP, NICK, PASS or USER, a server with
//! `:` or N.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Lines of a client that are looked at.
const LINES_MAX: usize = 6;
/// What a client opens with; FTP and POP3 know some of it, too.
const COMMANDS: [&[u8]; 6] = [b"CAP LS", b"CAP REQ", b"CAP END", b"NICK ", b"PASS ", b"USER "];
/// What a server says of itself.
const OF_SERVER: [&[u8]; 4] = [b"NOTICE ", b"PING ", b"MODE ", b"ERROR "];

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let asked = if client.is_empty() { Err(Unread::More) } else { of_client(client) };
    match asked {
        Ok(()) => Ok(AppMark::of(AppProtocol::Irc)),
        Err(Unread::More) => of_server(server).map(|()| AppMark::of(AppProtocol::Irc)).map_err(|why| match why {
            // The client may say more.
            Unread::No if !client.is_empty() => Unread::More,
            why => why,
        }),
        Err(why) => Err(why),
    }
}

/// A negotiation of IRCv3, or a nick and a user.
fn of_client(client: &[u8]) -> Result<(), Unread<'_>> {
    let mut look = Look::stream(client);
    let (mut has_nick, mut has_user) = (false, false);
    for _ in 0..LINES_MAX {
        match look.expect_one(&COMMANDS)? {
            0..=2 => return Ok(()),
            3 => has_nick = true,
            5 => has_user = true,
            _ => {}
        }
        if has_nick && has_user {
            return Ok(());
        }
        look.line()?;
    }
    Err(Unread::No)
}

/// A notice before the client has a name, or a line with the server's name and a number or command.
fn of_server(server: &[u8]) -> Result<(), Unread<'_>> {
    let mut look = Look::stream(server);
    if server.first() != Some(&b':') {
        return look.expect_one(&[b"NOTICE AUTH :", b"NOTICE * :"]).map(drop);
    }
    let name = look.until(b' ', 128)?;
    ensure(name.len() > 1 && name.iter().all(u8::is_ascii_graphic))?;
    if look.left().first().is_some_and(u8::is_ascii_digit) {
        let number = look.take(4)?;
        ensure(number[..3].iter().all(u8::is_ascii_digit) && number[3] == b' ')
    } else {
        look.expect_one(&OF_SERVER).map(drop)
    }
}
