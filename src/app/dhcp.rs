//! DHCP for IPv4 (RFC 2131, options RFC 2132).
//!
//! Owns the message's layout. Options are read up to [`OPTIONS_MAX`]; what the fields `sname` and `file` hold when they carry options is not.

/// Length of the fixed part: `op` to `file`.
const FIXED_LEN: usize = 236;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
/// Options that are looked at in one message; a real one has some twenty.
const OPTIONS_MAX: usize = 64;

const OPTION_PAD: u8 = 0;
const OPTION_ROUTER: u8 = 3;
const OPTION_NAME_SERVERS: u8 = 6;
const OPTION_HOSTNAME: u8 = 12;
const OPTION_REQUESTED: u8 = 50;
const OPTION_LEASE: u8 = 51;
const OPTION_MESSAGE_TYPE: u8 = 53;
const OPTION_SERVER: u8 = 54;
const OPTION_VENDOR: u8 = 60;
const OPTION_FULL_NAME: u8 = 81;
const OPTION_END: u8 = 255;

/// Name servers of a message that are looked at.
const NAME_SERVERS_KEPT: usize = 3;

/// What a message wants, by option 53 (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpKind {
    /// A client looks for servers.
    Discover,
    /// A server offers an address.
    Offer,
    /// A client asks for an address.
    Request,
    /// A client finds the address in use.
    Decline,
    /// A server gives an address.
    Ack,
    /// A server refuses.
    Nak,
    /// A client gives its address back.
    Release,
    /// A client has an address and asks for the rest.
    Inform,
}

impl DhcpKind {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }

    /// Its name in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Offer => "offer",
            Self::Request => "request",
            Self::Decline => "decline",
            Self::Ack => "ack",
            Self::Nak => "nak",
            Self::Release => "release",
            Self::Inform => "inform",
        }
    }

    /// Only servers send it.
    pub const fn is_of_server(self) -> bool {
        matches!(self, Self::Offer | Self::Ack | Self::Nak)
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpMessage {
    /// What it wants.
    pub kind: DhcpKind,
    /// Number of the exchange.
    pub transaction: u32,
    /// The client's hardware address (`chaddr`), where that is Ethernet's.
    pub client_mac: Option<[u8; 6]>,
    /// The address that the client gets (`yiaddr`); 0.0.0.0 where it gets none.
    pub client_ip: [u8; 4],
    /// Option 54.
    pub server: Option<[u8; 4]>,
    /// The relay agent's address (`giaddr`); 0.0.0.0 without one.
    pub relay: [u8; 4],
    /// The first of option 3.
    pub router: Option<[u8; 4]>,
    /// The first ones of option 6; 0.0.0.0 where there are fewer.
    pub name_servers: [[u8; 4]; NAME_SERVERS_KEPT],
}

/// Options up to the end, or up to a cut.
struct DhcpOptions<'a>(&'a [u8]);

impl<'a> Iterator for DhcpOptions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((&OPTION_PAD, rest)) = self.0.split_first() {
            self.0 = rest;
        }
        let (&code, rest) = self.0.split_first().filter(|(code, _)| **code != OPTION_END)?;
        let (&len, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(len.into())?;
        self.0 = rest;
        Some((code, value))
    }
}

/// What a message says of the client beyond its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DhcpNames<'a> {
    /// What the message wants; `None` for BOOTP.
    pub kind: Option<DhcpKind>,
    /// Option 12; else the name of option 81 (RFC 4702), where it is ASCII.
    pub hostname: Option<&'a [u8]>,
    /// Option 60.
    pub vendor: Option<&'a [u8]>,
    /// The address that the client gets (`yiaddr`), or asks for (option 50).
    pub address: Option<[u8; 4]>,
    /// Option 51 of a server's message, in seconds.
    pub lease_secs: Option<u32>,
}

impl<'a> DhcpNames<'a> {
    /// Reads the payload of a datagram; `None` when it is no BOOTP message with options of DHCP.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = payload.split_first_chunk::<FIXED_LEN>()?;
        let rest = rest.strip_prefix(&MAGIC)?;
        let is_reply = match fixed[0] {
            1 => false,
            2 => true,
            _ => return None,
        };
        let mut names = Self {
            address: Some([fixed[16], fixed[17], fixed[18], fixed[19]]).filter(|address| *address != [0; 4]),
            ..Self::default()
        };
        let mut full_name = None;
        for (code, value) in DhcpOptions(rest).take(OPTIONS_MAX) {
            match code {
                OPTION_MESSAGE_TYPE => names.kind = value.first().and_then(|&number| DhcpKind::of(number)),
                OPTION_HOSTNAME => names.hostname = Some(value),
                OPTION_VENDOR => names.vendor = Some(value),
                OPTION_REQUESTED => names.address = names.address.or(address(value)),
                OPTION_LEASE if is_reply => names.lease_secs = address(value).map(u32::from_be_bytes),
                // Flags, of which one says that the name is in the form of DNS, and two bytes that mean nothing any more.
                OPTION_FULL_NAME => full_name = value.get(3..).filter(|_| value[0] & 4 == 0),
                _ => {}
            }
        }
        names.hostname = names.hostname.or(full_name);
        Some(names)
    }
}

fn address(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.first_chunk().copied()
}

