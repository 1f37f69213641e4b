//! Zabbix (its manual, appendix "Protocols").
//!
//! Owns the header. Either side begins with `ZBXD`; a client that asks an old agent begins with the name of an item, so then the answer
//! decides.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const MAGIC: &[u8] = b"ZBXD";
/// Flags: Zabbix, compressed, lengths of eight bytes.
const FLAGS: u8 = 1;
const FLAGS_MAX: u8 = 7;

/// Longest name of an item.
const ITEM_MAX: usize = 255;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let is_item = client.first().is_some_and(u8::is_ascii_lowercase);
    if is_item {
        item(Look::stream(client))?;
    }
    let mut look = Look::stream(if client.is_empty() || is_item { server } else { client });
    look.expect(MAGIC)?;
    let flags = look.u8()?;
    ensure(flags & FLAGS != 0 && flags <= FLAGS_MAX)?;
    Ok(AppMark::of(AppProtocol::Zabbix))
}

/// A line with the name of an item, `agent.ping` or `vfs.fs.size[/,free]`.
fn item(mut look: Look<'_>) -> Result<(), Unread<'_>> {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let name = look.left();
    let key = &name[..name.iter().take_while(|byte| is_key(byte)).count()];
    ensure(key.len() <= ITEM_MAX && matches!(name.get(key.len()), None | Some(b'[' | b'\r' | b'\n')))?;
    ensure(key.len() == name.len() || key.contains(&b'.'))?;
    look.line().map(drop)
}
