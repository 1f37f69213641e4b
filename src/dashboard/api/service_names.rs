//! Names of services by their port: the usual ones (IANA Service Name and Transport Protocol Port Number Registry).
//!
//! Owns the list. Knows no flow.

/// Protocol number (6 TCP, 17 UDP, 0 both), port, name; by port.
const SERVICES: &[(u8, u16, &str)] = &[
    (6, 20, "ftp-data"),
    (6, 21, "ftp"),
    (6, 22, "ssh"),
    (6, 23, "telnet"),
    (6, 25, "smtp"),
    (6, 49, "tacacs"),
    (0, 53, "domain"),
    (17, 67, "dhcp"),
    (17, 68, "dhcp"),
    (17, 69, "tftp"),
    (6, 80, "http"),
    (0, 88, "kerberos"),
    (6, 110, "pop3"),
    (0, 111, "sunrpc"),
    (17, 123, "ntp"),
    (6, 135, "epmap"),
    (17, 137, "netbios-ns"),
    (17, 138, "netbios-dgm"),
    (6, 139, "netbios-ssn"),
    (6, 143, "imap"),
    (17, 161, "snmp"),
    (17, 162, "snmptrap"),
    (6, 179, "bgp"),
    (0, 389, "ldap"),
    (6, 443, "https"),
    (17, 443, "quic"),
    (6, 445, "microsoft-ds"),
    (6, 465, "submissions"),
    (17, 500, "isakmp"),
    (17, 514, "syslog"),
    (6, 515, "printer"),
    (17, 520, "rip"),
    (17, 546, "dhcpv6"),
    (17, 547, "dhcpv6"),
    (6, 554, "rtsp"),
    (6, 587, "submission"),
    (6, 631, "ipp"),
    (6, 636, "ldaps"),
    (6, 853, "domain-s"),
    (17, 853, "domain-s"),
    (6, 873, "rsync"),
    (6, 989, "ftps-data"),
    (6, 990, "ftps"),
    (6, 993, "imaps"),
    (6, 995, "pop3s"),
    (6, 1080, "socks"),
    (17, 1194, "openvpn"),
    (6, 1433, "ms-sql-s"),
    (6, 1521, "oracle"),
    (17, 1701, "l2tp"),
    (6, 1723, "pptp"),
    (0, 1812, "radius"),
    (0, 1813, "radius-acct"),
    (6, 1883, "mqtt"),
    (17, 1900, "ssdp"),
    (0, 2049, "nfs"),
    (17, 2055, "netflow"),
    (6, 2379, "etcd-client"),
    (6, 3128, "squid"),
    (0, 3260, "iscsi"),
    (6, 3306, "mysql"),
    (0, 3389, "ms-wbt-server"),
    (0, 3478, "stun"),
    (6, 4222, "nats"),
    (17, 4500, "ipsec-nat-t"),
    (17, 4739, "ipfix"),
    (17, 4789, "vxlan"),
    (0, 5060, "sip"),
    (6, 5061, "sips"),
    (6, 5222, "xmpp-client"),
    (17, 5353, "mdns"),
    (17, 5355, "llmnr"),
    (6, 5432, "postgresql"),
    (6, 5671, "amqps"),
    (6, 5672, "amqp"),
    (6, 5900, "rfb"),
    (6, 5985, "wsman"),
    (17, 6081, "geneve"),
    (17, 6343, "sflow"),
    (6, 6379, "redis"),
    (6, 6443, "kubernetes"),
    (6, 8080, "http-alt"),
    (6, 8443, "https-alt"),
    (6, 8883, "secure-mqtt"),
    (6, 9000, "clickhouse"),
    (6, 9090, "prometheus"),
    (6, 9092, "kafka"),
    (6, 9100, "jetdirect"),
    (6, 9200, "elasticsearch"),
    (6, 9418, "git"),
    (6, 10_250, "kubelet"),
    (0, 11_211, "memcached"),
    (6, 27_017, "mongodb"),
    (17, 51_820, "wireguard"),
];

/// The name of a service; `None` where there is none here.
pub fn service_name(protocol: u8, port: u16) -> Option<&'static str> {
    let first = SERVICES.partition_point(|(_, own, _)| *own < port);
    let same = SERVICES.get(first..)?.iter().take_while(|(_, own, _)| *own == port);
    same.clone().find(|(of, ..)| *of == protocol || (*of == 0 && matches!(protocol, 6 | 17))).map(|(.., name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_in_order_and_found_by_protocol() {
        assert!(SERVICES.is_sorted_by_key(|(_, port, _)| *port));
        assert_eq!((service_name(6, 443), service_name(17, 443)), (Some("https"), Some("quic")));
        assert_eq!((service_name(17, 53), service_name(6, 53), service_name(132, 53)), (Some("domain"), Some("domain"), None));
        assert_eq!((service_name(17, 80), service_name(6, 1)), (None, None));
    }
}
