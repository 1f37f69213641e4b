//! Frames: the message that all clients get, and what one client's packets add to it.
//!
//! Owns the bounds of a message. Knows no socket. Invariant: a frame's JSON ends with an empty list of packets, so a client without a
//! subscription gets the shared bytes as they are.

use super::packet_facts::SampledPacket;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

/// Alerts in a frame; of more it is said how many.
pub const ALERTS_MAX: usize = 50;
/// Packets in a frame for one client; of more, the latest are sent.
pub const PACKETS_MAX: usize = 100;
/// Packets that are looked at for a frame of one client; of more, the latest are.
pub const LOOKED_AT_MAX: usize = 2000;
/// How a frame without packets ends.
const END: &str = "\"packets\":[],\"packets_left_out\":0}";
/// What of that is behind the packets.
const BEHIND: &[u8] = b"],\"packets_left_out\":0}";

/// The message for all.
pub fn frame_message(seq: u64, tick: &Value, alerts: Vec<Value>, alerts_left_out: usize) -> Bytes {
    let alerts = Value::Array(alerts);
    format!(
        "{{\"type\":\"frame\",\"frame_seq\":{seq},\"tick\":{tick},\"alerts\":{alerts},\"alerts_left_out\":{alerts_left_out},{END}"
    )
    .into()
}

/// The message for a client that gets these packets, given as JSON objects; so many were left out.
pub fn with_packets<'a>(shared: &Bytes, packets: impl Iterator<Item = &'a str>, left_out: u64) -> Bytes {
    let mut packets = packets.peekable();
    let has_own = packets.peek().is_some() || left_out > 0;
    let Some(head) = shared.strip_suffix(BEHIND).filter(|_| has_own) else { return shared.clone() };
    let mut message = BytesMut::with_capacity(shared.len() + 16 * 1024);
    message.put_slice(head);
    for (at, packet) in packets.enumerate() {
        if at > 0 {
            message.put_u8(b',');
        }
        message.put_slice(packet.as_bytes());
    }
    message.put_slice(format!("],\"packets_left_out\":{left_out}}}").as_bytes());
    message.freeze()
}

/// Of packets in order, those that a frame has room for: the latest.
pub fn latest<T>(mut packets: Vec<T>) -> Vec<T> {
    let surplus = packets.len().saturating_sub(PACKETS_MAX);
    packets.drain(..surplus);
    packets
}

/// The number of the latest packet, or `before` where there is none.
pub fn last_id(packets: &[std::sync::Arc<SampledPacket>], before: u64) -> u64 {
    packets.last().map_or(before, |packet| packet.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packets_go_to_the_end() {
        let shared = frame_message(7, &json!({"ts": 1.5}), vec![json!({"id": "a"})], 3);
        let read = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).expect("JSON");
        assert_eq!(read(&shared)["packets"], json!([]));
        assert_eq!(with_packets(&shared, std::iter::empty(), 0), shared);
        let none = read(&with_packets(&shared, std::iter::empty(), 7));
        assert_eq!((&none["packets"], &none["packets_left_out"]), (&json!([]), &json!(7)));
        let own = read(&with_packets(&shared, ["{\"id\":1}", "{\"id\":2}"].into_iter(), 0));
        assert_eq!(own["packets_left_out"], 0);
        assert_eq!(
            (&own["packets"], &own["alerts_left_out"], &own["frame_seq"]),
            (&json!([{"id": 1}, {"id": 2}]), &json!(3), &json!(7))
        );
        assert_eq!(with_packets(&Bytes::new(), ["{}"].into_iter(), 1), Bytes::new(), "no frame was made");
        assert_eq!(latest((0..250).collect::<Vec<_>>()), (150..250).collect::<Vec<_>>());
    }
}
