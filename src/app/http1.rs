//! HTTP/1.x heads (RFC 9112), the preface of HTTP/2 (RFC 9113), and upgrades to it or to WebSocket (RFC 6455).
//!
//! Owns what is told of a head: never a query, a cookie or a credential. Its invariant: a head longer than [`HTTP_HEAD_MAX`] is told from
//! its beginning alone.

use httparse::{Header, Status};

use super::http2::PREFACE;
use super::parsed::{Parsed, begins};

/// Bytes of a head that are read.
pub const HTTP_HEAD_MAX: usize = 16 * 1024;
/// Header lines of a head that are read; one with more is told from its first line alone.
pub const HTTP_HEADERS_MAX: usize = 96;
/// Longest text of a field that is told.
pub const HTTP_TEXT_MAX: usize = 512;
/// Longest method; none that is registered is longer.
const METHOD_MAX: usize = 20;

/// What a connection turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpUpgrade {
    /// WebSocket.
    WebSocket,
    /// HTTP/2 in the clear (RFC 7540 section 3.2).
    Http2,
    /// TLS (RFC 2817).
    Tls,
    /// Anything else.
    Other,
}

impl HttpUpgrade {
    /// Of the first protocol of an `Upgrade` line.
    fn of(value: &[u8]) -> Self {
        let first = value.split(|&byte| matches!(byte, b',' | b'/' | b' ')).next().unwrap_or_default();
        if first.eq_ignore_ascii_case(b"websocket") {
            Self::WebSocket
        } else if first.eq_ignore_ascii_case(b"h2c") {
            Self::Http2
        } else if first.eq_ignore_ascii_case(b"tls") {
            Self::Tls
        } else {
            Self::Other
        }
    }
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// Method as sent.
    pub method: &'a [u8],
    /// Host, with its port where that was sent: of an absolute target or of CONNECT, else of the line `Host`.
    pub host: Option<&'a [u8]>,
    /// Path without the query; `*` for the whole server; empty for CONNECT.
    pub path: &'a [u8],
    /// True where a query was left out.
    pub has_query: bool,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Length`.
    pub content_len: Option<u64>,
    /// `Upgrade`.
    pub upgrade: Option<HttpUpgrade>,
    /// True where a password came along in the clear (`Authorization: Basic`).
    pub has_basic_auth: bool,
    /// True where the target was a whole URI, as a proxy gets it.
    pub is_absolute: bool,
    /// Bytes of the head; `None` where it is longer than what was read, and header lines may be missing.
    pub head_len: Option<usize>,
}

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpResponse<'a> {
    /// Status.
    pub status: u16,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// `Server`.
    pub server: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Length`.
    pub content_len: Option<u64>,
    /// `Upgrade`.
    pub upgrade: Option<HttpUpgrade>,
    /// True where the server closes after the answer.
    pub closes: bool,
    /// Bytes of the head; `None` where it is longer than what was read, and header lines may be missing.
    pub head_len: Option<usize>,
}

/// What a client of HTTP opens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpOpening<'a> {
    /// A request.
    Request(HttpRequest<'a>),
    /// HTTP/2 without asking first.
    Http2,
}

fn bounded(text: &[u8]) -> &[u8] {
    &text[..text.len().min(HTTP_TEXT_MAX)]
}

fn length(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// True where a list with commas has `word`.
fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
}

impl<'a> HttpOpening<'a> {
    /// Of the bytes that a client has sent so far.
    pub fn read_stream(stream: &'a [u8]) -> Parsed<Self> {
        match begins(stream, PREFACE) {
            Parsed::Done(()) => Parsed::Done(Self::Http2),
            Parsed::More { need } if stream.len() >= 3 => Parsed::More { need },
            _ => HttpRequest::read_stream(stream).map(Self::Request),
        }
    }
}

