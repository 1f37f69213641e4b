//! How long a question for flows takes while packets come, and whether one is lost by it: `cargo bench --bench live_query`.
//!
//! A whole run (worker, aggregator) over a ring in memory that fills at a rate by the clock and drops what finds no room, as a wire
//! does: 64 blocks of 6,500 packets, as 64 MiB of TPACKET_V3 hold. `looked into`: the worker can see how full it is; `not looked
//! into`: it cannot, as with libpcap, and looks at few flows after each batch. The rate is the first argument in thousands of
//! packets per second (1000).

#[cfg(target_os = "linux")]
mod setup;

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    eprintln!("skipped: the loads are of the live rig, which is for Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::setup;

    use netscope::aggregate::{
        AggregateSettings, AlertingSettings, FlowQuestion, LiveTableRequest, Output, OutputFailure, Question, Questions,
    };
    use netscope::engine::{EngineSettings, Predicate, Progress, SortKey, Source, Stop};
    use netscope::flow::{FlowSettings, KeyScope};
    use netscope::session::{Outcome, Session, Watcher, run};
    use netscope_backends::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, RingFill, Timestamp};
    use netscope_perf::live::Load;
    use setup::only_tests;
    use std::sync::mpsc::channel;
    use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    const BLOCK_PACKETS: u64 = 6_500;
    const BLOCKS: u64 = 64;
    const QUESTIONS: usize = 10;

    /// Fills by the clock.
    struct RingWire {
        frames: Arc<Vec<Vec<u8>>>,
        rate: u64,
        begin: Option<Instant>,
        /// Packets that came, and those of them that were lent or dropped.
        came: u64,
        done: u64,
        dropped: Arc<AtomicU64>,
        waiting_max: u64,
        is_looked_into: bool,
        lent: Arc<AtomicU64>,
    }

    impl RingWire {
        fn fill(&mut self) {
            let begin = *self.begin.get_or_insert_with(Instant::now);
            self.came = (begin.elapsed().as_secs_f64() * self.rate as f64) as u64;
            let beyond = (self.came - self.done).saturating_sub(BLOCKS * BLOCK_PACKETS);
            self.done += beyond;
            self.dropped.fetch_add(beyond, Ordering::Relaxed);
            self.waiting_max = self.waiting_max.max((self.came - self.done) / BLOCK_PACKETS);
        }
    }

    impl Backend for RingWire {
        fn link_type(&self) -> LinkType {
            LinkType::ETHERNET
        }

        fn waits(&self) -> bool {
            false
        }

        fn poll(&mut self, _timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
            self.fill();
            let block = (self.came - self.done).min(BLOCK_PACKETS);
            let now = Timestamp(self.came * 1_000_000_000 / self.rate);
            // A block is handed over when it is full, or after a while.
            if block < BATCH_MAX as u64 {
                thread::sleep(Duration::from_micros(200));
                return Ok(Polled::Idle(now));
            }
            for first in (self.done..self.done + block).step_by(BATCH_MAX) {
                let numbers = first..(first + BATCH_MAX as u64).min(self.done + block);
                let packet = |number: u64| {
                    let data = &self.frames[(number % self.frames.len() as u64) as usize][..];
                    let time = Timestamp(number * 1_000_000_000 / self.rate);
                    Packet { data, time, wire_len: data.len() as u32, link_type: LinkType::ETHERNET }
                };
                let mut batch = [packet(first); BATCH_MAX];
                let count = batch.iter_mut().zip(numbers).map(|(slot, number)| *slot = packet(number)).count();
                visit(&batch[..count]);
            }
            self.done += block;
            self.lent.store(self.done, Ordering::Relaxed);
            Ok(Polled::Lent(block as u32))
        }

        fn counters(&mut self) -> Result<Counters, BackendError> {
            let dropped = self.dropped.load(Ordering::Relaxed);
            Ok(Counters { received: self.done, kernel_drops: dropped, ring_full_drops: dropped, ..Counters::default() })
        }

        fn ring_fill(&mut self) -> Option<RingFill> {
            self.fill();
            let waiting = ((self.came - self.done) / BLOCK_PACKETS) as u32;
            self.is_looked_into.then_some(RingFill { size: BLOCKS as u32, waiting, waiting_max: self.waiting_max as u32 })
        }
    }

    /// Has ended flows kept.
    struct AskingOutput;

    impl Output for AskingOutput {
        fn name(&self) -> &str {
            "page"
        }

        fn wants_recent(&self) -> bool {
            true
        }
    }

    struct Silent;

    impl Watcher for Silent {
        fn notice(&self, text: &str) {
            eprintln!("{text}");
        }
        fn failed(&self, failure: &OutputFailure) {
            panic!("{failure}");
        }
        fn progress(&self, _progress: &Progress) {}
    }

    fn session(wire: RingWire, flows: usize) -> Session {
        let flow = FlowSettings { flow_count_max: flows * 2, idle_timeout_ns: 600_000_000_000, ..FlowSettings::default() };
        let (tick_ns, flow_key) = (1_000_000_000, KeyScope::Tuple);
        Session {
            source: Source::Queues(vec![Box::new(wire)]),
            engine: EngineSettings {
                flow,
                tick_ns,
                count_max: 0,
                workers: 1,
                cpus: Vec::new(),
                interfaces: Vec::new(),
                poll_timeout: Duration::from_millis(100),
                wants_ended: false,
                wants_reports: false,
                taps: Vec::new(),
                reader_chunks: 2,
                detection: None,
                bursts: None,
                history: false,
                directions: None,
                flight: None,
            },
            aggregate: AggregateSettings {
                tick_ns,
                top_count: 0,
                export_ended_max: 100_000,
                flow_key,
                judge: None,
                microbursts: None,
                alerting: AlertingSettings::default(),
                selection: None,
                address_names_max: 0,
            },
            outputs: vec![Box::new(AskingOutput)],
            record: None,
            on_closed: None,
            view: None,
            sampled: None,
            live_table: LiveTableRequest::default(),
            questions: Questions::default(),
            flight: None,
        }
    }

    /// Asks; how long the answer took, how many fit, of how many.
    fn ask(questions: &Questions, question: FlowQuestion) -> (Duration, u64, u64, bool) {
        let (told, answer) = channel();
        let begun = Instant::now();
        // The receiver waits until it is told.
        questions.ask(Question::Flows(question, Box::new(move |found| drop(told.send(found)))));
        let found = answer.recv().expect("an answer").expect("flows");
        (begun.elapsed(), found.matched.flows, found.looked_at, found.is_whole)
    }

    fn measure(frames: &Arc<Vec<Vec<u8>>>, rate: u64, is_looked_into: bool) {
        let [lent, dropped] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let wire = RingWire {
            frames: Arc::clone(frames),
            rate,
            begin: None,
            came: 0,
            done: 0,
            dropped: Arc::clone(&dropped),
            waiting_max: 0,
            is_looked_into,
            lent: Arc::clone(&lent),
        };
        let (session, stop) = (session(wire, frames.len()), Stop::default());
        let (questions, running) = (session.questions.clone(), stop.clone());
        let watcher: Arc<dyn Watcher> = Arc::new(Silent);
        let thread = thread::spawn(move || run(session, &running, &watcher).expect("it starts"));
        while lent.load(Ordering::Relaxed) < frames.len() as u64 * 2 {
            thread::sleep(Duration::from_millis(20));
        }
        let dropped_before = dropped.load(Ordering::Relaxed);
        let predicate =
            Predicate::new(|record, _| record.tcp.is_some_and(|tcp| tcp.zero_windows < 3) && record.first_packet % 3 != 0);
        let kinds = [
            (
                "all, by bytes",
                FlowQuestion {
                    predicate: None,
                    sort: SortKey::Bytes,
                    limit: 100,
                    with_ended: true,
                    with_live: true,
                    asker: None,
                },
            ),
            (
                "filter, by a number of the record",
                FlowQuestion {
                    predicate: Some(predicate),
                    sort: SortKey::By(Arc::new(|record| record.last_seen.0 - record.first_seen.0)),
                    limit: 1000,
                    with_ended: true,
                    with_live: true,
                    asker: None,
                },
            ),
        ];
        let look = if is_looked_into { "looked into" } else { "not looked into" };
        for (name, question) in kinds {
            let mut answers: Vec<_> = (0..QUESTIONS).map(|_| ask(&questions, question.clone())).collect();
            answers.sort_unstable();
            let (took, matched, looked_at, _) = answers[QUESTIONS / 2];
            let whole = answers.iter().filter(|answer| answer.3).count();
            let longest = answers[QUESTIONS - 1].0;
            println!(
                "ring {look}, {name}: median {took:.1?}, longest {longest:.1?}; {matched} of {looked_at} fit; {whole} of {QUESTIONS} whole"
            );
        }
        let dropped_meanwhile = dropped.load(Ordering::Relaxed) - dropped_before;
        stop.request();
        let Outcome { summary, .. } = thread.join().expect("no panic");
        println!(
            "  {} packets at {rate} per second; dropped while flows were opened: {dropped_before}, while questions were answered: {dropped_meanwhile}",
            summary.source.received
        );
    }

    pub fn main() {
        if std::env::args().any(|word| word == "--list") {
            if !std::env::args().any(|word| word == "--ignored") {
                println!("live_query: test");
            }
            return;
        }
        let said = std::env::args().find_map(|word| word.parse::<u64>().ok());
        let (flows, rate) = if only_tests() { (1_000, 10_000) } else { (1_000_000, said.unwrap_or(1000) * 1000) };
        let load = Load::tcp(flows);
        let frames = Arc::new((0..u64::from(flows)).map(|position| load.frame(position)).collect::<Vec<_>>());
        for is_looked_into in [true, false] {
            measure(&frames, rate, is_looked_into);
        }
    }
}
