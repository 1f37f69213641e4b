//! `cargo xtask demo | test | bench | compare | fuzz | pictures | check-targets`: the commands of newcomers and of CI.
//!
//! Owns the order of the steps. Must not depend on any crate, so that it builds before libpcap is there. Its
//! one invariant: a step that fails ends the run with one line that says what failed and what to type.
#![forbid(unsafe_code)]

mod bench;
mod browser;
mod callgrind;
mod check_targets;
mod compare;
mod demo;
mod fuzz;
mod install;
mod instructions;
mod library;
mod needs;
mod peers;
mod pictures;
mod run;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  demo   build NetScope and show the flows of the recording tests/fixtures/demo.pcapng
  test   every test of the repository; live ones too where namespaces can be made (root)
  bench [ours|cliffs|peers|live] [OPTIONS]
         build for release, generate captures, measure, and write a page into perf/results:
         ours    NetScope and the floor, one worker and two, memory (default)
         cliffs  10 M flows, a SYN flood, one flow, fragments, malformed packets, colliding tuples
         peers   nfdump, softflowd, argus, suricata, tshark and nDPI on the same captures;
                 installs them from Debian, which may start their daemons
         live    bare rings, NetScope, tcpdump, dumpcap and suricata on a wire in a namespace, at the same loads; Linux, root
         Options go to `netscope-perf bench`: --quick (a tenth, three runs), --runs N, --captures DIR, --results DIR
  bench drain [--limit RATIO]
         what a packet costs the reader of a ring, beside the engine alone; fails above RATIO; Linux, root
  bench instructions [--record]
         instructions per packet, layer by layer, against the figure in perf/instructions.toml; fails when it rose by more than 5 %
  compare OLD NEW [--captures DIR]
         run two builds of the program over every capture, with several numbers of workers and settings, and tell where their
         exports, packet lines, messages or exit codes differ; by default over tests/fixtures and the corpus beside the repository
  fuzz [--seconds N]
         build every fuzz target and run each for 20 s or N; fails when one of them finds something
  pictures
         take the pictures of the page in docs/page, of a made-up hour of an office's uplink
  check-targets
         type-check everything, tests included, for macOS and Linux on ARM; a warning is an error
  help   this text

All first install what is missing (a C linker, libpcap, valgrind where it is needed) and say with which command.
With CI=true in the environment, a test that cannot run here is an error instead of a note.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["demo"] => demo::run(&workspace_root()),
        ["test"] => test::run(&workspace_root()),
        ["pictures"] => pictures::run(&workspace_root()),
        ["fuzz", rest @ ..] => fuzz::run(&workspace_root(), rest),
        ["check-targets"] => check_targets::run(&workspace_root()),
        ["compare", rest @ ..] => compare::run(&workspace_root(), rest),
        ["bench", "instructions", rest @ ..] => instructions::run(&workspace_root(), rest),
        ["bench", rest @ ..] => bench::run(&workspace_root(), rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown arguments: {}\n\n{HELP}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The directory of the workspace's Cargo.toml.
fn workspace_root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
