//! The hot side at work: workers on their sources, and the boxes by which they talk to the cold side.
//!
//! Owns threads, mailboxes, time and the loss ledger. Knows no output. Its invariant: a packet is counted by one thread
//! alone, and only snapshots, ended flows and copies leave that thread, and at the end what is still alive.

mod address_names;
mod announcement;
mod best_flows;
mod burst_meter;
mod clock;
mod detecting;
mod directions;
mod drive;
mod flight_sender;
mod launch;
mod ledger;
mod mailbox;
mod observer;
mod outbox;
mod packet_budget;
mod packet_meta;
mod progress;
mod reader;
mod recorder;
mod request;
mod sample_quota;
mod scheduler;
mod seen_flows;
mod share;
mod snapshot;
mod tap;
mod tap_sender;
mod tick_meter;
mod unit_fragments;
mod work_unit;
mod worker;

pub use address_names::{AddressName, AddressNames};
pub use announcement::Announcement;
pub use best_flows::{BestFlows, FlowTotals, SortKey, StateRank};
pub use burst_meter::{BurstMeter, BurstMetering};
pub use clock::Clock;
pub use detecting::{Detecting, Detection, EvidenceBox};
pub use directions::{DirectionCounts, TrafficDirection};
pub use drive::{Feed, Stop, drive};
pub use flight_sender::{FLIGHT_BOX_BYTES, FlightBox, FlightRing, FlightSender};
pub use launch::{EngineError, EngineSettings, LinkMetering, QueueMail, Running, Source, launch};
pub use ledger::{Ledger, NoFlowReason, ProtocolClass, TrafficCount};
pub use mailbox::{Parker, Receiver, Sender, mailbox, mailbox_to};
pub use observer::Observer;
pub use outbox::Outbox;
pub use packet_budget::{PacketBudget, StopGroup};
pub use progress::{Progress, WorkerProgress};
pub use reader::{Reader, share_read};
pub use recorder::{OnClosed, Recorder};
pub use request::{AnswerEnd, FlowAnswer, FlowQuery, LiveFlows, Predicate, RequestReceiver, RequestSender, requests};
pub use scheduler::{WorkerHandle, share_mapped};
pub use share::WorkerShare;
pub use snapshot::{BatchTimes, EndedChunk, EndedFlow, Snapshot, TapChunk, TapMark, TickEvidence};
pub use tap::{PacketConsumer, TapOrder, TapReceivers, consume};
pub use tap_sender::{TAP_FLOWS_MAX, TapFlows, TapPolicy, TapSender};
pub use tick_meter::{TickCounts, TickMeter};
pub use work_unit::WorkUnit;
pub use worker::{Worker, WorkerSettings};

pub use crate::flow::{SeenPacket, SeenRefusal};
