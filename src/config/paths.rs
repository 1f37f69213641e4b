//! Which files a run reads and writes: none is written that is read, and none is written twice.
//!
//! Owns the comparison, by device and inode, of everything a run names, before anything is opened for writing. Invariant: two
//! names of one file are found however they are spelled (links, relative names, case), also of a file that is yet to come.

use super::error::ConfigError;
use super::resolve::combination;
use super::settings::{OutputSettings, Settings, SourceSettings};
use crate::dashboard::ServerSettings;
use netscope_backends::file::STDIN_PATH;
use netscope_backends::writing::{RotationOptions, SegmentNames, is_stdout};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What a run does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileRole {
    Read,
    /// A directory whose captures are read.
    ReadDirectory,
    Written,
    /// Its name is a pattern.
    Rotated,
    /// Standard output or error, where that is a file and no output.
    Stream,
}

/// A file that a run names.
struct NamedFile<'a> {
    name: &'static str,
    path: &'a Path,
    role: FileRole,
    place: Option<FilePlace>,
}

/// Where a file lies.
#[derive(Debug, PartialEq, Eq)]
enum FilePlace {
    /// It is there: device and inode.
    Found(u64, u64),
    /// It would be created: device and inode of its directory, and its name, in lower case: some file systems make no difference.
    Coming(u64, u64, OsString),
}

/// Files that grow, and may rotate.
fn growing(output: &OutputSettings) -> Vec<NamedFile<'_>> {
    let rotations = [
        ("--write-pcap (output.write_pcap)", &output.write_pcap),
        ("--expired-flows-jsonl (output.expired_flows_jsonl)", &output.expired_flows_jsonl),
        ("--expired-flows-csv (output.expired_flows_csv)", &output.expired_flows_csv),
        ("--expired-flows-eve (output.expired_flows_eve)", &output.expired_flows_eve),
    ];
    let role = |options: &RotationOptions| if options.rotates() { FileRole::Rotated } else { FileRole::Written };
    let files = rotations
        .into_iter()
        .filter_map(|(name, options)| options.as_ref().map(|options| NamedFile::new(name, &options.path, role(options))));
    let name = "--expired-flows-zeek (output.expired_flows_zeek)";
    let logs = output.expired_flows_zeek.iter().map(|(options, ..)| NamedFile::new(name, &options.path, role(options)));
    files.chain(logs).collect()
}

/// Refuses settings by which a file would be destroyed or written twice. `config`: the configuration file.
///
/// # Errors
/// The two names of one file.
pub(super) fn check(settings: &Settings, config: Option<&Path>) -> Result<(), ConfigError> {
    let output = &settings.output;
    let mut files = Vec::new();
    if let SourceSettings::File(file) = &settings.source {
        let role = |path: &Path| if path.is_dir() { FileRole::ReadDirectory } else { FileRole::Read };
        files.extend(file.paths.iter().map(|path| NamedFile::new("--read-pcap (capture.read_pcap)", path, role(path))));
    }
    let list = settings.filter_file.as_deref();
    files.extend(list.map(|path| NamedFile::new("--filter-file (capture.filter_file)", path, FileRole::Read)));
    files.extend(config.map(|path| NamedFile::new("--config", path, FileRole::Read)));
    files.extend(growing(output));
    let whole = [
        ("--export-json (output.export_json)", &output.export_json),
        ("--export-csv (output.export_csv)", &output.export_csv),
        ("--summary-json (output.summary_json)", &output.summary_json),
        ("--stats-jsonl (stats.jsonl)", &output.stats_jsonl),
        ("--history-json (history.json)", &output.history_json),
        ("--alerts-jsonl (analysis.alerts_jsonl)", &output.alerts_jsonl),
    ];
    files.extend(
        whole.into_iter().filter_map(|(name, path)| path.as_ref().map(|path| NamedFile::new(name, path, FileRole::Written))),
    );
    files
        .extend(output.export_eve.iter().map(|path| NamedFile::new("--export-eve (output.export_eve)", path, FileRole::Written)));
    let logs = output.export_zeek.iter().flat_map(|zeek| &zeek.logs);
    files.extend(logs.map(|(_, path)| NamedFile::new("--export-zeek (output.export_zeek)", path, FileRole::Written)));
    let receivers = &output.receivers;
    let (syslog, webhook) = (receivers.syslog.as_ref(), receivers.webhook.as_ref());
    let client = syslog.and_then(|syslog| syslog.tls.client.as_ref());
    let read = [
        ("analysis.alerts.syslog.ca_file", syslog.and_then(|syslog| syslog.tls.ca_file.as_ref())),
        ("analysis.alerts.syslog.client_cert_file", client.map(|(certificate, _)| certificate)),
        ("analysis.alerts.syslog.client_key_file", client.map(|(_, key)| key)),
        ("analysis.alerts.webhook.ca_file", webhook.and_then(|webhook| webhook.tls.ca_file.as_ref())),
        ("analysis.alerts.webhook.secret_file", webhook.and_then(|webhook| webhook.secret_file.as_ref())),
        ("analysis.alerts.webhook.bearer_token_file", webhook.and_then(|webhook| webhook.bearer_token_file.as_ref())),
    ];
    let server = settings.web.as_ref().map(|web| &web.server);
    files.extend(server.into_iter().flat_map(web_files));
    files.extend(read.into_iter().filter_map(|(name, path)| path.map(|path| NamedFile::new(name, path, FileRole::Read))));
    if !output.has_stdout {
        files.push(NamedFile::new("standard output", Path::new("/dev/stdout"), FileRole::Stream));
    }
    files.push(NamedFile::new("standard error", Path::new("/dev/stderr"), FileRole::Stream));
    for (i, first) in files.iter().enumerate() {
        for second in files.iter().skip(i + 1) {
            if let Some(why) = clash(first, second) {
                return Err(combination(format!(
                    "{} {} and {} {} {why}: give them different ones",
                    first.name,
                    first.path.display(),
                    second.name,
                    second.path.display()
                )));
            }
        }
    }
    if let (Some(recorder), SourceSettings::File(file)) = (&settings.recorder, &settings.source)
        && let Some(read) = file.paths.iter().find(|path| path.is_dir() && id_of(path) == id_of(&recorder.directory))
    {
        return Err(combination(format!(
            "--recorder (recorder.directory) {} and --read-pcap (capture.read_pcap) {} are the same directory: give them different ones",
            recorder.directory.display(),
            read.display()
        )));
    }
    Ok(())
}

