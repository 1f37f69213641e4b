//! The least that can answer behind the server: health, and a client's first message.
//!
//! Owns nothing. Invariant: it never says what it does not know.

use netscope::dashboard::{
    Answering, ApiBody, ApiRequest, ApiResponse, Frame, Method, PageApi, Role, SocketReply, SocketSession,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Knows that the program runs, and how long a tick is.
pub struct MinimalPage {
    tick: Duration,
    frames: watch::Sender<Arc<Frame>>,
}

impl MinimalPage {
    /// With this tick.
    pub fn new(tick: Duration) -> Self {
        Self { tick, frames: watch::Sender::default() }
    }
}

impl PageApi for MinimalPage {
    fn answer<'a>(&'a self, request: ApiRequest) -> Answering<'a> {
        Box::pin(async move {
            let (status, content_type, body) = match (request.method, request.path.as_str()) {
                (Method::Get, "/api/health") => (200, "text/plain; charset=utf-8", "ok".to_owned()),
                _ => {
                    let error = serde_json::json!({"error": {"code": "not_found", "message": "there is nothing here"}});
                    (404, "application/json", error.to_string())
                }
            };
            ApiResponse { status, content_type, headers: Vec::new(), body: ApiBody::Full(body.into()) }
        })
    }

    fn hello(&self, role: Role) -> String {
        let role = if role == Role::Download { "download" } else { "look" };
        let tick_ms = u64::try_from(self.tick.as_millis()).unwrap_or(u64::MAX);
        serde_json::json!({"type": "hello", "version": env!("CARGO_PKG_VERSION"), "tick_ms": tick_ms, "role": role}).to_string()
    }

    fn session(&self, _role: Role) -> Box<dyn SocketSession> {
        Box::new(MinimalSession)
    }

    fn frames(&self) -> watch::Receiver<Arc<Frame>> {
        self.frames.subscribe()
    }

    fn set_lookers(&self, _count: usize) {}
}

struct MinimalSession;

impl SocketSession for MinimalSession {
    fn message(&mut self, _text: &str) -> SocketReply {
        let error = serde_json::json!({"type": "error", "code": "bad_request", "message": "this message is not known"});
        SocketReply::Message(error.to_string())
    }

    fn frame(&mut self, frame: &Frame) -> bytes::Bytes {
        frame.json.clone()
    }
}
