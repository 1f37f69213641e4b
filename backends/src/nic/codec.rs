//! Netlink messages as bytes: built from attributes, taken apart again.
//!
//! Owns the layout of RFC 3549 and `linux/netlink.h` (host byte order, everything padded to 4 bytes). Makes
//! no system call. Its one invariant: a length that contradicts the bytes around it is an error, never a read
//! past them.

/// Bytes of `struct nlmsghdr`.
const MESSAGE_HEADER: usize = 16;
/// Bytes of `struct nlattr`.
const ATTRIBUTE_HEADER: usize = 4;
/// Longest payload of an attribute: its length field of 16 bits counts the header too.
pub const ATTRIBUTE_MAX: usize = u16::MAX as usize - ATTRIBUTE_HEADER;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// `NLA_TYPE_MASK`: the two highest bits are flags.
const TYPE_MASK: u16 = 0x3fff;

/// A length or its padding contradicts the bytes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged netlink message")]
pub struct DamagedMessage;

/// The length with its padding.
const fn padded(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Bytes of attributes in the making, after the fixed part of a message.
#[derive(Clone, Debug, Default)]
pub struct AttributeBytes(Vec<u8>);

impl AttributeBytes {
    /// Starts with the fixed part of the family at hand, padded.
    pub fn new(fixed: &[u8]) -> Self {
        let mut payload = Self(fixed.to_vec());
        payload.pad();
        payload
    }

    fn pad(&mut self) {
        self.0.resize(padded(self.0.len()), 0);
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        // What does not fit is cut; nothing asked of a kernel comes near 64 KiB.
        let value = value.get(..ATTRIBUTE_MAX).unwrap_or(value);
        let length = (ATTRIBUTE_HEADER + value.len()) as u16; // at most ATTRIBUTE_HEADER + ATTRIBUTE_MAX
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad();
    }

    /// Adds bytes, at most [`ATTRIBUTE_MAX`].
    #[must_use]
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Adds text that ends with a zero.
    #[must_use]
    pub fn text(self, kind: u16, value: &str) -> Self {
        let mut text = value.as_bytes().to_vec();
        text.push(0);
        self.bytes(kind, &text)
    }

    /// Adds attributes as one attribute.
    #[must_use]
    pub fn nest(self, kind: u16, inner: &Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }

    /// The whole message, its header in front.
    pub fn message(&self, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(MESSAGE_HEADER + self.0.len()).unwrap_or(u32::MAX); // far below in any request of ours
        let mut bytes = Vec::with_capacity(MESSAGE_HEADER + self.0.len());
        bytes.extend_from_slice(&length.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes()); // the kernel knows the sender
        bytes.extend_from_slice(&self.0);
        bytes
    }
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetlinkMessage<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: that of the request it answers.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The messages of one datagram.
///
/// # Errors
/// [`DamagedMessage`] when a length says less than a header or more than there is.
pub fn messages(mut bytes: &[u8]) -> Result<Vec<NetlinkMessage<'_>>, DamagedMessage> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(u32_at(bytes, 0)?).map_err(|_| DamagedMessage)?;
        let payload = bytes.get(MESSAGE_HEADER..length).ok_or(DamagedMessage)?;
        messages.push(NetlinkMessage { kind: u16_at(bytes, 4)?, flags: u16_at(bytes, 6)?, sequence: u32_at(bytes, 8)?, payload });
        bytes = bytes.get(padded(length)..).unwrap_or_default(); // the last one may come without padding
    }
    Ok(messages)
}

/// The attributes of a message or of a nest, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// Takes apart what follows the first `fixed` bytes (padded) of `payload`.
    ///
    /// # Errors
    /// [`DamagedMessage`] as for [`messages`].
    pub fn parse(payload: &'a [u8], fixed: usize) -> Result<Self, DamagedMessage> {
        let mut bytes = payload.get(padded(fixed)..).ok_or(DamagedMessage)?;
        let mut attributes = Vec::new();
        while !bytes.is_empty() {
            let length = usize::from(u16_at(bytes, 0)?);
            let value = bytes.get(ATTRIBUTE_HEADER..length).ok_or(DamagedMessage)?;
            attributes.push((u16_at(bytes, 2)? & TYPE_MASK, value));
            bytes = bytes.get(padded(length)..).unwrap_or_default();
        }
        Ok(Self(attributes))
    }

    /// All of them: type without flags, value.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + '_ {
        self.0.iter().copied()
    }

    /// The first of this type.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(own, _)| *own == kind).map(|(_, value)| value)
    }

    /// The first of this type as a number of 32 bits; `None` too when it has another length.
    pub fn u32(&self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_ne_bytes)
    }

    /// The first of this type as a number of 8 bits.
    pub fn u8(&self, kind: u16) -> Option<u8> {
        <[u8; 1]>::try_from(self.get(kind)?).ok().map(|[value]| value)
    }

    /// The first of this type as a number of 64 bits; the kernel sends small ones in 32 (`NLA_UINT`).
    pub fn u64(&self, kind: u16) -> Option<u64> {
        let value = self.get(kind)?;
        value.try_into().ok().map(u64::from_ne_bytes).or_else(|| self.u32(kind).map(u64::from))
    }

    /// The first of this type as text, up to its zero. What is not UTF-8 is replaced: an interface may be
    /// named with any bytes.
    pub fn text(&self, kind: u16) -> Option<String> {
        let value = self.get(kind)?;
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// The attributes inside the first of this type; empty when there is none.
    ///
    /// # Errors
    /// [`DamagedMessage`] as for [`messages`].
    pub fn nest(&self, kind: u16) -> Result<Attributes<'a>, DamagedMessage> {
        Attributes::parse(self.get(kind).unwrap_or_default(), 0)
    }
}

