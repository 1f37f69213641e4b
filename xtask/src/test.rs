//! `cargo xtask test`: every test of the repository, and a plain word about each one that could not run here.

use crate::browser;
use crate::fuzz;
use crate::install;
use crate::needs::Need;
use crate::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs all tests, each in a process of its own and for a limited time (`.config/nextest.toml`), then the
/// examples in the documentation; in CI, whatever cannot run is an error.
pub fn run(root: &Path) -> Result<(), String> {
    install::ensure(Need::test())?;
    if run::in_ci() {
        install::ensure(Need::CI)?;
    }
    install::ensure_nextest(root)?;
    browser::ensure_modules(root)?;
    let gaps = gaps(namespaces_work(), corpus(root).is_dir());
    for gap in &gaps {
        println!("Skipped here: {gap}");
    }
    if run::in_ci() && !gaps.is_empty() {
        return Err(format!("CI=true, and these tests cannot run here: {}", gaps.join("; ")));
    }
    fuzz::lock_file_is_current(root)?;
    run::show_and_run(run::cargo(root).args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]))?;
    run::show_and_run(run::cargo(root).args(["test", "--workspace", "--locked", "--doc"]))?;
    for gap in &gaps {
        println!("Skipped here: {gap}");
    }
    Ok(())
}

/// What cannot be tested here, and why.
fn gaps(namespaces_work: bool, corpus_is_there: bool) -> Vec<&'static str> {
    let mut gaps = Vec::new();
    if !namespaces_work {
        gaps.push("live tests: network namespaces cannot be made (needs Linux and root)");
    }
    if !corpus_is_there {
        gaps.push("comparison with the capture corpus: neither NETSCOPE_CORPUS nor ../shared/corpus is there");
    }
    gaps
}

/// Where the corpus is looked for; the tests look in the same places.
pub fn corpus(root: &Path) -> PathBuf {
    std::env::var_os("NETSCOPE_CORPUS").map_or_else(|| root.join("../shared/corpus"), PathBuf::from)
}

/// Tries to make a namespace and deletes it again.
fn namespaces_work() -> bool {
    let Some(ip) = run::find("ip") else { return false };
    let name = format!("netscope-xtask-{}", std::process::id());
    run::succeeds(Command::new(&ip).args(["netns", "add", &name]))
        && run::succeeds(Command::new(&ip).args(["netns", "delete", &name]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_is_named() {
        assert!(gaps(true, true).is_empty());
        assert!(gaps(false, true)[0].contains("namespaces"));
        assert!(gaps(true, false)[0].contains("corpus"));
        assert_eq!(gaps(false, false).len(), 2);
    }
}
