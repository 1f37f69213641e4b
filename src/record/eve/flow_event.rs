//! The event `flow`: counters, times, why it ended, and the control bits of TCP.
//!
//! Owns the names of its members. Knows no payload.

use super::names::tcp_state;
use crate::flow::tcp::TcpState;
use crate::flow::{EndReason, FlowRecord};
use crate::record::calendar::push_iso;
use crate::record::fields::duration_ns;
use crate::record::members::JsonMembers;
use crate::record::oriented::Oriented;

const SECOND_NS: u64 = 1_000_000_000;

/// Names of the control bits, the lowest first.
const FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];

pub(super) fn push_counts(object: &mut JsonMembers<'_>, flow: &Oriented<'_>) {
    let record = flow.record;
    let ([to_server, to_client], [bytes_to_server, bytes_to_client]) = (flow.both(record.packets), flow.both(record.bytes));
    object.number("pkts_toserver", Some(to_server));
    object.number("pkts_toclient", Some(to_client));
    object.number("bytes_toserver", Some(bytes_to_server));
    object.number("bytes_toclient", Some(bytes_to_client));
    object.quoted("start", |text| push_iso(text, record.first_seen.0));
    object.quoted("end", |text| push_iso(text, record.last_seen.0));
    object.number("age", Some(duration_ns(record) / SECOND_NS));
    object.word("state", Some(state(record)));
    object.word("reason", Some(reason(record.reason)));
}

/// As a flow is there: new until both sides were heard, or a connection's handshake is over.
fn state(record: &FlowRecord) -> &'static str {
    match &record.tcp {
        Some(tcp) => match tcp.state {
            TcpState::Unknown | TcpState::SynSent | TcpState::SynAck => "new",
            TcpState::Established | TcpState::FinWait => "established",
            TcpState::Closed | TcpState::Reset => "closed",
        },
        None if record.packets.contains(&0) => "new",
        None => "established",
    }
}

/// A flow that is closed waits for a timeout there, too.
const fn reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Timeout | EndReason::Closed => "timeout",
        EndReason::Eviction | EndReason::ActiveTimeout => "forced",
        EndReason::Exit => "shutdown",
    }
}

pub(super) fn push_tcp(object: &mut JsonMembers<'_>, flow: &Oriented<'_>) {
    let (Some(tcp), Some([to_server, to_client])) = (&flow.record.tcp, flow.tcp_flags()) else { return };
    let all = to_server | to_client;
    for (name, flags) in [("tcp_flags", all), ("tcp_flags_ts", to_server), ("tcp_flags_tc", to_client)] {
        object.word(name, Some(&format!("{flags:02x}")));
    }
    for (bit, name) in FLAGS.into_iter().enumerate() {
        object.truth(name, Some(true).filter(|_| all >> bit & 1 == 1));
    }
    object.word("state", Some(tcp_state(tcp.detail)));
}
