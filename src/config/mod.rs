//! What the user said, and what we will do: command line and configuration file in, [`Settings`] out.
//!
//! Owns every flag, key, default and check. Knows no capture and no thread. Its invariant: a flag beats the file, the file beats
//! the default, and what cannot work is refused here, by name.

mod alert_options;
mod alerting;
mod analysis_options;
mod anomalies;
mod args;
mod choices;
mod error;
mod file;
mod habits;
mod in_force;
mod live;
mod manual;
mod options;
mod output;
mod paths;
mod recorder_options;
mod reference;
mod reload;
mod resolve;
mod said;
mod settings;
mod timeouts;
mod web;
mod web_options;

pub use args::{Args, DoctorArgs, Task};
pub use choices::{
    BackendChoice, ColorWhen, CompressionChoice, FanoutChoice, KeyChoice, RssChoice, TimeChoice, XdpModeChoice, XdpTimes,
    XdpUnmatched, ZeekChoice,
};
pub use error::ConfigError;
pub use file::read_file;
pub use manual::{write_completions, write_doctor_man, write_man};
pub use options::Options;
pub use reference::reference;
pub use reload::{Reloaded, Reloader};
pub use resolve::resolve;
pub use settings::{
    DetectSettings, FileSettings, LiveSettings, OutputSettings, PacketView, PipelineSettings, ReceiverSettings, Settings,
    SourceSettings, StatsSettings, TpacketSettings, Verbosity, WebSettings, XdpSettings,
};

use crate::doctor::DoctorSettings;
use clap::FromArgMatches as _;
use in_force::in_force;
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
    /// Print that of `netscope doctor`.
    DoctorMan,
    /// Look at an interface.
    Doctor(DoctorSettings),
    /// Read a password and print its hash.
    HashPassword,
}

/// Reads the command line (program name first) and the file it names.
///
/// # Errors
/// [`ConfigError::Usage`] also stands for `--help` and `--version`; [`ConfigError::exit_code`] tells them apart.
pub fn command(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ConfigError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let asks_version = arguments.iter().any(|argument| argument == "--version");
    let matches = manual::command_line(asks_version).try_get_matches_from(arguments).map_err(habits::with_tip)?;
    let mut args = Args::from_arg_matches(&matches)?;
    match args.task {
        Some(Task::Doctor(doctor)) => return Ok(if doctor.man { Command::DoctorMan } else { Command::Doctor(doctor.into()) }),
        Some(Task::HashPassword) => return Ok(Command::HashPassword),
        None => {}
    }
    if args.words == ["help"] {
        // As in other programs that have subcommands.
        return command(["netscope", "--help"].map(OsString::from));
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
    if let Some(filter) = habits::filter_of(&args.words, args.options.capture.read_pcap.is_some())? {
        if args.options.capture.filter.is_some() {
            return Err(ConfigError::Combination(format!(
                "there are two filters, that of --filter and the last words of the command line ({filter}): leave one of them out"
            )));
        }
        args.options.capture.filter = Some(filter);
    }
    let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let reloader =
        // A pipe can be read once.
        args.config.clone().filter(|path| path.is_file()).map(|path| Reloader::new(args.options.clone(), file.clone(), path, args.verbose, cores));
    let in_force = in_force(&args.options.clone().over(file.clone()));
    let mut settings = Box::new(resolve(args.options, file, args.verbose, cores)?);
    settings.in_force = in_force;
    paths::check(&settings, args.config.as_deref())?;
    settings.reloader = reloader;
    Ok(match args.synthetic_flows {
        Some(count) => Command::SyntheticFlows(count, settings),
        None => Command::Run(settings),
    })
}