/// A number of 16 bits in host byte order.
///
/// # Errors
/// [`DamagedMessage`] past the end.
pub fn u16_at(bytes: &[u8], at: usize) -> Result<u16, DamagedMessage> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| u16::from_ne_bytes(*chunk)).ok_or(DamagedMessage)
}

/// A number of 32 bits in host byte order.
///
/// # Errors
/// [`DamagedMessage`] past the end.
pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, DamagedMessage> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| u32::from_ne_bytes(*chunk)).ok_or(DamagedMessage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn lays_a_message_out_as_the_header_file_says() {
        let request = AttributeBytes::new(&[7, 1, 0, 0]).nest(1, &AttributeBytes::default().text(2, "eth0"));
        let bytes = request.message(0x10, 0x0301, 9);
        assert_eq!(bytes.len(), 16 + 4 + 4 + 4 + 8, "header, fixed part, nest, attribute, text with its zero and padding");
        assert_eq!(u32_at(&bytes, 0), Ok(36));
        let [message] = messages(&bytes).unwrap()[..] else { panic!("one message") };
        assert_eq!((message.kind, message.flags, message.sequence), (0x10, 0x0301, 9));
        let attributes = Attributes::parse(message.payload, 4).unwrap();
        assert_eq!(attributes.nest(1).unwrap().text(2).as_deref(), Some("eth0"));
        assert_eq!(u16_at(message.payload, 4), Ok(16), "header and 9 bytes padded of the inner one");
    }

    #[test]
    fn refuses_lengths_that_lie() {
        let good = AttributeBytes::default().u32(1, 5).message(2, 0, 0);
        for length in (0..16).chain([25, 1000, u32::MAX]) {
            let mut bytes = good.clone();
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bytes), Err(DamagedMessage), "{length}");
        }
        for length in (0..4).chain([9, u16::MAX]) {
            let mut bytes = good[MESSAGE_HEADER..].to_vec();
            bytes[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Attributes::parse(&bytes, 0), Err(DamagedMessage), "{length}");
        }
        assert_eq!(Attributes::parse(&[], 4), Err(DamagedMessage), "no room for the fixed part");
    }

    #[test]
    fn numbers_of_another_length_are_not_there() {
        let payload = AttributeBytes::default().bytes(1, &[1]).bytes(2, &[1, 0, 0, 0]).bytes(3, &[0; 8]);
        let attributes = Attributes::parse(&payload.0, 0).unwrap();
        assert_eq!((attributes.u32(1), attributes.u8(1)), (None, Some(1)));
        assert_eq!(attributes.u64(2), Some(u64::from(u32::from_ne_bytes([1, 0, 0, 0]))), "a small number in 32 bits");
        assert_eq!((attributes.u64(3), attributes.u32(3), attributes.u32(4)), (Some(0), None, None));
    }

    proptest! {
        #[test]
        fn what_was_built_is_read_back(values in vec((0_u16..0x4000, vec(any::<u8>(), 0..40)), 0..12), fixed in vec(any::<u8>(), 0..9)) {
            let payload = values.iter().fold(AttributeBytes::new(&fixed), |payload, (kind, value)| payload.bytes(*kind, value));
            let bytes = [payload.message(5, 1, 2), payload.message(6, 0, 3)].concat();
            let found = messages(&bytes).unwrap();
            prop_assert_eq!(found.len(), 2);
            for message in found {
                let attributes = Attributes::parse(message.payload, fixed.len()).unwrap();
                let read: Vec<_> = attributes.iter().map(|(kind, value)| (kind, value.to_vec())).collect();
                prop_assert_eq!(&read, &values);
            }
        }

        #[test]
        fn no_bytes_make_it_read_past_the_end_or_go_on_forever(bytes in vec(any::<u8>(), 0..300), fixed in 0_usize..24) {
            if let Ok(found) = messages(&bytes) {
                prop_assert!(found.iter().map(|message| message.payload.len() + MESSAGE_HEADER).sum::<usize>() <= bytes.len());
            }
            if let Ok(found) = Attributes::parse(&bytes, fixed) {
                prop_assert!(found.iter().map(|(_, value)| value.len() + ATTRIBUTE_HEADER).sum::<usize>() <= bytes.len());
            }
        }

        #[test]
        fn a_damaged_byte_or_a_cut_never_panics(at in 0_usize..64, value in any::<u8>(), cut in 0_usize..64) {
            let nest = AttributeBytes::default().text(1, "veth").u32(2, 3);
            let mut bytes = AttributeBytes::new(&[0; 16]).nest(18, &nest).bytes(10, &[1, 2, 3]).message(16, 0, 1);
            let index = at.min(bytes.len() - 1);
            bytes[index] = value;
            bytes.truncate(bytes.len().saturating_sub(cut));
            for message in messages(&bytes).unwrap_or_default() {
                if let Ok(attributes) = Attributes::parse(message.payload, 16) {
                    let _ = attributes.nest(18).map(|inner| (inner.text(1), inner.u32(2)));
                }
            }
        }
    }
}
