//! A table's records as text, by one thread or by several.
//!
//! Owns how the work is divided and put together again. Knows no format. Invariant: the text is the same for
//! any number of threads.

use crate::aggregate::{Table, export_pool};
use crate::flow::community_ids;
use crate::record::{Exported, FactSchema, FieldWord, TextBuffer, TimeResolution};
use rayon::prelude::*;
use std::convert::Infallible;
use std::io::{self, Write};
use std::ops::Range;

/// Records that one thread makes into text at a time: some 100 KiB of CSV.
const CHUNK_LEN: usize = 384;
/// Chunks per thread that are made while those before them are written.
const CHUNKS_PER_THREAD: usize = 4;
/// Threads at most: one writes at a time, and would hold up more of them.
const THREADS_MAX: usize = 8;

/// Records that are named side by side, which costs less than one after the other.
const GROUP: usize = 8;
/// How many records ahead memory is asked for, one while another is made into text.
const PREFETCH_AHEAD: usize = 2 * GROUP;

/// How records are exported, whatever the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportSettings {
    /// Seed of the Community ID; 0 is what other tools use unless told otherwise.
    pub community_id_seed: u16,
    /// Threads that make records into text when the table is written; 0 and 1 mean the one that writes it.
    pub threads: usize,
    /// How the times of the packets were taken.
    pub times: TimeResolution,
    /// Names of facts.
    pub schema: FactSchema,
    /// Names of the interfaces that records are of, by their places; none for a file.
    pub interfaces: &'static [FieldWord],
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self { community_id_seed: 0, threads: 0, times: TimeResolution::Packet, schema: &[], interfaces: &[] }
    }
}

/// Writes `head` and all records of `table`, in its order; `push` makes one into text and is told whether it
/// is the first.
///
/// # Errors
/// Those of `out`.
pub(super) fn write_rows(
    out: &mut (impl Write + Send),
    table: &Table,
    settings: ExportSettings,
    head: impl Fn(&mut TextBuffer),
    push: impl Fn(&mut TextBuffer, &Exported<'_>, bool) + Sync,
) -> io::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = ExportSettings { threads: settings.threads.min(processors), ..settings };
    write_rows_by(out, table, settings, head, push)
}

