//! rsync's own protocol (its manual, rsyncd).
//!
//! Owns the greetings and the module that is asked for. Both sides begin with `@RSYNCD:`.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const GREETING: &[u8] = b"@RSYNCD: ";

/// Of a stream. The server greets first.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let (mut of_client, mut of_server) = (Look::stream(client), Look::stream(server));
    let greeting = if server.is_empty() && !client.is_empty() { version(&mut of_client)? } else { version(&mut of_server)? };
    let mark = AppMark::of(AppProtocol::Rsync).version(greeting);
    let mut from_client = Look::stream(client);
    let module = version(&mut from_client).and_then(|_| from_client.line());
    match module {
        Ok(module) => Ok(mark.object(module)),
        Err(Unread::No) => Ok(mark),
        Err(_) => Err(Unread::Partial(mark)),
    }
}

/// The version in a greeting; names of digests may follow it.
fn version<'a>(look: &mut Look<'a>) -> Result<&'a [u8], Unread<'static>> {
    look.expect(GREETING)?;
    let line = look.line()?;
    let version = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    ensure(!version.is_empty() && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))?;
    Ok(version)
}
