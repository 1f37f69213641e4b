//! `cargo xtask check-targets`: type-checks the workspace, tests included, for systems that CI does not run on.
//!
//! Owns the list of systems and the C compiler for them. Links and runs nothing. Its one invariant: everything
//! that is fetched or built lies below `target/`, unless rustup adds to its own toolchain.

use crate::install;
use crate::library::{self, Library};
use crate::needs::Need;
use crate::run;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the C compiler and the source of the standard library are kept, in the workspace.
const CACHE: &str = "target/check-targets";

/// The release of package ziglang on PyPI. Its clang compiles C for each system, whose headers it brings.
const ZIG_VERSION: &str = "0.15.1";

/// The release of libpcap that crate pcap assumes, as there is none for the other system to ask.
const LIBPCAP_VERSION: &str = "1.10.4";

/// A system, as rustc and as zig call it.
struct Target {
    rust: &'static str,
    zig: &'static str,
}

const TARGETS: &[Target] = &[
    Target { rust: "aarch64-apple-darwin", zig: "aarch64-macos" },
    Target { rust: "aarch64-unknown-linux-gnu", zig: "aarch64-linux-gnu" },
];

/// Checks one target after the other; a warning is an error. A target whose standard library cannot be had is
/// named and left out.
pub fn run(root: &Path) -> Result<(), String> {
    install::ensure(&[Need::Linker, Need::Pip])?;
    let cache = root.join(CACHE);
    let compiler = zig(&cache)?;
    let mut checked = 0;
    for target in TARGETS {
        match library::find(&cache, target.rust) {
            Ok(library) => {
                run::show_and_run(&mut check(root, target, &library, &compiler)?)?;
                checked += 1;
            }
            Err(why) => println!("Not checked for {}: {why}", target.rust),
        }
    }
    println!("{checked} of {} targets checked", TARGETS.len());
    Ok(())
}

/// The directory of the C compiler, which is installed into the cache where it is not there.
fn zig(cache: &Path) -> Result<PathBuf, String> {
    let packages = cache.join("zig");
    let directory = packages.join("ziglang");
    let version = run::line_of(Command::new(directory.join("zig")).arg("version"));
    if version.is_ok_and(|version| version == ZIG_VERSION) {
        return Ok(directory);
    }
    println!("Missing: zig {ZIG_VERSION}. Installing now into {}:", packages.display());
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"]);
    run::show_and_run(pip.arg(&packages).arg(format!("ziglang=={ZIG_VERSION}")))?;
    Ok(directory)
}

/// `cargo check` for a target.
fn check(root: &Path, target: &Target, library: &Library, compiler: &Path) -> Result<Command, String> {
    let mut cargo = run::cargo(root);
    cargo.args(["check", "--workspace", "--all-targets", "--locked", "--target", target.rust]);
    if let Library::Source(source) = library {
        // Flags of nightly, which the stable compiler takes when told so. The variable is how cargo's own tests
        // name the source; without it, the source would have to lie inside of the toolchain.
        cargo.arg("-Zbuild-std").env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", source);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(compiler.to_path_buf()).chain(env::split_paths(&path)));
    cargo.env("PATH", path.map_err(|error| format!("{}: {error}", compiler.display()))?);
    cargo.env("ZIG_GLOBAL_CACHE_DIR", root.join(CACHE).join("zig-cache"));
    // Crate cc would add a target in words that zig does not know.
    cargo.env("CRATE_CC_NO_DEFAULTS", "1");
    let suffix = target.rust.replace('-', "_");
    cargo.env(format!("CC_{suffix}"), format!("zig cc -target {}", target.zig)).env(format!("AR_{suffix}"), "zig ar");
    cargo.env("LIBPCAP_VER", LIBPCAP_VERSION).env("RUSTFLAGS", "-D warnings");
    Ok(cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(command: &Command, name: &str) -> Option<String> {
        let (_, value) = command.get_envs().find(|(own, _)| *own == name)?;
        value.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn a_check_has_its_target_in_all_three_languages() {
        let command = check(Path::new("/w"), &TARGETS[0], &Library::Installed, Path::new("/zig")).unwrap();
        assert!(run::shown(&command).ends_with("check --workspace --all-targets --locked --target aarch64-apple-darwin"));
        assert_eq!(value(&command, "CC_aarch64_apple_darwin").unwrap(), "zig cc -target aarch64-macos");
        assert_eq!(value(&command, "RUSTFLAGS").unwrap(), "-D warnings");
        assert!(value(&command, "PATH").unwrap().starts_with("/zig"));
        assert_eq!(value(&command, "RUSTC_BOOTSTRAP"), None);
    }

    #[test]
    fn a_library_from_source_is_built_with_the_rest() {
        let library = Library::Source(PathBuf::from("/source/library"));
        let command = check(Path::new("/w"), &TARGETS[1], &library, Path::new("/zig")).unwrap();
        assert!(run::shown(&command).ends_with("--target aarch64-unknown-linux-gnu -Zbuild-std"));
        assert_eq!(value(&command, "RUSTC_BOOTSTRAP").unwrap(), "1");
        assert_eq!(value(&command, "__CARGO_TESTS_ONLY_SRC_ROOT").unwrap(), "/source/library");
    }
}
