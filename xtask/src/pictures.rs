//! `cargo xtask pictures`: the pictures of the page in `docs/page`, of a made-up hour of an office's uplink.
//!
//! Owns the order: make the capture, replay it, wait until there is something to see, let the browser take the pictures. Knows nothing of the page.

use crate::browser;
use crate::install;
use crate::needs::Need;
use crate::run;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CAPTURE: &str = "target/office.pcap";
const OUTPUT: &str = "docs/page";
/// The hour is replayed so much faster.
const SPEED: u64 = 20;
/// When the pages are opened, by the clock: the flood begins at 52.5 minutes, and there are 20 seconds until the hour's end.
const WAIT: Duration = Duration::from_secs(53 * 60 / SPEED);
/// Sizes and themes of the pictures; each has a run of its own, so that all show the same moments.
const KINDS: &[(&str, &str)] = &[("wide", "dark"), ("wide", "light"), ("phone", "dark"), ("phone", "light")];

/// Ends the program whose page was looked at, whatever happens.
struct PageRun(Child);

impl Drop for PageRun {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _code = self.0.wait();
    }
}

/// Takes the pictures.
pub fn run(root: &Path) -> Result<(), String> {
    install::ensure(&[Need::Linker, Need::Libpcap, Need::Chromium, Need::Node, Need::Npm])?;
    browser::ensure_modules(root)?;
    run::show_and_run(run::cargo(root).args(["build", "--release", "--locked", "--bin", "netscope"]))?;
    let perf = ["run", "--release", "--locked", "--package", "netscope-perf", "--", "office", "--out", CAPTURE];
    run::show_and_run(run::cargo(root).args(perf))?;
    std::fs::create_dir_all(root.join(OUTPUT)).map_err(|error| format!("cannot create {OUTPUT}: {error}"))?;
    let (speed, wait) = (SPEED.to_string(), WAIT.as_millis().to_string());
    for (size, theme) in KINDS {
        let arguments = ["--read-pcap", CAPTURE, "--quiet", "--anomalies", "--web", "--web-port", "0", "--replay-speed", &speed];
        let mut command = Command::new("target/release/netscope");
        let child = command.args(arguments).current_dir(root).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut page = PageRun(child.map_err(|error| format!("cannot start NetScope: {error}"))?);
        let said = BufReader::new(page.0.stderr.take().ok_or("standard error is not there")?);
        let mut lines = said.lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("the page: ")).ok_or("NetScope does not say where its page is")?;
        let url = line.rsplit(' ').next().unwrap_or_default().to_owned();
        // So that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let views = "wall,flows,packets,alerts,system,sankey,flow";
        let script = ["tests/browser/shots.mjs", "--url", &url, "--out", OUTPUT, "--no-axe", "--size", size];
        let asked = ["--view", views, "--theme", theme, "--before", &wait];
        run::show_and_run(Command::new("node").args(script).args(asked).current_dir(root))?;
    }
    shrink(root)
}

/// Makes the files smaller where a program for that is there; nothing is lost that an eye would see.
fn shrink(root: &Path) -> Result<(), String> {
    if run::find("pngquant").is_none() {
        println!("pngquant is not there: the pictures stay as large as they are");
        return Ok(());
    }
    let files = std::fs::read_dir(root.join(OUTPUT)).map_err(|error| format!("cannot read {OUTPUT}: {error}"))?;
    let pictures = files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|kind| kind == "png"));
    let mut command = Command::new("pngquant");
    command.args(["--force", "--ext", ".png", "--skip-if-larger", "--strip", "64"]).args(pictures);
    // 98: a file would have become larger, and stays.
    let status = command.status().map_err(|error| format!("cannot run pngquant: {error}"))?;
    match status.code() {
        Some(0 | 98) => Ok(()),
        code => Err(format!("pngquant ended with {code:?}")),
    }
}
