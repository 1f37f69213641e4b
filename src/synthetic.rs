//! `--synthetic-flows N`: fills a flow table with real entries and judges the memory of the whole process.
//!
//! Each flow is a handshake, under the settings of the run: what headers say has a budget of its own, and what a connection with
//! data or anomalies takes beside its entry is not measured.

use crate::reporter::write_line;
use netscope::flow::{FlowHeaders, FlowSettings, synthetic};
use netscope::output::{is_broken_pipe, stdout};
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

/// What a million flows may cost with everything around them.
const BUDGET_BYTES_PER_MILLION: u64 = 256 << 20;
/// The same when no TCP connection is analysed.
const COMPACT_BUDGET_BYTES_PER_MILLION: u64 = 128 << 20;
/// What a process may cost without any flow.
const BUDGET_BYTES_MIN: u64 = 16 << 20;
/// Exit code when over the budget.
const OVER_BUDGET: u8 = 2;

/// Fills the table and prints what it costs; exit code 2 over the budget.
pub fn measure(count: u64, settings: &FlowSettings) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let flows = synthetic(usize::try_from(count)?, settings);
    let resident = resident_bytes_max()?;
    let per_million = if settings.analysis().is_any() { BUDGET_BYTES_PER_MILLION } else { COMPACT_BUDGET_BYTES_PER_MILLION };
    let headers = if settings.headers { size_of::<FlowHeaders>() as u64 } else { 0 };
    let budget = (u128::from(per_million) * u128::from(count) / 1_000_000 + u128::from(headers) * u128::from(count)) as u64;
    let budget = budget.max(BUDGET_BYTES_MIN);
    let held = flows.table.len() as u64;
    let mut out = stdout();
    let written = writeln!(out, "flows:              {held}")
        .and_then(|()| writeln!(out, "table:              {:.1} bytes per flow", flows.bytes_per_flow))
        .and_then(|()| writeln!(out, "resident set, peak: {:.1} MiB", mebibytes(resident)))
        .and_then(|()| writeln!(out, "budget:             {:.1} MiB", mebibytes(budget)))
        .and_then(|()| out.flush());
    if let Err(error) = written
        && !is_broken_pipe(&error)
    {
        return Err(error.into());
    }
    if held != count || resident > budget {
        write_line(&format!("netscope: over the memory budget of --synthetic-flows {count}"));
        return Ok(ExitCode::from(OVER_BUDGET));
    }
    Ok(ExitCode::SUCCESS)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Peak resident set of this process in bytes. On Linux `VmHWM` of proc_pid_status(5): what getrusage(2) says there begins with
/// the peak of the process that started this one.
#[cfg(target_os = "linux")]
fn resident_bytes_max() -> Result<u64, Box<dyn Error + Send + Sync>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("/proc/self/status has no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Peak resident set of this process in bytes: getrusage(2) counts KiB, bytes on macOS.
#[cfg(not(target_os = "linux"))]
fn resident_bytes_max() -> Result<u64, Box<dyn Error + Send + Sync>> {
    use nix::sys::resource::{UsageWho, getrusage};
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(u64::try_from(getrusage(UsageWho::RUSAGE_SELF)?.max_rss())? * unit)
}
