//! Whose each frame of the packet memory is.
//!
//! Owns the tokens: a [`FrameToken`] in our hands is memory the kernel does not write to. Knows no memory and
//! no ring. Its one invariant: for each frame there is at most one token, and while there is one the frame is
//! not the kernel's.
//!
//! The packet memory (UMEM) is cut into frames of equal size. A frame is with the kernel (in the fill ring,
//! being written, or in the rx ring) or with us. The kernel names a frame by an address inside it; what it
//! names is checked before it is believed.

/// `XDP_PKT_CONTD` of linux/if_xdp.h: the packet goes on in the next descriptor.
const CONTINUED: u32 = 1 << 0;

/// An entry of the rx ring, as the kernel wrote it (`struct xdp_desc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Offset in bytes of the first byte of the packet in the packet memory.
    pub address: u64,
    /// Bytes of the packet there.
    pub len: u32,
    /// Flags.
    pub options: u32,
}

impl Descriptor {
    /// Whether the packet goes on in the next descriptor.
    #[inline]
    pub(crate) const fn is_continued(&self) -> bool {
        self.options & CONTINUED != 0
    }
}

/// The right to use a frame. Neither copied nor made elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FrameToken(u32);

/// A frame that the kernel gave us, and where in the packet memory its bytes are: checked to lie within the
/// frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    frame: FrameToken,
    start: usize,
    len: u32,
}

impl Claimed {
    /// Offset in bytes in the packet memory where what may be read begins: the metadata, where it was asked
    /// for, else the packet.
    #[inline]
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Bytes that may be read from there.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Ends the use of the bytes.
    pub(crate) fn into_frame(self) -> FrameToken {
        self.frame
    }
}

/// A descriptor that cannot be believed. The frame comes along where the kernel named one that was its own to
/// give.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub Option<FrameToken>);

/// Who has which frame.
#[derive(Debug)]
pub(crate) struct Frames {
    /// One bit per frame, set while it is ours.
    ours: Vec<u64>,
    ours_count: u32,
    count: u32,
    frame_shift: u32,
    /// Bytes of metadata in front of a packet.
    metadata_len: u32,
}

impl Frames {
    /// `count` frames of `frame_bytes` (a power of two), all ours at first; `metadata_len` bytes in front of
    /// a packet can be read, too.
    pub(crate) fn new(count: u32, frame_bytes: u32, metadata_len: u32) -> (Self, Vec<FrameToken>) {
        assert!(frame_bytes.is_power_of_two(), "frame sizes are checked when options are");
        let ours = vec![u64::MAX; count.div_ceil(64) as usize];
        let frames = Self { ours, ours_count: count, count, frame_shift: frame_bytes.trailing_zeros(), metadata_len };
        (frames, (0..count).map(FrameToken).collect())
    }

    /// Frames in our hands.
    #[cfg(test)]
    pub(crate) const fn ours_count(&self) -> u32 {
        self.ours_count
    }

    /// Bytes per frame.
    pub(crate) const fn frame_bytes(&self) -> u32 {
        1 << self.frame_shift
    }

    /// Takes what a descriptor names, if the kernel had it and it lies within one frame.
    #[inline]
    pub(crate) fn claim(&mut self, descriptor: Descriptor) -> Result<Claimed, Refused> {
        let index = descriptor.address >> self.frame_shift;
        if index >= u64::from(self.count) {
            return Err(Refused(None));
        }
        let index = index as u32; // less than `count`
        let bit = 1_u64 << (index % 64);
        match self.ours.get_mut((index / 64) as usize) {
            Some(word) if *word & bit == 0 => *word |= bit,
            _ => return Err(Refused(None)), // given to us before, and not given back
        }
        self.ours_count += 1;
        let frame_bytes = self.frame_bytes();
        let offset = (descriptor.address & u64::from(frame_bytes - 1)) as u32; // less than 2^32
        if offset < self.metadata_len || descriptor.len > frame_bytes - offset {
            return Err(Refused(Some(FrameToken(index))));
        }
        let start = descriptor.address as usize - self.metadata_len as usize;
        Ok(Claimed { frame: FrameToken(index), start, len: descriptor.len + self.metadata_len })
    }

