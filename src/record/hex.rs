//! Hex dump of a packet's first bytes.
//!
//! Knows no protocol. Its invariant: nothing a packet holds reaches the terminal as a control character.

use std::fmt::Write;

/// Most bytes of a packet that are dumped.
pub const HEX_DUMP_LEN_MAX: usize = 256;
const LINE_LEN: usize = 16;

/// Appends lines of offset, 16 bytes in hex, and the same as ASCII with a dot for what is not printable; at
/// most [`HEX_DUMP_LEN_MAX`] bytes of `data`.
pub fn write_hex_dump(out: &mut String, data: &[u8]) {
    let shown = data.get(..HEX_DUMP_LEN_MAX).unwrap_or(data);
    for (line, bytes) in shown.chunks(LINE_LEN).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{:04x} ", line * LINE_LEN);
        for column in 0..LINE_LEN {
            let gap = if column == LINE_LEN / 2 { "  " } else { " " };
            let _ = match bytes.get(column) {
                Some(byte) => write!(out, "{gap}{byte:02x}"),
                None => write!(out, "{gap}  "),
            };
        }
        out.push_str("  ");
        out.extend(bytes.iter().map(|&b| if b == b' ' || b.is_ascii_graphic() { char::from(b) } else { '.' }));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_and_a_short_one() {
        let mut out = String::new();
        write_hex_dump(&mut out, b"\x1b[31mABC DEF\x00\x7f\x80\xff~!");
        assert_eq!(
            out,
            "0000  1b 5b 33 31 6d 41 42 43  20 44 45 46 00 7f 80 ff  .[31mABC DEF....\n\
             0010  7e 21                                             ~!\n"
        );
    }

    #[test]
    fn long_packets_are_cut_and_never_escape() {
        let data: Vec<u8> = (0..=255u8).cycle().take(1000).collect();
        let mut out = String::new();
        write_hex_dump(&mut out, &data);
        assert_eq!(out.lines().count(), HEX_DUMP_LEN_MAX / LINE_LEN);
        assert!(out.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()));
        out.clear();
        write_hex_dump(&mut out, &[]);
        assert_eq!(out, "");
    }
}
