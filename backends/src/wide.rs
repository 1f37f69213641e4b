//! Runs arithmetic with the widest instructions of the processor at hand.
//!
//! Owns the choice, which safe code cannot make at run time. Its one invariant: it changes how fast a result
//! comes and never what it is.

/// A piece of arithmetic that the compiler can spread over vector lanes.
pub trait Wide {
    /// What comes of it.
    type Output;

    /// Does it. Mark the implementation `#[inline(always)]`: only what is inlined is compiled for the wider
    /// instructions.
    fn run(self) -> Self::Output;
}

/// Does `work` with the widest vectors the processor has: those of AVX-512, in which a rotation is one
/// instruction, those of AVX2, or what every processor of its kind has.
#[inline]
pub fn widest<W: Wide>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
            // JUSTIFICATION: which instructions a processor has is known at run time alone, and safe code
            // cannot call by it.
            // SAFETY: the function asks for these two and what they imply, and the line above found that the
            // processor has them.
            return unsafe { with_avx512(work) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // JUSTIFICATION: as above.
            // SAFETY: as above, of AVX2.
            return unsafe { with_avx2(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn with_avx512<W: Wide>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<W: Wide>(work: W) -> W::Output {
    work.run()
}

#[cfg(test)]
mod tests {
    use super::{Wide, widest};

    struct Sum<'a>(&'a [u32]);

    impl Wide for Sum<'_> {
        type Output = u32;

        #[inline(always)]
        fn run(self) -> u32 {
            self.0.iter().fold(0, |sum, &value| sum.wrapping_add(value.rotate_left(3)))
        }
    }

    #[test]
    fn the_result_is_the_same() {
        let values: Vec<u32> = (0..1001).collect();
        assert_eq!(widest(Sum(&values)), Sum(&values).run());
    }
}
