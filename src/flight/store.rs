//! The files of recordings: their names, how they come and how old ones go.
//!
//! Owns the directory. Knows no packet. Invariants: a recording appears under its name when it is complete; nothing
//! is deleted or replaced but files of exactly the names that are made here.

use super::FlightSettings;
use netscope_backends::Timestamp;
use netscope_backends::writing::NamePattern;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PREFIX: &str = "flight-";
const SUFFIX: &str = ".pcapng";
/// Digits and letters of a time in a name: `20261130T101500.123456789Z-`.
const TIME_LEN: usize = 27;
/// Longest label in a name.
const LABEL_LEN_MAX: usize = 80;
/// What a killed run left behind is deleted when it is this old: no recording takes as long.
const LEFTOVER_AGE: Duration = Duration::from_secs(86_400);

/// The directory of recordings.
#[derive(Clone, Debug)]
pub struct RecordingStore {
    directory: PathBuf,
    files_max: usize,
    bytes_max: u64,
    age_max: Option<Duration>,
    after_ns: u64,
}

/// A recording, or what is left of one, in the directory.
struct StoredFile {
    changed: SystemTime,
    name: String,
    len: u64,
}

impl RecordingStore {
    /// Creates the directory where it is missing, and a file in it, so that a wrong one is an error before the capture starts.
    ///
    /// # Errors
    /// When no file can be created there.
    pub fn open(settings: &FlightSettings) -> io::Result<Self> {
        fs::create_dir_all(&settings.directory)?;
        let probe = settings.directory.join(format!(".{PREFIX}probe.{}", std::process::id()));
        OpenOptions::new().write(true).create_new(true).open(&probe)?;
        fs::remove_file(&probe)?;
        let FlightSettings { directory, files_max, bytes_max, age_max, after_ns, .. } = settings;
        let files_max = usize::try_from(*files_max).unwrap_or(usize::MAX).max(1);
        Ok(Self { directory: directory.clone(), files_max, bytes_max: *bytes_max, age_max: *age_max, after_ns: *after_ns })
    }

    /// The name of a recording of this time. The label may be any text; the name has no byte that a shell or a file system takes
    /// for anything else.
    pub fn name(time: Timestamp, label: &str) -> String {
        let pattern = NamePattern::parse("%Y%m%dT%H%M%S").map(|pattern| pattern.name_at(time)).unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // An alert's key: a kind, a space, addresses.
        let is_usual = |c: char| is_plain(c) || matches!(c, ' ' | ':' | '/' | '[' | ']');
        let mut plain: String = label.chars().take(LABEL_LEN_MAX).map(|c| if is_plain(c) { c } else { '-' }).collect();
        if plain.is_empty() || label.chars().count() > LABEL_LEN_MAX || !label.chars().all(is_usual) {
            // Two texts that look the same as names are still two recordings.
            let mut hasher = DefaultHasher::new();
            label.hash(&mut hasher);
            plain.truncate(LABEL_LEN_MAX - 17);
            plain.push_str(&format!("-{:016x}", hasher.finish()));
        }
        format!("{PREFIX}{pattern}.{:09}Z-{plain}{SUFFIX}", time.0 % Timestamp::NS_PER_SEC)
    }

    /// True for a name that [`RecordingStore::name`] could have made.
    pub fn is_ours(name: &str) -> bool {
        let label = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let Some((time, label)) = label.and_then(|rest| rest.split_at_checked(TIME_LEN)) else { return false };
        let is_time = time.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'.',
            25 => byte == b'Z',
            26 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        is_time && (1..=LABEL_LEN_MAX).contains(&label.len()) && label.bytes().all(is_plain)
    }