impl DhcpMessage {
    /// Reads the payload of a datagram; `None` when it is no DHCP message, or cut before its type.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (fixed, rest) = payload.split_first_chunk::<FIXED_LEN>()?;
        let rest = rest.strip_prefix(&MAGIC)?;
        let mut message = Self {
            kind: DhcpKind::Discover,
            transaction: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            client_mac: (fixed[1] == 1 && fixed[2] == 6)
                .then(|| [fixed[28], fixed[29], fixed[30], fixed[31], fixed[32], fixed[33]]),
            client_ip: [fixed[16], fixed[17], fixed[18], fixed[19]],
            server: None,
            relay: [fixed[24], fixed[25], fixed[26], fixed[27]],
            router: None,
            name_servers: [[0; 4]; NAME_SERVERS_KEPT],
        };
        let mut kind = None;
        for (code, value) in DhcpOptions(rest).take(OPTIONS_MAX) {
            match code {
                OPTION_MESSAGE_TYPE => kind = value.first().and_then(|&number| DhcpKind::of(number)),
                OPTION_SERVER => message.server = address(value),
                OPTION_ROUTER => message.router = address(value),
                OPTION_NAME_SERVERS => {
                    for (kept, server) in message.name_servers.iter_mut().zip(value.chunks_exact(4)) {
                        kept.copy_from_slice(server);
                    }
                }
                _ => {}
            }
        }
        message.kind = kind?;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer() -> Vec<u8> {
        let mut bytes = vec![0; FIXED_LEN];
        (bytes[0], bytes[1], bytes[2]) = (2, 1, 6);
        bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
        bytes[16..20].copy_from_slice(&[192, 0, 2, 7]);
        bytes[24..28].copy_from_slice(&[192, 0, 2, 254]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        bytes.extend(MAGIC);
        bytes.extend([OPTION_PAD, OPTION_MESSAGE_TYPE, 1, 2, OPTION_SERVER, 4, 192, 0, 2, 1]);
        bytes.extend([OPTION_ROUTER, 8, 192, 0, 2, 1, 192, 0, 2, 2, OPTION_NAME_SERVERS, 8, 192, 0, 2, 3, 192, 0, 2, 4]);
        bytes.push(OPTION_END);
        bytes
    }

    #[test]
    fn an_offer_names_server_router_and_client() {
        let expected = DhcpMessage {
            kind: DhcpKind::Offer,
            transaction: 0x0102_0304,
            client_mac: Some([2, 0, 0, 0, 0, 9]),
            client_ip: [192, 0, 2, 7],
            server: Some([192, 0, 2, 1]),
            relay: [192, 0, 2, 254],
            router: Some([192, 0, 2, 1]),
            name_servers: [[192, 0, 2, 3], [192, 0, 2, 4], [0; 4]],
        };
        assert_eq!(DhcpMessage::read(&offer()), Some(expected));
        assert!(expected.kind.is_of_server());
    }

    #[test]
    fn a_cut_message_says_what_came_before_the_cut() {
        let whole = offer();
        for len in 0..whole.len() {
            let kind = DhcpMessage::read(&whole[..len]).map(|message| message.kind);
            let has_kind = len >= FIXED_LEN + MAGIC.len() + 4;
            assert_eq!(kind, has_kind.then_some(DhcpKind::Offer), "{len}");
        }
    }

    #[test]
    fn names_are_those_of_the_client() {
        let mut request = offer();
        request[0] = 1;
        request[16..20].fill(0);
        request.truncate(FIXED_LEN + MAGIC.len());
        request.extend([OPTION_MESSAGE_TYPE, 1, 3, OPTION_REQUESTED, 4, 192, 0, 2, 7, OPTION_VENDOR, 8]);
        request.extend(b"MSFT 5.0");
        let plain = request.len();
        request.extend([OPTION_FULL_NAME, 7, 0, 0, 0]);
        request.extend(b"long");
        let named = request.len();
        request.extend([OPTION_HOSTNAME, 2, b'p', b'c', OPTION_LEASE, 4, 0, 0, 0, 9, OPTION_END]);
        let expected = DhcpNames {
            kind: Some(DhcpKind::Request),
            hostname: Some(b"pc"),
            vendor: Some(b"MSFT 5.0"),
            address: Some([192, 0, 2, 7]),
            lease_secs: None,
        };
        assert_eq!(DhcpNames::read(&request), Some(expected));
        assert_eq!(DhcpNames::read(&request[..named]), Some(DhcpNames { hostname: Some(b"long"), ..expected }));
        assert_eq!(DhcpNames::read(&request[..plain]), Some(DhcpNames { hostname: None, ..expected }));
        request[plain + 2] = 4;
        assert_eq!(DhcpNames::read(&request[..named]), Some(DhcpNames { hostname: None, ..expected }), "in the form of DNS");
        let mut reply = offer();
        reply.truncate(reply.len() - 1);
        reply.extend([OPTION_LEASE, 4, 0, 0, 0x0e, 0x10]);
        let expected = DhcpNames {
            kind: Some(DhcpKind::Offer),
            address: Some([192, 0, 2, 7]),
            lease_secs: Some(3600),
            ..DhcpNames::default()
        };
        assert_eq!(DhcpNames::read(&reply), Some(expected));
        for cut in 0..FIXED_LEN + MAGIC.len() {
            assert_eq!(DhcpNames::read(&reply[..cut]), None, "{cut}");
        }
        reply[0] = 3;
        assert_eq!(DhcpNames::read(&reply), None);
    }

    proptest! {
        #[test]
        fn any_options_are_survived(options in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut bytes = offer();
            bytes.truncate(FIXED_LEN + MAGIC.len());
            bytes.extend(options);
            DhcpMessage::read(&bytes);
            DhcpNames::read(&bytes);
        }
    }
}
