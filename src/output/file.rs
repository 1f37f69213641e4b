//! Files that are replaced as a whole at the end.
//!
//! Owns names, buffers and renaming. Knows no format. Invariant: the target holds what it held before or everything that was
//! written, never a part of it; and no other file is touched.

use netscope_backends::storage::begin_writeback;
use netscope_backends::writing::{CompressedFile, OutputCompression, is_stdout, open_stdout, output_name};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// For small pieces; what comes in larger ones passes by.
const BUFFER_BYTES: usize = 1 << 16;
/// So much of a file that is waited for at its end goes to the disk at a time, while more is made.
const WRITEBACK_BYTES: u64 = 8 << 20;
/// Names tried for a temporary file.
const TEMPORARIES_MAX: u32 = 100;

/// An output file that could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} output file {}", path.display())]
pub struct OutputError {
    /// What we tried.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl OutputError {
    /// `source` happened when we tried to `action` the file at `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: output_name(path), source }
    }
}

impl From<OutputError> for io::Error {
    fn from(error: OutputError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// A file that appears under its name only when it is complete.
///
/// It is written as `.NAME.tmp-PID` in the target's directory, then flushed to the disk and renamed. Dropped without
/// [`AtomicFile::commit`], the temporary is removed and the target stays what it was. A target that is no regular file (a device,
/// a FIFO, `-` for standard output) is written to directly; a symbolic link is followed. A name that ends in `.gz` or `.zst`
/// is compressed.
#[derive(Debug)]
pub struct AtomicFile {
    /// `None` once it is committed.
    writer: Option<BufWriter<CompressedFile>>,
    compression: OutputCompression,
    /// Temporary and target; `None` for direct writing and after the rename.
    rename: Option<(PathBuf, PathBuf)>,
    /// Bytes written.
    written: u64,
    /// Those of them that the disk was asked to take.
    on_their_way: u64,
}

impl AtomicFile {
    /// Opens the temporary file.
    ///
    /// # Errors
    /// When the target is a directory, or its directory is missing or cannot be written to.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        Self::open(path).map_err(|source| OutputError::new("create", path, source))
    }

    fn open(path: &Path) -> io::Result<Self> {
        let compression = OutputCompression::of(path);
        if is_stdout(path) {
            return Self::new(open_stdout()?, compression, None);
        }
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let existing = fs::metadata(&target).ok();
        if existing.as_ref().is_some_and(|existing| !existing.is_file()) {
            // A directory is refused by the open itself.
            let file = OpenOptions::new().write(true).open(&target)?;
            return Self::new(file, compression, None);
        }
        let (temporary, file) = create_temporary(&target)?;
        if let Some(existing) = existing {
            file.set_permissions(existing.permissions())?;
        }
        Self::new(file, compression, Some((temporary, target)))
    }

    fn new(file: File, compression: OutputCompression, rename: Option<(PathBuf, PathBuf)>) -> io::Result<Self> {
        let writer = BufWriter::with_capacity(BUFFER_BYTES, CompressedFile::new(file, compression)?);
        Ok(Self { writer: Some(writer), compression, rename, written: 0, on_their_way: 0 })
    }

    fn writer(&mut self) -> io::Result<&mut BufWriter<CompressedFile>> {
        self.writer.as_mut().ok_or_else(|| io::Error::other("the file is complete"))
    }

    /// The same file for what is to follow; `None` where the next one is created beside the target. A FIFO is not opened again:
    /// that waits for a reader.
    ///
    /// # Errors
    /// When no more files may be open.
    pub fn next(&self) -> io::Result<Option<Self>> {
        match (&self.rename, &self.writer) {
            (None, Some(writer)) => Self::new(writer.get_ref().file().try_clone()?, self.compression, None).map(Some),
            _ => Ok(None),
        }
    }

    /// More was written; [`Self::commit`] will wait until the disk has it.
    fn note_written(&mut self, len: usize) {
        self.written += len as u64;
        let len = self.written - self.on_their_way;
        // Where bytes lie in a compressed file is not known.
        if len >= WRITEBACK_BYTES
            && self.rename.is_some()
            && self.compression == OutputCompression::None
            && let Some(writer) = &self.writer
        {
            begin_writeback(writer.get_ref().file(), self.on_their_way, len);
            self.on_their_way = self.written;
        }
    }

    /// Writes what is buffered to the disk and gives the file its name.
    ///
    /// # Errors
    /// When the disk is full or the rename is refused; the temporary is removed then.
    pub fn commit(mut self) -> io::Result<()> {
        self.writer()?.flush()?;
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
        let Some((temporary, target)) = &self.rename else { return Ok(()) };
        file.sync_all()?;
        fs::rename(temporary, target)?;
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).map(Path::to_owned);
        self.rename = None;
        // The rename itself survives a power cut only if the directory is written; some file systems cannot do that.
        if let Ok(directory) = File::open(directory.as_deref().unwrap_or(Path::new("."))) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.writer()?.write(bytes)?;
        self.note_written(len);
        Ok(len)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer()?.write_all(bytes)?;
        self.note_written(bytes.len());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer()?.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.rename {
            // Nobody can be told here; the error that led here is on its way.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Creates `.NAME.tmp-PID` beside the target. What a killed process with our number left behind stays.
fn create_temporary(target: &Path) -> io::Result<(PathBuf, File)> {
    let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    for attempt in 0..TEMPORARIES_MAX {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".tmp-{}", std::process::id()));
        if attempt > 0 {
            temporary.push(format!("-{attempt}"));
        }
        let temporary = target.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (temporary, file)),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "all names of temporary files beside it are taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_target_changes_only_at_the_commit() {
        let directory = tempdir().unwrap();
        let target = directory.path().join("flows.json");
        fs::write(&target, "old").unwrap();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(names(directory.path()), [format!(".flows.json.tmp-{}", std::process::id()), "flows.json".to_owned()]);
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(names(directory.path()), ["flows.json"]);
    }