/// Files that the page's server reads.
fn web_files(server: &ServerSettings) -> impl Iterator<Item = NamedFile<'_>> {
    let tls = server
        .tls
        .iter()
        .flat_map(|tls| [("--web-tls-cert (web.tls.cert_path)", &tls.cert), ("--web-tls-key (web.tls.key_path)", &tls.key)]);
    let passwords = server.auth.iter().flat_map(|auth| &auth.user);
    let passwords = passwords.filter_map(|(_, secret)| Some(("--web-auth-pass-file (web.auth.password_file)", secret.path()?)));
    let tokens = server.auth.iter().flat_map(|auth| &auth.tokens);
    let tokens = tokens.filter_map(|token| Some(("web.auth.tokens.token_file", token.token.path()?)));
    tls.chain(passwords).chain(tokens).map(|(name, path)| NamedFile::new(name, path, FileRole::Read))
}

impl<'a> NamedFile<'a> {
    fn new(name: &'static str, path: &'a Path, role: FileRole) -> Self {
        let place = match role {
            FileRole::Rotated => None,
            FileRole::Read if path.as_os_str() == STDIN_PATH => place_of(Path::new("/dev/stdin")),
            FileRole::Written if is_stdout(path) => place_of(Path::new("/dev/stdout")),
            // Terminals and pipes of ours are nobody else's file.
            FileRole::Stream => place_of(path).filter(|_| fs::metadata(path).is_ok_and(|found| found.is_file())),
            _ => place_of(path),
        };
        Self { name, path, role, place }
    }

    /// Directory and name of the file itself, links followed.
    fn directory_and_name(&self) -> Option<(PathBuf, OsString)> {
        let path = fs::canonicalize(self.path).unwrap_or_else(|_| self.path.to_owned());
        Some((directory_of(&path).to_owned(), path.file_name()?.to_owned()))
    }
}

/// Why two files cannot be used together.
fn clash(first: &NamedFile<'_>, second: &NamedFile<'_>) -> Option<&'static str> {
    use FileRole::{Read, ReadDirectory, Rotated, Stream, Written};
    match (first.role, second.role) {
        (Read | ReadDirectory, Read | ReadDirectory) | (Stream, Stream) => None,
        (ReadDirectory, _) => is_in(first, second).then_some("are in one directory, whose captures are read"),
        (_, ReadDirectory) => is_in(second, first).then_some("are in one directory, whose captures are read"),
        // Whoever joins the two streams has the text of both.
        (Written, Stream) if is_stdout(first.path) => None,
        (Rotated, Rotated) => {
            let same_directory = id_of(directory_of(first.path)).is_some_and(|id| Some(id) == id_of(directory_of(second.path)));
            let lower = |path: &Path| path.file_name().map(OsStr::to_ascii_lowercase);
            (same_directory && lower(first.path) == lower(second.path)).then_some("would write the same files")
        }
        (Rotated, _) => is_segment(first, second).then_some("are the same file, as that name is one of a rotated file"),
        (_, Rotated) => is_segment(second, first).then_some("are the same file, as that name is one of a rotated file"),
        (Read | Written | Stream, Read | Written | Stream) => {
            (first.place.is_some() && first.place == second.place).then_some("are the same file")
        }
    }
}

/// True when `other` is a file of that directory that is there already, or rotated files that would be kept and deleted there.
fn is_in(directory: &NamedFile<'_>, other: &NamedFile<'_>) -> bool {
    let folder = match other.role {
        FileRole::Rotated => SegmentNames::of(other.path).ok().map(|segments| segments.folder().to_owned()),
        _ if matches!(other.place, Some(FilePlace::Found(..))) => other.directory_and_name().map(|(folder, _)| folder),
        _ => None,
    };
    folder.and_then(|folder| id_of(&folder)).is_some_and(|id| Some(id) == id_of(directory.path))
}

/// True when `other` has a name that a segment of `rotated` has or will have.
fn is_segment(rotated: &NamedFile<'_>, other: &NamedFile<'_>) -> bool {
    let (Ok(segments), Some((directory, name))) = (SegmentNames::of(rotated.path), other.directory_and_name()) else {
        return false;
    };
    id_of(segments.folder()).is_some_and(|id| Some(id) == id_of(&directory)) && segments.covers(&name)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// `None` for what can be named twice: a device, and what cannot be looked at, which fails when it is opened.
fn place_of(path: &Path) -> Option<FilePlace> {
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_char_device() => None,
        Ok(found) => Some(FilePlace::Found(found.dev(), found.ino())),
        Err(_) => {
            // A link to a file that is not there creates that one.
            let target = fs::read_link(path).map_or_else(|_| path.to_owned(), |target| directory_of(path).join(target));
            let (device, inode) = id_of(directory_of(&target))?;
            let name = target.file_name()?;
            let name = name.to_str().map_or_else(|| name.to_owned(), |name| name.to_lowercase().into());
            Some(FilePlace::Coming(device, inode, name))
        }
    }
}
