//! The programs NetScope is compared with, from Debian. Owns their packages and where each comes from. Its
//! one invariant: a peer that cannot be had is named and the others are installed nevertheless; nothing under
//! /etc is changed by us.

use crate::install::{self, Manager};
use crate::run;
use std::fs;
use std::path::Path;

/// Programs that read files, each with the package that brings it.
pub const PEERS: &[(&str, &str)] = &[
    ("nfpcapd", "nfdump"),
    ("softflowd", "softflowd"),
    ("argus", "argus-server"),
    ("racount", "argus-client"),
    ("suricata", "suricata"),
    ("tshark", "tshark"),
    ("ndpiReader", "libndpi-bin"),
];

/// Programs that capture, likewise.
pub const LIVE: &[(&str, &str)] = &[("tcpdump", "tcpdump"), ("dumpcap", "wireshark-common"), ("suricata", "suricata")];

/// Lists of packages that apt reads, copied so that ours can stand beside them.
const SOURCES: &str = "/etc/apt/sources.list.d";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Installs those of `peers` that are missing, one by one.
pub fn install(root: &Path, peers: &[(&'static str, &'static str)]) -> Result<(), String> {
    let missing: Vec<_> = peers.iter().filter(|(program, _)| run::find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if run::find("apt-get").is_none() {
        return Err("the peers are packages of Debian, and there is no apt-get; run this on Debian".to_owned());
    }
    let rights = install::rights();
    let mut lists_are_there = install::has_apt_lists(Path::new("/var/lib/apt/lists"));
    for (program, package) in missing {
        let steps = install::steps(Manager::Apt, &[package], rights, lists_are_there)
            .ok_or_else(|| format!("missing: {package}; installing it needs root"))?;
        lists_are_there = true;
        let outcome = steps.iter().try_for_each(|step| install::install_step(step));
        if let Err(reason) = outcome.or_else(|reason| from_backports(root, package, rights).map_err(|_second| reason)) {
            println!("{program} will be missing in the table: {reason}");
        }
    }
    Ok(())
}

/// Suricata is in no stable release before Debian 13, only in its backports. apt is given a directory of
/// sources of its own.
fn from_backports(root: &Path, package: &str, rights: install::Rights) -> Result<(), String> {
    let release = fs::read_to_string("/etc/os-release").map_err(|error| format!("/etc/os-release: {error}"))?;
    let codename = codename(&release).ok_or("this is no release of Debian")?;
    let directory = root.join("target/bench/apt-sources");
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    fs::create_dir_all(&directory).map_err(fail)?;
    for entry in fs::read_dir(SOURCES).map_err(fail)?.flatten() {
        fs::copy(entry.path(), directory.join(entry.file_name())).map_err(fail)?;
    }
    let line = format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {codename}-backports main\n");
    fs::write(directory.join("netscope-backports.list"), line).map_err(fail)?;
    println!("{package} is not in Debian {codename}; trying its backports:");
    let directory = format!("Dir::Etc::sourceparts={}", directory.display());
    let target = format!("{codename}-backports");
    // The lists of the other sources stay.
    let update = ["apt-get", "-o", &directory, "-o", "APT::Get::List-Cleanup=0", "update"];
    let install = [Manager::Apt.install(), &["-o", &directory, "--target-release", &target, package]].concat();
    for words in [&update[..], &install] {
        let prefix: &[&str] = if matches!(rights, install::Rights::Sudo) { &["sudo"] } else { &[] };
        install::install_step(&[prefix, words].concat())?;
    }
    Ok(())
}

/// The code name of a Debian release out of os-release(5).
fn codename(release: &str) -> Option<&str> {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim_matches('"'))
    };
    value("VERSION_CODENAME").filter(|_| value("ID") == Some("debian"))
}

#[cfg(test)]
mod tests {
    use super::codename;

    #[test]
    fn only_debian_has_backports_here() {
        assert_eq!(codename("NAME=x\nID=debian\nVERSION_CODENAME=bookworm\n"), Some("bookworm"));
        assert_eq!(codename("ID=\"debian\"\nVERSION_CODENAME=\"trixie\"\n"), Some("trixie"));
        assert_eq!(codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(codename("ID=debian\n"), None);
    }
}
