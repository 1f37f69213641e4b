//! The outputs at work: each on a thread of its own behind its own queue.
//!
//! Owns the threads. Knows no format. Invariants: an output that stands still or fails holds up no other and
//! no worker; one that fails is reported once and gets nothing more, unless only a live table failed; what was given to the others is written
//! before [`Outputs::join`] returns.

use super::output_queue::{OutputMessage, OutputQueue, QueueLimits};
use super::{
    AlertDeliveries, HistorySnapshot, LiveTable, Output, OutputFailure, OutputLoss, OutputRows, OutputState, RecordBatch, Report,
    Summary, Table, Wants,
};
use crate::detect::Alert;
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

/// Called as soon as an output fails, or a live table of it, on that output's thread.
pub type OnFailure<'env> = dyn Fn(&OutputFailure) + Sync + 'env;

/// All outputs of a run.
pub struct Outputs<'scope> {
    threads: Vec<OutputThread<'scope>>,
    /// Flows in the table at the end.
    table_len: Cell<u64>,
}

/// What came of all outputs.
#[derive(Debug, Default)]
pub struct OutputResults {
    /// Those that failed.
    pub failures: Vec<OutputFailure>,
    /// Names of those that panicked.
    pub panicked: Vec<String>,
    /// What those that write flows have written.
    pub rows: Vec<OutputRows>,
    /// What became of alerts at those that are receivers of them.
    pub receivers: Vec<AlertDeliveries>,
}

/// What a thread leaves.
#[derive(Default)]
struct Served {
    failure: Option<OutputFailure>,
    rows_written: Option<u64>,
    flows_without_row: u64,
    rows_of_table: Option<u64>,
    deliveries: Option<AlertDeliveries>,
}

/// One of them.
struct OutputThread<'scope> {
    name: String,
    wants: Wants,
    queue: Arc<OutputQueue>,
    thread: Result<ScopedJoinHandle<'scope, Served>, OutputFailure>,
    /// True when it writes flows.
    has_rows: bool,
}

impl<'scope> Outputs<'scope> {
    /// Starts a thread for each output. One that cannot be started has failed.
    pub fn start(
        scope: &'scope Scope<'scope, '_>,
        outputs: Vec<Box<dyn Output>>,
        limits: QueueLimits,
        failed: &'scope OnFailure<'_>,
    ) -> Self {
        let start = |mut output: Box<dyn Output>| {
            let (name, wants) = (output.name().to_owned(), wants_of(output.as_ref()));
            let has_rows = output.rows_written().is_some();
            let queue = Arc::new(OutputQueue::new(limits));
            let taken = Arc::clone(&queue);
            let thread = thread::Builder::new().name(thread_name(&name)).spawn_scoped(scope, move || {
                let served = serve(&taken, output.as_mut(), failed);
                let failure = served.err().map(|source| {
                    let failure = OutputFailure { output: output.name().to_owned(), goes_on: false, source };
                    failed(&failure);
                    failure
                });
                let (rows_written, rows_of_table) = (output.rows_written(), output.rows_of_table());
                let flows_without_row = output.flows_without_row();
                Served { failure, rows_written, flows_without_row, rows_of_table, deliveries: output.deliveries() }
            });
            let thread = thread.map_err(|source| {
                queue.close();
                let failure = OutputFailure { output: name.clone(), goes_on: false, source };
                failed(&failure);
                failure
            });
            OutputThread { name, wants, queue, thread, has_rows }
        };
        Self { threads: outputs.into_iter().map(start).collect(), table_len: Cell::new(0) }
    }

    /// Passes ended flows on to those that want them. `may_wait`: for one that is slow; otherwise it loses them.
    pub fn ended(&self, records: RecordBatch, may_wait: bool) {
        self.give(|wants| wants.ended, &OutputMessage::Ended(Arc::new(records)), may_wait);
    }

    /// The same for a report.
    pub fn report(&self, report: Report, may_wait: bool) {
        self.give(|wants| wants.reports, &OutputMessage::Report(Arc::new(report)), may_wait);
    }

