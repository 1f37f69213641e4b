//! Installing what is missing. Owns the package managers' names and commands; asks nothing and hides nothing:
//! the command is shown before it runs, `sudo` is used only by those who are not root, and where it cannot be
//! done the command to type is the message.

use crate::needs::{self, Need};
use crate::run;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Times a download is tried before giving up.
const ATTEMPTS: u32 = 3;

/// The version of cargo-nextest that is installed where there is none.
const NEXTEST_VERSION: &str = "0.9.143";

/// A package manager that we know how to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu
    Apt,
    /// Fedora, Red Hat
    Dnf,
    /// Arch
    Pacman,
    /// Alpine
    Apk,
    /// Homebrew
    Brew,
}

impl Manager {
    /// In the order they are looked for.
    const ALL: &[Self] = &[Self::Apt, Self::Dnf, Self::Pacman, Self::Apk, Self::Brew];

    const fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Apk => "apk",
            Self::Brew => "brew",
        }
    }

    /// The first one whose program is there.
    fn choose(is_there: impl Fn(&str) -> bool) -> Option<Self> {
        Self::ALL.iter().copied().find(|manager| is_there(manager.program()))
    }

    /// What the package is called here.
    const fn package(self, need: Need) -> &'static str {
        match (self, need) {
            (Self::Apt | Self::Dnf | Self::Pacman, Need::Linker) => "gcc",
            (Self::Apk, Need::Linker) => "build-base",
            (Self::Brew, Need::Linker) => "gcc",
            (Self::Apt, Need::CppCompiler) => "g++",
            (Self::Dnf, Need::CppCompiler) => "gcc-c++",
            (Self::Pacman | Self::Brew, Need::CppCompiler) => "gcc",
            (Self::Apk, Need::CppCompiler) => "build-base",
            (Self::Apt, Need::Libpcap) => "libpcap-dev",
            (Self::Dnf, Need::Libpcap) => "libpcap-devel",
            (Self::Apk, Need::Libpcap) => "libpcap-dev",
            (Self::Pacman | Self::Brew, Need::Libpcap) => "libpcap",
            (Self::Dnf, Need::Iproute2) => "iproute",
            (_, Need::Iproute2) => "iproute2",
            (_, Need::Ethtool) => "ethtool",
            (_, Need::Nftables) => "nftables",
            (Self::Apt | Self::Apk, Need::Tshark) => "tshark",
            (Self::Dnf | Self::Pacman, Need::Tshark) => "wireshark-cli",
            (Self::Brew, Need::Tshark) => "wireshark",
            (_, Need::Tcpdump) => "tcpdump",
            (_, Need::Rsyslog) => "rsyslog",
            (_, Need::Jq) => "jq",
            (Self::Pacman | Self::Brew, Need::Python3) => "python",
            (_, Need::Python3) => "python3",
            (Self::Apt | Self::Dnf, Need::Pip) => "python3-pip",
            (Self::Pacman, Need::Pip) => "python-pip",
            (Self::Apk, Need::Pip) => "py3-pip",
            (Self::Brew, Need::Pip) => "python",
            (_, Need::Valgrind) => "valgrind",
            (_, Need::Chromium) => "chromium",
            (Self::Brew, Need::Node | Need::Npm) => "node",
            (_, Need::Node) => "nodejs",
            (Self::Dnf, Need::Npm) => "nodejs-npm",
            (_, Need::Npm) => "npm",
            (Self::Dnf, Need::Promtool) => "golang-github-prometheus",
            (_, Need::Promtool) => "prometheus",
        }
    }

    /// The packages for these needs.
    fn packages(self, needs: &[Need]) -> Vec<&'static str> {
        let mut packages: Vec<_> = needs.iter().map(|need| self.package(*need)).collect();
        if self == Self::Apt && needs.contains(&Need::Linker) {
            packages.push("libc6-dev"); // gcc only recommends it
        }
        packages
    }

    /// Refreshes the lists of packages, where that is a step of its own.
    const fn refresh(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Apt => Some(&["apt-get", "update"]),
            Self::Dnf | Self::Pacman | Self::Apk | Self::Brew => None,
        }
    }

    /// The words that install, without the packages.
    pub const fn install(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False"],
            Self::Pacman => &["pacman", "--sync", "--refresh", "--needed", "--noconfirm"],
            Self::Apk => &["apk", "add", "--no-cache"],
            Self::Brew => &["brew", "install"],
        }
    }

    /// Homebrew refuses to run as root and writes to its own directory.
    const fn wants_root(self) -> bool {
        !matches!(self, Self::Brew)
    }
}

