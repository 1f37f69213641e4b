//! The captures of the benchmarks: made once, kept, and brought into the page cache before they are read.
//! Their names say what is in them. Its one invariant: a capture under its name is complete.

use super::wrong_time;
use netscope_perf::{GeneratorSettings, Profile, Resolution, write_pcap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Goes up when the generator writes other bytes for the same settings, so that old files are not taken for
/// new ones.
const GENERATION: u32 = 1;

/// What is generated.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    /// What a reader calls it.
    pub name: &'static str,
    pub profile: Profile,
    pub packets: u64,
    pub flows: u64,
    /// Flows alive at a time; 0 for all.
    pub live_flows: u64,
    /// Mean distance of packets in ns.
    pub gap_ns: u64,
    /// Number of a packet, from 0, that has a time of the year 2106.
    pub wrong_time_at: Option<u64>,
}

/// Mean distance of packets where nothing else is said.
const GAP_NS: u64 = 1_000;

impl Capture {
    pub const SMALL: Self = Self::new("small packets", Profile::SmallPackets, 10_000_000, 100_000);
    pub const MANY: Self = Self::new("many flows", Profile::ManyFlows, 4_000_000, 1_000_000);
    pub const HTTP: Self = Self::new("HTTP-like", Profile::HttpMix, 1_000_000, 20_000);

    /// All flows alive at once.
    pub const fn new(name: &'static str, profile: Profile, packets: u64, flows: u64) -> Self {
        Self { name, profile, packets, flows, live_flows: 0, gap_ns: GAP_NS, wrong_time_at: None }
    }

    /// A tenth, for a quick look.
    pub const fn scaled(self, is_quick: bool) -> Self {
        if !is_quick {
            return self;
        }
        let flows = if self.flows == 1 { 1 } else { self.flows / 10 };
        Self { packets: self.packets / 10, flows, ..self }
    }

    /// "10 M packets, 100 k flows".
    pub fn size(&self) -> String {
        format!("{} packets, {} flows", short(self.packets), short(self.flows))
    }

    /// Seconds of packet time, in the mean.
    pub fn seconds(&self) -> f64 {
        self.packets as f64 * self.gap_ns as f64 / 1e9
    }

    /// The file in `directory`, generated if it is not there, and read once.
    ///
    /// # Errors
    /// When it cannot be written or read.
    pub fn ready(&self, directory: &Path) -> Result<PathBuf, String> {
        let profile = Profile::ALL.iter().chain(Profile::CRAFTED).find(|(_, profile)| *profile == self.profile);
        let profile = profile.map_or("unnamed", |(name, _)| name);
        let live = if self.live_flows == 0 { String::new() } else { format!("-live-{}", self.live_flows) };
        let gap = if self.gap_ns == GAP_NS { String::new() } else { format!("-gap-{}", self.gap_ns) };
        let path = directory.join(format!("{profile}-{}-{}{live}{gap}-g{GENERATION}.pcap", self.packets, self.flows));
        let Self { live_flows, gap_ns, .. } = *self;
        let settings =
            GeneratorSettings { live_flows, gap_ns, ..GeneratorSettings::new(self.profile, self.packets, self.flows, 1) };
        made_once(&path, |out| write_pcap(&settings, Resolution::Micro, out).map(|_generated| ()))?;
        let Some(wrong) = self.wrong_time_at else { return Ok(path) };
        let with_wrong = path.with_extension(format!("wrong-time-at-{wrong}.pcap"));
        made_once(&with_wrong, |out| wrong_time::copy(&path, wrong, out))?;
        Ok(with_wrong)
    }
}

/// Writes a capture by `write` where there is none yet, and reads it once.
///
/// # Errors
/// When it cannot be written or read.
pub fn made_once(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), String> {
    let fail = |error: io::Error| format!("{}: {error}", path.display());
    if !path.exists() {
        println!("Generating {}", path.display());
        let unfinished = path.with_extension("unfinished");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&unfinished).map_err(fail)?);
        write(&mut out).and_then(|()| out.flush()).map_err(fail)?;
        // On the disk now, so that writing it does not go on behind the first measurement.
        out.get_ref().sync_all().and_then(|()| fs::rename(&unfinished, path)).map_err(fail)?;
    }
    warm(path).map_err(fail)
}

fn warm(path: &Path) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; 1 << 20]);
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{} k", number as f64 / 1e3),
        _ => format!("{} M", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(Capture::SMALL.size(), "10 M packets, 100 k flows");
        assert_eq!(Capture::HTTP.scaled(true).size(), "100 k packets, 2 k flows");
        assert_eq!(Capture { flows: 1, ..Capture::SMALL }.scaled(true).size(), "1 M packets, 1 flows");
    }
}
