//! The interface behind the server: requests, first messages, clients, frames.
//!
//! Owns the way from an endpoint to its answer. Knows no socket.

use super::board::Board;
use super::error::ApiError;
use super::router::{Endpoint, endpoint};
use super::session::PageSession;
use super::{alerts_route, flows_route, packets_route, status_route};
use crate::dashboard::{Answering, ApiRequest, ApiResponse, PageApi, PageFrame, Role, SocketSession};
use std::sync::Arc;
use tokio::sync::watch;

/// The page of a run.
pub struct Page(Arc<Board>);

impl Page {
    /// The page that shows this.
    pub const fn new(board: Arc<Board>) -> Self {
        Self(board)
    }

    async fn respond(&self, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
        let board = &self.0;
        let (endpoint, id) = endpoint(request.method, &request.path, request.role)?;
        match endpoint {
            Endpoint::Health => status_route::health(request),
            Endpoint::Status => status_route::status(board, request),
            Endpoint::Flows => flows_route::list(board, request).await,
            Endpoint::Flow => flows_route::one(board, request, id).await,
            Endpoint::Graph => super::graph::answer(board, request).await,
            Endpoint::Top => super::top::answer(board, request).await,
            Endpoint::History => super::history_route::answer(board, request).await,
            Endpoint::Alerts => alerts_route::list(board, request),
            Endpoint::Acknowledge => alerts_route::acknowledge(board, request, id),
            Endpoint::Unacknowledge => alerts_route::unacknowledge(board, request, id),
            Endpoint::Mutes => alerts_route::mutes(board, request),
            Endpoint::AddMute => alerts_route::add_mute(board, request),
            Endpoint::RemoveMute => alerts_route::remove_mute(board, request, id),
            Endpoint::Packets => packets_route::list(board, request).await,
            Endpoint::Packet => packets_route::one(board, request, id).await,
            Endpoint::Capture => super::capture::answer(board, request).await,
            Endpoint::Fields => status_route::fields(board, request),
            Endpoint::Complete => status_route::complete(board, request),
            Endpoint::Config => status_route::config(board, request),
            Endpoint::Doctor => status_route::doctor(board, request).await,
            Endpoint::Metrics => super::metrics::answer(board, request).await,
        }
    }
}

impl PageApi for Page {
    fn answer<'a>(&'a self, request: ApiRequest) -> Answering<'a> {
        Box::pin(async move { self.respond(&request).await.unwrap_or_else(ApiError::response) })
    }

    fn hello(&self, role: Role) -> String {
        status_route::hello(&self.0, role).to_string()
    }

    fn session(&self, _role: Role) -> Box<dyn SocketSession> {
        Box::new(PageSession::new(Arc::clone(&self.0)))
    }

    fn frames(&self) -> watch::Receiver<Arc<PageFrame>> {
        self.0.frames()
    }

    fn set_lookers(&self, count: usize) {
        self.0.set_lookers(count);
    }
}
