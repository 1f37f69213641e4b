//! The live page: its server, the REST interface, the WebSocket and the metrics.
//!
//! Owns a runtime of its own. Knows no flow table: reports, alerts and answers to questions come from the
//! aggregator. Invariant: no client makes the capture wait.

mod api;
mod boundary;
mod server;

pub use api::{
    Board, DoctorCall, PacketSampler, Page, PageFacts, PageHooks, PageOutput, PageSettings, PageSource, RecordStyle,
    ServerNumber, ServerNumbers,
};
pub use boundary::{Answering, ApiBody, ApiRequest, ApiResponse, Method, PageApi, PageFrame, Role, SocketReply, SocketSession};
pub use server::{
    OnServerNotice, PasswordError, RunningServer, SOCKETS_DEFAULT, Secret, SecretSource, Server, ServerAuth, ServerCounters,
    ServerCounts, ServerError, ServerSettings, ServerTls, TokenSettings, hash_password, is_host_name,
};
