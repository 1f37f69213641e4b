//! The live page: its server, the REST interface, the WebSocket and the metrics.
//!
//! Owns a runtime of its own. Knows no flow table: reports, alerts and answers to questions come from the
//! aggregator. Invariant: no client makes the capture wait.

mod boundary;

pub use boundary::{Answering, ApiBody, ApiRequest, ApiResponse, Frame, Method, PageApi, Role, SocketReply, SocketSession};
