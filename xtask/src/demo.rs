//! `cargo xtask demo`: from a fresh clone to the flows of a real recording, in one run.

use crate::install;
use crate::needs::Need;
use crate::run;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;

const CAPTURE: &str = "tests/fixtures/demo.pcapng";
const OUTPUT: &str = "target/demo";

/// Builds the program, reads the recording, shows the top flows and totals, and says where the exports lie.
pub fn run(root: &Path) -> Result<(), String> {
    install::ensure(Need::DEMO)?;
    run::show_and_run(run::cargo(root).args(["build", "--release", "--locked", "--bin", "netscope"]))?;
    std::fs::create_dir_all(root.join(OUTPUT)).map_err(|error| format!("cannot create {OUTPUT}: {error}"))?;
    println!();
    run::show_and_run(Command::new("target/release/netscope").args(arguments()).current_dir(root))?;
    println!("\nExports of this run:");
    for (name, what) in EXPORTS {
        let path = Path::new(OUTPUT).join(name);
        let length = std::fs::metadata(root.join(&path))
            .map_err(|error| format!("the export {} is not there: {error}", path.display()))?
            .len();
        println!("  {:<26} {length:>9} bytes  {what}", path.display().to_string());
    }
    println!("\nNext: target/release/netscope --help; live: sudo target/release/netscope --web");
    offer_page(root)
}

/// Shows the recording on the page at its own pace, where somebody is there to look at it.
fn offer_page(root: &Path) -> Result<(), String> {
    let words = ["--read-pcap", CAPTURE, "--quiet", "--anomalies", "--web", "--web-port", "0", "--replay-speed", "1"];
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        println!("The page, with the recording at its own pace: target/release/netscope {}", words.join(" "));
        return Ok(());
    }
    println!("\nNow the page, with the recording at its own pace. Open the address in a browser; Ctrl-C ends it.");
    run::show_and_run(Command::new("target/release/netscope").args(words).current_dir(root))
}

/// File names under the output directory and what is in them.
const EXPORTS: &[(&str, &str)] = &[
    ("flows.json", "all flows"),
    ("flows.csv", "the same as a table"),
    ("ended.jsonl", "each flow as it ended, with the reason"),
];

fn arguments() -> Vec<String> {
    let files = [("--export-json", "flows.json"), ("--export-csv", "flows.csv"), ("--expired-flows-jsonl", "ended.jsonl")];
    let mut arguments: Vec<String> = ["--read-pcap", CAPTURE, "--quiet", "--flow-table", "12"].map(String::from).into();
    for (flag, name) in files {
        arguments.extend([flag.to_owned(), format!("{OUTPUT}/{name}")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_export_that_is_told_of_is_asked_for() {
        let arguments = arguments();
        for (name, _) in EXPORTS {
            assert!(arguments.contains(&format!("{OUTPUT}/{name}")), "{name}");
        }
    }
}
