//! DHCP for IPv6 (RFC 8415).
//!
//! Owns the message's layout. Options are read up to [`OPTIONS_MAX`], those of a relayed message up to [`RELAYS_MAX`] relays deep.

use super::reading::ByteReader;

/// Options that are looked at in one message.
const OPTIONS_MAX: usize = 64;
/// Relays around a message that are looked through (RFC 8415 section 7.6 allows eight).
const RELAYS_MAX: usize = 8;

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
/// Kind, hops, and two addresses.
const RELAY_HEADER_LEN: usize = 34;

const OPTION_RELAYED: u16 = 9;
const OPTION_VENDOR: u16 = 16;
const OPTION_FULL_NAME: u16 = 39;
/// Longest label of a name (RFC 1035 section 2.3.4).
const LABEL_MAX: u8 = 63;

/// What a message says of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcpv6Names<'a> {
    /// What the message wants, in small letters.
    pub kind: &'static str,
    /// The first label of option 39 (RFC 4704).
    pub hostname: Option<&'a [u8]>,
    /// The first class of option 16.
    pub vendor: Option<&'a [u8]>,
}

impl<'a> Dhcpv6Names<'a> {
    /// Reads the payload of a datagram; `None` when it is no message: the options have to fill it, unless `is_cut`.
    pub fn read(payload: &'a [u8], is_cut: bool) -> Option<Self> {
        let mut message = payload;
        for _ in 0..=RELAYS_MAX {
            let mut reader = ByteReader::new(message);
            let kind = reader.u8()?;
            let is_relayed = matches!(kind, RELAY_FORWARD | RELAY_REPLY);
            reader.take(if is_relayed { RELAY_HEADER_LEN - 1 } else { 3 })?;
            let mut names = Self { kind: kind_name(kind)?, hostname: None, vendor: None };
            let mut relayed = None;
            let mut count = 0;
            while !reader.is_empty() && count < OPTIONS_MAX {
                let Some((code, value)) = option(&mut reader) else { return Some(names).filter(|_| is_cut && count > 0) };
                count += 1;
                match code {
                    OPTION_RELAYED => relayed = Some(value),
                    OPTION_VENDOR => names.vendor = vendor(value),
                    OPTION_FULL_NAME => names.hostname = label(value),
                    _ => {}
                }
            }
            if count == 0 {
                return None;
            }
            match relayed.filter(|_| is_relayed) {
                Some(inner) => message = inner,
                None => return Some(names),
            }
        }
        None
    }
}

fn option<'a>(reader: &mut ByteReader<'a>) -> Option<(u16, &'a [u8])> {
    let code = reader.u16()?;
    // None that is registered is 0, or has more than a few hundred.
    Some((code, reader.block()?)).filter(|_| (1..1024).contains(&code))
}

/// Enterprise, then classes.
fn vendor(value: &[u8]) -> Option<&[u8]> {
    let mut reader = ByteReader::new(value);
    reader.u32()?;
    reader.block().filter(|class| !class.is_empty())
}

/// Flags, then labels.
fn label(value: &[u8]) -> Option<&[u8]> {
    let (&len, labels) = value.get(1..)?.split_first()?;
    labels.get(..len.into()).filter(|_| (1..=LABEL_MAX).contains(&len))
}

const fn kind_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "solicit",
        2 => "advertise",
        3 => "request",
        4 => "confirm",
        5 => "renew",
        6 => "rebind",
        7 => "reply",
        8 => "release",
        9 => "decline",
        10 => "reconfigure",
        11 => "information_request",
        RELAY_FORWARD => "relay_forward",
        RELAY_REPLY => "relay_reply",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn solicit() -> Vec<u8> {
        let head = [1, 0x13, 0xd1, 0xed, 0, 8, 0, 2, 0, 0];
        let name = [&[0, 39, 0, 5, 0][..], &[3], b"pc1"].concat();
        let class = [&[0, 16, 0, 14, 0, 0, 1, 0x37, 0, 8][..], b"MSFT 5.0"].concat();
        [&head[..], &name, &class].concat()
    }

    fn relayed(message: &[u8]) -> Vec<u8> {
        [&[12, 0][..], &[7; 32], &[0, 9, 0, message.len() as u8], message].concat()
    }

    #[test]
    fn a_client_is_named_also_behind_relays() {
        let names = Dhcpv6Names { kind: "solicit", hostname: Some(b"pc1"), vendor: Some(b"MSFT 5.0") };
        assert_eq!(Dhcpv6Names::read(&solicit(), false), Some(names));
        assert_eq!(Dhcpv6Names::read(&relayed(&relayed(&solicit())), false), Some(names));
        let deep = (0..12).fold(Vec::new(), |inner, _| [&[12, 0][..], &[7; 32], &[0, 9, 0, inner.len() as u8], &inner].concat());
        assert_eq!(Dhcpv6Names::read(&deep, false), None);
    }

    #[test]
    fn options_have_to_fill_a_message() {
        let (whole, ends) = (solicit(), [10, 19]);
        for cut in 0..whole.len() {
            let read = Dhcpv6Names::read(&whole[..cut], false);
            assert_eq!(read.is_some(), ends.contains(&cut), "{cut}");
            assert_eq!(Dhcpv6Names::read(&whole[..cut], true).is_some(), cut >= ends[0], "{cut}");
        }
        assert_eq!(Dhcpv6Names::read(&[&solicit()[..], &[0]].concat(), false), None);
        assert_eq!(Dhcpv6Names::read(&[&[14][..], &solicit()[1..]].concat(), false), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(12)], 0..300), is_cut: bool) {
            Dhcpv6Names::read(&bytes, is_cut);
        }
    }
}
