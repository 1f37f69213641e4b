//! What a packet costs the reader of a ring: `cargo bench --bench drain` or `cargo xtask bench drain`. Linux
//! and root.
//!
//! Prefill and drain: the in-kernel generator fills a ring, then one thread empties it and its processor time
//! is read. Three drains of the same packets, in turn: bare (a byte of each packet is read), with the engine,
//! and the engine on the same packets from memory. Judged is the least of each, not the median: another
//! program on the machine only ever adds, and may be there for the drains of one kind and gone for the next.
//! Where that is still too much, `TRIES_MAX` times as many drains are made, and it is judged once more.
//! (Noise in all drains of one kind moves even this ratio, either way; the spread stands beside it.)
//! Invariant: engine and memory see the same packets in the same order, and every flow is past its handshake
//! when the clock runs.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    return linux::main();
    #[cfg(not(target_os = "linux"))]
    {
        eprintln!("skipped: rings of the kernel are for Linux");
        std::process::ExitCode::SUCCESS
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use netscope::engine::{Outbox, Snapshot, Worker, WorkerSettings, WorkerShare, mailbox};
    use netscope::flow::{FlowSettings, HashSecret};
    use netscope_backends::memory::{MemoryBackend, OwnedPacket};
    use netscope_backends::{Backend, LinkType, Packet, Polled};
    use netscope_perf::live::{Load, LoadGenerator, Pace, RECEIVER, Rig, RigSettings, RingKind};
    use nix::time::{ClockId, clock_gettime};
    use std::hint::black_box;
    use std::process::ExitCode;
    use std::time::Duration;

    /// Numbers of flows.
    const FLOWS: &[u32] = &[1_000, 100_000];
    /// Packets of a drain: enough that reading the clock and the first misses do not count.
    const PACKETS: u64 = 24_576;
    /// Packets of each flow before the clock runs.
    const ROUNDS_BEFORE: u64 = 4;
    const RUNS: usize = 15;
    /// Times the number of runs, at most, before a ratio counts as above the limit.
    const TRIES_MAX: usize = 3;
    /// Windows that may lose packets and be made again; with more, the ring does not hold what is put into
    /// it.
    const REPEATS_MAX: u64 = 5;

    struct DrainOptions {
        rings: Vec<RingKind>,
        packets: u64,
        runs: usize,
        /// Ratio above which the run fails.
        limit: Option<f64>,
        flows: Vec<u32>,
    }

    pub fn main() -> ExitCode {
        // Test runners ask what there is before they run it.
        if std::env::args().any(|word| word == "--list") {
            if !std::env::args().any(|word| word == "--ignored") {
                println!("drain: test");
            }
            return ExitCode::SUCCESS;
        }
        let outcome = options(std::env::args().skip(1)).and_then(|options| match Rig::obstacle() {
            Some(reason) if std::env::var("CI").is_ok_and(|value| value == "true") => {
                Err(format!("CI=true, and the rings cannot be measured: {reason}"))
            }
            Some(reason) => {
                eprintln!("skipped: {reason}");
                Ok(true)
            }
            None => run(&options),
        });
        match outcome {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(reason) => {
                eprintln!("drain: {reason}");
                ExitCode::FAILURE
            }
        }
    }

    /// `cargo test` runs without `--bench`: then once, small, to see that it works; the words are the test
    /// runner's.
    fn options(arguments: impl Iterator<Item = String>) -> Result<DrainOptions, String> {
        let arguments: Vec<String> = arguments.collect();
        let is_bench = arguments.iter().any(|word| word == "--bench") && !arguments.iter().any(|word| word == "--test");
        let mut options = DrainOptions {
            rings: RingKind::ALL.iter().copied().filter(|ring| *ring != RingKind::Libpcap).collect(),
            packets: if is_bench { PACKETS } else { 2_048 },
            runs: if is_bench { RUNS } else { 1 },
            limit: None,
            flows: if is_bench { FLOWS.to_vec() } else { vec![100] },
        };
        if !is_bench {
            return Ok(options);
        }
        let mut words = arguments.iter().filter(|word| *word != "--bench");
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--limit" => options.limit = Some(number(word, value()?)?),
                "--runs" => options.runs = number::<usize>(word, value()?)?.max(1),
                "--packets" => options.packets = number::<u64>(word, value()?)?.max(1),
                "--flows" => options.flows = vec![number(word, value()?)?],
                "--ring" => options.rings = vec![RingKind::named(value()?)?],
                _ => return Err(format!("unknown option {word}; there are --ring, --flows, --packets, --runs, --limit")),
            }
        }
        Ok(options)
    }

    fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
        text.parse().map_err(|_| format!("{option} {text}: not a number that it takes"))
    }

    /// Measures all; false where a ratio is above the limit.
    fn run(options: &DrainOptions) -> Result<bool, String> {
        println!(
            "user-side ns of thread CPU per packet; medians (least to most) of at least {} drains of {} packets",
            options.runs, options.packets
        );
        println!(
            "| ring | flows | bare drain | engine from memory | ring and engine | drains | ratio of medians | ratio of least | windows with losses, made again |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        let mut is_met = true;
        for &ring in &options.rings {
            for &flows in &options.flows {
                let rig = Rig::new(&RigSettings::default())?;
                let measured = rig.inside(|| measure(ring, flows, options))??;
                let [bare, both, memory] = measured.spreads()?;
                let of_medians = both.median / (bare.median + memory.median);
                let of_least = measured.ratio();
                let is_above = options.limit.is_some_and(|limit| of_least > limit);
                let verdict = if is_above { ", above the limit" } else { "" };
                is_met &= !is_above;
                let (name, drains, repeats) = (ring.name(), measured.bare.len(), measured.repeats);
                println!(
                    "| {name} | {flows} | {bare} | {memory} | {both} | {drains} | {of_medians:.3} | {of_least:.3}{verdict} | {repeats} |"
                );
            }
        }
        Ok(is_met)
    }

    /// Of some values.
    struct DrainSpread {
        least: f64,
        median: f64,
        most: f64,
    }

    impl DrainSpread {
        fn of(values: &[f64]) -> Result<Self, String> {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            match (values.first(), values.get(values.len() / 2), values.last()) {
                (Some(&least), Some(&median), Some(&most)) => Ok(Self { least, median, most }),
                _ => Err("nothing was measured".to_owned()),
            }
        }
    }

    impl std::fmt::Display for DrainSpread {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:.1} ({:.1} to {:.1})", self.median, self.least, self.most)
        }
    }

    /// Bare drain, ring and engine, engine from memory: ns per packet, a value per drain.
    #[derive(Default)]
    struct DrainTimes {
        bare: Vec<f64>,
        both: Vec<f64>,
        memory: Vec<f64>,
        /// Windows that lost packets and were made again.
        repeats: u64,
    }

    impl DrainTimes {
        fn spreads(&self) -> Result<[DrainSpread; 3], String> {
            Ok([DrainSpread::of(&self.bare)?, DrainSpread::of(&self.both)?, DrainSpread::of(&self.memory)?])
        }

        /// Least cost of ring and engine against the sum of what each costs at the least.
        fn ratio(&self) -> f64 {
            let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
            least(&self.both) / (least(&self.bare) + least(&self.memory))
        }

        /// Enough drains: the ratio is judged once, or, when it is above the limit, once more over all that
        /// [`TRIES_MAX`] allows.
        fn is_enough(&self, options: &DrainOptions) -> bool {
            let is_within = options.limit.is_none_or(|limit| self.ratio() <= limit);
            self.bare.len() == options.runs && is_within || self.bare.len() >= options.runs * TRIES_MAX
        }
    }

    /// Measures one ring; only windows without a loss count.
    fn measure(ring: RingKind, flows: u32, options: &DrainOptions) -> Result<DrainTimes, String> {
        let mut backend = ring.open_to_fill(RECEIVER)?;
        let source = RingFiller { generator: LoadGenerator::new(&Load::tcp(flows), ring.via())?, ring, packets: options.packets };
        let (mut on_ring, mut on_memory) = (worker(), worker());
        let before = (ROUNDS_BEFORE * u64::from(flows)).div_ceil(options.packets);
        let mut measured = DrainTimes::default();
        let (mut window, mut dropped) = (0, 0);
        while !measured.is_enough(options) {
            let (mut of_bare, mut of_both, mut of_memory) = (0.0, 0.0, 0.0);
            // In turn, so that none of them always follows the same other.
            for variant in (0..3).map(|turn| (turn + window) % 3) {
                match variant {
                    0 => {
                        let expected = source.fill(window)?;
                        of_bare = drain(&mut *backend, expected, &mut touch, || {})?;
                    }
                    1 => {
                        let expected = source.fill(window)?;
                        let worker = std::cell::RefCell::new(&mut on_ring);
                        of_both = drain(&mut *backend, expected, &mut |lent| worker.borrow_mut().batch(lent), || {
                            worker.borrow_mut().flush();
                        })?;
                    }
                    _ => {
                        let expected = source.fill(window)?;
                        let mut copied: Vec<OwnedPacket> = Vec::new();
                        drain(&mut *backend, expected, &mut |lent| copied.extend(lent.iter().map(OwnedPacket::from)), || {})?;
                        let count = copied.len() as u64;
                        let mut replay = MemoryBackend::new(LinkType::ETHERNET, copied).waits_like_file(false);
                        let worker = std::cell::RefCell::new(&mut on_memory);
                        of_memory = drain(&mut replay, count, &mut |lent| worker.borrow_mut().batch(lent), || {
                            worker.borrow_mut().flush();
                        })?;
                    }
                }
            }
            let dropped_now = backend.counters().map_err(|error| error.to_string())?.kernel_drops;
            let lost = dropped_now - dropped;
            dropped = dropped_now;
            if lost > 0 {
                // The three drains were not of the same packets.
                measured.repeats += 1;
                if measured.repeats > REPEATS_MAX {
                    let name = ring.name();
                    return Err(format!("{name}: {} windows lost packets, {lost} of them in the last", measured.repeats));
                }
            } else if window >= before {
                measured.bare.push(of_bare);
                measured.both.push(of_both);
                measured.memory.push(of_memory);
            }
            window += 1;
        }
        Ok(measured)
    }

    /// What fills the ring.
    struct RingFiller {
        generator: LoadGenerator,
        ring: RingKind,
        packets: u64,
    }

    impl RingFiller {
        /// Puts the packets of this window into the ring; how many.
        fn fill(&self, window: u64) -> Result<u64, String> {
            self.generator.seek(window * self.packets)?;
            let offered = self.generator.run(&Pace::flat_out(self.packets, Duration::from_secs(10)))?;
            std::thread::sleep(self.ring.settle());
            Ok(offered.sent)
        }
    }

    /// Reads a byte of each header, as whoever looks at a packet must.
    fn touch(packets: &[Packet<'_>]) {
        black_box(packets.iter().fold(0, |sum: u8, packet| sum ^ packet.data.first().copied().unwrap_or(0)));
    }

    /// Takes all that is in the ring; ns of the thread's processor time per packet.
    fn drain(
        backend: &mut dyn Backend,
        expected: u64,
        visit: &mut dyn FnMut(&[Packet<'_>]),
        mut after_poll: impl FnMut(),
    ) -> Result<f64, String> {
        let start = processor_time();
        let mut taken = 0;
        while taken < expected {
            match backend.poll(Duration::from_millis(1), visit).map_err(|error| error.to_string())? {
                Polled::Lent(count) => {
                    taken += u64::from(count);
                    after_poll();
                }
                Polled::Idle(_) | Polled::End => break, // the rest was lost
            }
        }
        let took = processor_time().saturating_sub(start);
        if taken == 0 {
            return Err(format!("none of {expected} packets came out of the ring"));
        }
        Ok(took.as_nanos() as f64 / taken as f64)
    }

    fn processor_time() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock").into()
    }

    fn worker() -> Worker {
        let settings = WorkerSettings {
            flow: FlowSettings { flow_count_max: 1 << 20, ..FlowSettings::default() },
            tick_ns: 1_000_000_000,
            count_max: 0,
            share: WorkerShare::WHOLE,
            waits: false,
            secret: HashSecret::random(),
        };
        // Nobody opens the mailbox: once its boxes are full, snapshots are left out.
        let (snapshots, _mail) = mailbox(1, || Snapshot::new(0));
        Worker::new(&settings, Outbox::new(false, snapshots, None, Vec::new()), ())
    }
}