    /// True for a temporary file of any run.
    fn is_temporary(name: &str) -> bool {
        let Some(rest) = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(SUFFIX)) else { return false };
        rest.rsplit_once('.').is_some_and(|(stem, id)| {
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) && Self::is_ours(&format!("{stem}{SUFFIX}"))
        })
    }

    /// Where a recording of this name will be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// When the recording of an alert that was told at this time ends, by the packets' clock.
    pub const fn end_of(&self, told: Timestamp) -> Timestamp {
        told.plus(self.after_ns)
    }

    /// Creates the file that a recording is written to until it is complete.
    ///
    /// # Errors
    /// When it is there, or cannot be created.
    pub(super) fn create_temporary(&self, name: &str) -> io::Result<PathBuf> {
        let stem = name.strip_suffix(SUFFIX).unwrap_or(name);
        let path = self.directory.join(format!(".{stem}.{}{SUFFIX}", std::process::id()));
        OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(path)
    }

    /// Gives a complete recording its name; one of the same name, which is of the same alert or moment, is replaced. Its length.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn commit(&self, temporary: &Path, name: &str) -> io::Result<u64> {
        let file = fs::File::open(temporary)?;
        file.sync_all()?;
        fs::rename(temporary, self.path(name))?;
        Ok(file.metadata()?.len())
    }

    /// Deletes the oldest recordings until all bounds hold, but never `newest`. How many, and why one could not be deleted.
    pub(super) fn prune(&self, newest: &str) -> (u64, Option<String>) {
        let mut found = match self.list() {
            Ok(found) => found,
            Err(error) => return (0, Some(format!("cannot list {}: {error}", self.directory.display()))),
        };
        found.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
        let now = SystemTime::now();
        let age = |file: &StoredFile| now.duration_since(file.changed).unwrap_or_default();
        let (mut deleted, mut failure) = (0, None);
        let (temporary, kept): (Vec<_>, Vec<_>) = found.into_iter().partition(|file| Self::is_temporary(&file.name));
        let (mut count, mut bytes) = (kept.len(), kept.iter().map(|file| file.len).sum::<u64>());
        let mut condemned: Vec<StoredFile> = temporary.into_iter().filter(|file| age(file) > LEFTOVER_AGE).collect();
        for file in kept.into_iter().filter(|file| file.name != newest) {
            let is_old = self.age_max.is_some_and(|max| age(&file) > max);
            if is_old || count > self.files_max || bytes > self.bytes_max {
                (count, bytes) = (count - 1, bytes - file.len);
                condemned.push(file);
            }
        }
        for file in condemned {
            match fs::remove_file(self.path(&file.name)) {
                Ok(()) => deleted += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failure = Some(format!("cannot delete {}: {error}", self.path(&file.name).display())),
            }
        }
        (deleted, failure)
    }

    /// Regular files of our names.
    fn list(&self) -> io::Result<Vec<StoredFile>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !Self::is_ours(&name) && !Self::is_temporary(&name) {
                continue;
            }
            // Links are not followed; what is gone meanwhile is none of ours.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_file() {
                found.push(StoredFile { changed: about.modified()?, name, len: about.len() });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::savefile::CaptureOrigin;
    use proptest::prelude::*;

    fn settings(directory: &Path) -> FlightSettings {
        FlightSettings {
            directory: directory.to_owned(),
            ring_ns: 1,
            boxes: 4,
            snaplen: 1,
            before_ns: 1,
            after_ns: 1,
            recording_bytes_max: 1,
            files_max: 3,
            bytes_max: 1000,
            age_max: None,
            filter: None,
            origin: CaptureOrigin::default(),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("our directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    /// Files whose times are seconds apart, oldest first.
    fn write(directory: &Path, files: &[(&str, usize)]) {
        let start = SystemTime::now() - Duration::from_secs(1000);
        for (index, (name, len)) in files.iter().enumerate() {
            let path = directory.join(name);
            fs::write(&path, vec![0; *len]).expect("room");
            let file = OpenOptions::new().write(true).open(&path).expect("it is there");
            file.set_modified(start + Duration::from_secs(index as u64)).expect("a time");
        }
    }

    #[test]
    fn names_say_time_and_subject() {
        let time = Timestamp::from_parts(1_700_000_000, 42);
        let name = RecordingStore::name(time, "syn_flood [2001:db8::1]:80");
        assert_eq!(name, "flight-20231114T221320.000000042Z-syn_flood--2001-db8--1--80.pcapng");
        assert!(RecordingStore::is_ours(&name));
        for other in [
            "flight-20231114T221320.000000042Z-.pcapng",
            "flight-20231114T221320.000000042Z-a/b.pcapng",
            "flight-20231114T221320.00000004Z-ab.pcapng",
            "flight-20231114T221320.000000042Z-ab.pcap",
            "flight-x.pcapng",
            "flight-.pcapng",
        ] {
            assert!(!RecordingStore::is_ours(other), "{other}");
        }
    }

    #[test]
    fn the_oldest_go_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = RecordingStore::open(&settings(directory.path())).expect("it can be written to");
        assert_eq!(names(directory.path()), [""; 0], "the probe is gone");
        let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(|second| RecordingStore::name(Timestamp::from_parts(second, 0), "x y"));
        let others = ["flight-mine.pcapng", "capture.pcapng", &format!("{a}.gz"), "flight-20231114T221320.000000042Z-ab.pcap"];
        write(directory.path(), &others.map(|name| (name, 5000)));
        write(directory.path(), &[(&a, 10), (&b, 10), (&c, 10), (&d, 10)]);
        assert_eq!(store.prune(&d), (1, None), "by count");
        assert!(!store.path(&a).exists() && store.path(&b).exists());
        write(directory.path(), &[(&b, 10), (&c, 10), (&d, 990)]);
        assert_eq!(store.prune(&d), (1, None), "by bytes");
        write(directory.path(), &[(&e, 2000)]);
        assert_eq!(store.prune(&e), (2, None), "a large one takes all others with it and stays");
        assert!(store.path(&e).exists());
        let old = RecordingStore { age_max: Some(Duration::from_secs(500)), ..store.clone() };
        assert_eq!(old.prune("nothing"), (1, None), "by age");
        assert_eq!(names(directory.path()).len(), others.len(), "files of others stay");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_directories_of_such_names_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = RecordingStore { files_max: 1, ..RecordingStore::open(&settings(directory.path())).expect("writable") };
        let [a, b, c] = [1, 2, 3].map(|second| RecordingStore::name(Timestamp::from_parts(second, 0), "x"));
        fs::create_dir(store.path(&a)).expect("a directory");
        std::os::unix::fs::symlink("/etc/passwd", store.path(&b)).expect("a link");
        write(directory.path(), &[(&c, 10)]);
        assert_eq!(store.prune("nothing"), (0, None));
        assert_eq!(names(directory.path()).len(), 3);
    }

    #[test]
    fn a_recording_appears_when_it_is_complete_and_leftovers_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = RecordingStore::open(&settings(directory.path())).expect("writable");
        let name = RecordingStore::name(Timestamp::from_parts(1, 0), "x");
        let temporary = store.create_temporary(&name).expect("a file");
        store.create_temporary(&name).expect_err("it is there");
        fs::write(&temporary, [1; 7]).expect("room");
        assert!(!store.path(&name).exists());
        assert_eq!(store.commit(&temporary, &name).expect("a rename"), 7);
        assert_eq!(names(directory.path()), std::slice::from_ref(&name));
        let left = format!(".{}.77.pcapng", name.trim_end_matches(SUFFIX));
        write(directory.path(), &[(&left, 1)]);
        assert_eq!(store.prune(&name), (0, None), "it may be being written");
        let file = OpenOptions::new().write(true).open(store.path(&left)).expect("it is there");
        file.set_modified(SystemTime::now() - 2 * LEFTOVER_AGE).expect("a time");
        assert_eq!(store.prune(&name), (1, None));
        assert_eq!(names(directory.path()), [name]);
    }

    proptest! {
        /// Hostile labels: path separators, dots, control characters, any length.
        #[test]
        fn any_label_makes_a_name_of_ours(label in any::<String>(), seconds in 0u64..20_000_000_000, ns in 0u64..1_000_000_000) {
            let name = RecordingStore::name(Timestamp::from_parts(seconds.min(9_223_372_036), ns), &label);
            prop_assert!(RecordingStore::is_ours(&name), "{}", name);
            prop_assert!(name.len() < 160 && !name.contains('/'));
        }
    }

    #[test]
    fn labels_that_look_alike_have_names_of_their_own() {
        let labels = ["", "../../etc/passwd", "..\u{0}..\u{0}etc\u{0}passwd", "a\nb", "a\rb", &"x".repeat(500), &"x".repeat(501)];
        let names: std::collections::BTreeSet<_> = labels.iter().map(|label| RecordingStore::name(Timestamp(7), label)).collect();
        assert_eq!(names.len(), labels.len(), "{names:?}");
    }
}
