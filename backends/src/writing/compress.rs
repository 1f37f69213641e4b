//! OutputCompression of what is written, chosen by the name: `.gz` (RFC 1952), `.zst` (RFC 8878).
//!
//! Owns the encoder. Knows nothing of what it compresses. Its one invariant: after [`CompressedFile::shut`] not
//! a byte reaches the file, whatever an encoder still holds.

use flate2::write::GzEncoder;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// zlib's fastest: live captures must not wait for it.
const GZIP_LEVEL: u32 = 1;
/// zstd's default.
const ZSTD_LEVEL: i32 = 3;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputCompression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl OutputCompression {
    /// What the ending of this name asks for.
    pub fn of(path: &Path) -> Self {
        let is = |ending: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending));
        match () {
            () if is("gz") => Self::Gzip,
            () if is("zst") => Self::Zstd,
            () => Self::None,
        }
    }

    /// A name without the ending that asks for compression, and that ending.
    pub fn split(name: &Path) -> (&Path, Option<&OsStr>) {
        match (Self::of(name), name.file_stem()) {
            (Self::Gzip | Self::Zstd, Some(stem)) => (Path::new(stem), name.extension()),
            _ => (name, None),
        }
    }
}

/// A file that takes plain bytes and holds them compressed.
pub struct CompressedFile(FileEncoder);

enum FileEncoder {
    None(Valve),
    Gzip(GzEncoder<Valve>),
    Zstd(zstd::stream::write::Encoder<'static, Valve>),
}

/// The file, as long as it may be written to. An encoder writes what it holds when it is dropped, too.
struct Valve {
    file: File,
    written: u64,
    is_shut: bool,
}

impl Write for Valve {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shut {
            return Err(io::Error::other("an earlier write failed"));
        }
        let len = self.file.write(bytes)?;
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CompressedFile {
    /// Compresses into `file`.
    ///
    /// # Errors
    /// When the encoder gets no memory.
    pub fn new(file: File, compression: OutputCompression) -> io::Result<Self> {
        let valve = Valve { file, written: 0, is_shut: false };
        Ok(Self(match compression {
            OutputCompression::None => FileEncoder::None(valve),
            OutputCompression::Gzip => FileEncoder::Gzip(GzEncoder::new(valve, flate2::Compression::new(GZIP_LEVEL))),
            OutputCompression::Zstd => FileEncoder::Zstd(zstd::stream::write::Encoder::new(valve, ZSTD_LEVEL)?),
        }))
    }

    fn valve(&self) -> &Valve {
        match &self.0 {
            FileEncoder::None(valve) => valve,
            FileEncoder::Gzip(encoder) => encoder.get_ref(),
            FileEncoder::Zstd(encoder) => encoder.get_ref(),
        }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.valve().file
    }

    /// Bytes that the file has taken.
    pub fn written(&self) -> u64 {
        self.valve().written
    }

    /// How it is compressed.
    pub const fn compression(&self) -> OutputCompression {
        match &self.0 {
            FileEncoder::None(_) => OutputCompression::None,
            FileEncoder::Gzip(_) => OutputCompression::Gzip,
            FileEncoder::Zstd(_) => OutputCompression::Zstd,
        }
    }

    /// Lets nothing more through.
    pub fn shut(&mut self) {
        let valve = match &mut self.0 {
            FileEncoder::None(valve) => valve,
            FileEncoder::Gzip(encoder) => encoder.get_mut(),
            FileEncoder::Zstd(encoder) => encoder.get_mut(),
        };
        valve.is_shut = true;
    }

    /// Writes what the encoder holds and the end of the stream.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(self) -> io::Result<File> {
        Ok(match self.0 {
            FileEncoder::None(valve) => valve.file,
            FileEncoder::Gzip(encoder) => encoder.finish()?.file,
            FileEncoder::Zstd(encoder) => encoder.finish()?.file,
        })
    }
}

impl Write for CompressedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            FileEncoder::None(valve) => valve.write(bytes),
            FileEncoder::Gzip(encoder) => encoder.write(bytes),
            FileEncoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Brings everything into the file, readable up to here though the stream has no end yet.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            FileEncoder::None(_) => Ok(()),
            FileEncoder::Gzip(encoder) => encoder.flush(),
            FileEncoder::Zstd(encoder) => encoder.flush(),
        }
    }
}

impl std::fmt::Debug for CompressedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompressedFile").field("compression", &self.compression()).field("file", self.file()).finish()
    }
}
