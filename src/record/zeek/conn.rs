//! The log `conn`: every flow, how it went, how much it was.
//!
//! Owns `conn_state`, as Zeek's own script tells it from the states of both ends. Knows no payload beyond the name of its protocol.

use super::names::{proto, service};
use super::row::ZeekRow;
use super::{ToldFlow, columns::ZeekType};
use crate::detect::LocalNetworks;
use crate::flow::tcp::TcpState;
use crate::record::fields::{Exported, duration_ns, vlan_ids};
use crate::record::oriented::Oriented;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

pub(super) fn push(
    mut row: ZeekRow<'_>,
    exported: &Exported<'_>,
    flow: &Oriented<'_>,
    told: &ToldFlow<'_>,
    local: &LocalNetworks,
) {
    let record = flow.record;
    let protocol = record.key.protocol();
    let ([orig_packets, resp_packets], [orig_bytes, resp_bytes]) = (flow.both(record.packets), flow.payload_bytes());
    row.word(proto(protocol));
    row.string(told.protocol.map(service));
    row.interval(Some(duration_ns(record)).filter(|&ns| ns > 0));
    row.count(orig_bytes);
    row.count(resp_bytes);
    row.string(Some(state(flow).as_bytes()));
    for (ip, _) in [flow.client, flow.server] {
        row.truth(Some(local.contains(ip.into())));
    }
    row.unset(&["missed_bytes"]);
    // Which came first is known of UDP alone.
    let history = match (protocol, orig_packets, resp_packets) {
        (UDP, 1.., 1..) => Some(b"Dd".as_slice()),
        (UDP, 1.., 0) => Some(b"D".as_slice()),
        _ => None,
    };
    row.string(history);
    row.count(Some(orig_packets));
    row.unset(&["orig_ip_bytes"]);
    row.count(Some(resp_packets));
    row.unset(&["resp_ip_bytes"]);
    row.strings(ZeekType::StringSet, None::<std::iter::Empty<&[u8]>>);
    row.count(Some(protocol.into()));
    let mut vlans = vlan_ids(record).iter().map(|&id| u64::from(id));
    row.int(vlans.next());
    row.int(vlans.next());
    row.string(Some(exported.community_id().as_bytes()));
    row.close();
}

/// How far both ends came.
pub(super) fn state(flow: &Oriented<'_>) -> &'static str {
    let [orig_packets, resp_packets] = flow.both(flow.record.packets);
    match (flow.tcp_flags(), &flow.record.tcp, flow.record.key.protocol()) {
        (Some(flags), Some(tcp), TCP) => tcp_state(flags, tcp.state, resp_packets, flow.payload_bytes()),
        (_, _, UDP) => match (orig_packets > 0, resp_packets > 0) {
            (true, true) => "SF",
            (true, false) => "S0",
            (false, true) => "SHR",
            (false, false) => "OTH",
        },
        _ => "OTH",
    }
}

/// The same of TCP: `flags` are those seen from originator and responder. An end without a SYN began before the capture, or never spoke.
fn tcp_state([orig, resp]: [u8; 2], state: TcpState, resp_packets: u64, payload: [Option<u64>; 2]) -> &'static str {
    let has = |flags: u8, flag: u8| flags & flag != 0;
    let (orig_began, resp_began) = (has(orig, SYN), has(resp, SYN));
    if state == TcpState::Closed {
        return "SF";
    }
    if state == TcpState::Reset && has(resp, RST) {
        return match orig_began {
            _ if has(orig, RST) && payload == [Some(0); 2] => "REJ",
            true if resp_began => "RSTR",
            true => "REJ",
            false => "RSTRH",
        };
    }
    if has(orig, RST) {
        return match resp_began {
            true => "RSTO",
            false if orig_began => "RSTOS0",
            false => "OTH",
        };
    }
    match (has(orig, FIN), has(resp, FIN)) {
        (true, true) => "SF",
        (true, false) if resp_began => "S2",
        (true, false) => "SH",
        (false, true) if orig_began => "S3",
        (false, true) => "SHR",
        (false, false) if orig_began && resp_began => "S1",
        (false, false) if orig_began && resp_packets == 0 => "S0",
        (false, false) => "OTH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_those_of_the_ends() {
        let none = [None; 2];
        for (flags, state, resp_packets, payload, expected) in [
            ([0x02, 0x00], TcpState::SynSent, 0, none, "S0"),
            ([0x02, 0x12], TcpState::SynAck, 1, none, "S1"),
            ([0x1a, 0x1a], TcpState::Established, 9, none, "S1"),
            ([0x1b, 0x1b], TcpState::Closed, 9, none, "SF"),
            ([0x1b, 0x1f], TcpState::Closed, 9, none, "SF"),
            ([0x11, 0x11], TcpState::Closed, 9, none, "SF"),
            ([0x02, 0x14], TcpState::Reset, 1, none, "REJ"),
            ([0x06, 0x16], TcpState::Reset, 2, [Some(0); 2], "REJ"),
            ([0x06, 0x16], TcpState::Reset, 2, none, "RSTR"),
            ([0x1b, 0x1a], TcpState::FinWait, 9, none, "S2"),
            ([0x1a, 0x1b], TcpState::FinWait, 9, none, "S3"),
            ([0x1e, 0x1a], TcpState::Reset, 9, none, "RSTO"),
            ([0x1a, 0x1e], TcpState::Reset, 9, none, "RSTR"),
            ([0x06, 0x00], TcpState::Reset, 0, none, "RSTOS0"),
            ([0x00, 0x16], TcpState::Reset, 2, none, "RSTRH"),
            ([0x03, 0x00], TcpState::FinWait, 0, none, "SH"),
            ([0x00, 0x13], TcpState::FinWait, 2, none, "SHR"),
            ([0x18, 0x18], TcpState::Established, 9, none, "OTH"),
            ([0x00, 0x12], TcpState::SynAck, 1, none, "OTH"),
            ([0x14, 0x10], TcpState::Reset, 3, none, "OTH"),
        ] {
            assert_eq!(tcp_state(flags, state, resp_packets, payload), expected, "{flags:x?} {state:?}");
        }
    }
}
