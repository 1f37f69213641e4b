//! The command line: what is said there and nowhere else.

use super::options::Options;
use crate::doctor::DoctorSettings;
use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// The command line as it was said.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "netscope",
    version,
    about = "Capture packets or read capture files, track every flow, and account for every packet",
    override_usage = "netscope [OPTIONS] [FILTER]...\n       netscope doctor [OPTIONS] [NAME]\n       netscope hash-password",
    after_help = "A flag beats the configuration file, the file beats the default. Exit codes: 0 fine, 1 configuration or capture \
                  error, 2 --synthetic-flows over its memory budget. Signals: Ctrl-C ends the run in order, a second \
                  one at once; SIGUSR1 writes the files of --export-json, --export-csv, --export-eve and --export-zeek while the run goes on, \
                  SIGUSR2 the packets that --recorder has in memory.",
    max_term_width = 120,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Args {
    /// Something else than capturing or reading.
    #[command(subcommand)]
    pub task: Option<Task>,

    /// Only packets that match this expression of pcap-filter(7), such as: tcp port 80 and not host 192.0.2.1
    #[arg(value_name = "FILTER")]
    pub words: Vec<String>,

    /// Read settings from this TOML file (see netscope.example.toml)
    #[arg(long, value_name = "PATH", help_heading = "General")]
    pub config: Option<PathBuf>,

    /// Say more: -v info, -vv debug and every field of each packet, its checksums verified, -vvv trace and what each packet is to its flow
    #[arg(short, long, action = ArgAction::Count, help_heading = "General")]
    pub verbose: u8,

    /// List the interfaces with their descriptions and addresses, then exit
    #[arg(short, long, help_heading = "General")]
    pub list_interfaces: bool,

    /// Fill the flow table with N TCP flows, print the memory it takes, then exit (code 2 when over budget)
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

/// What else can be asked.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Look at an interface and say what stands in the way of a capture, with the command that cures each trouble (Linux)
    Doctor(DoctorArgs),
    /// Read a password from standard input and print its hash (argon2id) for --web-auth-pass-file
    HashPassword,
}

/// The command line of `netscope doctor`.
#[derive(ClapArgs, Clone, Debug)]
pub struct DoctorArgs {
    /// The interface to look at [default: the first that is up]
    #[arg(value_name = "NAME", conflicts_with = "interface")]
    pub name: Option<String>,

    /// The interface to look at, said as for a capture
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,

    /// Print facts and findings as one JSON object
    #[arg(long, conflicts_with = "show_xdp")]
    pub json: bool,

    /// Exit with code 1 when there are troubles
    #[arg(long, conflicts_with = "show_xdp")]
    pub check: bool,

    /// Print the XDP program that capture by AF_XDP loads, then exit
    #[arg(long)]
    pub show_xdp: bool,

    /// Try XDP modes also where the host uses the interface; some drivers restart the link for that
    #[arg(long, conflicts_with = "show_xdp")]
    pub try_xdp: bool,

    /// Print the man page (roff), then exit
    #[arg(long, exclusive = true)]
    pub man: bool,
}

impl From<DoctorArgs> for DoctorSettings {
    fn from(DoctorArgs { name, interface, json, check, show_xdp, try_xdp, man: _ }: DoctorArgs) -> Self {
        Self { interface: interface.or(name), json, check, show_xdp, try_xdp }
    }
}
