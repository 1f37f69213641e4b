//! The WebSocket's messages: what one client subscribed to, and answers to what it asks.
//!
//! Owns a client's subscription. Knows no socket. Invariant: a message of any bytes gives an answer or an error, never a panic.

use super::board::Board;
use super::error::ApiError;
use super::filtering::PageFilter;
use super::frames::{LOOKED_AT_MAX, PACKETS_MAX, last_id, latest, with_packets};
use super::packet_facts::{SampledPacket, gone_detail};
use super::unix::now;
use crate::dashboard::{PageFrame, SocketReply, SocketSession};
use bytes::Bytes;
use netscope_backends::LinkType;
use netscope_backends::filter::FilterSet;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Longest expression of pcap-filter(7), in bytes: libpcap compiles it while the client waits.
pub const BPF_LEN_MAX: usize = 1024;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    GetPacketDetail { id: u64 },
    PerfPing { client_ts: f64 },
    Subscribe { packets: bool, filter: Option<String>, bpf: Option<String> },
    Hidden { hidden: bool },
}

/// Packets that a client gets.
struct PacketSubscription {
    filter: PageFilter,
    bpf: Option<FilterSet>,
    /// The latest packet that it got, or was passed over.
    last: u64,
}

/// One client.
pub struct PageSession {
    board: Arc<Board>,
    subscription: Option<PacketSubscription>,
}

impl PageSession {
    pub(super) const fn new(board: Arc<Board>) -> Self {
        Self { board, subscription: None }
    }

    fn subscribe(&mut self, filter: Option<&str>, bpf: Option<&str>) -> Result<(), ApiError> {
        let filter = PageFilter::parse(filter)?;
        let bpf = bpf.filter(|text| !text.trim().is_empty()).map(compiled).transpose()?;
        let (seen, _) = self.board.packets.counts();
        self.subscription = Some(PacketSubscription { filter, bpf, last: seen });
        Ok(())
    }
}

/// An expression of pcap-filter(7). Names of hosts are refused: whoever may ask could make this host ask its name server, and the thread
/// would wait for that.
///
/// # Errors
/// The name, or libpcap's reason.
pub fn compiled(text: &str) -> Result<FilterSet, ApiError> {
    if text.len() > BPF_LEN_MAX {
        return Err(ApiError::bad_request(format!("a BPF expression has at most {BPF_LEN_MAX} bytes")));
    }
    FilterSet::without_names(text, LinkType::ETHERNET).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        ApiError::bad_request(why)
    })
}

fn error_message(error: &ApiError) -> SocketReply {
    SocketReply::Message(json!({"type": "error", "code": error.code(), "message": error.message()}).to_string())
}

impl SocketSession for PageSession {
    fn message(&mut self, text: &str) -> SocketReply {
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => return error_message(&ApiError::bad_request(format!("the message is not understood: {error}"))),
        };
        match message {
            ClientMessage::GetPacketDetail { id } => {
                let detail = self.board.packets.get(id).map_or_else(|| gone_detail(id), |packet| packet.detail());
                SocketReply::Message(detail.to_string())
            }
            ClientMessage::PerfPing { client_ts } => {
                let server_ts = now().0 as f64 / 1e6;
                SocketReply::Message(json!({"type": "perf_pong", "client_ts": client_ts, "server_ts": server_ts}).to_string())
            }
            ClientMessage::Subscribe { packets: false, .. } => {
                self.subscription = None;
                SocketReply::Subscribed
            }
            ClientMessage::Subscribe { filter, bpf, .. } => match self.subscribe(filter.as_deref(), bpf.as_deref()) {
                Ok(()) => SocketReply::Subscribed,
                Err(error) => error_message(&error),
            },
            ClientMessage::Hidden { hidden } => SocketReply::Hidden(hidden),
        }
    }

    fn frame(&mut self, frame: &PageFrame) -> Bytes {
        let Some(PacketSubscription { filter, bpf, last }) = self.subscription.as_mut().filter(|_| !frame.json.is_empty()) else {
            return frame.json.clone();
        };
        let (packets, not_looked_at) = self.board.packets.after(*last, LOOKED_AT_MAX);
        *last = last_id(&packets, *last);
        let info = self.board.packets.info();
        let fits = |packet: &&Arc<SampledPacket>| {
            filter.matches_packet(&packet.summary(info).subject) && bpf.as_mut().is_none_or(|bpf| bpf.matches(&packet.packet()))
        };
        let fitting: Vec<&Arc<SampledPacket>> = packets.iter().filter(fits).collect();
        let left_out = not_looked_at + fitting.len().saturating_sub(PACKETS_MAX) as u64;
        with_packets(&frame.json, latest(fitting).into_iter().map(|packet| packet.summary(info).json.as_str()), left_out)
    }
}
