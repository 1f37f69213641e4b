//! What stands at the head of every result: the day, the machine, the versions. Knows no benchmark. What
//! cannot be found out is said to be unknown.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Today in UTC, "2026-11-21".
pub fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    civil(days)
}

/// Day of the Gregorian calendar, counted in 400-year eras that begin on a 1st of March.
fn civil(days_since_1970: u64) -> String {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// The machine in one line.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    format!("{}, {cores} cores, {} memory, {}", cpu_model(), memory(), said("uname", &["-srm"]))
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    match model {
        Some((_, model)) => model.to_owned(),
        None if cfg!(target_os = "macos") => said("sysctl", &["-n", "machdep.cpu.brand_string"]),
        None => "unknown processor".to_owned(),
    }
}

fn memory() -> String {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    total.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1} GiB", kib / f64::from(1 << 20)))
}

/// Load averages, where the system has them in a file.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    if averages.is_empty() { "unknown".to_owned() } else { averages.join(" ") }
}

/// The commit that is checked out, marked where files differ from it.
pub fn commit() -> String {
    said("git", &["describe", "--always", "--dirty"])
}

/// The first line that a program says on either stream, or "unknown".
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let line = output.ok().and_then(|output| {
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&both).lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    });
    line.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{civil, said};

    #[test]
    fn days_have_dates() {
        assert_eq!(civil(0), "1970-01-01");
        assert_eq!(civil(11_016), "2000-02-29");
        assert_eq!(civil(20_513), "2026-03-01");
        assert_eq!(civil(20_778), "2026-11-21");
    }

    #[test]
    fn the_first_line_of_either_stream_is_taken() {
        assert_eq!(said("sh", &["-c", "echo; echo one >&2; echo two >&2"]), "one");
        assert_eq!(said("netscope-no-such-program", &[]), "unknown");
    }
}
