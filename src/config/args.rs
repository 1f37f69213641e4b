//! The command line: what is said there and nowhere else, and the program's description of itself.

use super::options::Options;
use clap::{ArgAction, CommandFactory, Parser};
use std::io::{self, Write};
use std::path::PathBuf;

/// The command line as it was said.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "netscope",
    version,
    about = "Capture packets or read capture files, track every flow, and account for every packet",
    after_help = "A flag beats the configuration file, the file beats the default. Exit codes: 0 fine, 1 configuration or capture \
                  error, 2 --synthetic-flows over its memory budget.",
    max_term_width = 120
)]
pub struct Args {
    /// Read settings from this TOML file (see netscope.example.toml)
    #[arg(long, value_name = "PATH", help_heading = "General")]
    pub config: Option<PathBuf>,

    /// Say more: -v info, -vv debug and detailed packets, -vvv trace
    #[arg(short, long, action = ArgAction::Count, help_heading = "General")]
    pub verbose: u8,

    /// List the interfaces with their descriptions and addresses, then exit
    #[arg(short, long, help_heading = "General")]
    pub list_interfaces: bool,

    /// Fill the flow table with N flows, print the memory it takes, then exit (code 2 when over budget)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "General")]
    pub synthetic_flows: Option<u64>,

    /// Print a completion script for this shell, then exit
    #[arg(long, value_name = "SHELL", help_heading = "General")]
    pub completions: Option<clap_complete::Shell>,

    /// Print the man page (roff), then exit
    #[arg(long, help_heading = "General")]
    pub man: bool,

    /// What the configuration file can say too.
    #[command(flatten)]
    pub options: Options,
}

/// Writes a completion script.
///
/// # Errors
/// Those of `out`.
pub fn write_completions(shell: clap_complete::Shell, out: &mut impl Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "netscope", &mut script);
    out.write_all(&script)?;
    out.flush()
}

/// Writes the man page.
///
/// # Errors
/// Those of `out`.
pub fn write_man(out: &mut impl Write) -> io::Result<()> {
    clap_mangen::Man::new(Args::command()).render(out)?;
    out.flush()
}
