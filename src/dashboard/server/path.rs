//! Paths and queries: plain ones are decoded, all others refused.
//!
//! Owns percent-decoding (RFC 3986, section 2.1). Knows no route. Invariant: what comes out has no `.` or `..` segment, no empty one in the middle, no
//! backslash and no control character, before and after decoding.

use super::limits::{PATH_BYTES_MAX, QUERY_BYTES_MAX, QUERY_PAIRS_MAX};

/// A path decoded, or `None` for one that is no plain path. It starts with `/`.
pub(super) fn decode_path(raw: &str) -> Option<String> {
    if raw.len() > PATH_BYTES_MAX || !raw.starts_with('/') {
        return None;
    }
    let path = decode(raw, false)?;
    (is_plain(raw) && is_plain(&path)).then_some(path)
}

fn is_plain(path: &str) -> bool {
    let has_trick = path.chars().any(|c| c == '\\' || c.is_control());
    let mut segments = path.split('/').skip(1).peekable();
    let mut is_plain = !has_trick;
    while let Some(segment) = segments.next() {
        // The last one may be empty: a directory.
        is_plain &= !matches!(segment, "." | "..") && (!segment.is_empty() || segments.peek().is_none());
    }
    is_plain
}

/// The pairs of a query decoded, in order; `None` for one that cannot be decoded or is too long.
pub(super) fn decode_query(raw: &str) -> Option<Vec<(String, String)>> {
    if raw.len() > QUERY_BYTES_MAX {
        return None;
    }
    let mut pairs = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == QUERY_PAIRS_MAX {
            return None;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name, true)?, decode(value, true)?));
    }
    Some(pairs)
}

/// `is_form`: a plus stands for a space, as forms and URLSearchParams write it.
fn decode(raw: &str, is_form: bool) -> Option<String> {
    let mut bytes = raw.bytes();
    let mut decoded = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if is_form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains('\0'))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_decoded() {
        for (raw, path) in [
            ("/", "/"),
            ("/api/v1/flows", "/api/v1/flows"),
            ("/api/", "/api/"),
            ("/api/v1/alerts/syn_flood%3A10.0.0.1%3A1", "/api/v1/alerts/syn_flood:10.0.0.1:1"),
            ("/api/a%2Fb", "/api/a/b"),
            ("/a%20b/c..d/...", "/a b/c..d/..."),
            ("/%252e%252e/x", "/%2e%2e/x"),
            ("/%C3%A9", "/é"),
        ] {
            assert_eq!(decode_path(raw).as_deref(), Some(path), "{raw}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for raw in [
            "",
            "x",
            "//",
            "//x",
            "/a//b",
            "/../x",
            "/a/..",
            "/./x",
            "/%2e%2e/x",
            "/%2E./x",
            "/a%2f%2fb",
            "/a%2f..%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0ab",
            "/%",
            "/%4",
            "/%zz",
            "/%c0%ae%c0%ae/",
            "/%ff",
            long.as_str(),
        ] {
            assert_eq!(decode_path(raw), None, "{raw}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let pairs = |raw: &str| decode_query(raw);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), Some(vec![]));
        assert_eq!(
            pairs("filter=port%3A443+or%20x&&limit=1&flag&a=b=c"),
            Some(vec![pair("filter", "port:443 or x"), pair("limit", "1"), pair("flag", ""), pair("a", "b=c")])
        );
        assert_eq!(pairs("a=%00"), None);
        assert_eq!(pairs("a=%f"), None);
        assert_eq!(pairs(&"a&".repeat(QUERY_PAIRS_MAX + 1)), None);
        assert_eq!(pairs(&"a".repeat(QUERY_BYTES_MAX + 1)), None);
    }
}