impl<'a> HttpRequest<'a> {
    /// Of the bytes that a client has sent so far: its first request.
    pub fn read_stream(stream: &'a [u8]) -> Parsed<Self> {
        let method = stream.iter().position(|byte| !byte.is_ascii_uppercase() && !matches!(byte, b'-' | b'_'));
        if method.map_or(stream.len() > METHOD_MAX, |len| len == 0 || len > METHOD_MAX || stream[len] != b' ') {
            return Parsed::No;
        }
        let head = &stream[..stream.len().min(HTTP_HEAD_MAX)];
        let mut places = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
        let mut request = httparse::Request::new(&mut places);
        let head_len =
            match httparse::ParserConfig::default().ignore_invalid_headers_in_requests(true).parse_request(&mut request, head) {
                Ok(Status::Complete(len)) => Some(len),
                Ok(Status::Partial) if stream.len() < HTTP_HEAD_MAX => return Parsed::More { need: stream.len() + 1 },
                Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => None,
                Err(_) => return Parsed::No,
            };
        let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version) else {
            // The target alone is longer than all that is read.
            return Parsed::No;
        };
        let mut told = Self {
            method: method.as_bytes(),
            host: None,
            path: &[],
            has_query: false,
            minor_version,
            user_agent: None,
            content_type: None,
            content_len: None,
            upgrade: None,
            has_basic_auth: false,
            is_absolute: false,
            head_len,
        };
        told.take_target(target.as_bytes());
        request.headers.iter().for_each(|line| told.take_line(line));
        Parsed::Done(told)
    }

    /// Host and path out of the target (RFC 9112 section 3.2).
    fn take_target(&mut self, target: &'a [u8]) {
        let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
        self.has_query = target.get(end) == Some(&b'?');
        let target = &target[..end];
        if self.method == b"CONNECT" {
            self.host = Some(bounded(without_user(target)));
            return;
        }
        let scheme = target.windows(3).position(|three| three == b"://").filter(|_| target.first() != Some(&b'/'));
        let Some(scheme) = scheme else {
            self.path = bounded(target);
            return;
        };
        let rest = &target[scheme + 3..];
        let slash = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        self.is_absolute = true;
        self.host = Some(bounded(without_user(&rest[..slash])));
        self.path = if slash == rest.len() { b"/" } else { bounded(&rest[slash..]) };
    }

    fn take_line(&mut self, line: &Header<'a>) {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        if is("host") {
            self.host = self.host.or(Some(bounded(without_user(line.value))));
        } else if is("user-agent") {
            self.user_agent = Some(bounded(line.value));
        } else if is("content-type") {
            self.content_type = Some(bounded(line.value));
        } else if is("content-length") {
            self.content_len = length(line.value);
        } else if is("upgrade") {
            self.upgrade = Some(HttpUpgrade::of(line.value));
        } else if is("authorization") || is("proxy-authorization") {
            self.has_basic_auth |= line.value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "));
        }
    }
}

/// An authority without the user and password that may stand in front of it.
fn without_user(authority: &[u8]) -> &[u8] {
    let at = authority.iter().rposition(|&byte| byte == b'@');
    at.map_or(authority, |at| &authority[at + 1..])
}

impl<'a> HttpResponse<'a> {
    /// Of the bytes that a server has sent so far: its first answer.
    pub fn read_stream(stream: &'a [u8]) -> Parsed<Self> {
        match begins(stream, b"HTTP/1.") {
            Parsed::Done(()) => {}
            other => return other.and_then(|()| Parsed::No),
        }
        let head = &stream[..stream.len().min(HTTP_HEAD_MAX)];
        let mut places = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
        let mut response = httparse::Response::new(&mut places);
        let head_len = match httparse::ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .parse_response(&mut response, head)
        {
            Ok(Status::Complete(len)) => Some(len),
            Ok(Status::Partial) if stream.len() < HTTP_HEAD_MAX => return Parsed::More { need: stream.len() + 1 },
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => None,
            Err(_) => return Parsed::No,
        };
        let (Some(status), Some(minor_version)) = (response.code, response.version) else { return Parsed::No };
        let mut told = Self {
            status,
            minor_version,
            server: None,
            content_type: None,
            content_len: None,
            upgrade: None,
            closes: minor_version == 0,
            head_len,
        };
        response.headers.iter().for_each(|line| told.take_line(line));
        Parsed::Done(told)
    }