    /// The same for an alert.
    pub fn alert(&self, alert: Alert, may_wait: bool) {
        self.give(|wants| wants.alerts, &OutputMessage::Alert(Arc::new(alert)), may_wait);
    }

    /// Has those that want it write the table now; the first of them makes it, on its thread.
    pub fn live_table(&self, table: LiveTable) {
        self.give(|wants| wants.live_table, &OutputMessage::Table(Arc::new(table)), true);
    }

    /// Has those that want it write the history; `is_last`: the run is over.
    pub fn history(&self, history: HistorySnapshot, is_last: bool) {
        self.give(|wants| wants.history, &OutputMessage::History(Arc::new(history), is_last), true);
    }

    /// True while a history that was asked for is not written.
    pub fn has_history(&self) -> bool {
        self.threads.iter().any(|running| running.queue.has_history())
    }

    /// True when an output writes the history on request.
    pub fn wants_history(&self) -> bool {
        self.threads.iter().any(|running| running.wants.history)
    }

    /// True when an output writes tables on request.
    pub fn wants_live_table(&self) -> bool {
        self.threads.iter().any(|running| running.wants.live_table)
    }

    /// True when one of them has not failed.
    pub fn can_write_live_table(&self) -> bool {
        self.threads.iter().any(|running| running.wants.live_table && !running.queue.is_closed())
    }

    /// True while a table that was asked for is not written.
    pub fn has_live_table(&self) -> bool {
        self.threads.iter().any(|running| running.queue.has_table())
    }

    /// Tells all of the end.
    pub fn end(&self, table: Table, summary: Summary) {
        self.table_len.set(table.len() as u64);
        self.give(|_| true, &OutputMessage::End(Arc::new((table, summary))), true);
    }

    fn give(&self, wants: impl Fn(&Wants) -> bool, message: &OutputMessage, may_wait: bool) {
        for running in self.threads.iter().filter(|running| wants(&running.wants)) {
            running.queue.give(message.clone(), may_wait);
        }
    }

    /// Lets the outputs see what they were given; called before the giver sleeps.
    pub fn wake(&self) {
        self.threads.iter().for_each(|running| running.queue.wake());
    }

    /// What each output left out so far, where that is anything.
    pub fn losses(&self) -> Vec<OutputLoss> {
        let losses = self.threads.iter().map(|running| OutputLoss { output: running.name.clone(), ..running.queue.left_out() });
        losses.filter(|loss| loss.records + loss.reports + loss.alerts > 0).collect()
    }

    /// Every output with what it left out so far.
    pub fn states(&self) -> Vec<OutputState> {
        let state = |running: &OutputThread<'_>| OutputState {
            loss: OutputLoss { output: running.name.clone(), ..running.queue.left_out() },
            has_ended: running.queue.is_closed(),
        };
        self.threads.iter().map(state).collect()
    }

    /// Waits for all outputs. `lost`: ended flows that were lost before they came here.
    pub fn join(self, lost: u64) -> OutputResults {
        let mut results = OutputResults::default();
        for running in self.threads {
            let Served { failure, rows_written, flows_without_row, rows_of_table, deliveries } =
                match running.thread.map(ScopedJoinHandle::join) {
                    Ok(Ok(served)) => served,
                    Ok(Err(_)) => {
                        results.panicked.push(running.name.clone());
                        Served::default()
                    }
                    Err(failure) => Served { failure: Some(failure), ..Served::default() },
                };
            results.failures.extend(failure);
            results.receivers.extend(deliveries);
            if running.has_rows {
                let of_table = || rows_of_table.unwrap_or(self.table_len.get());
                let tables = if running.wants.table { of_table() } else { 0 };
                let (written, all) = (rows_written.unwrap_or(0), running.queue.offered() + tables + lost);
                let all = all.saturating_sub(flows_without_row);
                results.rows.push(OutputRows { output: running.name, written, not_written: all.saturating_sub(written) });
            }
        }
        results
    }
}

/// What an output wants.
pub fn wants_of(output: &dyn Output) -> Wants {
    Wants {
        table: output.wants_table(),
        ended: output.wants_ended(),
        reports: output.wants_reports(),
        live_table: output.wants_live_table(),
        alerts: output.wants_alerts(),
        history: output.wants_history(),
        recent: output.wants_recent(),
    }
}

