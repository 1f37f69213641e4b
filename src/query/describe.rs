//! What each field is called for people: label, group and one line.
//!
//! Owns these texts. Knows no value. Invariant: every field of [`crate::record::FIELDS`] is described here, once; a test holds that.

/// A field's description for people.
pub(super) struct Described {
    /// The field's name.
    pub name: &'static str,
    /// A heading.
    pub label: &'static str,
    /// With which fields it is shown.
    pub group: &'static str,
    /// One line.
    pub line: &'static str,
}

const CONNECTION: &str = "Connection";
const ADDRESSES: &str = "Addresses";
const TRAFFIC: &str = "Traffic";
const TIMING: &str = "Timing";
const ROUND_TRIPS: &str = "Round trips";
const TCP: &str = "TCP";
const LOSS: &str = "Loss and repair";
const ICMP: &str = "ICMP";
pub(super) const LINK: &str = "Link and tunnel";
const HEADERS: &str = "Headers";
const CAPTURE: &str = "Capture";

macro_rules! described {
    ($($name:literal $label:literal $group:ident $line:literal)*) => {
        /// Of every field.
        pub(super) const DESCRIBED: &[Described] =
            &[$(Described { name: $name, label: $label, group: $group, line: $line }),*];
    };
}

described! {
    "protocol" "Protocol" CONNECTION "IP protocol, by name or number"
    "endpoint_a" "Endpoint A" ADDRESSES "the smaller address and its port"
    "endpoint_b" "Endpoint B" ADDRESSES "the larger address and its port"
    "first_seen" "First seen" TIMING "time of the first packet"
    "last_seen" "Last seen" TIMING "time of the latest packet"
    "duration_secs" "Duration" TIMING "from the first to the latest packet"
    "packets_a_to_b" "Packets A to B" TRAFFIC "packets from endpoint A"
    "packets_b_to_a" "Packets B to A" TRAFFIC "packets from endpoint B"
    "bytes_a_to_b" "Bytes A to B" TRAFFIC "bytes on the wire from endpoint A"
    "bytes_b_to_a" "Bytes B to A" TRAFFIC "bytes on the wire from endpoint B"
    "packets_total" "Packets" TRAFFIC "packets of both directions"
    "bytes_total" "Bytes" TRAFFIC "bytes on the wire of both directions; of a packet its length"
    "avg_bps" "Average rate" TRAFFIC "bits per second over the whole duration; 0 when that is 0"
    "tcp_state" "TCP state" TCP "state of the connection"
    "client" "Client side" CONNECTION "which endpoint sent the first SYN; with an address: the client's"
    "retransmissions" "Retransmissions" LOSS "segments sent again"
    "out_of_order" "Out of order" LOSS "segments that came late and were not sent again"
    "rtt_last_ms" "RTT latest" ROUND_TRIPS "latest round trip of both sides"
    "rtt_min_ms" "RTT smallest" ROUND_TRIPS "smallest round trip of both sides"
    "rtt_ewma_ms" "RTT" ROUND_TRIPS "round trips of both sides, moving average"
    "rtt_samples" "RTT samples" ROUND_TRIPS "round trips that were measured"
    "handshake_rtt_ms" "Handshake RTT" ROUND_TRIPS "from the SYN to the end of the handshake"
    "tcp_state_detail" "TCP state in detail" TCP "state by the names of RFC 9293"
    "fast_retransmissions" "Fast retransmissions" LOSS "segments sent again after duplicate ACKs"
    "spurious_retransmissions" "Spurious retransmissions" LOSS "segments sent again that had been acknowledged"
    "lost_segments" "Gaps" LOSS "gaps: segments before were never seen here"
    "ack_lost_segments" "ACKs of unseen data" LOSS "acknowledgments of data that was never seen here"
    "duplicate_acks" "Duplicate ACKs" LOSS "acknowledgments repeated"
    "keep_alives" "Keep-alives" TCP "keep-alive probes"
    "zero_windows" "Zero windows" TCP "segments that announced a window of 0"
    "tcp_flags_a_to_b" "TCP flags A to B" TCP "control bits seen from endpoint A, as letters of CEUAPRSF"
    "tcp_flags_b_to_a" "TCP flags B to A" TCP "control bits seen from endpoint B, as letters of CEUAPRSF"
    "mss_a_to_b" "MSS A to B" TCP "maximum segment size that endpoint A announced"
    "mss_b_to_a" "MSS B to A" TCP "maximum segment size that endpoint B announced"
    "window_scale_a_to_b" "Window scale A to B" TCP "window shift count that endpoint A announced"
    "window_scale_b_to_a" "Window scale B to A" TCP "window shift count that endpoint B announced"
    "vlan" "VLAN" LINK "VLAN ids of the first packet; one of them has to fit"
    "tunnel" "Tunnel" LINK "innermost tunnel around the flow"
    "tunnel_id" "Tunnel id" LINK "VNI, key, TEID or session of that tunnel"
    "fragments" "Fragments" TRAFFIC "later IP fragments"
    "icmp_id" "ICMP id" ICMP "identifier of an echo flow"
    "community_id" "Community ID" CONNECTION "identifier that other tools compute, too"
    "ip_version" "IP version" CONNECTION "4 or 6"
    "initiator" "Initiator side" CONNECTION "which endpoint began"
    "first_packet" "First packet" CAPTURE "number of the packet that opened the flow"
    "end_reason" "End" CONNECTION "why the flow ended; `exit` while it is live"
    "queues" "Queues" CAPTURE "queues of the interface on which its packets came"
    "icmp_type" "ICMP type" ICMP "type of the first message"
    "icmp_code" "ICMP code" ICMP "code of the first message"
    "icmp_errors" "ICMP errors" ICMP "ICMP errors that quote a packet of this flow"
    "icmp_error_for" "ICMP error for" ICMP "Community ID of the flow that its ICMP errors quote"
    "time_resolution" "Time resolution" CAPTURE "whether each packet or each batch has a time"
    "interface" "Interface" CAPTURE "interface on which it was captured, where there are several"
    "client_ip" "Client" ADDRESSES "address of the client"
    "client_port" "Client port" ADDRESSES "port of the client"
    "server_ip" "Server" ADDRESSES "address of the server"
    "server_port" "Server port" ADDRESSES "port of the server"
    "packets_to_server" "Packets to server" TRAFFIC "packets from the client"
    "packets_to_client" "Packets to client" TRAFFIC "packets from the server"
    "bytes_to_server" "Bytes to server" TRAFFIC "bytes on the wire from the client"
    "bytes_to_client" "Bytes to client" TRAFFIC "bytes on the wire from the server"
    "rtt_server_samples" "Server RTT samples" ROUND_TRIPS "round trips to the server that were measured"
    "rtt_server_min_ms" "Server RTT smallest" ROUND_TRIPS "smallest round trip from here to the server"
    "rtt_server_ewma_ms" "Server RTT" ROUND_TRIPS "round trips from here to the server, moving average"
    "rtt_server_max_ms" "Server RTT largest" ROUND_TRIPS "largest round trip from here to the server"
    "rtt_server_delayed_acks" "Server delayed ACKs" ROUND_TRIPS "acknowledgments that the server held back"
    "rtt_client_samples" "Client RTT samples" ROUND_TRIPS "round trips to the client that were measured"
    "rtt_client_min_ms" "Client RTT smallest" ROUND_TRIPS "smallest round trip from here to the client"
    "rtt_client_ewma_ms" "Client RTT" ROUND_TRIPS "round trips from here to the client, moving average"
    "rtt_client_max_ms" "Client RTT largest" ROUND_TRIPS "largest round trip from here to the client"
    "rtt_client_delayed_acks" "Client delayed ACKs" ROUND_TRIPS "acknowledgments that the client held back"
    "rtt_path_min_ms" "Path RTT smallest" ROUND_TRIPS "smallest round trips of both sides together"
    "zero_window_ms_a_to_b" "Window closed A to B" TCP "how long endpoint A announced a window of 0"
    "zero_window_ms_b_to_a" "Window closed B to A" TCP "how long endpoint B announced a window of 0"
    "port_name" "Port's name" CONNECTION "what the server's port is registered for (IANA)"
    "flow_state" "State" CONNECTION "how far the flow is, of any protocol; of TCP the state of the connection"
    "app_known_by" "Application known by" CONNECTION "how the application is known: by content, by an announcement, by the port alone, by passive DNS alone"
    "source_mac" "Source MAC" LINK "link address of the first packet's sender"
    "destination_mac" "Destination MAC" LINK "link address of the first packet's receiver"
    "ttl_min_a_to_b" "TTL least A to B" HEADERS "least time to live or hop limit from endpoint A"
    "ttl_max_a_to_b" "TTL greatest A to B" HEADERS "greatest time to live or hop limit from endpoint A"
    "ttl_min_b_to_a" "TTL least B to A" HEADERS "least time to live or hop limit from endpoint B"
    "ttl_max_b_to_a" "TTL greatest B to A" HEADERS "greatest time to live or hop limit from endpoint B"
    "dscp_a_to_b" "DSCP A to B" HEADERS "differentiated services code points from endpoint A; one of them has to fit"
    "dscp_b_to_a" "DSCP B to A" HEADERS "differentiated services code points from endpoint B; one of them has to fit"
    "ecn_a_to_b" "ECN A to B" HEADERS "ECN code points from endpoint A; one of them has to fit"
    "ecn_b_to_a" "ECN B to A" HEADERS "ECN code points from endpoint B; one of them has to fit"
    "payload_bytes_a_to_b" "Payload A to B" HEADERS "payload bytes of TCP or UDP from endpoint A"
    "payload_bytes_b_to_a" "Payload B to A" HEADERS "payload bytes of TCP or UDP from endpoint B"
    "tcp_options_a_to_b" "TCP options A to B" HEADERS "kinds of TCP options from endpoint A; one of them has to fit"
    "tcp_options_b_to_a" "TCP options B to A" HEADERS "kinds of TCP options from endpoint B; one of them has to fit"
    "window_max_a_to_b" "Largest window A to B" HEADERS "largest window that endpoint A announced"
    "window_max_b_to_a" "Largest window B to A" HEADERS "largest window that endpoint B announced"
    "ecn_negotiated" "ECN negotiated" HEADERS "both sides agreed on ECN in the handshake"
    "ecn_echo_a_to_b" "ECN echo A to B" HEADERS "endpoint A reported congestion"
    "ecn_echo_b_to_a" "ECN echo B to A" HEADERS "endpoint B reported congestion"
}

/// The description of a field.
pub(super) fn described(name: &str) -> Option<&'static Described> {
    DESCRIBED.iter().find(|described| described.name == name)
}
