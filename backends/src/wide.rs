//! Runs arithmetic with the widest instructions of the processor at hand.
//!
//! Owns the choice, which safe code cannot make at run time. Its one invariant: it changes how fast a result comes and never what
//! it is.

/// A piece of arithmetic that the compiler can spread over vector lanes.
pub trait Wide {
    /// What comes of it.
    type Output;

    /// Does it. Mark the implementation `#[inline(always)]`: only what is inlined is compiled for the wider instructions.
    fn run(self) -> Self::Output;
}

/// Does `work` with 256-bit vectors where the processor has them (AVX2), otherwise with what every processor of its kind has.
#[inline]
pub fn widest<W: Wide>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // JUSTIFICATION: which instructions a processor has is known at run time alone, and safe code cannot call by it.
        // SAFETY: the function asks for AVX2 and nothing else, and the line above found that the processor has it.
        return unsafe { with_avx2(work) };
    }
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
