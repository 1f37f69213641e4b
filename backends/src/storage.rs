//! Asks the kernel to begin writing a growing file to its disk.
//!
//! Owns one call, which safe code has none for. Knows nothing of what is in the file. Its one invariant: it
//! changes when bytes reach the disk and never which.

use std::fs::File;

/// Hints that `len` bytes of `file` from `start` on, which were written, are complete, so that the disk may
/// have them while more are made; whoever waits for all of them at the end then waits less. Says nothing of
/// whether they have arrived. Does nothing on systems other than Linux.
pub fn begin_writeback(file: &File, start: u64, len: u64) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let (Ok(start), Ok(len)) = (i64::try_from(start), i64::try_from(len)) else { return };
        // JUSTIFICATION: the standard library can only wait until everything is on the disk.
        // SAFETY: the descriptor is open as long as `file` is borrowed; the call takes no pointer. A refusal
        // (a pipe, a file system that cannot) costs speed only, so the result is not looked at.
        unsafe { libc::sync_file_range(file.as_raw_fd(), start, len, libc::SYNC_FILE_RANGE_WRITE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, start, len);
}

#[cfg(test)]
mod tests {
    use super::begin_writeback;
    use std::io::{Read, Seek, Write};

    #[test]
    fn contents_stay() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        for (start, len) in [(0, 100_000), (50_000, 1_000_000), (u64::MAX, 1), (0, 0)] {
            begin_writeback(&file, start, len);
        }
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes.len() == 100_000 && bytes.iter().all(|&byte| byte == 7));
    }
}
