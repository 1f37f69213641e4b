//! Where rustc's standard library for another system comes from: installed, by rustup, or as source.
//!
//! Owns the ways to get it, in that order. Its one invariant: source is of the very version that rustc is, as
//! any other does not build with it.

use crate::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suite of Debian that has the source of current versions of rustc.
const SUITE: &str = "trixie-backports";

/// The standard library for a target.
#[derive(Debug, PartialEq, Eq)]
pub enum Library {
    /// The toolchain has it built.
    Installed,
    /// The directory `library` of rustc's source.
    Source(PathBuf),
}

/// The library for `target`; what is fetched is kept in `cache`. The error says why there is none.
pub fn find(cache: &Path, target: &str) -> Result<Library, String> {
    let sysroot = PathBuf::from(run::line_of(Command::new("rustc").args(["--print", "sysroot"]))?);
    let is_installed = || sysroot.join("lib/rustlib").join(target).join("lib").is_dir();
    let by_rustup =
        || run::find("rustup").is_some() && run::show_and_run(Command::new("rustup").args(["target", "add", target])).is_ok();
    if is_installed() || by_rustup() && is_installed() {
        return Ok(Library::Installed);
    }
    let own = sysroot.join("lib/rustlib/src/rust/library");
    if is_source(&own) {
        return Ok(Library::Source(own));
    }
    let line = run::line_of(Command::new("rustc").arg("--version"))?;
    let version = version(&line).ok_or_else(|| format!("`rustc --version` says `{line}`"))?;
    let library = cache.join(format!("source/usr/src/rustc-{version}/library"));
    if !is_source(&library) {
        fetch(cache, version).map_err(|why| format!("neither rustup nor Debian has the library of rustc {version}: {why}"))?;
    }
    let found = is_source(&library).then_some(Library::Source(library));
    found.ok_or_else(|| format!("Debian's package of the source of rustc {version} has no library"))
}

fn is_source(library: &Path) -> bool {
    library.join("std/src/lib.rs").is_file()
}

/// The number in what `rustc --version` prints; a beta's or nightly's is kept whole, and no package has it.
fn version(line: &str) -> Option<&str> {
    line.strip_prefix("rustc ")?.split(' ').next()
}

/// Takes Debian's package `rust-src` apart into the cache, from the mirror that this machine has for Debian.
/// Neither apt's lists nor what is installed are touched.
fn fetch(cache: &Path, version: &str) -> Result<(), String> {
    for program in ["apt-get", "dpkg-deb"] {
        run::find(program).ok_or_else(|| format!("there is no {program}"))?;
    }
    let asked = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"];
    let mirrors = run::line_of(Command::new("apt-get").args(asked))?;
    let mirror = mirrors.lines().next().ok_or("apt has no mirror of Debian")?;
    let apt = cache.join("apt");
    let fail = |error: std::io::Error| format!("{}: {error}", apt.display());
    for directory in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(apt.join(directory)).map_err(fail)?;
    }
    fs::write(apt.join("sources.list"), format!("deb {mirror} {SUITE} main\n")).map_err(fail)?;
    fs::write(apt.join("apt.conf"), configuration(&apt)).map_err(fail)?;
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("APT_CONFIG", apt.join("apt.conf")).current_dir(&apt);
        run::show_and_run(&mut command)
    };
    apt_get(&["--quiet", "update"])?;
    apt_get(&["--quiet", "download", &format!("rust-src={version}*")])?;
    let package = package(&apt, version).map_err(fail)?.ok_or("apt-get left no package")?;
    run::show_and_run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(cache.join("source")))?;
    fs::remove_file(&package).map_err(fail)
}

/// apt's configuration with lists of its own.
fn configuration(apt: &Path) -> String {
    let apt = apt.display();
    format!(
        "Dir::Etc::sourcelist \"{apt}/sources.list\";\nDir::Etc::sourceparts \"-\";\nDir::State::lists \"{apt}/lists\";\n\
         Dir::Cache \"{apt}\";\nAPT::Sandbox::User \"root\";\n"
    )
}

/// The downloaded package of this version.
fn package(apt: &Path, version: &str) -> std::io::Result<Option<PathBuf>> {
    let start = format!("rust-src_{version}");
    let names = fs::read_dir(apt)?.map(|entry| entry.map(|entry| entry.path()));
    let paths = names.collect::<std::io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_number_alone() {
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)"), Some("1.95.0"));
        assert_eq!(version("rustc 1.97.0-nightly (0 2026-05-01)"), Some("1.97.0-nightly"));
        assert_eq!(version("cargo 1.95.0"), None);
    }

    #[test]
    fn the_package_of_the_version_is_found() {
        let directory = std::env::temp_dir().join(format!("netscope-xtask-library-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for name in ["rust-src_1.94.0+dfsg1-1_all.deb", "rust-src_1.95.0+dfsg1-2_all.deb"] {
            fs::write(directory.join(name), "").unwrap();
        }
        let found = [package(&directory, "1.95.0").unwrap(), package(&directory, "1.96.0").unwrap()];
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found, [Some(directory.join("rust-src_1.95.0+dfsg1-2_all.deb")), None]);
    }
}
