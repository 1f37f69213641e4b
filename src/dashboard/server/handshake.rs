//! The opening handshake of a WebSocket (RFC 6455, section 4.2).
//!
//! Owns its rules. Knows no socket. Invariant: what is accepted has all that the RFC asks for.

use super::answer::HttpRefusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::{HeaderMap, Method as HttpMethod, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Bytes of a key.
const KEY_BYTES: usize = 16;

/// The value of `Sec-WebSocket-Accept`, or why this is no handshake.
pub(super) fn accept(method: &HttpMethod, version: Version, headers: &HeaderMap) -> Result<String, HttpRefusal> {
    if method != HttpMethod::GET {
        return Err(HttpRefusal::new(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket begins with GET").allow("GET"));
    }
    let upgrade = |message: &'static str| {
        HttpRefusal::new(StatusCode::UPGRADE_REQUIRED, message).header(UPGRADE, "websocket").header(SEC_WEBSOCKET_VERSION, "13")
    };
    if version != Version::HTTP_11 || !has_word(headers, &UPGRADE, "websocket") || !has_word(headers, &CONNECTION, "upgrade") {
        return Err(upgrade("this is a WebSocket: ask for it by HTTP/1.1 with Upgrade: websocket"));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(upgrade("only version 13 of WebSocket is spoken"));
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES));
    let key = key.ok_or_else(|| HttpRefusal::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key has to be 16 bytes in base64"))?;
    Ok(derive_accept_key(key.as_bytes()))
}

/// True when one of the header's words is this one.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(changed: &str, value: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let name: HeaderName = changed.parse().unwrap();
        match value {
            Some(value) => _ = headers.insert(name, value.parse().unwrap()),
            None => _ = headers.remove(name),
        }
        headers
    }

    #[test]
    fn the_example_of_the_rfc() {
        let headers = handshake("x", None);
        assert_eq!(accept(&HttpMethod::GET, Version::HTTP_11, &headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_missing_is_refused() {
        for (name, value) in [
            ("upgrade", None),
            ("upgrade", Some("h2c")),
            ("connection", Some("close")),
            ("sec-websocket-version", Some("8")),
            ("sec-websocket-version", None),
            ("sec-websocket-key", None),
            ("sec-websocket-key", Some("c2hvcnQ=")),
            ("sec-websocket-key", Some("!")),
        ] {
            assert!(accept(&HttpMethod::GET, Version::HTTP_11, &handshake(name, value)).is_err(), "{name} {value:?}");
        }
        let headers = handshake("x", None);
        assert!(accept(&HttpMethod::POST, Version::HTTP_11, &headers).is_err());
        assert!(accept(&HttpMethod::GET, Version::HTTP_10, &headers).is_err());
        let mut twice = headers;
        twice.append(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        assert!(accept(&HttpMethod::GET, Version::HTTP_11, &twice).is_err());
    }
}
