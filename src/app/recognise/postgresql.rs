//! PostgreSQL (its manual, message formats).
//!
//! Owns the opening messages: database and program; the user is passed over.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const VERSION_3: u32 = 0x0003_0000;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// Longest startup message that a server takes.
const STARTUP_MAX: usize = 10_000;
/// Parameters that are looked at.
const PARAMETERS_MAX: usize = 32;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    let mut answers = Look::stream(server);
    // It may ask for GSSAPI and for TLS before it starts.
    for _ in 0..3 {
        let len = look.u32()? as usize;
        ensure((8..=STARTUP_MAX).contains(&len))?;
        let code = look.u32()?;
        match code {
            SSL_REQUEST | GSS_REQUEST => {
                ensure(len == 8)?;
                let answer = answers.u8()?;
                ensure(matches!(answer, b'S' | b'N' | b'G' | b'E'))?;
                if answer != b'N' {
                    return Ok(AppMark::of(AppProtocol::PostgreSql));
                }
            }
            _ if code >> 16 == VERSION_3 >> 16 => return startup(Look::datagram(look.take(len - 8)?), code as u8),
            _ => return Err(Unread::No),
        }
    }
    Err(Unread::No)
}

fn startup(mut parameters: Look<'_>, minor: u8) -> Looked<'_> {
    let mut mark = AppMark::of(AppProtocol::PostgreSql).pair(3, minor);
    for _ in 0..PARAMETERS_MAX {
        let name = parameters.until(0, STARTUP_MAX)?;
        if name.is_empty() {
            break;
        }
        let value = parameters.until(0, STARTUP_MAX)?;
        match name {
            b"database" => mark = mark.object(value),
            b"application_name" => mark = mark.software(value),
            _ => {}
        }
    }
    Ok(mark)
}