    #[test]
    fn without_a_commit_nothing_remains() {
        let directory = tempdir().unwrap();
        let target = directory.path().join("flows.json");
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_refused_rename_removes_the_temporary() {
        let directory = tempdir().unwrap();
        let target = directory.path().join("flows.json");
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        // Something that a file cannot replace takes the name meanwhile.
        fs::create_dir(&target).unwrap();
        file.commit().unwrap_err();
        assert_eq!(names(directory.path()), ["flows.json"]);
        assert!(target.is_dir());
    }

    #[test]
    fn a_file_with_the_name_of_the_temporary_stays() {
        let directory = tempdir().unwrap();
        let left = directory.path().join(format!(".flows.json.tmp-{}", std::process::id()));
        fs::write(&left, "kept").unwrap();
        let mut file = AtomicFile::create(&directory.path().join("flows.json")).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(left).unwrap(), "kept");
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn the_ending_of_the_name_compresses() {
        use std::io::Read;
        let directory = tempdir().unwrap();
        for ending in ["gz", "zst"] {
            let target = directory.path().join(format!("flows.json.{ending}"));
            let mut file = AtomicFile::create(&target).unwrap();
            file.write_all(&[b'x'; 100_000]).unwrap();
            file.commit().unwrap();
            let bytes = fs::read(&target).unwrap();
            let mut read = Vec::new();
            match ending {
                "gz" => flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut read).unwrap(),
                _ => zstd::stream::read::Decoder::new(&bytes[..]).unwrap().read_to_end(&mut read).unwrap(),
            };
            assert!(bytes.len() < 1000 && read == [b'x'; 100_000], "{ending}");
        }
    }

    #[test]
    fn wrong_paths_are_named() {
        let directory = tempdir().unwrap();
        let missing = directory.path().join("missing").join("flows.json");
        let error = AtomicFile::create(&missing).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
        AtomicFile::create(directory.path()).unwrap_err();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        let mut file = AtomicFile::create(Path::new("/dev/null")).unwrap();
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let mut file = AtomicFile::create(Path::new("/dev/full")).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(file.commit().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempdir().unwrap();
        let target = directory.path().join("real.json");
        let link = directory.path().join("link.json");
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&target, &link).unwrap();
        let mut file = AtomicFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
