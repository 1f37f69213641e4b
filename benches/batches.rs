//! How long single batches of 64 packets take, and not what a packet costs on average: `cargo bench --bench batches`. Linux.
//!
//! `growth`: each packet opens a flow in a table without a limit, from none to a million. `answer`: packets of 100,000
//! flows in an order that no prefetcher guesses, before and while a question for all flows is answered. Times are
//! those of the thread's processor, so another program's turn is not in them; faults are the thread's page faults.

mod setup;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    eprintln!("skipped: page faults of a thread are told by Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use super::setup::{only_tests, shuffled, timed};
    use netscope::engine::{
        FlowQuery, Outbox, RequestReceiver, RequestSender, Snapshot, Worker, WorkerSettings, WorkerShare, mailbox, requests,
    };
    use netscope::flow::{FlowSettings, HashSecret};
    use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};
    use netscope_perf::live::Load;
    use nix::sys::resource::{UsageWho, getrusage};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// Packets of each flow before the question.
    const ROUNDS_BEFORE: u64 = 4;
    const BATCHES_BEFORE: usize = 20_000;
    const QUESTIONS: u64 = 20;

    pub fn main() {
        if std::env::args().any(|word| word == "--list") {
            if !std::env::args().any(|word| word == "--ignored") {
                println!("batches: test");
            }
            return;
        }
        let (grown, live) = if only_tests() { (10_000, 1_000) } else { (1_000_000, 100_000) };
        growth(grown);
        answer(live);
    }

    fn worker() -> Worker {
        let settings = WorkerSettings {
            flow: FlowSettings { flow_count_max: 0, ..FlowSettings::default() },
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

    /// Frames of the load, one per microsecond, lent to `visit`.
    fn batch<T>(
        load: &Load,
        number: &mut u64,
        positions: impl Iterator<Item = u64>,
        visit: impl FnOnce(&[Packet<'_>]) -> T,
    ) -> T {
        let frames: Vec<Vec<u8>> = positions.map(|position| load.frame(position)).collect();
        let packet = |(data, number): (_, u64)| {
            let data: &Vec<u8> = data;
            Packet { data, time: Timestamp(number * 1000), wire_len: data.len() as u32, link_type: LinkType::ETHERNET }
        };
        let packets: Vec<Packet<'_>> = frames.iter().zip(*number..).map(packet).collect();
        *number += packets.len() as u64;
        visit(&packets)
    }

    fn faults() -> i64 {
        getrusage(UsageWho::RUSAGE_THREAD).expect("Linux tells").minor_page_faults()
    }

    fn us(time: Duration) -> f64 {
        time.as_secs_f64() * 1e6
    }

    /// Median, 99th percentile and longest.
    fn spread(times: &mut [Duration]) -> String {
        times.sort_unstable();
        let at = |share: usize| us(times[(times.len() - 1) * share / 1000]);
        format!("median {:.1}, p99 {:.1}, p99.9 {:.1}, longest {:.1} µs", at(500), at(990), at(999), at(1000))
    }

    fn growth(flows: u32) {
        let (mut worker, load) = (worker(), Load::tcp(flows));
        let mut number = 0;
        let mut batches = Vec::new();
        for first in (0..u64::from(flows)).step_by(BATCH_MAX) {
            let positions = first..u64::from(flows).min(first + BATCH_MAX as u64);
            batches.push(batch(&load, &mut number, positions, |packets| {
                let before = faults();
                let took = timed(|| worker.batch(packets));
                (took, faults() - before, first)
            }));
        }
        let mut times: Vec<Duration> = batches.iter().map(|(took, ..)| *took).collect();
        println!("growth to {flows} flows, {} batches: {}", batches.len(), spread(&mut times));
        let with_faults: Vec<_> = batches.iter().filter(|(_, faults, _)| *faults > 0).collect();
        let sum: i64 = with_faults.iter().map(|(_, faults, _)| faults).sum();
        println!("  {sum} page faults in {} batches", with_faults.len());
        let mut without: Vec<Duration> = batches.iter().filter(|(_, faults, _)| *faults == 0).map(|(took, ..)| *took).collect();
        println!("  batches without a fault: {}", spread(&mut without));
        batches.sort_unstable_by(|x, y| y.cmp(x));
        for (took, faults, first) in batches.iter().take(10) {
            println!("  {:.1} µs from flow {first} on, {faults} page faults", us(*took));
        }
    }

    /// Takes an answer, on a thread of its own, as the cold side does; how many records.
    fn receive(sender: &RequestSender) -> usize {
        let mut count = 0;
        loop {
            let Some(mut answer) = sender.answers.receive() else {
                std::thread::sleep(Duration::from_micros(50));
                continue;
            };
            count += answer.records.len();
            let is_last = answer.end.is_some();
            answer.records.clear();
            sender.answers.give_back(answer);
            if is_last {
                return count;
            }
        }
    }

    /// Counts batches of packets in random order.
    struct Established {
        worker: Worker,
        load: Load,
        order: Vec<u32>,
        at: usize,
        round: u64,
        number: u64,
    }

    impl Established {
        /// The next batch; how long it took.
        fn batch(&mut self, requests: Option<&mut RequestReceiver>) -> Duration {
            if self.at + BATCH_MAX > self.order.len() {
                (self.at, self.round) = (0, self.round + 1);
            }
            let flows = u64::from(self.load.flows);
            let positions = self.order[self.at..self.at + BATCH_MAX].iter().map(|&flow| self.round * flows + u64::from(flow));
            self.at += BATCH_MAX;
            let worker = &mut self.worker;
            batch(&self.load, &mut self.number, positions, |packets| {
                timed(|| match requests {
                    Some(requests) => worker.batch_and_answer(packets, requests),
                    None => worker.batch(packets),
                })
            })
        }
    }

    fn answer(flows: u32) {
        let load = Load::tcp(flows);
        let (mut worker, mut number) = (worker(), 0);
        for first in (0..ROUNDS_BEFORE * u64::from(flows)).step_by(BATCH_MAX) {
            batch(&load, &mut number, first..first + BATCH_MAX as u64, |packets| worker.batch(packets));
        }
        let mut traffic = Established { worker, load, order: shuffled(flows), at: 0, round: ROUNDS_BEFORE + 1, number };
        let mut before: Vec<Duration> = (0..BATCHES_BEFORE).map(|_| traffic.batch(None)).collect();
        println!("{flows} flows, {BATCHES_BEFORE} batches before the question: {}", spread(&mut before));
        let (sender, mut receiver) = requests(&Arc::default());
        let mut during = Vec::new();
        let start = Instant::now();
        for id in 0..QUESTIONS {
            assert!(sender.ask(&Arc::new(FlowQuery::all(id))), "one at a time");
            std::thread::scope(|scope| {
                let answered = scope.spawn(|| receive(&sender));
                while receiver.is_asked() {
                    during.push(traffic.batch(Some(&mut receiver)));
                }
                assert_eq!(answered.join().expect("no panic"), flows as usize);
            });
        }
        let batches = during.len() as u64 / QUESTIONS;
        println!("  {QUESTIONS} answers, {batches} batches each ({:.1?} for all): {}", start.elapsed(), spread(&mut during));
    }
}
