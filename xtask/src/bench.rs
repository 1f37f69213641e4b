//! `cargo xtask bench`: builds what is measured and what measures it, installs peers where they are asked
//! for, and hands over to `netscope-perf bench`. Knows no figure.

use crate::install;
use crate::needs::Need;
use crate::peers;
use crate::run;
use std::path::Path;
use std::process::Command;

/// What can be measured; the first when nothing is named.
const SUBJECTS: [&str; 5] = ["ours", "cliffs", "peers", "live", "drain"];

/// Measures what `arguments` begin with; the rest are options of `netscope-perf bench`.
pub fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let (subject, options) = split(arguments)?;
    if subject == "peers" && !cfg!(target_os = "linux") {
        return Err("the peers are packages of Debian; run `cargo xtask bench peers` there".to_owned());
    }
    let is_live = ["live", "drain"].contains(&subject);
    if is_live && !cfg!(target_os = "linux") {
        return Err(format!("the rings that are measured are Linux's; run `cargo xtask bench {subject}` there"));
    }
    install::ensure(Need::DEMO)?;
    if is_live {
        install::ensure(&[Need::Iproute2])?;
    }
    if subject == "drain" {
        // Measured inside the engine, so it is a bench of the package and not of netscope-perf, which runs
        // programs.
        let drain = ["bench", "--locked", "-p", "netscope", "--bench", "drain", "--"];
        return run::show_and_run(run::cargo(root).args(drain).args(options));
    }
    run::show_and_run(run::cargo(root).args([
        "build",
        "--release",
        "--locked",
        "--bins",
        "-p",
        "netscope",
        "-p",
        "netscope-perf",
    ]))?;
    match subject {
        "peers" => peers::install(root, peers::PEERS)?,
        "live" => peers::install(root, peers::LIVE)?,
        _ => {}
    }
    run::show_and_run(Command::new("target/release/netscope-perf").args(["bench", subject]).args(options).current_dir(root))
}

/// The subject and the options behind it.
fn split<'a>(arguments: &'a [&'a str]) -> Result<(&'a str, &'a [&'a str]), String> {
    match arguments.split_first() {
        Some((subject, options)) if SUBJECTS.contains(subject) => Ok((subject, options)),
        Some((word, _)) if !word.starts_with('-') => {
            Err(format!("nothing called {word:?} can be measured; choose one of {}", SUBJECTS.join(", ")))
        }
        _ => Ok((SUBJECTS[0], arguments)),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn ours_is_measured_unless_something_else_is_named() {
        assert_eq!(split(&[]).unwrap(), ("ours", &[][..]));
        assert_eq!(split(&["--quick"]).unwrap(), ("ours", &["--quick"][..]));
        assert_eq!(split(&["peers", "--runs", "3"]).unwrap(), ("peers", &["--runs", "3"][..]));
        assert_eq!(split(&["drain", "--limit", "1.15"]).unwrap(), ("drain", &["--limit", "1.15"][..]));
        assert!(split(&["nothing"]).unwrap_err().contains("ours, cliffs, peers"));
    }
}
