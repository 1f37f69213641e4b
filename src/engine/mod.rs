//! The hot side at work: workers on their sources, and the boxes by which they talk to the cold side.
//!
//! Owns threads, mailboxes, time and the loss ledger. Knows no output. Its invariant: a packet is counted by one thread
//! alone, and only snapshots, ended flows and copies leave that thread, and at the end what is still alive.

mod broadcast;
mod clock;
mod drive;
mod lane;
mod launch;
mod ledger;
mod mailbox;
mod outbox;
mod peers;
mod progress;
mod recorder;
mod share;
mod snapshot;
mod stretch;
mod tap;
mod team;
mod worker;

pub use clock::Clock;
pub use drive::{Feed, Stop, drive};
pub use launch::{EngineError, EngineSettings, QueueMail, Running, Source, launch};
pub use ledger::{Ledger, Rest};
pub use mailbox::{Receiver, Sender, mailbox};
pub use outbox::Outbox;
pub use peers::{Allowance, Peers};
pub use progress::{Progress, ProgressLane};
pub use recorder::Recorder;
pub use share::Share;
pub use snapshot::{BatchTimes, EndedChunk, EndedFlow, Snapshot, TapChunk};
pub use stretch::Stretch;
pub use tap::{PacketConsumer, consume};
pub use team::{Member, team};
pub use worker::{Worker, WorkerSettings};
