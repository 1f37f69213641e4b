//! One connection: TLS, HTTP/1.1 or HTTP/2, and the times within which something has to happen.
//!
//! Owns the state that a connection's requests share. Knows no route. Invariant: a connection on which nothing happens ends, whatever the client does.

use super::admission::ConnectionPlace;
use super::body::Deadline;
use super::counts::count;
use super::limits::{
    HANDSHAKE_TIME, HEADER_BYTES_MAX, HEADER_TIME, HEADERS_MAX, IDLE_TIME, LAST_WRITE_TIME, LOOK_INTERVAL, STOP_TIME, STREAMS_MAX,
};
use super::service;
use super::site::{Site, ended};
use super::stream::{ClientStream, ClientTransport};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{interval, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

/// Bytes that are read or written at a time, and as many that wait.
const BUFFER_BYTES: usize = 64 << 10;
/// First byte of a TLS record with a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
const TLS_PORT: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 40\r\nConnection: close\r\n\r\n\
    This is a TLS port: use https:// for it.";

/// What the requests of a connection share.
pub(super) struct ConnectionState {
    /// The other end of the connection: a client, or a proxy.
    pub(super) peer: IpAddr,
    start: Instant,
    requests_open: AtomicUsize,
    /// Milliseconds after the start when a request came or was answered last.
    used_ms: AtomicU64,
    /// Requests in a row that were refused for their number.
    refused: AtomicU32,
    /// Wakes whoever drives it, to end it.
    over: Notify,
    /// Of answers that may still be on their way.
    deadlines: Mutex<Vec<Weak<Deadline>>>,
    _place: ConnectionPlace,
}

/// A request that is being answered.
pub(super) struct OpenRequest(Arc<ConnectionState>);

impl ConnectionState {
    fn new(peer: IpAddr, place: ConnectionPlace) -> Arc<Self> {
        Arc::new(Self {
            peer,
            start: Instant::now(),
            requests_open: AtomicUsize::new(0),
            used_ms: AtomicU64::new(0),
            refused: AtomicU32::new(0),
            over: Notify::new(),
            deadlines: Mutex::default(),
            _place: place,
        })
    }

    // Relaxed everywhere: numbers and times, which guard nothing.

    /// A request came.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        self.requests_open.fetch_add(1, Ordering::Relaxed);
        self.note_use();
        OpenRequest(Arc::clone(self))
    }

    fn note_use(&self) {
        self.used_ms.store(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A request was refused for the number of them; how many were so far, in a row.
    pub(super) fn refuse(&self) -> u32 {
        self.refused.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Requests that are open may end, and no more are taken.
    pub(super) fn end(&self) {
        self.over.notify_one();
    }

    /// A request was not.
    pub(super) fn accept(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// An answer is on its way.
    pub(super) fn watch(&self, deadline: &Arc<Deadline>) {
        let mut deadlines = self.deadlines.lock().unwrap_or_else(PoisonError::into_inner);
        // As many as answers are on their way at once, at most.
        deadlines.retain(|deadline| deadline.strong_count() > 0);
        deadlines.push(Arc::downgrade(deadline));
    }

    /// True when the client did not take an answer in time.
    fn is_overdue(&self) -> bool {
        let deadlines = self.deadlines.lock().unwrap_or_else(PoisonError::into_inner);
        deadlines.iter().filter_map(Weak::upgrade).any(|deadline| deadline.has_passed())
    }

    /// True while a request is open or an answer is on its way.
    fn is_busy(&self) -> bool {
        self.requests_open.load(Ordering::Relaxed) > 0
            || self.deadlines.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|deadline| deadline.strong_count() > 0)
    }

    /// True when there was no request for a while and no answer is on its way.
    fn is_idle(&self) -> bool {
        let used = Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        !self.is_busy() && self.start.elapsed().saturating_sub(used) > IDLE_TIME
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.requests_open.fetch_sub(1, Ordering::Relaxed);
        self.0.note_use();
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(site: Arc<Site>, stream: TcpStream, peer: IpAddr, place: ConnectionPlace, tls: Option<TlsAcceptor>) {
    let state = ConnectionState::new(peer, place);
    let (transport, is_http2) = match tls {
        None => (ClientTransport::Plain(stream), false),
        Some(tls) => match timeout(HANDSHAKE_TIME, shake_hands(stream, &tls)).await {
            Ok(Some((transport, is_http2))) => (transport, is_http2),
            Ok(None) | Err(_) => {
                count(&site.counters.handshakes_failed);
                return;
            }
        },
    };
    let stream = TokioIo::new(ClientStream::new(transport, Arc::clone(&site.counters)));
    let (serving, serving_state) = (Arc::clone(&site), Arc::clone(&state));
    let service = service_fn(move |request| {
        let (site, state) = (Arc::clone(&serving), Arc::clone(&serving_state));
        async move { Ok::<_, Infallible>(service::answer(&site, &state, request).await) }
    });
    if is_http2 {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_BYTES_MAX as u32)
            .max_send_buf_size(BUFFER_BYTES)
            .initial_stream_window_size(BUFFER_BYTES as u32)
            .initial_connection_window_size(4 * BUFFER_BYTES as u32);
        drive(&site, &state, http.serve_connection(stream, service), |connection| connection.graceful_shutdown()).await;
    } else {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_headers(HEADERS_MAX)
            .max_header_size(HEADER_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES);
        let connection = http.serve_connection(stream, service).with_upgrades();
        drive(&site, &state, connection, |connection| connection.graceful_shutdown()).await;
    }
}

/// The connection behind TLS, and true for HTTP/2; `None` without a handshake.
async fn shake_hands(stream: TcpStream, tls: &TlsAcceptor) -> Option<(ClientTransport, bool)> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0] != TLS_HANDSHAKE {
        // It fits into the socket's buffer, or is not read by anybody.
        let _told = stream.try_write(TLS_PORT);
        // What was not read would make the kernel take back what was written.
        let _rest = stream.try_read(&mut [0; 4096]);
        return None;
    }
    let stream = tls.accept(stream).await.ok()?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Some((ClientTransport::Tls(Box::new(stream)), is_http2))
}

/// Drives the connection, and ends it when its time is over. `end` lets it finish its requests and take no more.
async fn drive<C: Future<Output = hyper::Result<()>>>(site: &Site, state: &ConnectionState, connection: C, end: fn(Pin<&mut C>)) {
    let mut connection = pin!(connection);
    let (mut look, mut ending) = (interval(LOOK_INTERVAL), site.ending.clone());
    let mut end_by: Option<tokio::time::Instant> = None;
    loop {
        tokio::select! {
            done = connection.as_mut() => {
                match done {
                    Err(error) if error.is_timeout() => count(&site.counters.header_timeouts),
                    Err(error) if error.is_parse() => count(&site.counters.malformed),
                    // The client went away, or was cut off and counted.
                    _ => {}
                }
                return;
            }
            () = ended(&mut ending), if end_by.is_none() => {
                end(connection.as_mut());
                // Browsers have connections in store, on which nothing was asked.
                end_by = Some(tokio::time::Instant::now() + if state.is_busy() { STOP_TIME } else { LAST_WRITE_TIME });
            }
            () = state.over.notified(), if end_by.is_none() => {
                end(connection.as_mut());
                end_by = Some(tokio::time::Instant::now() + STOP_TIME);
            }
            () = sleep_until(end_by.unwrap_or_else(tokio::time::Instant::now)), if end_by.is_some() => return,
            _ = look.tick() => {
                if state.is_overdue() {
                    count(&site.counters.slow_readers);
                    return;
                }
                if end_by.is_none() && state.is_idle() {
                    end(connection.as_mut());
                    end_by = Some(tokio::time::Instant::now() + STOP_TIME);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_on_a_tls_port_is_whole() {
        let text = std::str::from_utf8(TLS_PORT).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
