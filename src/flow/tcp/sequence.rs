//! Sequence numbers, modulo 2^32.

use std::ops::{Add, Sub};

/// A TCP sequence or acknowledgment number. Order is that of RFC 9293 section 3.4: `a` lies before `b` when going up from `a`
/// reaches `b` in fewer than 2^31 steps, so it is no total order and there is no `Ord`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence(pub(super) u32);

impl Sequence {
    /// Signed distance from `other` up to `self`.
    const fn ahead_of(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// `self` lies before `other`.
    pub(super) const fn before(self, other: Self) -> bool {
        self.ahead_of(other) < 0
    }

    /// `self` lies behind `other`.
    pub(super) const fn after(self, other: Self) -> bool {
        self.ahead_of(other) > 0
    }

    /// `self` is `other` or lies before it.
    pub(super) const fn up_to(self, other: Self) -> bool {
        self.ahead_of(other) <= 0
    }

    /// Of a segment whose ACK is awaited: zero stands for none. One that really ends at 0, one in 4 GiB, gives no sample.
    pub(super) const fn known(self) -> bool {
        self.0 != 0
    }
}

impl Add<u32> for Sequence {
    type Output = Self;

    fn add(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

impl Sub<u32> for Sequence {
    type Output = Self;

    fn sub(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::Sequence;
    use proptest::prelude::*;

    #[test]
    fn order_goes_around_the_end() {
        assert!(Sequence(u32::MAX).before(Sequence(0)));
        assert!(Sequence(5).after(Sequence(u32::MAX - 5)));
        assert_eq!(Sequence(u32::MAX) + 2, Sequence(1));
        assert_eq!(Sequence(1) - 2, Sequence(u32::MAX));
    }

    proptest! {
        #[test]
        fn a_step_up_comes_after(start: u32, step in 1u32..1 << 31) {
            let (low, high) = (Sequence(start), Sequence(start) + step);
            prop_assert!(low.before(high) && high.after(low) && low.up_to(high) && !high.up_to(low));
            prop_assert_eq!(high - step, low);
        }

        #[test]
        fn order_does_not_depend_on_the_origin(a: u32, b: u32, shift: u32) {
            let (a, b) = (Sequence(a), Sequence(b));
            prop_assert_eq!(a.before(b), (a + shift).before(b + shift));
            prop_assert_eq!(a.up_to(b), (a + shift).up_to(b + shift));
        }

        #[test]
        fn nothing_is_before_and_after(a: u32, b: u32) {
            let (a, b) = (Sequence(a), Sequence(b));
            prop_assert!(!(a.before(b) && a.after(b)));
            prop_assert_eq!(a.up_to(b), a == b || a.before(b));
        }
    }
}
