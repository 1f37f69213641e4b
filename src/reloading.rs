//! SIGHUP: with a configuration file and `--anomalies`, the file is read again; else, and when the terminal is closed, the run ends in order.
//!
//! Owns the thread that waits for the signal. Knows no key. Invariant: whatever the file says, the run goes on.

use crate::detecting;
use crate::reporter::{Reporter, chain};
use netscope::aggregate::JudgeReloads;
use netscope::config::{Reloaded, Reloader, Settings};
use netscope::dashboard::Board;
use signal_hook::consts::SIGHUP;
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// True when SIGHUP reads the file again.
pub fn reloads(settings: &Settings) -> bool {
    settings.reloader.is_some() && settings.detection.is_some()
}

/// A terminal that controls us, if there is one. Once it is closed there is none.
fn has_terminal() -> bool {
    File::open(Path::new("/dev/tty")).is_ok()
}

/// SIGHUP before the thread is there.
pub struct EarlyHangup {
    came: Arc<AtomicBool>,
    had_terminal: bool,
}

impl EarlyHangup {
    /// From now on SIGHUP does not end the program. Called before there is any thread.
    pub fn note() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        flag::register(SIGHUP, Arc::clone(&came))?;
        Ok(Self { came, had_terminal: has_terminal() })
    }

    /// Starts the thread. `end` is asked for when the terminal is closed.
    pub fn serve(
        self,
        mut reloader: Reloader,
        told: ReloadTargets,
        reporter: Arc<Reporter>,
        end: Arc<AtomicBool>,
    ) -> io::Result<()> {
        let mut signals = Signals::new([SIGHUP])?;
        std::thread::Builder::new().name("netscope-reload".to_owned()).spawn(move || {
            // Relaxed: the flag carries no data.
            let early = self.came.load(Ordering::Relaxed).then_some(SIGHUP);
            for _ in early.into_iter().chain(signals.forever()) {
                if self.had_terminal && !has_terminal() {
                    end.store(true, Ordering::Relaxed);
                    return;
                }
                reload(&mut reloader, &told, &reporter);
            }
        })?;
        Ok(())
    }
}

/// Who is told of thresholds and mute rules.
pub struct ReloadTargets {
    /// The judge.
    pub judge: JudgeReloads,
    /// The page.
    pub page: Option<Arc<Board>>,
}

/// Reads the file and says what came of it.
fn reload(reloader: &mut Reloader, told: &ReloadTargets, reporter: &Reporter) {
    let path = reloader.path().display().to_string();
    let Reloaded { detection, changed, later } = match reloader.reload() {
        Ok(reloaded) => reloaded,
        Err(error) => {
            reporter.warn(&format!("SIGHUP: nothing has changed: {}", chain(&error)));
            return;
        }
    };
    let reload = detecting::reload(detection);
    let mutes = reload.mutes.clone();
    told.judge.bring(reload);
    // Its own rules stay, beside those of the file.
    told.page.iter().for_each(|page| page.set_config_mutes(mutes.clone()));
    if changed.is_empty() {
        reporter.warn(&format!("SIGHUP: {path} was read again; no threshold and no mute rule has changed"));
    } else {
        reporter.warn(&format!("SIGHUP: {path} was read again: {}", changed.join(", ")));
    }
    if !later.is_empty() {
        let takes = if later.len() == 1 { "takes" } else { "take" };
        reporter.warn(&format!("SIGHUP: {} {takes} effect after a restart", later.join(", ")));
    }
}
