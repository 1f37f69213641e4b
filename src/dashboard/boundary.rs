//! What the server (connections, TLS, auth, limits) and the interface behind it (REST, frames) are to each other.
//!
//! Owns no logic. The server calls a [`PageApi`]; the interface knows no socket and no header beyond these types.

use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See everything but packets' bytes as a file.
    Look,
    /// The same, and download packets, acknowledge and mute alerts.
    Download,
}

/// Methods that some route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD, of which the server drops the body.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

/// A request that passed the server's checks: authenticated, its Host and Origin allowed, its body within the limit.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    /// What is to be done.
    pub method: Method,
    /// The path behind the prefix, percent-decoded, starting with `/`.
    pub path: String,
    /// The query's pairs in order, percent-decoded.
    pub query: Vec<(String, String)>,
    /// The body; empty without one.
    pub body: Bytes,
    /// The value of `Accept`, empty without one.
    pub accept: String,
    /// Who asks.
    pub role: Role,
    /// The user's name, or the token's; `None` without auth.
    pub user: Option<String>,
}

/// The body of an answer.
pub enum ApiBody {
    /// All of it.
    Full(Bytes),
    /// Parts as they come; an error ends the connection, so that nobody takes half a file for a whole one.
    Stream(mpsc::Receiver<std::io::Result<Bytes>>),
}

/// An answer.
pub struct ApiResponse {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers. The server adds those that every answer has (caching, security, length).
    pub headers: Vec<(&'static str, String)>,
    /// The body; the server compresses it where that is worth it and the client takes it.
    pub body: ApiBody,
}

/// A frame for all clients, made once per tick.
#[derive(Clone, Debug, Default)]
pub struct PageFrame {
    /// Its number, from 1; 0: there was none yet.
    pub seq: u64,
    /// The message without packets, JSON; empty where nobody looked when it was made.
    pub json: Bytes,
}

/// What becomes of a client's message.
pub enum SocketReply {
    /// Nothing is said.
    None,
    /// One message to this client.
    Message(String),
    /// From now on, frames have the packets that match, or none.
    Subscribed,
    /// Frames stop (true) or go on (false).
    Hidden(bool),
    /// The client broke the rules: an `error` message, then the connection is closed.
    Close(String),
}

/// A boxed future, as the trait is used as an object.
pub type Answering<'a> = Pin<Box<dyn Future<Output = ApiResponse> + Send + 'a>>;

/// The state of one WebSocket client that the interface keeps: its subscription.
pub trait SocketSession: Send {
    /// A text message came, at most 64 KiB.
    fn message(&mut self, text: &str) -> SocketReply;
    /// The frame as this client gets it: with the packets it subscribed to since its last one.
    fn frame(&mut self, frame: &PageFrame) -> Bytes;
}

/// The interface behind the server.
pub trait PageApi: Send + Sync {
    /// Answers a request for `/api/...` or `/metrics`. Never waits long without yielding.
    fn answer<'a>(&'a self, request: ApiRequest) -> Answering<'a>;
    /// The message that a new client gets first.
    fn hello(&self, role: Role) -> String;
    /// A new client.
    fn session(&self, role: Role) -> Box<dyn SocketSession>;
    /// Frames as they are made.
    fn frames(&self) -> watch::Receiver<Arc<PageFrame>>;
    /// How many clients look now; with none no frame is made.
    fn set_lookers(&self, count: usize);
}
