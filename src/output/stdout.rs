//! Standard output as the outputs use it: buffered by us, and a reader that went away is no failure.
//!
//! Owns the buffer's size, what a broken pipe is, the terminal's width and whether it has colours. Knows no format.

use anstream::{AutoStream, ColorChoice};
use std::io::{self, BufWriter, IsTerminal, Stdout};

const BUFFER_BYTES: usize = 1 << 16;
/// Width where there is no terminal.
const COLUMNS_DEFAULT: usize = 160;

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

/// True when standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// True when standard output is to have colours: on a terminal that has them unless NO_COLOR is set, elsewhere if CLICOLOR_FORCE
/// is (<https://no-color.org>, <https://bixense.com/clicolors>).
pub fn stdout_has_color() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}
