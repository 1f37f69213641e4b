//! Names of services by their port, as people call them.
//!
//! Owns the names that go before those of IANA's registry: of programs that are not registered, or whose port is another's there.

use crate::record;

/// Protocol number (6 TCP, 17 UDP, 0 both), port, name; by port.
const SERVICES: &[(u8, u16, &str)] = &[
    (17, 67, "dhcp"),
    (17, 68, "dhcp"),
    (17, 443, "quic"),
    (17, 520, "rip"),
    (17, 546, "dhcpv6"),
    (17, 547, "dhcpv6"),
    (6, 1521, "oracle"),
    (17, 2055, "netflow"),
    (6, 3128, "squid"),
    (0, 3260, "iscsi"),
    (0, 3478, "stun"),
    (6, 4222, "nats"),
    (6, 6443, "kubernetes"),
    (6, 8443, "https-alt"),
    (6, 9000, "clickhouse"),
    (6, 9090, "prometheus"),
    (6, 9092, "kafka"),
    (6, 9100, "jetdirect"),
    (6, 9200, "elasticsearch"),
    (6, 10_250, "kubelet"),
    (0, 11_211, "memcached"),
    (17, 51_820, "wireguard"),
];

/// The name of a service; `None` where there is none.
pub fn service_name(protocol: u8, port: u16) -> Option<&'static str> {
    let first = SERVICES.partition_point(|(_, own, _)| *own < port);
    let same = SERVICES.get(first..)?.iter().take_while(|(_, own, _)| *own == port);
    let own = same.clone().find(|(of, ..)| *of == protocol || (*of == 0 && matches!(protocol, 6 | 17))).map(|(.., name)| *name);
    own.or_else(|| record::service_name(protocol, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_in_order_and_found_by_protocol() {
        assert!(SERVICES.is_sorted_by_key(|(_, port, _)| *port));
        assert_eq!((service_name(6, 443), service_name(17, 443)), (Some("https"), Some("quic")));
        assert_eq!((service_name(17, 53), service_name(6, 53), service_name(132, 53)), (Some("domain"), Some("domain"), None));
        assert_eq!((service_name(17, 80), service_name(6, 1), service_name(6, 65_535)), (Some("http"), Some("tcpmux"), None));
    }
}
