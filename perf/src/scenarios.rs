//! `netscope-perf attack` and `netscope-perf look-alike`: captures with a known meaning.
//!
//! Owns the options and what is printed; the packets are of [`netscope_perf::scenario`].

use netscope_perf::scenario::{Attack, AttackKind, Intensity, LOOK_ALIKES, LookAlike, SEC, Script, office_uplink};
use std::path::{Path, PathBuf};

/// What attack to write.
#[derive(clap::Args)]
pub struct AttackOptions {
    /// Kind of attack.
    #[arg(long, required_unless_present = "list")]
    kind: Option<String>,
    /// Compared with the threshold: below (0.8 times), above (1.25 times), 10x or 100x.
    #[arg(long, default_value = "above", value_parser = intensity)]
    intensity: Intensity,
    /// Parts (connection attempts, ports, packets, ...) within the window that make the attack [default: that of
    /// its kind].
    #[arg(long)]
    threshold: Option<u64>,
    /// Length of the window in seconds [default: that of its kind].
    #[arg(long)]
    window_secs: Option<u64>,
    /// Among the traffic of others.
    #[arg(long)]
    busy: bool,
    /// Capture file to write.
    #[arg(long, required_unless_present = "list")]
    out: Option<PathBuf>,
    /// Lists all kinds, with what their thresholds count.
    #[arg(long)]
    list: bool,
}

/// What look-alike to write.
#[derive(clap::Args)]
pub struct LookAlikeOptions {
    /// Which one.
    #[arg(long, required_unless_present = "list")]
    kind: Option<String>,
    /// How much of it [default: its full size].
    #[arg(long)]
    size: Option<u32>,
    /// Capture file to write.
    #[arg(long, required_unless_present = "list")]
    out: Option<PathBuf>,
    /// Lists all of them, with what their sizes count.
    #[arg(long)]
    list: bool,
}

/// What a page shows when somebody looks for the first time.
#[derive(clap::Args)]
pub struct OfficeOptions {
    /// How long.
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(64..=86_400))]
    seconds: u64,
    /// Capture file to write.
    #[arg(long)]
    out: PathBuf,
}

impl OfficeOptions {
    /// Does it.
    ///
    /// # Errors
    /// With a sentence.
    pub fn run(&self) -> Result<(), String> {
        let mut script = Script::default();
        office_uplink(&mut script, self.seconds);
        println!("{}: {} packets", self.out.display(), script.len());
        save(script, &self.out)
    }
}

fn intensity(name: &str) -> Result<Intensity, String> {
    let found = Intensity::ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, intensity)| *intensity).ok_or_else(|| "below, above, 10x or 100x".to_owned())
}

fn save(script: Script, path: &Path) -> Result<(), String> {
    script.save(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl AttackOptions {
    /// Does it.
    ///
    /// # Errors
    /// With a sentence.
    pub fn run(&self) -> Result<(), String> {
        let (Some(name), Some(out)) = (&self.kind, &self.out) else {
            for kind in AttackKind::all() {
                let (name, part, window) = (kind.name, kind.part, kind.window_ns / SEC);
                println!("{name:26} {:16} {:13} {} {part} in {window} s", kind.alert, kind.variant, kind.threshold);
            }
            return Ok(());
        };
        let kind = AttackKind::named(name).ok_or_else(|| format!("no attack is called {name:?}; see --list"))?;
        let attack = Attack {
            threshold: self.threshold.unwrap_or(kind.threshold).max(1),
            window_ns: self.window_secs.map_or(kind.window_ns, |seconds| seconds.saturating_mul(SEC)).max(1),
            is_busy: self.busy,
            ..Attack::new(kind, self.intensity)
        };
        let (script, truth) = attack.script();
        let packets = script.len();
        save(script, out)?;
        let truth = serde_json::json!({
            "kind": kind.alert, "variant": kind.variant, "technique": kind.technique, "packets": packets, "parts": truth.parts,
            "began_ns": truth.began_ns, "crossed_ns": truth.crossed_ns,
        });
        println!("{truth}");
        Ok(())
    }
}

impl LookAlikeOptions {
    /// Does it.
    ///
    /// # Errors
    /// With a sentence.
    pub fn run(&self) -> Result<(), String> {
        let (Some(name), Some(out)) = (&self.kind, &self.out) else {
            LOOK_ALIKES.iter().for_each(|one| println!("{:22} {} {}", one.name, one.size, one.unit));
            return Ok(());
        };
        let one = LookAlike::named(name).ok_or_else(|| format!("no look-alike is called {name:?}; see --list"))?;
        let size = self.size.unwrap_or(one.size).max(1);
        let script = one.script(size);
        let packets = script.len();
        save(script, out)?;
        println!("{}: {size} {}, {packets} packets", out.display(), one.unit);
        Ok(())
    }
}
