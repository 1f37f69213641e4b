//! Numbers of the kernel's functions, by their names.
//!
//! Owns the walk over the kernel's description of its own types (Documentation/bpf/btf.rst). Knows no
//! program. Its one invariant: whatever the bytes say, nothing outside of them is read and each is passed
//! once.

use std::fs::File;
use std::io::{self, Read};

use netscope_bpf::Kfunc;

use super::BpfError;

/// Where the kernel shows it.
const PATH: &str = "/sys/kernel/btf/vmlinux";
/// Most bytes that are read; kernels have 4 to 10 MiB.
const LEN_MAX: u64 = 64 << 20;
const MAGIC: u16 = 0xeb9f;
/// Name, kind and count, size or type: `struct btf_type`.
const TYPE_LEN: usize = 12;
/// `BTF_KIND_FUNC`
const FUNCTION: u32 = 12;

/// The bytes contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged BTF")]
struct DamagedBtf;

/// The numbers of kernel functions, as instructions have them; those the kernel does not have are missing.
///
/// # Errors
/// A kernel without BTF, and one whose BTF cannot be understood.
pub(super) fn kfunc_ids(kfuncs: &[Kfunc]) -> Result<Vec<(Kfunc, i32)>, BpfError> {
    if kfuncs.is_empty() {
        return Ok(Vec::new());
    }
    let read = || {
        let mut bytes = Vec::new();
        File::open(PATH)?.take(LEN_MAX).read_to_end(&mut bytes)?;
        let names: Vec<&str> = kfuncs.iter().map(|kfunc| kfunc.name()).collect();
        function_ids(&bytes, &names).map_err(io::Error::other)
    };
    let ids = read().map_err(|error| BpfError::call("looking up functions of the kernel", PATH, error))?;
    Ok(kfuncs.iter().zip(ids).filter_map(|(kfunc, id)| Some((*kfunc, i32::try_from(id?).ok()?))).collect())
}

/// The number of the function of each name, where there is one. Types are numbered from 1, in their order.
fn function_ids(btf: &[u8], names: &[&str]) -> Result<Vec<Option<u32>>, DamagedBtf> {
    let (mut types, strings) = sections(btf)?;
    let mut ids = vec![None; names.len()];
    let mut id = 0_u32;
    while !types.is_empty() {
        id = id.checked_add(1).ok_or(DamagedBtf)?;
        let (name, info) = (word(types, 0)?, word(types, 4)?);
        let kind = info >> 24 & 0x1f;
        if kind == FUNCTION {
            let text = strings.get(name as usize..).ok_or(DamagedBtf)?;
            for (found, wanted) in ids.iter_mut().zip(names) {
                // The zero behind it belongs to the name: no other function begins with this one's.
                if text.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
                    found.get_or_insert(id);
                }
            }
        }
        let len = TYPE_LEN + detail_len(kind, (info & 0xffff) as usize).ok_or(DamagedBtf)?;
        types = types.get(len..).ok_or(DamagedBtf)?;
    }
    Ok(ids)
}

/// The bytes of the types and those of the strings (`struct btf_header`).
fn sections(btf: &[u8]) -> Result<(&[u8], &[u8]), DamagedBtf> {
    let magic = btf.first_chunk().ok_or(DamagedBtf)?;
    if u16::from_ne_bytes(*magic) != MAGIC {
        return Err(DamagedBtf);
    }
    let behind_header = btf.get(word(btf, 4)? as usize..).ok_or(DamagedBtf)?;
    let section = |at: usize| {
        let (offset, len) = (word(btf, at)? as usize, word(btf, at + 4)? as usize);
        behind_header.get(offset..).and_then(|section| section.get(..len)).ok_or(DamagedBtf)
    };
    Ok((section(8)?, section(16)?))
}

