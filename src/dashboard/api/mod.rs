//! The interface behind the server: REST, frames, metrics. `docs/http-api.md` describes it.
//!
//! Owns what the page knows of a run, and how it is told. Knows no socket, no flow table, no configuration. Invariants: the run waits
//! for nothing here; what is kept, what an answer holds and what is done at once is bounded.

mod alert_store;
mod alerts_route;
mod asking;
mod board;
mod capture;
mod downloads;
mod error;
mod filtering;
mod flow_name;
mod flow_rows;
mod flows_route;
mod frames;
mod graph;
mod grouping;
mod history_kept;
mod history_route;
mod ledger_json;
mod metrics;
mod mute_book;
mod packet_facts;
mod packet_store;
mod packets_route;
mod page;
mod page_output;
mod params;
mod process;
mod rates;
mod responding;
mod router;
mod service_names;
mod session;
mod setup;
mod status_route;
mod tick;
mod top;
mod unix;
mod window;

#[cfg(test)]
mod tests;

pub use board::Board;
pub use packet_store::PacketSampler;
pub use page::Page;
pub use page_output::PageOutput;
pub use setup::{DoctorCall, PageFacts, PageHooks, PageSettings, PageSource, RecordStyle, ServerNumber, ServerNumbers};
