//! The bytes of a connection, with TLS or without: a client that takes nothing for [`WRITE_TIME`] is cut off.
//!
//! Owns that time. Knows no HTTP. Invariant: whoever writes to it never waits longer for a client that takes nothing.

use super::counts::{ServerCounters, count};
use super::limits::WRITE_TIME;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

/// A connection.
pub(super) struct ClientStream {
    transport: ClientTransport,
    /// Runs while the client takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
    counters: Arc<ServerCounters>,
}

/// What carries it.
pub(super) enum ClientTransport {
    /// TCP.
    Plain(TcpStream),
    /// TLS over it.
    Tls(Box<TlsStream<TcpStream>>),
}

impl ClientStream {
    /// Over this transport.
    pub(super) const fn new(transport: ClientTransport, counters: Arc<ServerCounters>) -> Self {
        Self { transport, stuck: None, counters }
    }

    /// The result of a write, or an error when it waits for too long.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(WRITE_TIME)));
        if stuck.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        count(&self.counters.slow_readers);
        self.stuck = None;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            ClientTransport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            ClientTransport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            ClientTransport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            ClientTransport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.in_time(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            ClientTransport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            ClientTransport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        };
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            ClientTransport::Plain(stream) => stream.is_write_vectored(),
            ClientTransport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.transport {
            ClientTransport::Plain(stream) => Pin::new(stream).poll_flush(context),
            ClientTransport::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        self.in_time(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = match &mut self.transport {
            ClientTransport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            ClientTransport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        };
        self.in_time(closed, context)
    }
}