/// Who we are to a package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    Root,
    Sudo,
    None,
}

/// Makes sure that all `needs` are there, installing what is missing.
pub fn ensure(needs: &[Need]) -> Result<(), String> {
    let missing = needs::missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|need| need.name()).collect::<Vec<_>>().join(", ");
    let Some(manager) = Manager::choose(|program| run::find(program).is_some()) else {
        return Err(format!("missing: {names}; install it with your system's package manager and run this again"));
    };
    let packages = manager.packages(&missing);
    let lists_are_there = manager != Manager::Apt || has_apt_lists(Path::new("/var/lib/apt/lists"));
    let steps = steps(manager, &packages, rights(), lists_are_there)
        .ok_or_else(|| format!("missing: {names}; as root, type: {}", typed(manager, &packages)))?;
    println!("Missing: {names}. Installing now:");
    for step in &steps {
        install_step(step)
            .map_err(|error| format!("{error}; to install {names} yourself, type: {}", typed(manager, &packages)))?;
    }
    let still = needs::missing(&missing);
    if still.is_empty() {
        return Ok(());
    }
    let still = still.iter().map(|need| need.name()).collect::<Vec<_>>().join(", ");
    Err(format!("still missing after installing {}: {still}", packages.join(" ")))
}

/// Makes sure that cargo-nextest is there; without it tests have no limit of time.
pub fn ensure_nextest(root: &Path) -> Result<(), String> {
    if run::succeeds(run::cargo(root).args(["nextest", "--version"])) {
        return Ok(());
    }
    println!("Missing: cargo-nextest. Installing now, which takes some minutes:");
    run::show_and_run(run::cargo(root).args(["install", "cargo-nextest", "--version", NEXTEST_VERSION, "--locked"]))
}

/// The commands in order, or `None` where the rights do not suffice.
pub fn steps(
    manager: Manager,
    packages: &[&'static str],
    rights: Rights,
    lists_are_there: bool,
) -> Option<Vec<Vec<&'static str>>> {
    let prefix: &[&'static str] = match (manager.wants_root(), rights) {
        (false, _) | (true, Rights::Root) => &[],
        (true, Rights::Sudo) => &["sudo"],
        (true, Rights::None) => return None,
    };
    let refresh = manager.refresh().filter(|_| !lists_are_there);
    let install = [manager.install(), packages].concat();
    let commands = refresh.map(<[_]>::to_vec).into_iter().chain([install]);
    Some(commands.map(|words| [prefix, &words].concat()).collect())
}

/// The line a person types; root is theirs to become.
fn typed(manager: Manager, packages: &[&str]) -> String {
    let refresh = manager.refresh().map(|words| words.join(" ") + " && ").unwrap_or_default();
    format!("{refresh}{} {}", manager.install().join(" "), packages.join(" "))
}

/// Runs one step; a failed download is tried again, the lists of packages refreshed in between where that is
/// a step.
pub fn install_step(words: &[&str]) -> Result<(), String> {
    let mut outcome = run_words(words);
    for attempt in 2..=ATTEMPTS {
        if outcome.is_ok() {
            break;
        }
        println!("That failed; attempt {attempt} of {ATTEMPTS} in {} s.", 3 * attempt);
        std::thread::sleep(Duration::from_secs(3 * u64::from(attempt)));
        if words.contains(&"apt-get") && words.contains(&"install") {
            let update: Vec<&str> = words.iter().copied().filter(|word| *word == "sudo").chain(["apt-get", "update"]).collect();
            run_words(&update)?;
        }
        outcome = run_words(words);
    }
    outcome
}

