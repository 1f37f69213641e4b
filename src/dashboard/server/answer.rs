//! Answers: the headers that all of them have, errors in their form, compression.
//!
//! Owns headers of security. Knows no route. Invariant: every answer has them.

use super::body::PageBody;
use super::limits::COMPRESS_BYTES_MIN;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, SERVER, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{HeaderMap, Response, StatusCode};
use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Larger answers are compressed off the server's threads.
const COMPRESS_AT_ONCE_MAX: usize = 64 << 10;
const TEXT: &str = "text/plain; charset=utf-8";

/// Headers of every answer.
const COMMON: [(HeaderName, &str); 8] = [
    (SERVER, "netscope"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src \
         'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), display-capture=()",
    ),
];

/// A request that is not answered as it wanted.
#[derive(Clone, Debug)]
pub(super) struct HttpRefusal {
    status: StatusCode,
    message: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl HttpRefusal {
    /// With this message for a person.
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), headers: Vec::new() }
    }

    /// With a header.
    pub(super) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Which methods would do.
    pub(super) fn allow(self, methods: &'static str) -> Self {
        self.header(ALLOW, methods)
    }

    /// When to try again, in whole seconds from 1.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.headers.push((RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64)));
        self
    }

    /// The connection is closed after it.
    pub(super) fn close(self) -> Self {
        self.header(CONNECTION, "close")
    }

    /// The answer: JSON for programs, text for people.
    pub(super) fn answer(self, is_json: bool) -> Response<PageBody> {
        let (content_type, text) = if is_json {
            let error = serde_json::json!({"error": {"code": code(self.status), "message": self.message}});
            ("application/json", error.to_string())
        } else {
            (TEXT, format!("{}\n", self.message))
        };
        let mut answer = Response::new(PageBody::full(text, None));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        answer.headers_mut().extend(self.headers);
        answer
    }
}

/// The code of docs/http-api.md.
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "unauthorized",
        403 | 421 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        410 => "gone",
        413 | 414 | 431 => "too_large",
        429 => "too_many_requests",
        503 => "busy",
        _ => "bad_request",
    }
}

/// Adds the common headers, and takes the body away for HEAD.
pub(super) fn finish(mut answer: Response<PageBody>, is_head: bool) -> Response<PageBody> {
    use hyper::body::Body as _;
    let headers = answer.headers_mut();
    for (name, value) in COMMON {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_head {
        if let Some(length) = answer.body().size_hint().exact() {
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *answer.body_mut() = PageBody::full(Bytes::new(), None);
    }
    answer
}

/// True when the client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        matches!(name.trim(), "gzip" | "*") && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
    })
}

/// True for what gets smaller.
pub(super) fn is_compressible(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || ["application/json", "application/openmetrics-text"].iter().any(|start| content_type.starts_with(start))
}

/// The bytes by gzip, where that is worth it. `permit` is held as long as the work goes on, also where the client has gone before.
pub(super) async fn compressed<P: Send + Sync + 'static>(bytes: &Bytes, permit: &Arc<P>) -> Option<Bytes> {
    if bytes.len() <= COMPRESS_BYTES_MIN {
        return None;
    }
    let compressed = if bytes.len() <= COMPRESS_AT_ONCE_MAX {
        gzip(bytes)
    } else {
        let (bytes, permit) = (bytes.clone(), Arc::clone(permit));
        let compressing = move || {
            let _permit = permit;
            gzip(&bytes)
        };
        // Without a thread for it, the answer is sent as it is.
        tokio::task::spawn_blocking(compressing).await.ok().flatten()
    };
    compressed.filter(|compressed| compressed.len() < bytes.len())
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    // Writing to memory cannot fail.
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Says that the body is compressed.
pub(super) fn mark_compressed(headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

/// Says that the body depends on what the client takes.
pub(super) fn mark_varying(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let takes = |value: &'static str| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]));
        assert!(takes("gzip") && takes("br, gzip;q=0.5") && takes("*") && takes("deflate,gzip; q=1"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes("gzip;q=x") && !takes("") && !takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn an_error_has_the_form_of_the_interface_and_every_header() {
        let refusal =
            HttpRefusal::new(StatusCode::TOO_MANY_REQUESTS, "say \"less\"").retry_after(Duration::from_millis(1200)).close();
        let answer = finish(refusal.clone().answer(true), false);
        let headers = answer.headers().clone();
        assert_eq!((headers[RETRY_AFTER].to_str().unwrap(), headers[CONNECTION].to_str().unwrap()), ("2", "close"));
        assert!(COMMON.iter().all(|(name, value)| headers[name] == *value));
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let error: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(error["error"]["code"], "too_many_requests");
        assert_eq!(error["error"]["message"], "say \"less\"");
        let head = finish(refusal.answer(false), true);
        assert_eq!(head.headers()[CONTENT_LENGTH], "11");
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_get_smaller_stays() {
        let small = async |len: usize| compressed(&Bytes::from(vec![b'x'; len]), &Arc::new(())).await;
        assert!(small(1024).await.is_none());
        assert!(small(1025).await.is_some());
        assert!(small(1 << 20).await.is_some_and(|small| small.len() < 10_000));
    }

    #[test]
    fn who_leaves_does_not_free_the_place_of_work_that_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let place = Arc::new(());
        runtime.block_on(async {
            let blocker = tokio::task::spawn_blocking(move || wait.recv());
            let bytes = Bytes::from(vec![b'x'; 1 << 20]);
            let mut compressing = Box::pin(compressed(&bytes, &place));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(compressing.as_mut().poll(&mut context).is_pending());
            drop(compressing);
            assert_eq!(Arc::strong_count(&place), 2, "the work still waits for its thread");
            go_on.send(()).unwrap();
            blocker.await.unwrap().unwrap();
            // Behind the work, on the only thread.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert_eq!(Arc::strong_count(&place), 1);
        });
    }
}