/// The last part of a path, as systems show few characters of a thread's name.
fn thread_name(output: &str) -> String {
    let last = Path::new(output).file_name().map_or(output.into(), |name| name.to_string_lossy());
    // A NUL would be refused, and no path on Unix has one.
    last.replace('\0', "")
}

/// Closes the queue however the output comes to its end, by a panic too.
struct Closes<'a>(&'a OutputQueue);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Shows an output what it is given, to the end.
fn serve(queue: &OutputQueue, output: &mut dyn Output, failed: &OnFailure<'_>) -> io::Result<()> {
    let closes = Closes(queue);
    loop {
        let message = match queue.try_take() {
            Some(message) => message,
            None => {
                output.flush()?;
                closes.0.take()
            }
        };
        match message {
            OutputMessage::Ended(records) => records.iter().try_for_each(|(record, facts)| output.ended(record, facts))?,
            OutputMessage::Report(report) => output.shared_report(&report)?,
            OutputMessage::Alert(alert) => output.alert(&alert)?,
            OutputMessage::Table(table) => {
                if let Err(source) = output.live_table(&table) {
                    failed(&OutputFailure { output: output.name().to_owned(), goes_on: true, source });
                }
                queue.note_table_done();
            }
            OutputMessage::History(history, true) => output.history(&history, true)?,
            OutputMessage::History(history, false) => {
                if let Err(source) = output.history(&history, false) {
                    failed(&OutputFailure { output: output.name().to_owned(), goes_on: true, source });
                }
                queue.note_history_done();
            }
            OutputMessage::End(end) => return output.shared_finish(&end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FactSet, FlowRecord};
    use crate::record::test_records::tcp_record;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::{Duration, Instant};

    /// Counts what it is told, waits before each record, and fails at one of them.
    struct Slow<'a> {
        name: &'static str,
        go: Receiver<()>,
        fails_at: usize,
        seen: &'a Mutex<Vec<&'static str>>,
        /// The name of each record's output.
        taken: &'a Mutex<Vec<&'static str>>,
        count: usize,
    }

    impl Output for Slow<'static> {
        fn name(&self) -> &str {
            self.name
        }

        fn wants_ended(&self) -> bool {
            true
        }

        fn ended(&mut self, _record: &FlowRecord, _facts: FactSet<'_>) -> io::Result<()> {
            // Goes on when the test is over with telling it to.
            let _ = self.go.recv();
            self.count += 1;
            self.taken.lock().expect("no panic").push(self.name);
            if self.count == self.fails_at { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn finish(&mut self, _table: &Table, summary: &Summary) -> io::Result<()> {
            assert_eq!(summary.outputs.len(), 1);
            self.seen.lock().expect("no panic").push(self.name);
            Ok(())
        }
    }

    fn two() -> RecordBatch {
        let mut batch = RecordBatch::with_capacity(2);
        (0..2).for_each(|_| batch.push(tcp_record(), FactSet::NONE));
        batch
    }

    /// Waits until something is so; false when it never comes to that. No panic, as outputs that are not ended are joined for ever.
    fn comes_to(is_so: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !is_so() {
            if start.elapsed() > Duration::from_secs(60) {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    #[test]
    fn one_that_stands_still_and_one_that_fails_leave_the_others_alone() {
        let seen: &'static Mutex<Vec<&'static str>> = Box::leak(Box::default());
        let taken: &'static Mutex<Vec<&'static str>> = Box::leak(Box::default());
        let told = Mutex::new(Vec::new());
        let failed = |failure: &OutputFailure| told.lock().expect("no panic").push(failure.output.clone());
        let limits = QueueLimits { records: 4, reports: 1, alerts: 1 };
        let (still, still_goes) = channel();
        let (full, full_goes) = channel();
        let (kept_up, losses) = thread::scope(|scope| {
            let output = |name, go, fails_at| Box::new(Slow { name, go, fails_at, seen, taken, count: 0 }) as Box<dyn Output>;
            let (fast, fast_goes) = channel();
            drop(fast);
            let outputs = vec![
                output("dir/still", still_goes, usize::MAX),
                output("dir/full", full_goes, 1),
                output("dir/fast", fast_goes, usize::MAX),
            ];
            let outputs = Outputs::start(scope, outputs, limits, &failed);
            full.send(()).expect("it waits for this");
            let kept_up = (1..=20).all(|round| {
                outputs.ended(two(), false);
                outputs.wake();
                // One that keeps up is given time to, and has to, whatever the others do.
                comes_to(|| taken.lock().expect("no panic").iter().filter(|name| **name == "dir/fast").count() == 2 * round)
            }) && comes_to(|| !told.lock().expect("no panic").is_empty());
            let losses = outputs.losses();
            drop(still);
            let of_still = losses.iter().filter(|loss| loss.output == "dir/still").cloned().collect();
            let summary = Summary { outputs: of_still, ..Summary::default() };
            outputs.end(Table::default(), summary);
            outputs.wake();
            let OutputResults { failures, panicked, rows, receivers: _ } = outputs.join(0);
            assert!(rows.is_empty(), "they count no rows");
            assert_eq!(failures.iter().map(|failure| failure.output.as_str()).collect::<Vec<_>>(), ["dir/full"]);
            assert!(panicked.is_empty());
            (kept_up, losses)
        });
        assert!(kept_up, "the one that keeps up has all records, and the failure is told");
        assert!(losses.iter().all(|loss| loss.output != "dir/fast"), "{losses:?}");
        let of_still = losses.iter().find(|loss| loss.output == "dir/still");
        assert!(of_still.is_some_and(|loss| (32..=36).contains(&loss.records)), "{losses:?}");
        assert_eq!(*told.lock().expect("no panic"), ["dir/full"], "told once");
        let mut seen = seen.lock().expect("no panic").clone();
        seen.sort_unstable();
        assert_eq!(seen, ["dir/fast", "dir/still"], "both were written to their end");
    }

    /// Writes tables, but not the first.
    struct SecondTable {
        asked: usize,
        finished: Sender<usize>,
    }

    impl Output for SecondTable {
        fn name(&self) -> &str {
            "table"
        }

        fn wants_live_table(&self) -> bool {
            true
        }

        fn live_table(&mut self, _table: &Table) -> io::Result<()> {
            self.asked += 1;
            if self.asked == 1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn finish(&mut self, _table: &Table, _summary: &Summary) -> io::Result<()> {
            self.finished.send(self.asked).expect("the test waits");
            Ok(())
        }
    }

    #[test]
    fn a_live_table_that_fails_is_told_and_the_output_goes_on() {
        let told = Mutex::new(Vec::new());
        let failed = |failure: &OutputFailure| told.lock().expect("no panic").push((failure.goes_on, failure.to_string()));
        let (finished, at_end) = channel();
        let mut done = Vec::new();
        thread::scope(|scope| {
            let output = Box::new(SecondTable { asked: 0, finished });
            let outputs = Outputs::start(scope, vec![output], QueueLimits::WIRE, &failed);
            for _ in 0..2 {
                done.push(outputs.can_write_live_table());
                outputs.live_table(LiveTable::new(Box::new(|| {
                    assert_eq!(thread::current().name(), Some("table"), "not the giver's thread");
                    Table::default()
                })));
                outputs.wake();
                done.push(comes_to(|| !outputs.has_live_table()));
            }
            outputs.end(Table::default(), Summary::default());
            outputs.wake();
            assert_eq!(at_end.recv(), Ok(2));
            done.push(comes_to(|| !outputs.can_write_live_table()) && outputs.wants_live_table());
            assert!(outputs.join(0).failures.is_empty(), "no output has failed");
        });
        assert_eq!(done, [true; 5]);
        let said = "output table did not write what was asked for, and goes on".to_owned();
        assert_eq!(*told.lock().expect("no panic"), [(true, said)]);
    }

    #[test]
    fn threads_are_named_after_files() {
        assert_eq!(
            ["some/directory/flows.jsonl", "standard output", ".."].map(thread_name),
            ["flows.jsonl", "standard output", ".."]
        );
    }
}
