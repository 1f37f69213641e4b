//! XMPP (RFC 6120).
//!
//! Owns the head of the stream: version and the domain that is asked for. Who speaks is passed over. Either side begins with `<`.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

/// Longest declaration of XML, and longest head of a stream.
const DECLARATION_MAX: usize = 128;
const HEAD_MAX: usize = 1024;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    if client.is_empty() { head(server) } else { head(client) }
}

fn head(bytes: &[u8]) -> Looked<'_> {
    let mut look = Look::stream(bytes);
    if look.expect_one(&[b"<?xml ", b"<stream:"])? == 0 {
        look.until(b'>', DECLARATION_MAX)?;
        while look.left().first().is_some_and(u8::is_ascii_whitespace) {
            look.u8()?;
        }
        look.expect(b"<stream:")?;
    }
    look.expect(b"stream ")?;
    let head = look.until(b'>', HEAD_MAX)?;
    let kind = attribute(head, b"xmlns").ok_or(Unread::No)?;
    ensure(matches!(kind, b"jabber:client" | b"jabber:server" | b"jabber:component:accept"))?;
    Ok(AppMark::of(AppProtocol::Xmpp).version(attribute(head, b"version")).object(attribute(head, b"to")))
}

/// The value of an attribute in quotes of either kind.
fn attribute<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut left = head;
    loop {
        let equals = left.iter().position(|&byte| byte == b'=')?;
        let found = left[..equals].trim_ascii();
        let value = left[equals + 1..].trim_ascii_start();
        let quote = *value.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
        let len = value[1..].iter().position(|&byte| byte == quote)?;
        if found == name {
            return Some(&value[1..=len]);
        }
        left = &value[len + 2..];
    }
}