/// Bytes behind the `struct btf_type` of a kind with `count` members; `None` for a kind that is not known.
const fn detail_len(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // Integers, variables, tags of declarations.
        1 | 14 | 17 => 4,
        // Pointers, forward declarations, typedefs and qualifiers, functions, floats, tags of types.
        2 | 7..=12 | 16 | 18 => 0,
        // Arrays.
        3 => 12,
        // Structures, unions, sections, enumerations of 64 bits.
        4 | 5 | 15 | 19 => 12 * count,
        // Enumerations, prototypes.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Result<u32, DamagedBtf> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u32::from_ne_bytes(*word)).ok_or(DamagedBtf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A type: kind, count, name, bytes behind it.
    type Type<'a> = (u32, u32, &'a str, usize);

    fn btf(types: &[Type<'_>]) -> Vec<u8> {
        let (mut section, mut strings) = (Vec::new(), vec![0]);
        for (kind, count, name, detail) in types {
            let words = [strings.len() as u32, kind << 24 | count, 0];
            section.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
            section.extend(vec![0xff; *detail]);
            strings.extend([name.as_bytes(), &[0]].concat());
        }
        let mut bytes = [MAGIC.to_ne_bytes(), [1, 0]].concat();
        let (types_len, strings_len) = (section.len() as u32, strings.len() as u32);
        bytes.extend([24, 0, types_len, types_len, strings_len].iter().flat_map(|word| word.to_ne_bytes()));
        [bytes, section, strings].concat()
    }

    /// One of each kind around the functions.
    fn example() -> Vec<u8> {
        let mut types: Vec<Type<'_>> = vec![(1, 0, "int", 4), (2, 0, "", 0), (3, 0, "", 12), (4, 2, "s", 24), (5, 1, "u", 12)];
        types.extend([(6, 3, "e", 24), (7, 0, "f", 0), (12, 0, "one_more", 0), (13, 2, "", 16), (12, 0, "one", 0)]);
        types.extend([(14, 0, "one", 4), (15, 2, ".data", 24), (16, 0, "double", 0), (17, 0, "tag", 4), (18, 0, "tag", 0)]);
        types.extend([(19, 2, "big", 24), (8, 0, "two", 0), (12, 1, "two", 0)]);
        btf(&types)
    }

    #[test]
    fn functions_are_found_by_their_whole_names() {
        let ids = function_ids(&example(), &["two", "one", "three", "one_more", "on", ""]);
        assert_eq!(ids, Ok(vec![Some(18), Some(10), None, Some(8), None, None]));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let good = example();
        for len in 0..good.len() {
            assert_eq!(function_ids(&good[..len], &["one"]), Err(DamagedBtf), "cut to {len}");
        }
        assert_eq!(function_ids(&btf(&[(20, 0, "unknown", 0)]), &[]), Err(DamagedBtf));
        assert_eq!(function_ids(&btf(&[(4, 65_535, "lies", 0)]), &[]), Err(DamagedBtf));
        assert_eq!(function_ids(&btf(&[]), &["one"]), Ok(vec![None]));
    }

    #[test]
    fn this_kernel_is_understood() {
        let Ok(bytes) = std::fs::read(PATH) else { return eprintln!("skipped: this kernel shows no BTF") };
        let ids = function_ids(&bytes, &["bpf_xdp_metadata_rx_timestamp", "no such function"]);
        assert!(matches!(ids.as_deref(), Ok([_, None])), "{ids:?}");
    }

    proptest! {
        #[test]
        fn lies_are_survived(
            changes in proptest::collection::vec((0..700_usize, any::<u8>()), 0..8),
            words in proptest::collection::vec((0..7_usize, any::<u32>()), 0..3),
        ) {
            let mut bytes = example();
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            for (at, word) in words {
                bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_ne_bytes());
            }
            if let Ok(ids) = function_ids(&bytes, &["one", "two"]) {
                prop_assert!(ids.iter().flatten().all(|id| (1..=bytes.len() as u32 / 12).contains(id)));
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let with_header = [&MAGIC.to_ne_bytes()[..], &[1, 0, 24, 0, 0, 0], &bytes].concat();
            let _outcome = function_ids(&with_header, &["a"]);
        }
    }
}
