//! Base64 (RFC 4648) of a SHA-1 digest, written so that the compiler can do several side by side.
//!
//! Owns the alphabet. Knows nothing of what is encoded. Its invariant: no branch and no index depends on the digest, so that a loop
//! over digests becomes lanes of vectors.

use super::digest::Digest;

/// A digest as text: 27 characters and `=`, four in each word, the first in the lowest byte.
pub(super) type Code = [u32; 7];

/// The text of a digest.
#[inline(always)]
pub(super) fn base64([a, b, c, d, e]: Digest) -> Code {
    // 24 bits are four characters. The last 16 bits are three.
    [
        characters(a >> 8),
        characters(a << 16 | b >> 16),
        characters(b << 8 | c >> 24),
        characters(c),
        characters(d >> 8),
        characters(d << 16 | e >> 16),
        characters(e << 8) & 0x00ff_ffff | u32::from(b'=') << 24,
    ]
}

/// The characters of the lower 24 bits of a number.
#[inline(always)]
fn characters(bits: u32) -> u32 {
    let sixes = (bits >> 18 & 0x3f) | (bits >> 4 & 0x3f00) | (bits << 10 & 0x003f_0000) | (bits << 24 & 0x3f00_0000);
    // All four at once, byte by byte; each step of the alphabet that a six bit number has passed moves it on.
    let all = |byte: u32| byte * 0x0101_0101;
    // 0x7f in each byte whose number is at least `least`; no sum leaves its byte.
    let passed = |least: u32| {
        let top = (sixes + all(0x80 - least)) & all(0x80);
        top - (top >> 7)
    };
    let upper = sixes + all(b'A'.into());
    let lower = upper + (passed(26) & all(6));
    // `a` - 26 to `0` - 52, from there to `+` - 62, from there to `/` - 63. The bytes stay positive, so none borrows.
    lower - (passed(52) & all(75)) - (passed(62) & all(15)) + (passed(63) & all(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn text(digest: Digest) -> String {
        String::from_utf8(base64(digest).iter().flat_map(|word| word.to_le_bytes()).collect()).unwrap()
    }

    fn by_the_crate(digest: Digest) -> String {
        STANDARD.encode(digest.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())
    }

    #[test]
    fn every_character_at_every_place() {
        for number in 0..64u32 {
            for place in 0..27 {
                // The six bits `number` at character `place`, all others 0 and all others 1.
                let bits = u128::from(number) << 122;
                let digest = std::array::from_fn(|word| {
                    let (at, from) = (6 * place, 32 * word);
                    (0..32).fold(0, |word, bit| {
                        let wanted = (from + bit).checked_sub(at).is_some_and(|i| i < 6 && bits >> (127 - i) & 1 == 1);
                        word << 1 | u32::from(wanted)
                    })
                });
                for digest in [digest, digest.map(|word| !word)] {
                    assert_eq!(text(digest), by_the_crate(digest), "{number} at {place}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_crate_agrees(digest: [u32; 5]) {
            prop_assert_eq!(text(digest), by_the_crate(digest));
        }
    }
}
