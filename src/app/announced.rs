//! Flows that a control connection announces: those of FTP's data (RFC 959, RFC 2428), of a transfer by TFTP (RFC 1350), and of the RTP that
//! SIP describes (RFC 4566).
//!
//! Owns which messages announce, and where. Knows no flow. Invariants: a message is gone over once, and at most [`ENDS_MAX`] ends are told of
//! it; a line that is cut between two packets is not read.

mod ftp;
mod sdp;

use std::net::IpAddr;

/// Ends that one packet announces, at most.
const ENDS_MAX: usize = 32;

/// A protocol that announces other flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlProtocol {
    /// FTP: each data connection.
    Ftp,
    /// SIP: the streams of a call.
    Sip,
    /// TFTP: the transfer, which comes from another port than the request went to.
    Tftp,
}

impl ControlProtocol {
    /// That of this name in records.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        match name {
            b"ftp" => Some(Self::Ftp),
            b"sip" => Some(Self::Sip),
            b"tftp" => Some(Self::Tftp),
            _ => None,
        }
    }

    /// True where later packets of the flow announce, too.
    pub const fn goes_on(self) -> bool {
        !matches!(self, Self::Tftp)
    }
}

/// What an announced flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnnouncedProtocol {
    /// A data connection of FTP.
    FtpData,
    /// A transfer by TFTP.
    Tftp,
    /// Media.
    Rtp,
    /// Reports on them.
    Rtcp,
}

impl AnnouncedProtocol {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FtpData => "ftp_data",
            Self::Tftp => "tftp",
            Self::Rtp => "rtp",
            Self::Rtcp => "rtcp",
        }
    }

    /// Number of the protocol below it: TCP's or UDP's.
    pub const fn transport(self) -> u8 {
        match self {
            Self::FtpData => 6,
            Self::Tftp | Self::Rtp | Self::Rtcp => 17,
        }
    }
}

/// One end of an announced flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncedEnd {
    /// Its address; `None`: that of the packet's sender.
    pub address: Option<IpAddr>,
    /// Its port, not 0.
    pub port: u16,
    /// The other end is the packet's receiver; else it may be anybody.
    pub is_with_receiver: bool,
    /// What the flow is.
    pub protocol: AnnouncedProtocol,
}

/// A packet of a control connection.
#[derive(Clone, Copy, Debug)]
pub struct ControlPacket<'a> {
    /// The connection's protocol.
    pub control: ControlProtocol,
    /// What was captured of the payload.
    pub payload: &'a [u8],
    /// The packet's source port.
    pub source_port: u16,
    /// The client of the connection sent it.
    pub is_from_client: bool,
}

/// Tells the ends that a packet announces.
pub fn announced_ends(packet: ControlPacket<'_>, tell: &mut dyn FnMut(AnnouncedEnd)) {
    let ControlPacket { control, payload, source_port, is_from_client } = packet;
    let mut count = 0;
    let mut tell = |end: AnnouncedEnd| {
        // An address without a host, as of a call on hold, is nobody's.
        let is_somewhere = end.port != 0 && end.address.is_none_or(|address| !address.is_unspecified());
        if is_somewhere && count < ENDS_MAX {
            count += 1;
            tell(end);
        }
    };
    match control {
        ControlProtocol::Ftp => ftp::ends(payload, is_from_client, &mut tell),
        ControlProtocol::Sip => sdp::ends(payload, &mut tell),
        // A request: to read or to write.
        ControlProtocol::Tftp if matches!(payload, [0, 1 | 2, ..]) => {
            tell(AnnouncedEnd { address: None, port: source_port, is_with_receiver: true, protocol: AnnouncedProtocol::Tftp });
        }
        ControlProtocol::Tftp => {}
    }
}

/// Lines of text without their ends; what follows the last end is none.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    text[..end].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A number in decimal digits.
fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

/// An address as text.
fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
fn told(control: ControlProtocol, payload: &[u8], is_from_client: bool) -> Vec<String> {
    let mut told = Vec::new();
    announced_ends(ControlPacket { control, payload, source_port: 4000, is_from_client }, &mut |end| {
        let address = end.address.map_or_else(|| "sender".to_owned(), |address| address.to_string());
        told.push(format!("{} {address} {}", end.protocol.name(), end.port));
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_of_tftp_announces_its_sender() {
        assert_eq!(told(ControlProtocol::Tftp, b"\0\x01file\0octet\0", true), ["tftp sender 4000"]);
        assert_eq!(told(ControlProtocol::Tftp, b"\0\x02file\0octet\0", true), ["tftp sender 4000"]);
        assert_eq!(told(ControlProtocol::Tftp, b"\0\x03\0\x01data", true), [""; 0]);
        assert_eq!(told(ControlProtocol::Tftp, b"\0", true), [""; 0]);
    }

    #[test]
    fn one_packet_has_a_limit() {
        let many = b"227 (10,0,0,1,4,1)\r\n".repeat(100);
        assert_eq!(told(ControlProtocol::Ftp, &many, false).len(), ENDS_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for control in [ControlProtocol::Ftp, ControlProtocol::Sip, ControlProtocol::Tftp] {
                told(control, &bytes, true);
                told(control, &bytes, false);
            }
        }

        #[test]
        fn cut_and_mixed_lines_are_survived(parts in prop::collection::vec(0_usize..8, 0..20), cut in 0_usize..400) {
            const PARTS: [&[u8]; 8] = [b"PORT 1,2,3,4,5,6", b"\r\n", b"227 (", b"229 x (|||", b"\r\n\r\n", b"m=audio 1 RTP/AVP 0\n", b"c=IN IP4 ", b"1.2.3.4\n"];
            let bytes: Vec<u8> = parts.iter().flat_map(|&part| PARTS[part]).copied().collect();
            for control in [ControlProtocol::Ftp, ControlProtocol::Sip] {
                let bytes = &bytes[..cut.min(bytes.len())];
                told(control, bytes, true);
                told(control, bytes, false);
            }
        }
    }
}