fn write_rows_by(
    out: &mut (impl Write + Send),
    table: &Table,
    settings: ExportSettings,
    head: impl Fn(&mut TextBuffer),
    push: impl Fn(&mut TextBuffer, &Exported<'_>, bool) + Sync,
) -> io::Result<()> {
    let threads = settings.threads.min(THREADS_MAX).min(table.len().div_ceil(CHUNK_LEN));
    let mut text = TextBuffer::default();
    head(&mut text);
    if let Some(pool) = export_pool(threads) {
        text.write(out)?;
        return pool.install(|| write_in_parallel(out, table, settings, threads, &push));
    }
    let mut is_first = true;
    export_all(table, 0..table.len(), settings, |exported| {
        push(&mut text, exported, std::mem::take(&mut is_first));
        text.write_when_full(out)
    })?;
    text.write(out)
}

/// The same in a pool of `threads`: they make the next chunks while one of them writes those before.
fn write_in_parallel(
    out: &mut (impl Write + Send),
    table: &Table,
    settings: ExportSettings,
    threads: usize,
    push: &(impl Fn(&mut TextBuffer, &Exported<'_>, bool) + Sync),
) -> io::Result<()> {
    let buffers = || (0..threads * CHUNKS_PER_THREAD).map(|_| TextBuffer::default()).collect::<Vec<_>>();
    let (mut made, mut ready) = (buffers(), buffers());
    let step = made.len() * CHUNK_LEN;
    // Once more than there is to make, for what was made last.
    for start in (0..table.len() + step).step_by(step) {
        let (written, ()) = rayon::join(
            || ready.iter_mut().try_for_each(|text| text.write(out)),
            || {
                made.par_iter_mut().enumerate().for_each(|(number, text)| {
                    let first = table.len().min(start + number * CHUNK_LEN);
                    push_all(text, table, first..table.len().min(first + CHUNK_LEN), settings, push);
                });
            },
        );
        written?;
        std::mem::swap(&mut made, &mut ready);
    }
    Ok(())
}

/// How many rows `count` says that the records of `table` make together; it is given no Community IDs.
pub(super) fn count_rows(table: &Table, settings: ExportSettings, count: impl Fn(&Exported<'_>) -> u64) -> u64 {
    let rows = (0..table.len()).map(|index| {
        let record = table.record(index);
        count(&Exported::without_ids(&record).with_facts(table.facts(index), settings.schema))
    });
    rows.sum()
}

/// Makes the records of `range` ready and gives them to `visit` in the same order.
fn export_all<E>(
    table: &Table,
    range: Range<usize>,
    settings: ExportSettings,
    mut visit: impl FnMut(&Exported<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(last) = range.clone().last() else { return Ok(()) };
    range.clone().take(PREFETCH_AHEAD).for_each(|index| table.prefetch(index));
    for start in range.clone().step_by(GROUP) {
        // Behind the last record its name fills the group.
        let names = std::array::from_fn::<_, GROUP, _>(|lane| table.name(last.min(start + lane)));
        let ids = community_ids(names, settings.community_id_seed);
        for (index, id) in (start..range.end).zip(ids) {
            if index + PREFETCH_AHEAD < range.end {
                table.prefetch(index + PREFETCH_AHEAD);
            }
            let record = table.record(index);
            let exported = Exported::with_id(&record, id, settings.community_id_seed).with_times(settings.times);
            let exported = exported.with_facts(table.facts(index), settings.schema);
            visit(&exported.on_interface(settings.interfaces))?;
        }
    }
    Ok(())
}

/// Makes the records of `range` into text.
fn push_all(
    text: &mut TextBuffer,
    table: &Table,
    range: Range<usize>,
    settings: ExportSettings,
    push: &impl Fn(&mut TextBuffer, &Exported<'_>, bool),
) {
    let mut is_first = range.start == 0;
    let Ok(()) = export_all(table, range, settings, |exported| {
        push(text, exported, std::mem::take(&mut is_first));
        Ok::<(), Infallible>(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowRecord;
    use crate::output::json::push_element;
    use crate::record::test_records::{tcp_record, udp6_record};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn table(len: usize) -> Table {
        let record = |number| FlowRecord { first_packet: number, ..if number % 3 == 0 { tcp_record() } else { udp6_record() } };
        (0..).map(record).take(len).collect()
    }

    fn by(threads: usize) -> ExportSettings {
        ExportSettings { threads, ..ExportSettings::default() }
    }

    fn written(threads: usize, table: &Table) -> Vec<u8> {
        let mut out = Vec::new();
        write_rows_by(&mut out, table, by(threads), |_| {}, push_element).expect("memory takes all");
        out
    }

    #[test]
    fn any_number_of_threads_writes_the_same() {
        for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN, 20 * CHUNK_LEN + 7] {
            let table = table(len);
            let alone = written(1, &table);
            assert_eq!(alone.iter().filter(|&&byte| byte == b'\n').count(), len);
            for threads in [0, 2, 3, 7, 100] {
                assert!(written(threads, &table) == alone, "{threads} threads, {len} records");
            }
        }
    }

    #[test]
    fn a_panic_ends_all_threads() {
        let made = AtomicUsize::new(0);
        let push =
            |_: &mut TextBuffer, _: &Exported<'_>, _| assert!(made.fetch_add(1, Ordering::Relaxed) != 5000, "as it is meant to");
        let table = table(100 * CHUNK_LEN);
        let write = || write_rows_by(&mut Vec::new(), &table, by(3), |_| {}, push);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err());
    }

    /// Takes a few bytes and no more.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_ends_all_threads() {
        let failed = write_rows_by(&mut Full(100_000), &table(100 * CHUNK_LEN), by(3), |_| {}, push_element);
        let failed = failed.expect_err("there is no room");
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    }
}
