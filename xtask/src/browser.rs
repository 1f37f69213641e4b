//! What the tests of the page need besides a browser: the packages of `tests/browser`, as its lock file names them.

use crate::run;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The directory of the scripts that drive the browser.
const DIRECTORY: &str = "tests/browser";

/// Installs the packages, unless those that are there are the lock file's. Only where the page is tested, on Linux.
pub fn ensure_modules(root: &Path) -> Result<(), String> {
    let directory = root.join(DIRECTORY);
    if !cfg!(target_os = "linux") || is_installed(&directory) {
        return Ok(());
    }
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run::show_and_run(Command::new("npm").args(words).current_dir(&directory))
}

/// npm leaves a copy of what it installed, which is newer than the lock file it read.
fn is_installed(directory: &Path) -> bool {
    let changed = |name: &str| fs::metadata(directory.join(name)).and_then(|metadata| metadata.modified()).ok();
    match (changed("package-lock.json"), changed("node_modules/.package-lock.json")) {
        (Some(wanted), Some(installed)) => installed >= wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_older_than_the_lock_file_are_installed_again() {
        let directory = std::env::temp_dir().join(format!("netscope-xtask-browser-{}", std::process::id()));
        fs::create_dir_all(directory.join("node_modules")).unwrap();
        fs::write(directory.join("package-lock.json"), "{}").unwrap();
        assert!(!is_installed(&directory));
        fs::write(directory.join("node_modules/.package-lock.json"), "{}").unwrap();
        let fresh = is_installed(&directory);
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        fs::File::options().write(true).open(directory.join("package-lock.json")).unwrap().set_modified(later).unwrap();
        let stale = is_installed(&directory);
        fs::remove_dir_all(&directory).unwrap();
        assert!(fresh && !stale);
    }
}
