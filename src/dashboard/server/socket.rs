//! A WebSocket client: frames to it, messages from it.
//!
//! Owns its pace. Knows no message. Invariants: a slow client skips frames and holds up nobody; whatever it does, its memory is bounded and its end comes.

use super::counts::{add, count};
use super::frame_limit::FrameLimit;
use super::limits::{MESSAGE_BYTES_MAX, PING_INTERVAL, SOCKET_CLOSE_TIME, SOCKET_SILENCE, SOCKET_WRITE_TIME};
use super::site::{Looker, Site, ended};
use crate::dashboard::{PageFrame, Role, SocketReply, SocketSession};
use bytes::Bytes;
use futures_util::stream::FusedStream as _;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role as SocketRole, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, Utf8Bytes};

/// Why a client is left: it went, or this is told.
type SocketEnd = Option<(CloseCode, &'static str)>;

type ClientSocket = WebSocketStream<FrameLimit<TokioIo<Upgraded>>>;

/// A client that was taken.
struct SocketClient {
    site: Arc<Site>,
    socket: ClientSocket,
    session: Box<dyn SocketSession>,
    looker: Looker,
    frames: watch::Receiver<Arc<PageFrame>>,
    heard: Instant,
    /// The latest frame that was sent.
    frame_seq: u64,
}

/// Serves a client until its end.
pub(super) async fn serve(site: Arc<Site>, upgraded: Upgraded, role: Role) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(usize::MAX);
    // A message is written before the next one is made, so there is one at a time.
    let stream = FrameLimit::new(TokioIo::new(upgraded), Instant::now());
    let socket = WebSocketStream::from_raw_socket(stream, SocketRole::Server, Some(config)).await;
    let (mut frames, ending) = (site.api.frames(), site.ending.clone());
    // Before the interface knows that somebody looks: what it makes from then on is new.
    frames.mark_unchanged();
    let (hello, session) = (site.api.hello(role), site.api.session(role));
    let (looker, now) = (Looker::new(&site), Instant::now());
    let mut client = SocketClient { site, socket, session, looker, frames, heard: now, frame_seq: 0 };
    let left = match client.send(Message::text(hello)).await {
        Ok(()) => client.talk(ending).await.unwrap_or_else(|left| left),
        Err(left) => left,
    };
    client.close(left).await;
}

impl SocketClient {
    /// Until one side wants no more.
    async fn talk(&mut self, mut ending: watch::Receiver<bool>) -> Result<SocketEnd, SocketEnd> {
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_frames = true;
        loop {
            tokio::select! {
                biased;
                () = ended(&mut ending) => return Ok(Some((CloseCode::Away, "the server ends"))),
                message = self.socket.next() => match message {
                    None => return Ok(None),
                    Some(message) => self.take(message).await?,
                },
                _ = pings.tick() => {
                    if self.heard.elapsed() > SOCKET_SILENCE {
                        count(&self.site.counters.sockets_silent);
                        return Ok(None);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                changed = self.frames.changed(), if has_frames => {
                    has_frames = changed.is_ok();
                    let frame = Arc::clone(&self.frames.borrow_and_update());
                    self.frame(&frame).await?;
                }
            }
        }
    }

    /// Sends a frame, as far as it is there and wanted.
    async fn frame(&mut self, frame: &PageFrame) -> Result<(), SocketEnd> {
        if frame.json.is_empty() || !self.looker.is_looking() {
            self.frame_seq = frame.seq;
            return Ok(());
        }
        if self.frame_seq > 0 {
            add(&self.site.counters.frames_skipped, frame.seq.saturating_sub(self.frame_seq + 1));
        }
        self.frame_seq = frame.seq;
        let json = self.session.frame(frame);
        let text = Utf8Bytes::try_from(json).map_err(|_| Some((CloseCode::Error, "a frame is no UTF-8")))?;
        self.send(Message::Text(text)).await?;
        count(&self.site.counters.frames_sent);
        Ok(())
    }

    /// Takes what came from the client.
    async fn take(&mut self, message: Result<Message, SocketError>) -> Result<(), SocketEnd> {
        self.heard = Instant::now();
        let message = match message {
            Ok(message) => message,
            Err(SocketError::Capacity(_)) => return Err(self.misbehaved(CloseCode::Size, "a message has 64 KiB at most")),
            Err(SocketError::Protocol(_)) => return Err(self.misbehaved(CloseCode::Protocol, "this is no WebSocket")),
            Err(SocketError::Utf8(_)) => return Err(self.misbehaved(CloseCode::Invalid, "a text is no UTF-8")),
            Err(_) if self.socket.get_ref().is_over() => return Err(self.misbehaved(CloseCode::Policy, "too many messages")),
            Err(_) => return Err(None),
        };
        match message {
            Message::Text(text) => match self.session.message(&text) {
                SocketReply::None | SocketReply::Subscribed => Ok(()),
                SocketReply::Message(reply) => self.send(Message::text(reply)).await,
                SocketReply::Hidden(is_hidden) => {
                    if !self.looker.is_looking() {
                        // As at the beginning.
                        self.frames.mark_unchanged();
                    }
                    self.looker.set(!is_hidden);
                    Ok(())
                }
                SocketReply::Close(error) => {
                    self.send(Message::text(error)).await?;
                    Err(self.misbehaved(CloseCode::Policy, "see the error before"))
                }
            },
            Message::Binary(_) => Err(self.misbehaved(CloseCode::Unsupported, "messages are text")),
            Message::Close(_) => Err(None),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn misbehaved(&self, code: CloseCode, why: &'static str) -> SocketEnd {
        count(&self.site.counters.sockets_misbehaved);
        Some((code, why))
    }

    /// Sends a message within [`SOCKET_WRITE_TIME`].
    async fn send(&mut self, message: Message) -> Result<(), SocketEnd> {
        match timeout(SOCKET_WRITE_TIME, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => {
                count(&self.site.counters.sockets_slow);
                Err(None)
            }
        }
    }

    /// Says why, and waits a little for the answer to it.
    async fn close(mut self, left: SocketEnd) {
        self.looker.set(false);
        let Some((code, why)) = left else { return };
        // What comes is not looked at any more, and only for a moment.
        self.socket.get_mut().stop_counting();
        let was_broken = self.socket.is_terminated();
        let closing = async {
            // Whoever is gone is not told.
            if self.socket.close(Some(CloseFrame { code, reason: why.into() })).await.is_err() {
                return;
            }
            let mut last = self.socket.next().await;
            while matches!(last, Some(Ok(_))) {
                last = self.socket.next().await;
            }
            if was_broken || matches!(last, Some(Err(SocketError::Capacity(_) | SocketError::Protocol(_) | SocketError::Utf8(_))))
            {
                // What is not read would make the kernel take back what was told.
                let mut rest = [0; 4096];
                while self.socket.get_mut().read(&mut rest).await.is_ok_and(|count| count > 0) {}
            }
        };
        let _gone = timeout(SOCKET_CLOSE_TIME, closing).await;
    }
}
