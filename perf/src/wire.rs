//! `netscope-perf live`: the rig on the command line. A bare receiver, a program under a load, a replayed
//! capture.
//!
//! Owns the options and what is printed; the work is in [`netscope_perf::live`].

use netscope_backends::Polled;
use netscope_perf::live::{LiveTrial, Load, Pace, RECEIVER, Replay, RingKind, Speech, Tried, Via};
use std::ffi::OsString;
use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What can be done on a wire.
#[derive(clap::Subcommand)]
pub enum Live {
    /// Starts a program in a namespace with a veth pair, offers it a load on `veth0`, and prints what came of
    /// it.
    Run(LoadOptions),
    /// Counts packets of an interface and reads one byte of each, until SIGINT: the ceiling of a ring.
    Receive(Receive),
    /// Sends the frames of a capture into an interface.
    Replay(ReplayFile),
}

#[derive(clap::Args)]
pub struct LoadOptions {
    /// Flows in turn.
    #[arg(long, default_value_t = 1_000)]
    flows: u32,
    /// Bytes of a frame without its check sequence.
    #[arg(long, default_value_t = 60)]
    frame_len: u16,
    /// Datagrams with a number each, instead of TCP with a handshake.
    #[arg(long)]
    udp: bool,
    /// Packets a second; without it as many as can be made.
    #[arg(long)]
    rate: Option<f64>,
    /// How long.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Most packets without a rate.
    #[arg(long, default_value_t = 20_000_000)]
    packets: u64,
    /// Through the wire to the driver of veth0 (native XDP must be attached there) instead of into the stack.
    #[arg(long)]
    wire: bool,
    /// What the program says once it captures.
    #[arg(long, default_value = "capturing")]
    ready: String,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

#[derive(clap::Args)]
pub struct Receive {
    /// libpcap, tpacket, xdp (native) or xdp-generic.
    #[arg(long)]
    backend: String,
    /// Interface.
    #[arg(long, default_value = RECEIVER)]
    interface: String,
    /// End after this many seconds.
    #[arg(long)]
    seconds: Option<f64>,
}

#[derive(clap::Args)]
pub struct ReplayFile {
    /// Capture (pcap or pcapng) of whole Ethernet frames.
    file: PathBuf,
    /// Interface to send into.
    #[arg(long)]
    interface: String,
    /// Packets a second; without it as many as the kernel takes.
    #[arg(long)]
    rate: Option<f64>,
    /// Times that the capture is sent.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
}

impl Live {
    /// Does it.
    ///
    /// # Errors
    /// With a sentence.
    pub fn run(&self) -> Result<(), String> {
        match self {
            Self::Run(options) => options.run(),
            Self::Receive(options) => options.run(),
            Self::Replay(options) => options.run(),
        }
    }
}

impl LoadOptions {
    fn run(&self) -> Result<(), String> {
        let speech = if self.udp { Speech::Udp { stamped: false } } else { Speech::Tcp };
        let time = Duration::try_from_secs_f64(self.seconds).map_err(|error| format!("--seconds {}: {error}", self.seconds))?;
        let trial = LiveTrial {
            words: &self.command,
            ready: &self.ready,
            output: std::env::temp_dir().join(format!("netscope-perf-live-{}.txt", std::process::id())),
            load: Load { flows: self.flows, first_flow: 0, frame_len: self.frame_len, speech },
            via: if self.wire { Via::Wire } else { Via::Stack },
            pace: match checked(self.rate)? {
                Some(rate) => Pace::at_rate(rate, time),
                None => Pace::flat_out(self.packets, time),
            },
            idle: Duration::ZERO,
        };
        let outcome = trial.run();
        // The output stands in the message or is printed; the file is no longer needed, and a file left there
        // does no harm.
        let _removed = std::fs::remove_file(&trial.output);
        let tried = outcome?;
        let Tried { offered, run_time, said, .. } = &tried;
        println!("{}", said.trim_end());
        println!(
            "sent {} frames in {:.3} s, {:.3} Mpps; undelivered {}; generator {:.1} ns of CPU a frame",
            offered.sent,
            offered.elapsed.as_secs_f64(),
            offered.rate() / 1e6,
            offered.undelivered,
            offered.run_time.ran.as_nanos() as f64 / offered.sent.max(1) as f64
        );
        println!(
            "program: {:.3} s of CPU, {:.1} ns a frame sent{}",
            run_time.ran.as_secs_f64(),
            run_time.ran.as_nanos() as f64 / offered.sent.max(1) as f64,
            if tried.is_disturbed() { "; disturbed" } else { "" }
        );
        Ok(())
    }
}

impl Receive {
    fn run(&self) -> Result<(), String> {
        let mut ring = RingKind::named(&self.backend)?.open(&self.interface)?;
        let deadline =
            self.seconds.map(Duration::try_from_secs_f64).transpose().map_err(|error| format!("--seconds: {error}"))?;
        let start = std::time::Instant::now();
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGINT, stop.clone()).map_err(|error| format!("SIGINT: {error}"))?;
        println!("capturing on {} by {}", self.interface, self.backend);
        std::io::stdout().flush().map_err(|error| format!("standard output: {error}"))?;
        let mut received = 0_u64;
        let mut seen = 0_u8;
        // Relaxed: the flag carries no data.
        while !stop.load(Ordering::Relaxed) && deadline.is_none_or(|deadline| start.elapsed() < deadline) {
            let polled = ring.poll(Duration::from_millis(100), &mut |packets| {
                received += packets.len() as u64;
                seen = packets.iter().fold(seen, |seen, packet| seen ^ packet.data.first().copied().unwrap_or(0));
            });
            if polled.map_err(|error| error.to_string())? == Polled::End {
                break;
            }
        }
        black_box(seen);
        let counters = ring.counters().map_err(|error| error.to_string())?;
        println!("received {received} lost {} damaged {}", counters.kernel_drops, counters.damaged);
        Ok(())
    }
}

impl ReplayFile {
    fn run(&self) -> Result<(), String> {
        let replay = Replay::read(&self.file)?;
        let packets = self.rounds.saturating_mul(replay.len() as u64);
        let forever = Duration::from_secs(86_400);
        let pace = match checked(self.rate)? {
            Some(rate) => Pace { packets_max: packets, ..Pace::at_rate(rate, forever) },
            None => Pace::flat_out(packets, forever),
        };
        let start = std::time::Instant::now();
        let replayed = replay.send(&self.interface, self.rounds, &pace)?;
        let late = if replayed.is_late { "; the rate was not kept" } else { "" };
        println!(
            "sent {} frames in {:.3} s, waited {} times{late}",
            replayed.sent,
            start.elapsed().as_secs_f64(),
            replayed.waits
        );
        Ok(())
    }
}

fn checked(rate: Option<f64>) -> Result<Option<f64>, String> {
    match rate {
        Some(rate) if !(rate.is_finite() && rate > 0.0) => Err(format!("--rate {rate}: packets a second, more than 0")),
        rate => Ok(rate),
    }
}
