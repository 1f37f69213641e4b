//! Bytes read from front to back, and lists of numbers inside them.
//!
//! Owns the step forward. Its invariant: a read that does not fit takes nothing.

/// What is left of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteReader<'a> {
    left: &'a [u8],
}

impl<'a> ByteReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(crate) const fn left(&self) -> &'a [u8] {
        self.left
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(len)?;
        self.left = left;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Option<usize> {
        self.array().map(|[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Bytes behind their length in one byte.
    pub(crate) fn short_block(&mut self) -> Option<&'a [u8]> {
        let mut next = *self;
        let len = next.u8()?;
        let block = next.take(len.into())?;
        *self = next;
        Some(block)
    }

    /// Bytes behind their length in two bytes.
    pub(crate) fn block(&mut self) -> Option<&'a [u8]> {
        let mut next = *self;
        let len = next.u16()?;
        let block = next.take(len.into())?;
        *self = next;
        Some(block)
    }
}

/// Numbers of 16 bits in network order, as they stand in a message; an odd byte at the end is no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberList<'a>(pub &'a [u8]);

impl<'a> NumberList<'a> {
    /// Each number, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u16> + Clone + 'a {
        self.0.chunks_exact(2).map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1]))
    }

    /// True without a number.
    pub const fn is_empty(self) -> bool {
        self.0.len() < 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_does_not_fit_takes_nothing() {
        let mut reader = ByteReader::new(&[2, 7]);
        assert_eq!(reader.short_block(), None);
        assert_eq!(reader.block(), None);
        assert_eq!(reader.u24(), None);
        assert_eq!(reader.left(), [2, 7]);
        assert_eq!((reader.u16(), reader.is_empty()), (Some(0x0207), true));
    }

    #[test]
    fn an_odd_byte_is_no_number() {
        assert_eq!(NumberList(&[0, 1, 2, 3, 4]).iter().collect::<Vec<_>>(), [1, 0x0203]);
        assert!(NumberList(&[1]).is_empty());
    }
}