fn run_words(words: &[&str]) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("an empty command")?;
    run::show_and_run(Command::new(program).args(arguments))
}

pub fn rights() -> Rights {
    let id = Command::new("id").arg("-u").output();
    let is_root = id.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let interactive = std::io::IsTerminal::is_terminal(&std::io::stdin());
    let sudo_works = || {
        run::find("sudo").is_some() && (interactive || run::succeeds(Command::new("sudo").args(["--non-interactive", "true"])))
    };
    match is_root {
        true => Rights::Root,
        false if sudo_works() => Rights::Sudo,
        false => Rights::None,
    }
}

/// Whether there are lists of packages; a fresh container comes without.
pub fn has_apt_lists(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: &[Need] = &[Need::Linker, Need::Libpcap, Need::Iproute2, Need::Ethtool, Need::Nftables, Need::Python3];

    #[test]
    fn the_first_manager_that_is_there_is_chosen() {
        assert_eq!(Manager::choose(|program| program == "apk"), Some(Manager::Apk));
        assert_eq!(Manager::choose(|program| program == "brew" || program == "dnf"), Some(Manager::Dnf));
        assert_eq!(Manager::choose(|_| true), Some(Manager::Apt));
        assert_eq!(Manager::choose(|_| false), None);
    }

    #[test]
    fn packages_have_each_system_s_names() {
        assert_eq!(
            Manager::Apt.packages(NEEDS),
            ["gcc", "libpcap-dev", "iproute2", "ethtool", "nftables", "python3", "libc6-dev"]
        );
        assert_eq!(Manager::Dnf.packages(NEEDS), ["gcc", "libpcap-devel", "iproute", "ethtool", "nftables", "python3"]);
        assert_eq!(Manager::Pacman.packages(NEEDS), ["gcc", "libpcap", "iproute2", "ethtool", "nftables", "python"]);
        assert_eq!(Manager::Apk.packages(NEEDS), ["build-base", "libpcap-dev", "iproute2", "ethtool", "nftables", "python3"]);
        assert_eq!(Manager::Brew.packages(&[Need::Libpcap]), ["libpcap"]);
    }

    #[test]
    fn lists_are_refreshed_only_when_needed_and_sudo_used_only_by_others_than_root() {
        let root = steps(Manager::Apt, &["libpcap-dev"], Rights::Root, true).unwrap();
        assert_eq!(root.len(), 1);
        assert_eq!(root[0][0], "env");
        let user = steps(Manager::Apt, &["libpcap-dev"], Rights::Sudo, false).unwrap();
        assert_eq!(user[0], ["sudo", "apt-get", "update"]);
        assert_eq!(user[1].first(), Some(&"sudo"));
        assert_eq!(user[1].last(), Some(&"libpcap-dev"));
        assert_eq!(steps(Manager::Dnf, &["gcc"], Rights::None, true), None);
        assert_eq!(steps(Manager::Brew, &["libpcap"], Rights::None, true).unwrap(), [["brew", "install", "libpcap"]]);
    }

    #[test]
    fn the_command_to_type_is_complete() {
        let line = typed(Manager::Apt, &["libpcap-dev"]);
        assert!(line.starts_with("apt-get update && "), "{line}");
        assert!(line.ends_with("--no-install-recommends libpcap-dev"), "{line}");
        assert_eq!(typed(Manager::Apk, &["libpcap-dev"]), "apk add --no-cache libpcap-dev");
    }

    #[test]
    fn a_directory_without_lists_is_seen() {
        let directory = std::env::temp_dir().join(format!("netscope-xtask-lists-{}", std::process::id()));
        assert!(!has_apt_lists(&directory));
        std::fs::create_dir_all(&directory).unwrap();
        assert!(!has_apt_lists(&directory));
        std::fs::write(directory.join("deb.example_dists_stable_main_binary-amd64_Packages"), "").unwrap();
        let seen = has_apt_lists(&directory);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(seen);
    }
}
