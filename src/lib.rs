//! NetScope: packet capture and flow analysis, run to completion on the core that received the packet.
//!
//! Modules, lowest first; each may use only those before it: `netscope_backends` ← [`wire`] ← [`flow`] ←
//! [`detect`] ← [`engine`] ← [`record`] ← [`query`] ← [`aggregate`] ← [`output`] ← `main`; [`config`] is used by `main` alone.
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod app;
pub mod config;
pub mod dashboard;
pub mod detect;
pub mod doctor;
pub mod engine;
pub mod flight;
pub mod flow;
pub mod output;
pub mod query;
pub mod record;
pub mod session;
pub mod wire;