    /// Gives a frame to the kernel; its address, for the fill ring.
    #[inline]
    pub(crate) fn give(&mut self, frame: FrameToken) -> u64 {
        let FrameToken(index) = frame;
        if let Some(word) = self.ours.get_mut((index / 64) as usize) {
            *word &= !(1 << (index % 64));
        }
        self.ours_count -= 1;
        u64::from(index) << self.frame_shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all_with_the_kernel(count: u32, metadata_len: u32) -> Frames {
        let (mut frames, tokens) = Frames::new(count, 2048, metadata_len);
        for token in tokens {
            frames.give(token);
        }
        assert_eq!(frames.ours_count(), 0);
        frames
    }

    const fn descriptor(address: u64, len: u32) -> Descriptor {
        Descriptor { address, len, options: 0 }
    }

    #[test]
    fn a_frame_goes_back_and_forth() {
        let mut frames = all_with_the_kernel(3, 0);
        let claimed = frames.claim(descriptor(2048 + 256, 100)).unwrap();
        assert_eq!((claimed.start(), claimed.len(), frames.ours_count()), (2304, 100, 1));
        assert_eq!(frames.give(claimed.into_frame()), 2048);
        assert_eq!(frames.ours_count(), 0);
    }

    #[test]
    fn a_frame_is_not_given_twice() {
        let mut frames = all_with_the_kernel(3, 0);
        let first = frames.claim(descriptor(0, 1)).unwrap();
        assert_eq!(frames.claim(descriptor(10, 1)), Err(Refused(None)));
        frames.give(first.into_frame());
        assert!(frames.claim(descriptor(10, 1)).is_ok());
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let mut frames = all_with_the_kernel(3, 0);
        for address in [3 * 2048, 3 * 2048 + 1, u64::MAX, 1 << 63, 1 << 32] {
            assert_eq!(frames.claim(descriptor(address, 0)), Err(Refused(None)), "{address}");
        }
        for (offset, len) in [(0, 2049), (2047, 2), (256, u32::MAX)] {
            let refused = frames.claim(descriptor(2048 + offset, len)).unwrap_err();
            assert_eq!(frames.give(refused.0.expect("the frame is known")), 2048, "{offset} {len}");
        }
        assert_eq!(frames.ours_count(), 0);
    }

    #[test]
    fn metadata_lies_in_front() {
        let mut frames = all_with_the_kernel(3, 8);
        let claimed = frames.claim(descriptor(2048 + 256, 100)).unwrap();
        assert_eq!((claimed.start(), claimed.len()), (2048 + 248, 108));
        let refused = frames.claim(descriptor(4, 100)).unwrap_err();
        assert!(refused.0.is_some(), "no room for metadata in front");
    }

    proptest! {
        #[test]
        fn whatever_is_claimed_lies_within_its_frame(
            metadata_len in prop_oneof![Just(0_u32), Just(8)],
            descriptors in proptest::collection::vec((prop_oneof![0..20_000_u64, any::<u64>()], prop_oneof![0..3_000_u32, any::<u32>()]), 0..100),
        ) {
            let mut frames = all_with_the_kernel(8, metadata_len);
            let mut seen = std::collections::HashSet::new();
            for (address, len) in descriptors {
                if let Ok(claimed) = frames.claim(descriptor(address, len)) {
                    let end = claimed.start() + claimed.len();
                    prop_assert!(end <= 8 * 2048 && claimed.start() / 2048 == (end.max(1) - 1).max(claimed.start()) / 2048);
                    prop_assert!(seen.insert(claimed.start() / 2048));
                }
            }
        }
    }
}
