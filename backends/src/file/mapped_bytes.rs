//! The bytes of a mapped capture file, for who keeps places in it instead of copies.
//!
//! Owns the look-up of places. Knows no format. Its one invariant: as long as a [`MappedBytes`] lives, its bytes can
//! be read, whoever else has the file.

use super::mapping::MappedFile;
use std::fmt;
use std::sync::Arc;

/// A whole capture file in memory. Copies are cheap and are of the same file.
#[derive(Clone)]
pub struct MappedBytes {
    mapping: Arc<MappedFile>,
    /// Address of the first byte.
    base: usize,
    len: usize,
}

impl MappedBytes {
    pub(super) fn new(mapping: Arc<MappedFile>) -> Self {
        let (base, len) = (mapping.bytes().as_ptr() as usize, mapping.bytes().len());
        Self { mapping, base, len }
    }

    /// Where in the file these bytes lie; `None` when they lie elsewhere.
    #[inline(always)]
    pub fn place_of(&self, bytes: &[u8]) -> Option<usize> {
        let at = (bytes.as_ptr() as usize).wrapping_sub(self.base);
        (at <= self.len && bytes.len() <= self.len - at).then_some(at)
    }

    /// The bytes at this place; none where the file ends before them, and none of a file that became shorter meanwhile.
    #[inline]
    pub fn get(&self, at: usize, len: usize) -> &[u8] {
        let end = at.saturating_add(len);
        if self.mapping.is_hit() { &[] } else { self.mapping.bytes().get(at..end).unwrap_or_default() }
    }
}

impl fmt::Debug for MappedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MappedBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn places_are_found_and_bytes_of_others_are_not() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let bytes = MappedBytes::new(Arc::new(MappedFile::new(file).unwrap()));
        let inside = bytes.get(3, 4);
        assert_eq!((inside, bytes.place_of(inside)), (&b"3456"[..], Some(3)));
        assert_eq!(bytes.place_of(bytes.get(0, 10)), Some(0));
        assert_eq!(bytes.place_of(&[1; 300]), None);
        assert_eq!((bytes.get(8, 3).len(), bytes.get(usize::MAX, 2).len()), (0, 0));
    }
}
