//! A table's records as text, by one thread or by several.
//!
//! Owns how the work is divided and put together again. Knows no format. Invariant: the text is the same for any number of threads.

use super::bytes::Bytes;
use super::fields::{Exported, RecordSettings};
use super::turns::{Piece, Turns};
use crate::aggregate::Table;
use crate::flow::community_ids;
use netscope_backends::thread::spawn_apart;
use std::convert::Infallible;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Records that one thread makes into text before it writes: some 100 KiB of CSV, which is worth a write.
const PIECE_LEN: usize = 384;
/// Pieces per thread that wait for their turn, at most. Each takes as many texts of 136 KiB as it needs.
const WAITING_MAX: usize = 2;
/// Threads at most: one writes at a time, and would hold up more of them.
const THREADS_MAX: usize = 8;

/// Records that are named side by side, which costs less than one after the other.
const GROUP: usize = 8;
/// How many records ahead memory is asked for, one while another is made into text.
const PREFETCH_AHEAD: usize = 2 * GROUP;

/// Writes all records of `table`, in its order; `push` makes one into text and is told whether it is the first.
///
/// # Errors
/// Those of `out`.
pub(super) fn write_rows(
    out: &mut (impl Write + Send),
    table: &Table,
    settings: RecordSettings,
    push: impl Fn(&mut Bytes, &Exported<'_>, bool) + Sync,
) -> io::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    write_rows_by(settings.threads.min(processors), out, table, settings, push)
}

fn write_rows_by(
    threads: usize,
    out: &mut (impl Write + Send),
    table: &Table,
    settings: RecordSettings,
    push: impl Fn(&mut Bytes, &Exported<'_>, bool) + Sync,
) -> io::Result<()> {
    let threads = threads.min(THREADS_MAX).min(table.len().div_ceil(PIECE_LEN));
    if threads > 1 {
        return write_by_threads(out, table, settings, threads, &push);
    }
    let mut text = Bytes::default();
    let mut is_first = true;
    export_all(table, 0..table.len(), settings, |exported| {
        push(&mut text, exported, std::mem::take(&mut is_first));
        text.write_when_full(out)
    })?;
    text.write(out)
}

/// Makes the records of `range` ready and gives them to `visit` in the same order.
fn export_all<E>(
    table: &Table,
    range: Range<usize>,
    settings: RecordSettings,
    mut visit: impl FnMut(&Exported<'_>) -> Result<(), E>,
) -> Result<(), E> {
    range.clone().take(PREFETCH_AHEAD).for_each(|index| table.prefetch(index));
    for start in range.clone().step_by(GROUP) {
        let last = range.end - 1;
        // Behind the last record its name fills the group.
        let names = std::array::from_fn::<_, GROUP, _>(|lane| table.name(last.min(start + lane)));
        let ids = community_ids(names, settings.community_id_seed);
        for (index, id) in (start..range.end).zip(ids) {
            if index + PREFETCH_AHEAD < range.end {
                table.prefetch(index + PREFETCH_AHEAD);
            }
            visit(&Exported::with_id(&table.record(index), id))?;
        }
    }
    Ok(())
}

/// The same by `threads` of them, this one among them. Where the system refuses a thread, there are fewer.
fn write_by_threads(
    out: &mut (impl Write + Send),
    table: &Table,
    settings: RecordSettings,
    threads: usize,
    push: &(impl Fn(&mut Bytes, &Exported<'_>, bool) + Sync),
) -> io::Result<()> {
    let turns = Turns::new(out, threads * WAITING_MAX);
    let next = AtomicUsize::new(0);
    let work = &|| {
        let _part = turns.take_part();
        let mut piece = Piece::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let start = number * PIECE_LEN;
            if start >= table.len() {
                break;
            }
            make(&mut piece, table, start..table.len().min(start + PIECE_LEN), settings, push);
            match turns.take(number, piece) {
                Some(memory) => piece = memory,
                None => break,
            }
        }
    };
    std::thread::scope(|scope| {
        for i in 1..threads {
            // Refused or not, all pieces are made.
            let _ = spawn_apart(scope, i, work);
        }
        work();
    });
    turns.finish()
}

/// Makes the records of `range` into text.
fn make(
    piece: &mut Piece,
    table: &Table,
    range: Range<usize>,
    settings: RecordSettings,
    push: &impl Fn(&mut Bytes, &Exported<'_>, bool),
) {
    let mut is_first = range.start == 0;
    let mut at = 0;
    let Ok(()) = export_all(table, range, settings, |exported| {
        at += usize::from(piece.get(at).is_some_and(Bytes::is_full));
        if at == piece.len() {
            piece.push(Bytes::default());
        }
        push(&mut piece[at], exported, std::mem::take(&mut is_first));
        Ok::<(), Infallible>(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowRecord;
    use crate::output::json::push_element;
    use crate::output::test_records::{tcp_record, udp6_record};

    fn table(len: usize) -> Table {
        let record = |number| FlowRecord { first_packet: number, ..if number % 3 == 0 { tcp_record() } else { udp6_record() } };
        (0..).map(record).take(len).collect()
    }

    fn written(threads: usize, table: &Table) -> Vec<u8> {
        let mut out = Vec::new();
        write_rows_by(threads, &mut out, table, RecordSettings::default(), push_element).expect("memory takes all");
        out
    }

    #[test]
    fn any_number_of_threads_writes_the_same() {
        for len in [0, 1, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1, 3 * PIECE_LEN, 20 * PIECE_LEN + 7] {
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
            |_: &mut Bytes, _: &Exported<'_>, _| assert!(made.fetch_add(1, Ordering::Relaxed) != 5000, "as it is meant to");
        let table = table(100 * PIECE_LEN);
        let write = || write_rows_by(3, &mut Vec::new(), &table, RecordSettings::default(), push);
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
        let failed = write_rows_by(3, &mut Full(100_000), &table(100 * PIECE_LEN), RecordSettings::default(), push_element);
        let failed = failed.expect_err("there is no room");
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    }
}
