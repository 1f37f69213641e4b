//! What the program says of itself: help, version, completion scripts, man page, the reference of flags and keys.

use netscope::config::{Command, ConfigError, command, reference, write_completions, write_man};
use std::fs;
use std::path::Path;

fn run(flags: &[&str]) -> Result<Command, ConfigError> {
    command(std::iter::once("netscope").chain(flags.iter().copied()).map(Into::into))
}

#[test]
fn help_and_version_are_no_failure() {
    for flag in ["--help", "-h", "--version", "-V"] {
        assert_eq!(run(&[flag]).unwrap_err().exit_code(), 0, "{flag}");
    }
    assert_eq!(run(&["--no-such-flag"]).unwrap_err().exit_code(), 1);
    assert_eq!(run(&["-i", "lo", "--filter", "tcp", "udp"]).unwrap_err().exit_code(), 1);
}

#[test]
fn help_has_its_headings_and_every_flag_of_the_contract() {
    let help = run(&["--help"]).unwrap_err().to_string();
    for heading in ["General:", "Capture:", "Output:", "Flows:", "Statistics:", "Page:", "Performance:"] {
        assert!(help.contains(heading), "{heading} in {help}");
    }
    for flag in [
        "--config",
        "--interface",
        "--read-pcap",
        "--filter",
        "--count",
        "--promiscuous",
        "--no-promiscuous",
        "--snaplen",
        "--timeout-ms",
        "--hex-dump",
        "--no-hex-dump",
        "--time",
        "--color",
        "--link",
        "--absolute-seq",
        "--quiet",
        "--no-quiet",
        "--verbose",
        "--list-interfaces",
        "--write-pcap",
        "--write-pcap-rotate-mb",
        "--write-pcap-max-files",
        "--export-json",
        "--export-csv",
        "--export-eve",
        "--export-zeek",
        "--expired-flows-jsonl",
        "--expired-flows-csv",
        "--expired-flows-eve",
        "--expired-flows-zeek",
        "--stats",
        "--no-stats",
        "--stats-interval-ms",
        "--top-flows",
        "--flow-timeout-s",
        "--max-flows",
        "--pipeline",
        "--workers",
        "--synthetic-flows",
        "--backend",
        "--web",
        "--no-web",
        "--web-bind",
        "--web-port",
        "--web-tls",
        "--no-web-tls",
        "--web-tls-cert",
        "--web-tls-key",
        "--web-auth",
        "--no-web-auth",
        "--web-auth-user",
        "--web-auth-pass-file",
        "--completions",
        "--man",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn completions_and_man_page_are_written() {
    let mut script = Vec::new();
    write_completions(clap_complete::Shell::Bash, &mut script).unwrap();
    assert!(String::from_utf8(script).unwrap().contains("--expired-flows-jsonl"));
    let mut page = Vec::new();
    write_man(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(".TH") && page.contains("flow\\-timeout\\-s"), "{page}");
    assert_eq!(run(&["--completions", "zsh"]).unwrap(), Command::Completions(clap_complete::Shell::Zsh));
}

#[test]
fn the_reference_is_made_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let made = reference();
    if std::env::var_os("NETSCOPE_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert_eq!(differs, None, "run the test once with NETSCOPE_BLESS=1, and look at what changed");
    assert_eq!(written.len(), made.len());
}
