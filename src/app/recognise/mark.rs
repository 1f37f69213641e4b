//! What is told of a connection whose protocol is known by its first bytes.
//!
//! Owns the names of the protocols and the bounds of texts. No credential, no user's name and no content is told.

use std::fmt;

/// Longest text of a mark.
pub const MARK_TEXT_MAX: usize = 256;

macro_rules! protocols {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// An application protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AppProtocol {
            $(#[doc = $doc] $variant,)*
        }

        impl AppProtocol {
            /// Its name as it is written in records.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

protocols! {
    Ajp "ajp" "Apache JServ Protocol.",
    Amqp "amqp" "Advanced Message Queuing Protocol.",
    BacNet "bacnet" "BACnet over UDP.",
    Bitcoin "bitcoin" "Bitcoin between peers.",
    BitTorrent "bittorrent" "BitTorrent between peers, its distributed table and its trackers.",
    Capwap "capwap" "Control And Provisioning of Wireless Access Points.",
    Cassandra "cassandra" "Cassandra's native protocol.",
    DceRpc "dce_rpc" "DCE/RPC over TCP.",
    Dnp3 "dnp3" "Distributed Network Protocol of the power industry.",
    EtherNetIp "enip" "EtherNet/IP.",
    Ftp "ftp" "File Transfer Protocol, the control connection.",
    Git "git" "Git's own protocol.",
    Gnutella "gnutella" "Gnutella.",
    Iec104 "iec104" "IEC 60870-5-104 of the power industry.",
    Ike "ike" "Internet Key Exchange of IPsec.",
    Imap "imap" "Internet Message Access Protocol.",
    Irc "irc" "Internet Relay Chat.",
    Kafka "kafka" "Apache Kafka.",
    Kerberos "kerberos" "Kerberos 5.",
    Ldap "ldap" "Lightweight Directory Access Protocol.",
    Memcached "memcached" "memcached's text and binary protocols.",
    Modbus "modbus" "Modbus over TCP.",
    MongoDb "mongodb" "MongoDB's wire protocol.",
    Mqtt "mqtt" "MQTT.",
    MySql "mysql" "MySQL and MariaDB.",
    NatPmp "nat_pmp" "NAT Port Mapping Protocol and its successor PCP.",
    Nats "nats" "NATS.",
    NetBiosDatagram "netbios_dgm" "NetBIOS datagrams.",
    NetFlow "netflow" "NetFlow and IPFIX.",
    Nfs "nfs" "Network File System.",
    Ntp "ntp" "Network Time Protocol.",
    OpenVpn "openvpn" "OpenVPN.",
    Pop3 "pop3" "Post Office Protocol.",
    Radius "radius" "RADIUS.",
    Rdp "rdp" "Remote Desktop Protocol.",
    Redis "redis" "Redis.",
    Rpc "rpc" "ONC RPC, other programs than NFS.",
    Rsync "rsync" "rsync's own protocol.",
    Rtcp "rtcp" "The control protocol of RTP.",
    Rtmp "rtmp" "Real-Time Messaging Protocol.",
    Rtp "rtp" "Real-time Transport Protocol.",
    Rtsp "rtsp" "Real-Time Streaming Protocol.",
    S7Comm "s7comm" "S7comm of Siemens controllers.",
    Sip "sip" "Session Initiation Protocol.",
    Smb "smb" "Server Message Block.",
    Smtp "smtp" "Simple Mail Transfer Protocol.",
    Snmp "snmp" "Simple Network Management Protocol.",
    Ssdp "ssdp" "Simple Service Discovery Protocol.",
    Stun "stun" "Session Traversal Utilities for NAT.",
    Syslog "syslog" "Syslog.",
    Tacacs "tacacs" "TACACS+.",
    Telnet "telnet" "Telnet.",
    Tftp "tftp" "Trivial File Transfer Protocol.",
    Vnc "vnc" "Remote framebuffers.",
    WireGuard "wireguard" "WireGuard.",
    WsDiscovery "ws_discovery" "Web Services Dynamic Discovery.",
    X11 "x11" "The X Window System.",
    Xmpp "xmpp" "Extensible Messaging and Presence Protocol.",
    Zabbix "zabbix" "Zabbix.",
}

/// A version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppVersion<'a> {
    /// As the protocol writes it; at most [`MARK_TEXT_MAX`] bytes.
    Text(&'a [u8]),
    /// One number.
    Number(u8),
    /// Two numbers with a dot between them.
    Pair(u8, u8),
}

impl fmt::Display for AppVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", text.escape_ascii()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Pair(major, minor) => write!(f, "{major}.{minor}"),
        }
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppMark<'a> {
    /// The protocol.
    pub protocol: AppProtocol,
    /// Its version, or the server's where the protocol has none.
    pub version: Option<AppVersion<'a>>,
    /// What the client or the server calls itself; at most [`MARK_TEXT_MAX`] bytes.
    pub software: Option<&'a [u8]>,
    /// What is asked for: a database, a repository, a file; at most [`MARK_TEXT_MAX`] bytes.
    pub object: Option<&'a [u8]>,
    /// More bytes would tell more.
    pub may_grow: bool,
}

fn bounded(text: &[u8]) -> &[u8] {
    &text[..text.len().min(MARK_TEXT_MAX)]
}

impl<'a> AppMark<'a> {
    pub(super) const fn of(protocol: AppProtocol) -> Self {
        Self { protocol, version: None, software: None, object: None, may_grow: false }
    }

    pub(super) const fn number(self, number: u8) -> Self {
        Self { version: Some(AppVersion::Number(number)), ..self }
    }

    pub(super) const fn pair(self, major: u8, minor: u8) -> Self {
        Self { version: Some(AppVersion::Pair(major, minor)), ..self }
    }

    pub(super) fn version(self, text: impl Into<Option<&'a [u8]>>) -> Self {
        Self { version: text.into().map(|text| AppVersion::Text(bounded(text))), ..self }
    }

    pub(super) fn software(self, text: impl Into<Option<&'a [u8]>>) -> Self {
        let text = text.into().filter(|text| !text.is_empty());
        Self { software: text.map(bounded), ..self }
    }

    pub(super) fn object(self, text: impl Into<Option<&'a [u8]>>) -> Self {
        let text = text.into().filter(|text| !text.is_empty());
        Self { object: text.map(bounded), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_a_bound_and_versions_a_text() {
        let long = [b'a'; MARK_TEXT_MAX + 1];
        let mark = AppMark::of(AppProtocol::Ftp).software(&long[..]).object(&long[..]).version(&long[..]);
        assert_eq!((mark.software.map(<[u8]>::len), mark.object.map(<[u8]>::len)), (Some(MARK_TEXT_MAX), Some(MARK_TEXT_MAX)));
        assert!(matches!(mark.version, Some(AppVersion::Text(text)) if text.len() == MARK_TEXT_MAX));
        assert_eq!(AppVersion::Text(b"8.0\n").to_string(), "8.0\\n");
        assert_eq!((AppVersion::Number(3).to_string(), AppVersion::Pair(1, 2).to_string()), ("3".to_owned(), "1.2".to_owned()));
    }
}
