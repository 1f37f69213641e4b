//! A capture with one wrong time in it.
//!
//! Owns the change. Knows plain pcap files with little-endian headers, as the generator writes them.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;

const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
/// The latest second that a pcap file can tell: in February 2106.
const WRONG_SECONDS: u32 = u32::MAX;

/// Copies the capture `from` to `out`; its packet number `wrong` (from 0) has a wrong time.
///
/// # Errors
/// When one cannot be read or the other not written, or there is no such packet.
pub fn copy(from: &Path, wrong: u64, out: &mut impl Write) -> io::Result<()> {
    let mut capture = BufReader::with_capacity(1 << 20, File::open(from)?);
    copy_len(&mut capture, FILE_HEADER_LEN as u64, out)?;
    for number in 0..=wrong {
        let mut header = [0; RECORD_HEADER_LEN];
        capture.read_exact(&mut header)?;
        let [.., a, b, c, d, _, _, _, _] = header;
        if number == wrong {
            header[..4].copy_from_slice(&WRONG_SECONDS.to_le_bytes());
        }
        out.write_all(&header)?;
        copy_len(&mut capture, u32::from_le_bytes([a, b, c, d]).into(), out)?;
    }
    io::copy(&mut capture, out).map(|_copied| ())
}

fn copy_len(from: &mut impl Read, len: u64, out: &mut impl Write) -> io::Result<()> {
    if io::copy(&mut from.take(len), out)? < len { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_perf::{GeneratorSettings, Profile, Resolution, write_pcap};

    #[test]
    fn four_bytes_of_one_record_are_others() {
        let directory = std::env::temp_dir().join(format!("netscope-wrong-time-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("right.pcap");
        let mut right = Vec::new();
        write_pcap(&GeneratorSettings::new(Profile::SmallPackets, 100, 10, 1), Resolution::Micro, &mut right).unwrap();
        std::fs::write(&path, &right).unwrap();
        let mut wrong = Vec::new();
        copy(&path, 50, &mut wrong).unwrap();
        assert_eq!(wrong.len(), right.len());
        let others: Vec<usize> = (0..right.len()).filter(|&at| right[at] != wrong[at]).collect();
        assert!((1..=4).contains(&others.len()) && others[others.len() - 1] - others[0] < 4, "{others:?}");
        assert!(copy(&path, 100, &mut Vec::new()).is_err(), "no such packet");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
