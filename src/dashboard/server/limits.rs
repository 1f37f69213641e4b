//! Every limit of the server, in one place; `docs/dashboard.md` has the same list.
//!
//! Owns numbers. Invariant: reaching one of them is counted in [`super::ServerCounts`].

use std::time::Duration;

/// Connections at once.
pub(super) const CONNECTIONS_MAX: usize = 256;
/// Connections of one client address (of a /64 in IPv6).
pub(super) const CONNECTIONS_PER_CLIENT_MAX: usize = 64;
/// The same for trusted proxies, and for loopback, where one may be: it stands for many people.
pub(super) const CONNECTIONS_OF_PROXY_MAX: usize = 192;
/// For a TLS handshake, and for the first byte of a connection.
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// For a request's headers, from the end of the request before: also how long HTTP/1.1 is kept alive.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(15);
/// Headers of a request.
pub(super) const HEADERS_MAX: usize = 64;
/// Bytes of a request's headers with its first line.
pub(super) const HEADER_BYTES_MAX: usize = 16 << 10;
/// Bytes of a path.
pub(super) const PATH_BYTES_MAX: usize = 2048;
/// Bytes of a query.
pub(super) const QUERY_BYTES_MAX: usize = 8192;
/// Pairs of a query.
pub(super) const QUERY_PAIRS_MAX: usize = 64;
/// Bytes of a request's body.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;
/// For a request's body.
pub(super) const BODY_TIME: Duration = Duration::from_secs(10);
/// Until an answer begins.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(60);
/// For the client to take a whole answer, or the next part of a stream, whatever the protocol.
pub(super) const TAKE_TIME: Duration = Duration::from_secs(120);
/// For the client to take anything of what is written.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(20);
/// An HTTP/2 connection without a request is closed after this time.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(60);
/// How often the times of a connection are looked at.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Requests of one HTTP/2 connection at once.
pub(super) const STREAMS_MAX: u32 = 64;
/// Requests to the interface at once.
pub(super) const ANSWERS_MAX: usize = 32;
/// Bytes of answers that clients have not taken yet.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What a download counts as among these: the pieces that may wait on their way to the client.
pub(super) const STREAM_BYTES: usize = 512 << 10;
/// Answers up to this size are sent as they are.
pub(super) const COMPRESS_BYTES_MIN: usize = 1024;
/// Requests per second of one client, pages' files left out.
pub(super) const REQUESTS_PER_SEC: u32 = 50;
/// Requests that a client that was silent may send at once.
pub(super) const REQUEST_BURST: u32 = 200;
/// Loopback may do so many times as much, as a proxy there may stand for many people.
pub(super) const LOOPBACK_FACTOR: u32 = 4;
/// A connection on which so many requests in a row were refused for their number is closed.
pub(super) const REFUSED_IN_A_ROW_MAX: u32 = 100;
/// Clients that are told apart; the others share one account.
pub(super) const CLIENTS_KNOWN_MAX: usize = 4096;
/// Wrong credentials in a row before a client has to wait.
pub(super) const FAILURE_BURST: u32 = 10;
/// Seconds after which it may try again.
pub(super) const FAILURE_SECS: u32 = 6;
/// Passwords whose hash waits to be computed.
pub(super) const PASSWORDS_WAITING_MAX: usize = 8;
/// WebSocket clients at once, unless `web.clients` says otherwise.
pub const SOCKETS_DEFAULT: usize = 64;
/// Bytes of a WebSocket message from a client.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// WebSocket frames per second of a client.
pub(super) const MESSAGES_PER_SEC: u32 = 20;
/// Those that a silent client may send at once.
pub(super) const MESSAGE_BURST: u32 = 100;
/// Between two pings.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A WebSocket client of which nothing was heard for this time is gone.
pub(super) const SOCKET_SILENCE: Duration = Duration::from_secs(65);
/// For a WebSocket client to take a message.
pub(super) const SOCKET_WRITE_TIME: Duration = Duration::from_secs(10);
/// For a WebSocket client to answer that it closes, too.
pub(super) const SOCKET_CLOSE_TIME: Duration = Duration::from_secs(2);
/// For open requests at the end.
pub(super) const STOP_TIME: Duration = Duration::from_secs(5);
/// For what is still to be written on a connection without an open request, at the end.
pub(super) const LAST_WRITE_TIME: Duration = Duration::from_millis(200);
/// A link to log in counts so long.
pub(super) const LINK_TIME: Duration = Duration::from_secs(600);
/// A session by such a link lasts so long.
pub(super) const SESSION_TIME: Duration = Duration::from_secs(12 * 3600);
/// How often the files of a certificate are looked at.
pub(super) const TLS_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// After a connection could not be taken (no descriptors, say).
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Threads of the server.
pub(super) const THREADS: usize = 2;
/// Threads for what takes long: passwords, compression, tables, downloads. A download holds one at its client's pace; there are six of these at most
/// (`api/downloads.rs`), so that others are left.
pub(super) const BLOCKING_THREADS: usize = 12;
/// Sessions at once; a new one ends the oldest.
pub(super) const SESSIONS_MAX: usize = 64;
