//! BPF programs in the kernel, by bpf(2) alone.
//!
//! Owns maps, loaded programs, test runs and links. Knows what a program is, not what it is for:
//! `netscope-bpf` makes them. Its one invariant: everything made here is held by a descriptor of this
//! process, so nothing stays behind when it ends, however it ends.

mod attached;
mod btf;
mod error;
mod link;
mod map;
mod program;
mod sys;

pub use attached::{Attached, program_name, programs_at};
pub use error::BpfError;
pub use link::{LinkState, Mode, XdpLink};
pub use map::Map;
pub use program::{Ingress, Loaded, TestRun, load_xdp};
