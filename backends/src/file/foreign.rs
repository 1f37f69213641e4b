//! Files of other kinds, told by name: compressed by what is not read, and other capture formats.
//!
//! Owns how they begin. Reads none of them.

use super::walker::RecordFault;

/// Records of an ERF file that are looked at; it has no magic.
const ERF_RECORDS: usize = 3;
const ERF_HEADER_LEN: usize = 16;
/// Largest known record type (Endace's ERF types).
const ERF_TYPE_MAX: u8 = 48;
/// Most seconds between records that are looked at.
const ERF_GAP_MAX: u32 = 86_400;

/// What is wrong with a file that begins with `bytes`, and what to do.
pub(super) fn explain(bytes: &[u8], fault: &RecordFault) -> String {
    if !matches!(fault, RecordFault::UnknownMagic(_) | RecordFault::CutShort) {
        return fault.to_string();
    }
    let packed = |name: &str, program: &str| {
        format!("it is compressed with {name}, which is not read; unpack it first: `{program} -dc FILE | netscope --read-pcap -`")
    };
    let other = |name: &str| format!("it is {name} capture, which is not read; convert it first: `editcap -F pcap FILE NEW`");
    match bytes {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => packed("xz", "xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => packed("bzip2", "bzip2"),
        // The frame format, and the legacy one.
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => packed("lz4", "lz4"),
        [b's', b'n', b'o', b'o', b'p', 0, 0, 0, ..] => other("a snoop"),
        _ if is_erf(bytes) => other("an ERF"),
        _ => fault.to_string(),
    }
}

/// True when records of ERF follow each other: time (fraction, seconds) in little-endian order, type, flags, length.
fn is_erf(bytes: &[u8]) -> bool {
    let (mut rest, mut last) = (bytes, None);
    for seen in 0..ERF_RECORDS {
        let Some(&[_, _, _, _, s0, s1, s2, s3, kind, _, high, low, ..]) = rest.first_chunk::<ERF_HEADER_LEN>() else {
            return seen > 0 && rest.is_empty();
        };
        let (seconds, len) = (u32::from_le_bytes([s0, s1, s2, s3]), usize::from(u16::from_be_bytes([high, low])));
        let is_near = last.is_none_or(|last: u32| last.abs_diff(seconds) < ERF_GAP_MAX);
        if seconds == 0 || !(1..=ERF_TYPE_MAX).contains(&(kind & 0x7f)) || len < ERF_HEADER_LEN || !is_near {
            return false;
        }
        last = Some(seconds);
        let Some(behind) = rest.get(len..) else { return seen > 0 };
        rest = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> String {
        explain(bytes, &RecordFault::UnknownMagic([1, 2, 3, 4]))
    }

    fn erf(seconds: u32, kind: u8, len: u16) -> Vec<u8> {
        let header = [&[9, 9, 9, 9], &seconds.to_le_bytes()[..], &[kind, 4], &len.to_be_bytes(), &[0, 0, 0, 60]].concat();
        [header, vec![0x55; usize::from(len).saturating_sub(ERF_HEADER_LEN)]].concat()
    }

    #[test]
    fn other_files_are_named() {
        for (bytes, name) in [
            (&b"\xfd7zXZ\0\0\x04"[..], "with xz,"),
            (b"BZh91AY", "with bzip2,"),
            (b"\x04\x22\x4d\x18\x64", "with lz4,"),
            (b"\x02\x21\x4c\x18\x64", "with lz4,"),
            (b"snoop\0\0\0\0\0\0\x02", "a snoop capture"),
            (&[erf(1_600_000_000, 2, 80), erf(1_600_000_001, 0x82, 96)].concat(), "an ERF capture"),
            (&[erf(5, 2, 80), erf(6, 2, 64), erf(7, 2, 64), erf(8, 2, 64)[..20].to_vec()].concat(), "an ERF capture"),
        ] {
            let said = said(bytes);
            assert!(said.contains(name) && said.contains("first: `"), "{said}");
        }
    }

    #[test]
    fn what_is_nothing_known_is_shown() {
        let wrong_type = [erf(5, 2, 80), erf(5, 99, 80)].concat();
        let far = [erf(5, 2, 80), erf(500_000, 2, 80)].concat();
        for bytes in
            [b"BZh", &b"snoop"[..], b"\x01\x02\x03\x04", &[], &wrong_type, &far, &erf(0, 2, 80), &erf(5, 2, 80)[..40], &[0; 64]]
        {
            assert!(said(bytes).starts_with("it begins with 01 02 03 04"), "{bytes:02x?}: {}", said(bytes));
        }
        let version = RecordFault::Version(9, 9);
        assert_eq!(explain(b"\xfd7zXZ\0", &version), version.to_string());
    }
}
