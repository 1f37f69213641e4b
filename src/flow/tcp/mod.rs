//! TCP seen from outside: the state machine and the sequence analysis of one flow.

mod state;

pub use state::{TcpState, TcpStateDetail};
