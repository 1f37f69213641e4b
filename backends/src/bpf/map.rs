//! BPF maps.
//!
//! Owns a map's descriptor and lengths. Knows no meaning of its values. Its one invariant: keys and values
//! handed to the kernel have the lengths it will read or write.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use netscope_bpf::{MapKind, MapSpec};

use super::{BpfError, sys};

/// A map in the kernel; gone once we and the programs using it are.
#[derive(Debug)]
pub struct Map {
    descriptor: OwnedFd,
    spec: MapSpec,
    /// Bytes that a lookup writes: per-CPU maps give every CPU's value, each rounded up to 8 bytes.
    lookup_len: usize,
}

impl Map {
    /// Makes a map.
    ///
    /// # Errors
    /// Missing rights, no memory, impossible sizes.
    pub fn create(spec: &MapSpec) -> Result<Self, BpfError> {
        let fail = |error| BpfError::call("making a BPF map", spec.name.clone(), error);
        let lookup_len = match spec.kind {
            MapKind::PerCpuArray => per_cpu_len(spec.value_size) * cpus_possible().map_err(fail)?,
            MapKind::Hash | MapKind::Array | MapKind::XskMap => spec.value_size as usize,
        };
        let descriptor =
            sys::map_create(spec.kind as u32, spec.key_size, spec.value_size, spec.entries, &spec.name).map_err(fail)?;
        Ok(Self { descriptor, spec: spec.clone(), lookup_len })
    }

    /// What it was made from.
    pub const fn spec(&self) -> &MapSpec {
        &self.spec
    }

    fn check(&self, what: &'static str, given: usize, expected: usize) -> Result<(), BpfError> {
        if given == expected { Ok(()) } else { Err(BpfError::Length { map: self.spec.name.clone(), what, expected, given }) }
    }

    /// The value at `key`; of a per-CPU map the values of all CPUs, one behind the other, each rounded up to
    /// 8 bytes. `None`: no entry.
    ///
    /// # Errors
    /// A key of the wrong length, or what the kernel says (an `XskMap` cannot be read).
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BpfError> {
        self.check("key", key.len(), self.spec.key_size as usize)?;
        let mut value = vec![0; self.lookup_len];
        match sys::map_lookup(self.descriptor.as_fd(), key, &mut value) {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(BpfError::call("reading a BPF map", self.spec.name.clone(), error)),
        }
    }

    /// Sets the value at `key`; of a per-CPU map on all CPUs (the bytes [`Map::lookup`] would give).
    ///
    /// # Errors
    /// A key or value of the wrong length, or what the kernel says.
    pub fn update(&self, key: &[u8], value: &[u8]) -> Result<(), BpfError> {
        self.check("key", key.len(), self.spec.key_size as usize)?;
        self.check("value", value.len(), self.lookup_len)?;
        sys::map_update(self.descriptor.as_fd(), key, value)
            .map_err(|error| BpfError::call("writing a BPF map", self.spec.name.clone(), error))
    }

    /// Takes the entry at `key` away.
    ///
    /// # Errors
    /// A key of the wrong length, no such entry, or an array, whose entries stay.
    pub fn delete(&self, key: &[u8]) -> Result<(), BpfError> {
        self.check("key", key.len(), self.spec.key_size as usize)?;
        sys::map_delete(self.descriptor.as_fd(), key)
            .map_err(|error| BpfError::call("deleting from a BPF map", self.spec.name.clone(), error))
    }

    /// The `u64`s that a value consists of, summed over all CPUs. Wraps like the counters themselves.
    ///
    /// # Errors
    /// As [`Map::lookup`]; an entry that is not there gives zeroes.
    pub fn sums(&self, index: u32) -> Result<Vec<u64>, BpfError> {
        let words = self.spec.value_size as usize / 8;
        let mut sums = vec![0_u64; words];
        let value = self.lookup(&index.to_ne_bytes())?.unwrap_or_default();
        for of_cpu in value.chunks_exact(per_cpu_len(self.spec.value_size).max(1)) {
            for (sum, word) in sums.iter_mut().zip(of_cpu.chunks_exact(8)) {
                *sum = sum.wrapping_add(u64::from_ne_bytes(word.try_into().unwrap_or_default()));
            }
        }
        Ok(sums)
    }

    /// Puts an AF_XDP socket at `queue` of an `XskMap`. A socket that is closed leaves the map by itself.
    ///
    /// # Errors
    /// A queue that the map does not have, or a socket that is not AF_XDP.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), BpfError> {
        self.update(&queue.to_ne_bytes(), &socket.as_raw_fd().to_ne_bytes())
    }

    /// Sets `words` as the value at `index` of an array.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn set_words(&self, index: u32, words: &[u64]) -> Result<(), BpfError> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.update(&index.to_ne_bytes(), &bytes)
    }
}

impl AsRawFd for Map {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

const fn per_cpu_len(value_size: u32) -> usize {
    (value_size as usize).next_multiple_of(8)
}

/// CPUs that could ever be there; per-CPU maps have a value for each.
fn cpus_possible() -> std::io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    cpus_in(&text).ok_or_else(|| std::io::Error::other(format!("/sys/devices/system/cpu/possible says {text:?}")))
}

/// Numbers in a list like `0-3,8`; the kernel sizes by the highest.
fn cpus_in(list: &str) -> Option<usize> {
    let last = list.trim().rsplit([',', '-']).next()?;
    last.parse::<usize>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        for (list, expected) in
            [("0", Some(1)), ("0-1\n", Some(2)), ("0-3,8", Some(9)), ("0,2-5", Some(6)), ("", None), ("x", None)]
        {
            assert_eq!(cpus_in(list), expected, "{list}");
        }
    }
}
