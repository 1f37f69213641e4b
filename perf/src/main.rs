//! `netscope-perf`: writes synthetic captures, counts their flows as fast as one core can, and runs the
//! benchmarks.
//!
//! Owns the command line; the work is in the library and in [`bench`].
#![forbid(unsafe_code)]

mod bench;
mod scenarios;
#[cfg(target_os = "linux")]
mod wire;

use clap::builder::PossibleValue;
use clap::{Parser, Subcommand, ValueEnum};
use netscope_perf::real::RealTraffic;
use netscope_perf::{Depth, GeneratorSettings, Profile, Resolution, floor, write_pcap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Traffic generator of NetScope's tests and benchmarks.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Writes a synthetic capture; the same options give the same bytes.
    Generate(Generate),
    /// Writes the capture of an attack of stated intensity, and prints what is true of it.
    Attack(scenarios::AttackOptions),
    /// Writes a capture that looks like an attack and has none.
    LookAlike(scenarios::LookAlikeOptions),
    /// Writes the capture of an office's uplink, cut to headers, with a scan and a flood: something to look at.
    Office(scenarios::OfficeOptions),
    /// Writes the captures of a directory many times over, each time with other addresses, merged by time.
    Multiply(Multiply),
    /// Counts the flows of a classic pcap file as fast as one core can: the yardstick.
    Floor(Floor),
    /// Runs benchmarks and writes a page of results; `cargo xtask bench` builds and installs what they need
    /// first.
    Bench(bench::Bench),
    /// Runs one program and prints what it cost.
    Measure(bench::measure::Measure),
    /// A wire in a namespace, and loads on it; root.
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    Live(wire::Live),
}

#[derive(clap::Args)]
struct Floor {
    /// Capture file to read.
    file: PathBuf,
    /// CSV file to write, a line per flow.
    #[arg(long)]
    csv: PathBuf,
}

#[derive(clap::Args)]
struct Multiply {
    /// Directory of captures (pcap, pcapng).
    captures: PathBuf,
    /// Packets at least.
    #[arg(long, default_value_t = 2_000_000)]
    packets: u64,
    /// Capture file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(clap::Args)]
struct Generate {
    /// Kind of traffic.
    #[arg(long)]
    profile: ProfileName,
    /// Packets in all.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// Flows in all.
    #[arg(long, default_value_t = 1_000)]
    flows: u64,
    /// Most flows alive at a time; 0 for all.
    #[arg(long, default_value_t = 100_000)]
    live_flows: u64,
    /// Seed of the pseudo-random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mean distance of packets in nanoseconds.
    #[arg(long, default_value_t = 1_000)]
    gap_ns: u64,
    /// Timestamps in nanoseconds instead of microseconds.
    #[arg(long)]
    nanoseconds: bool,
    /// Capture file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone)]
struct ProfileName(Profile);

impl ValueEnum for ProfileName {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Profile::SmallPackets),
                Self(Profile::ManyFlows),
                Self(Profile::HttpMix),
                Self(Profile::BigPackets),
                Self(Profile::Udp),
                Self(Profile::Ipv6),
                Self(Profile::Vlan),
                Self(Profile::Colliding),
                Self(Profile::Fragments),
                Self(Profile::Malformed),
                Self(Profile::SynFlood),
                Self(Profile::PortSweep),
                Self(Profile::UdpFlood),
                Self(Profile::DnsAmplification),
                Self(Profile::Deep(Depth::ExtensionHeaders(8))),
                Self(Profile::Deep(Depth::ExtensionHeaders(120))),
                Self(Profile::Deep(Depth::Padding(150))),
                Self(Profile::Deep(Depth::Tags(16))),
                Self(Profile::Deep(Depth::Tags(250))),
                Self(Profile::Deep(Depth::Labels(16))),
                Self(Profile::Deep(Depth::Labels(250))),
                Self(Profile::Deep(Depth::Tunnels(4))),
                Self(Profile::Deep(Depth::Tunnels(60))),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let mut profiles = Profile::ALL.iter().chain(Profile::CRAFTED);
        profiles.find(|(_, profile)| *profile == self.0).map(|(name, _)| PossibleValue::new(*name))
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Verb::Generate(options) => generate(&options).map_err(|error| format!("{}: {error}", options.out.display())),
        Verb::Attack(options) => options.run(),
        Verb::LookAlike(options) => options.run(),
        Verb::Office(options) => options.run(),
        Verb::Multiply(options) => multiply(&options),
        Verb::Floor(options) => floor(&options),
        Verb::Bench(options) => options.run(),
        #[cfg(target_os = "linux")]
        Verb::Live(options) => options.run(),
        Verb::Measure(options) => {
            return bench::measure::run(&options).unwrap_or_else(|message| {
                eprintln!("netscope-perf: {message}");
                ExitCode::FAILURE
            });
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("netscope-perf: {message}");
            ExitCode::FAILURE
        }
    }
}

fn floor(options: &Floor) -> Result<(), String> {
    let (table, totals) = floor::count(&options.file).map_err(|error| format!("{}: {error}", options.file.display()))?;
    let written = File::create(&options.csv).and_then(|mut file| floor::write_csv(&table, &mut file));
    written.map_err(|error| format!("{}: {error}", options.csv.display()))?;
    println!("{} packets, {} bytes, {} flows, {} packets in no flow", totals.packets, totals.bytes, table.len(), totals.other);
    Ok(())
}

fn multiply(options: &Multiply) -> Result<(), String> {
    let traffic = RealTraffic::read(&options.captures)?;
    for (path, reason) in traffic.left_out() {
        println!("left out: {}: {reason}", path.display());
    }
    let write = || {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&options.out)?);
        let written = traffic.write(options.packets, &mut out)?;
        out.flush().map(|()| written)
    };
    let written = write().map_err(|error: std::io::Error| format!("{}: {error}", options.out.display()))?;
    println!(
        "{}: {} captures, {} times; {} packets, {} bytes of frames; {} packets of these captures left out",
        options.out.display(),
        traffic.captures(),
        traffic.copies(options.packets),
        written.packets,
        written.bytes,
        traffic.skipped()
    );
    Ok(())
}

fn generate(options: &Generate) -> std::io::Result<()> {
    let defaults = GeneratorSettings::new(options.profile.0, options.packets, options.flows, options.seed);
    let settings = GeneratorSettings { live_flows: options.live_flows, gap_ns: options.gap_ns, ..defaults };
    let resolution = if options.nanoseconds { Resolution::Nano } else { Resolution::Micro };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&options.out)?);
    let generated = write_pcap(&settings, resolution, &mut out)?;
    out.flush()?;
    println!(
        "{}: {} packets, {} flows, {} bytes of frames",
        options.out.display(),
        generated.packets,
        generated.flows,
        generated.bytes
    );
    Ok(())
}
