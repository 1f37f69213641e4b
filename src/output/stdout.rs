//! Standard output as the outputs use it: buffered by us, and a reader that went away is no failure.
//!
//! Owns the buffer's size, what a broken pipe is, and the terminal's width. Knows no format.

use std::io::{self, BufWriter, Stdout};

const BUFFER_BYTES: usize = 1 << 16;
/// Width where there is no terminal.
const COLUMNS_DEFAULT: usize = 120;

/// Standard output with a buffer; nothing is seen before a flush. Each holder has its own buffer, so one that
/// writes whole lines and flushes after them never mixes them with another's.
pub fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(BUFFER_BYTES, io::stdout())
}

/// True when the reader went away (`| head`): a reason to end quietly.
pub fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Width of the terminal on standard output, or a default where there is none.
pub fn terminal_columns() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(COLUMNS_DEFAULT, |(width, _)| usize::from(width.0))
}