    fn take_line(&mut self, line: &Header<'a>) {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        if is("server") {
            self.server = Some(bounded(line.value));
        } else if is("content-type") {
            self.content_type = Some(bounded(line.value));
        } else if is("content-length") {
            self.content_len = length(line.value);
        } else if is("upgrade") {
            self.upgrade = Some(HttpUpgrade::of(line.value));
        } else if is("connection") {
            self.closes = has_word(line.value, b"close") || (self.closes && !has_word(line.value, b"keep-alive"));
        }
    }

    /// True where the connection is HTTP no longer: 101, or the answer to a CONNECT that went well.
    pub const fn switches(&self, is_connect: bool) -> bool {
        self.status == 101 || (is_connect && self.status / 100 == 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: &[u8] = b"POST /a/b?key=secret#x HTTP/1.1\r\nHost: www.example.com:8080\r\nUser-Agent: test/1\r\n\
        Content-Type: text/plain\r\nContent-Length: 5\r\nCookie: session=secret\r\nAuthorization: basic c2VjcmV0\r\n\r\nhello";

    fn request(stream: &[u8]) -> HttpRequest<'_> {
        HttpRequest::read_stream(stream).done().unwrap()
    }

    #[test]
    fn a_request_without_what_is_nobody_s_business() {
        let told = request(REQUEST);
        assert_eq!((told.method, told.path, told.has_query), (&b"POST"[..], &b"/a/b"[..], true));
        assert_eq!((told.host, told.user_agent), (Some(&b"www.example.com:8080"[..]), Some(&b"test/1"[..])));
        assert_eq!((told.content_type, told.content_len), (Some(&b"text/plain"[..]), Some(5)));
        assert!(told.has_basic_auth && !told.is_absolute && told.head_len == Some(REQUEST.len() - 5));
        let shown: Vec<u8> = [told.method, told.path, told.host.unwrap(), told.user_agent.unwrap()].concat();
        assert!(!shown.windows(6).any(|six| six == b"secret"));
    }

    #[test]
    fn every_cut_asks_for_more() {
        let head = REQUEST.len() - 5;
        for cut in 0..head {
            assert!(matches!(HttpRequest::read_stream(&REQUEST[..cut]), Parsed::More { need } if need == cut + 1), "{cut}");
            assert!(matches!(HttpOpening::read_stream(&REQUEST[..cut]), Parsed::More { need } if need > cut), "{cut}");
        }
        let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
        for cut in 0..answer.len() {
            assert!(matches!(HttpResponse::read_stream(&answer[..cut]), Parsed::More { need } if need > cut), "{cut}");
        }
    }

    #[test]
    fn targets_of_all_forms() {
        let read = |line: &'static str| {
            let stream: &'static [u8] = Box::leak(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes().into_boxed_slice());
            let told = request(stream);
            (std::str::from_utf8(told.host.unwrap()).unwrap(), std::str::from_utf8(told.path).unwrap(), told.is_absolute)
        };
        assert_eq!(read("GET /"), ("h", "/", false));
        assert_eq!(read("OPTIONS *"), ("h", "*", false));
        assert_eq!(read("GET http://user:secret@example.com/x?y"), ("example.com", "/x", true));
        assert_eq!(read("GET http://example.com?y"), ("example.com", "/", true));
        assert_eq!(read("GET /to?url=http://other/"), ("h", "/to", false));
        assert_eq!(read("GET /http://other/"), ("h", "/http://other/", false));
        assert_eq!(read("CONNECT example.com:443"), ("example.com:443", "", false));
    }

    #[test]
    fn upgrades() {
        let upgrade = |line: &str| {
            let stream = format!("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {line}\r\n\r\n");
            request(stream.as_bytes()).upgrade
        };
        assert_eq!(upgrade("websocket"), Some(HttpUpgrade::WebSocket));
        assert_eq!(upgrade("h2c"), Some(HttpUpgrade::Http2));
        assert_eq!(upgrade("TLS/1.2, HTTP/1.1"), Some(HttpUpgrade::Tls));
        assert_eq!(upgrade("x"), Some(HttpUpgrade::Other));
        for cut in 0..PREFACE.len() {
            assert!(HttpOpening::read_stream(&PREFACE[..cut]).is_possible(), "{cut}");
        }
        assert_eq!(HttpOpening::read_stream(PREFACE), Parsed::Done(HttpOpening::Http2));
    }

    #[test]
    fn answers() {
        let read = |stream| HttpResponse::read_stream(stream).done().unwrap();
        let told = read(b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: x, Close\r\n\r\n");
        assert_eq!((told.status, told.server, told.content_len), (404, Some(&b"nginx"[..]), Some(9)));
        assert!(told.closes && !told.switches(true));
        let told = read(b"HTTP/1.0 200\r\n\r\n");
        assert!(told.closes && told.switches(true) && !told.switches(false));
        assert!(!read(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").closes);
        let told = read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
        assert!(told.switches(false) && told.upgrade == Some(HttpUpgrade::WebSocket));
        assert_eq!(HttpResponse::read_stream(b"HTTP/2 200"), Parsed::No);
    }

    #[test]
    fn heads_past_the_bounds_are_told_from_their_beginning() {
        let long = [&b"GET /x HTTP/1.1\r\nHost: h\r\nCookie: "[..], &vec![b'a'; HTTP_HEAD_MAX]].concat();
        let told = request(&long);
        assert_eq!((told.path, told.host, told.head_len), (&b"/x"[..], Some(&b"h"[..]), None));
        let many = [&b"GET /x HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(HTTP_HEADERS_MAX + 1), b"\r\n"].concat();
        let told = request(&many);
        assert_eq!((told.path, told.head_len), (&b"/x"[..], None));
        let target = [&b"GET /"[..], &vec![b'a'; HTTP_HEAD_MAX]].concat();
        assert_eq!(HttpRequest::read_stream(&target), Parsed::No);
        let text = format!("GET / HTTP/1.1\r\nUser-Agent: {}\r\n\r\n", "a".repeat(2 * HTTP_TEXT_MAX));
        assert_eq!(request(text.as_bytes()).user_agent.map(<[u8]>::len), Some(HTTP_TEXT_MAX));
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let told = request(b"GET /x HTTP/1.1\r\nX: a;\r\n\tb\r\nno line\r\nHost: h\r\n\r\n");
        assert_eq!((told.path, told.host), (&b"/x"[..], Some(&b"h"[..])));
        let told = HttpResponse::read_stream(b"HTTP/1.1 200 OK\r\nX: a;\r\n\tb\r\nno line\r\nServer: s\r\n\r\n").done().unwrap();
        assert_eq!(told.server, Some(&b"s"[..]));
    }

    #[test]
    fn other_protocols_are_none() {
        for stream in [
            &b"SSH-2.0-x\r\n"[..],
            b"get / HTTP/1.1\r\n\r\n",
            b" GET",
            b"\x16\x03\x01",
            b"AAAAAAAAAAAAAAAAAAAAAAAAAA",
            b"NICK x\r\n",
        ] {
            assert_eq!(HttpRequest::read_stream(stream), Parsed::No, "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(changes in prop::collection::vec((0_usize..300, any::<u8>()), 1..9), cut in 0_usize..300) {
            let mut stream = REQUEST.to_vec();
            let len = stream.len();
            changes.into_iter().for_each(|(at, byte)| stream[at % len] = byte);
            stream.truncate(len - cut % len);
            let _ = HttpOpening::read_stream(&stream);
            let answer = [&b"HTTP/1.1 200 OK\r\n"[..], &stream].concat();
            let _ = HttpResponse::read_stream(&answer);
        }
    }
}
