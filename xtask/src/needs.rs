//! What a command needs of the machine, and whether it is there. Owns the probes; knows nothing of package
//! managers.

use crate::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that must be there before a step can work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A C compiler driver, which rustc links with.
    Linker,
    /// A C++ compiler, which builds libFuzzer.
    CppCompiler,
    /// libpcap's headers and the file the linker reads.
    Libpcap,
    /// `ip` of iproute2, which makes the namespaces of the live tests.
    Iproute2,
    /// `ethtool`, which switches offloads in the live tests.
    Ethtool,
    /// `nft` of nftables, which sends packets to netfilter's log in a live test.
    Nftables,
    /// `tshark` and `capinfos`, whose numbers ours are compared with.
    Tshark,
    /// `tcpdump`, whose packets ours are compared with.
    Tcpdump,
    /// `rsyslogd`, which takes alerts.
    Rsyslog,
    /// `jq`, which reads what is written through pipes.
    Jq,
    /// Python 3, for the scorer of the capture corpus.
    Python3,
    /// pip, which installs the C compiler for other systems.
    Pip,
    /// valgrind, which counts instructions.
    Valgrind,
    /// Chromium, which the page is tested in.
    Chromium,
    /// Node.js, which drives it.
    Node,
    /// npm, which installs what drives it.
    Npm,
    /// promtool, which checks metrics and alert rules.
    Promtool,
}

impl Need {
    /// What `demo` needs.
    pub const DEMO: &[Self] = &[Self::Linker, Self::Libpcap];

    /// What `test` needs on this system.
    pub const fn test() -> &'static [Self] {
        if cfg!(target_os = "linux") {
            &[
                Self::Linker,
                Self::Libpcap,
                Self::Iproute2,
                Self::Ethtool,
                Self::Nftables,
                Self::Tshark,
                Self::Tcpdump,
                Self::Rsyslog,
                Self::Jq,
                Self::Python3,
                Self::Valgrind,
                Self::Chromium,
                Self::Node,
                Self::Npm,
            ]
        } else {
            &[Self::Linker, Self::Libpcap, Self::Python3]
        }
    }

    /// What `test` needs besides in CI, where nothing is left out: its package starts a server on Debian, which nobody asked for on a
    /// machine of their own.
    pub const CI: &[Self] = if cfg!(target_os = "linux") { &[Self::Promtool] } else { &[] };

    /// How a person calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linker => "a C linker (cc)",
            Self::CppCompiler => "a C++ compiler (c++)",
            Self::Libpcap => "libpcap with headers",
            Self::Iproute2 => "iproute2 (ip)",
            Self::Ethtool => "ethtool",
            Self::Nftables => "nftables (nft)",
            Self::Tshark => "tshark",
            Self::Tcpdump => "tcpdump",
            Self::Rsyslog => "rsyslog (rsyslogd)",
            Self::Jq => "jq",
            Self::Python3 => "python3",
            Self::Pip => "pip of python3",
            Self::Valgrind => "valgrind",
            Self::Chromium => "Chromium",
            Self::Node => "Node.js (node)",
            Self::Npm => "npm",
            Self::Promtool => "promtool of Prometheus",
        }
    }

    /// Looks whether it is there.
    pub fn is_met(self) -> bool {
        match self {
            Self::Linker => run::find("cc").is_some(),
            Self::CppCompiler => run::find("c++").is_some(),
            Self::Libpcap => libpcap_is_there(),
            Self::Iproute2 => run::find("ip").is_some(),
            Self::Ethtool => run::find("ethtool").is_some(),
            Self::Nftables => run::find("nft").is_some(),
            Self::Tshark => run::find("tshark").is_some() && run::find("capinfos").is_some(),
            Self::Tcpdump => run::find("tcpdump").is_some(),
            Self::Rsyslog => run::find("rsyslogd").is_some(),
            Self::Jq => run::find("jq").is_some(),
            Self::Python3 => run::succeeds(Command::new("python3").arg("--version")),
            Self::Pip => run::succeeds(Command::new("python3").args(["-m", "pip", "--version"])),
            Self::Valgrind => run::find("valgrind").is_some(),
            Self::Chromium => run::find("chromium").is_some(),
            Self::Node => run::find("node").is_some(),
            Self::Npm => run::find("npm").is_some(),
            Self::Promtool => run::find("promtool").is_some(),
        }
    }
}

/// Those of `needs` that are not there.
pub fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !need.is_met()).collect()
}

/// By pkg-config where it knows libpcap, else by linking a program that calls it; where there is no compiler
/// yet, by looking for the files, because a compiler that is about to be installed brings no libpcap.
fn libpcap_is_there() -> bool {
    if run::succeeds(Command::new("pkg-config").args(["--exists", "libpcap"])) {
        return true;
    }
    if let Some(compiler) = run::find("cc") {
        return links_with_libpcap(&compiler);
    }
    let directories: Vec<PathBuf> = LIBRARY_DIRECTORIES.iter().map(PathBuf::from).collect();
    Path::new("/usr/include/pcap.h").exists() && holds_libpcap(&directories)
}

const LIBRARY_DIRECTORIES: &[&str] =
    &["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

fn holds_libpcap(directories: &[PathBuf]) -> bool {
    let names = ["libpcap.so", "libpcap.a", "libpcap.dylib", "libpcap.tbd"];
    directories.iter().any(|directory| names.iter().any(|name| directory.join(name).exists()))
}

fn links_with_libpcap(compiler: &Path) -> bool {
    let directory = std::env::temp_dir().join(format!("netscope-xtask-{}", std::process::id()));
    if std::fs::create_dir_all(&directory).is_err() {
        return false;
    }
    let (source, program) = (directory.join("probe.c"), directory.join("probe"));
    let text = "#include <pcap.h>\nint main(void) { return pcap_lib_version() == 0; }\n";
    let linked = std::fs::write(&source, text).is_ok()
        && run::succeeds(Command::new(compiler).arg(&source).arg("-o").arg(&program).arg("-lpcap"));
    // A directory left behind in the temporary directory does no harm; the answer stands either way.
    let _left = std::fs::remove_dir_all(&directory);
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpcap_is_seen_by_its_library_file() {
        let directory = std::env::temp_dir().join(format!("netscope-xtask-needs-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let directories = [PathBuf::from("/nowhere"), directory.clone()];
        assert!(!holds_libpcap(&directories));
        std::fs::write(directory.join("libpcap.so"), "").unwrap();
        let seen = holds_libpcap(&directories);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(seen);
    }

    #[test]
    fn test_needs_all_that_demo_needs() {
        assert!(Need::DEMO.iter().all(|need| Need::test().contains(need)));
    }
}
