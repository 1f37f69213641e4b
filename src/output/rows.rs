//! A table's records as text, by one thread or by several.
//!
//! Owns how the work is divided and put together again. Knows no format. Invariant: the text is the same for any number of threads.

use super::bytes::Bytes;
use super::fields::{Exported, RecordSettings};
use crate::aggregate::Table;
use crate::flow::community_ids;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::Builder;

/// Records that one thread makes into text before the next one's turn comes: some 100 KiB of CSV, which is worth a write.
const PIECE_LEN: usize = 384;
/// Texts that a thread may be ahead of the writing.
const AHEAD: usize = 4;
/// Threads at most; each has two more texts than that under way, of some 136 KiB. The one that writes would hold up more of them.
const THREADS_MAX: usize = 8;

/// Records that are named side by side, which costs less than one after the other.
const GROUP: usize = 8;
/// How many records ahead memory is asked for, one while another is made into text.
const PREFETCH_AHEAD: usize = 2 * GROUP;

/// Some of a piece's text.
struct Part {
    text: Bytes,
    /// The piece ends with it.
    is_last: bool,
}

/// Writes all records of `table`, in its order; `push` makes one into text and is told whether it is the first.
///
/// # Errors
/// Those of `out`.
pub(super) fn write_rows(
    out: &mut impl Write,
    table: &Table,
    settings: RecordSettings,
    push: impl Fn(&mut Bytes, &Exported<'_>, bool) + Sync,
) -> io::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    write_rows_by(settings.threads.min(processors), out, table, settings, push)
}

fn write_rows_by(
    threads: usize,
    out: &mut impl Write,
    table: &Table,
    settings: RecordSettings,
    push: impl Fn(&mut Bytes, &Exported<'_>, bool) + Sync,
) -> io::Result<()> {
    let threads = threads.min(THREADS_MAX).min(table.len().div_ceil(PIECE_LEN));
    if threads > 1 && write_by_threads(out, table, settings, threads, &push)? {
        return Ok(());
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

/// The same by `threads` of them, who take turns, while this one writes. False, and nothing written, when the system does not give us as many.
fn write_by_threads(
    out: &mut impl Write,
    table: &Table,
    settings: RecordSettings,
    threads: usize,
    push: &(impl Fn(&mut Bytes, &Exported<'_>, bool) + Sync),
) -> io::Result<bool> {
    std::thread::scope(|scope| {
        let mut lanes = Vec::with_capacity(threads);
        for thread in 0..threads {
            let (filled, received) = sync_channel(AHEAD);
            let (emptied, empty) = channel();
            let pieces = pieces(table.len()).skip(thread).step_by(threads);
            let work = move || fill(table, settings, pieces, push, &filled, &empty);
            if Builder::new().spawn_scoped(scope, work).is_err() {
                // Those that were started end, as nobody receives what they made.
                return Ok(false);
            }
            lanes.push((received, emptied));
        }
        for ((received, emptied), _) in lanes.iter().cycle().zip(pieces(table.len())) {
            // A thread that panicked ends the scope with a panic, too.
            while let Ok(Part { mut text, is_last }) = received.recv() {
                text.write(out)?;
                // The thread may have no use for it any more.
                let _ = emptied.send(text);
                if is_last {
                    break;
                }
            }
        }
        Ok(true)
    })
}

fn pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(PIECE_LEN).map(move |start| start..len.min(start + PIECE_LEN))
}

/// Makes one thread's pieces into text, until nobody takes it any more.
fn fill(
    table: &Table,
    settings: RecordSettings,
    pieces: impl Iterator<Item = Range<usize>>,
    push: &impl Fn(&mut Bytes, &Exported<'_>, bool),
    filled: &SyncSender<Part>,
    empty: &Receiver<Bytes>,
) {
    for piece in pieces {
        let mut text = empty.try_recv().unwrap_or_default();
        let mut is_first = piece.start == 0;
        let made = export_all(table, piece, settings, |exported| {
            push(&mut text, exported, std::mem::take(&mut is_first));
            if text.is_full() {
                let text = std::mem::replace(&mut text, empty.try_recv().unwrap_or_default());
                return filled.send(Part { text, is_last: false });
            }
            Ok(())
        });
        if made.and_then(|()| filled.send(Part { text, is_last: true })).is_err() {
            return;
        }
    }
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
