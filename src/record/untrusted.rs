//! Text out of packets, made fit to be shown: valid, bounded, and without what would fool a terminal.
//!
//! Owns the bound and the list of characters that are not shown as they are. Knows no format. Invariant: at
//! most [`TEXT_LEN_MAX`] bytes of UTF-8 and [`CUT_MARK`] come out, whatever goes in.

/// Bytes of UTF-8 that are shown of a text, at most.
pub const TEXT_LEN_MAX: usize = 1024;
/// Stands behind a text that was cut.
pub const CUT_MARK: char = '\u{2026}';

/// The characters to show of a text: each invalid sequence of UTF-8 is one U+FFFD; what is longer than
/// [`TEXT_LEN_MAX`] is cut before a character and gets [`CUT_MARK`].
pub fn shown(text: &[u8]) -> impl Iterator<Item = char> {
    let chars = text.utf8_chunks().flat_map(|chunk| {
        let replacement = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(replacement)
    });
    let (mut len, mut is_cut) = (0, false);
    chars.map_while(move |c| {
        if is_cut {
            return None;
        }
        len += c.len_utf8();
        is_cut = len > TEXT_LEN_MAX;
        Some(if is_cut { CUT_MARK } else { c })
    })
}

/// True for characters that a terminal acts upon or does not show: controls (C0, DEL, C1), line and paragraph
/// separators, marks that change the direction of text, and those without width. A format with escapes
/// escapes them.
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The same as text for people: what [`is_hidden`] is written by its number, as `\u{1b}`, and so is a backslash before a `u`.
pub fn escaped(text: &[u8]) -> String {
    let (mut letters, mut out) = (shown(text).peekable(), String::new());
    while let Some(c) = letters.next() {
        if is_hidden(c) || c == '\\' && letters.peek() == Some(&'u') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_text_is_cut_before_a_character() {
        let cut = |text: &str| shown(text.as_bytes()).collect::<String>();
        let fits = "x".repeat(TEXT_LEN_MAX);
        assert_eq!(cut(&fits), fits);
        assert_eq!(cut(&(fits.clone() + "y")), format!("{fits}{CUT_MARK}"));
        let wide = "\u{20ac}".repeat(65_536);
        assert_eq!(cut(&wide), format!("{}{CUT_MARK}", "\u{20ac}".repeat(TEXT_LEN_MAX / 3)));
        assert_eq!(cut(""), "");
    }

    #[test]
    fn invalid_sequences_are_replaced_as_the_standard_library_does() {
        for text in [b"a\xff\xfeb".as_slice(), b"\xe2\x82", b"\xf0\x9f\x98 ", b"\xed\xa0\x80", b"\xc0\xaf"] {
            assert_eq!(shown(text).collect::<String>(), String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn anything_is_bounded(text in prop::collection::vec(any::<u8>(), 0..3000)) {
            let whole = String::from_utf8_lossy(&text);
            let text: String = shown(&text).collect();
            prop_assert!(text.len() <= TEXT_LEN_MAX + CUT_MARK.len_utf8());
            match text.strip_suffix(CUT_MARK) {
                Some(kept) if text != whole => prop_assert!(whole.starts_with(kept) && kept.len() > TEXT_LEN_MAX - 4),
                _ => prop_assert_eq!(text, whole),
            }
        }
    }
}
