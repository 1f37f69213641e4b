//! What the user said, and what we will do: command line and configuration file in, [`Settings`] out.
//!
//! Owns every flag, key, default and check. Knows no capture and no thread. Its invariant: a flag beats the file, the file beats
//! the default, and what cannot work is refused here, by name.

mod args;
mod choices;
mod error;
mod file;
mod live;
mod options;
mod resolve;
mod settings;

pub use args::{Args, DoctorArgs, Task, write_completions, write_man};
pub use choices::{
    BackendChoice, ColorWhen, FanoutChoice, KeyChoice, RssChoice, TimeChoice, XdpModeChoice, XdpTimes, XdpUnmatched,
};
pub use error::ConfigError;
pub use file::read_file;
pub use options::Options;
pub use resolve::resolve;
pub use settings::{
    FileSettings, LiveSettings, OutputSettings, PacketView, PipelineSettings, RecordingSettings, Settings, SourceSettings,
    StatsSettings, TpacketSettings, Verbosity, XdpSettings,
};

use crate::doctor::DoctorSettings;
use clap::Parser;
use std::ffi::OsString;

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Capture or read, and show.
    Run(Box<Settings>),
    /// Name the interfaces.
    ListInterfaces,
    /// Fill the flow table with this many flows and judge its memory.
    SyntheticFlows(u64, Box<Settings>),
    /// Print a completion script.
    Completions(clap_complete::Shell),
    /// Print the man page.
    Man,
    /// Look at an interface.
    Doctor(DoctorSettings),
}

/// Reads the command line (program name first) and the file it names.
///
/// # Errors
/// [`ConfigError::Usage`] also stands for `--help` and `--version`; [`ConfigError::exit_code`] tells them apart.
pub fn command(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ConfigError> {
    let mut args = Args::try_parse_from(arguments)?;
    if let Some(Task::Doctor(doctor)) = args.task {
        return Ok(Command::Doctor(doctor.into()));
    }
    args.options.settle();
    // None of these reads the configuration file, so a broken one is not in their way.
    if args.list_interfaces {
        return Ok(Command::ListInterfaces);
    }
    if let Some(shell) = args.completions {
        return Ok(Command::Completions(shell));
    }
    if args.man {
        return Ok(Command::Man);
    }
    let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = Box::new(resolve(args.options, file, args.verbose, cores)?);
    Ok(match args.synthetic_flows {
        Some(count) => Command::SyntheticFlows(count, settings),
        None => Command::Run(settings),
    })
}
