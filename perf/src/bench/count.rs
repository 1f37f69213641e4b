//! Counting what a run wrote, so that no figure stands for work that was not done. Each function knows one
//! program's output.

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

/// Flows in a CSV file of NetScope's or the floor's; its packet columns must add up to `packets`.
pub fn csv(path: &Path, packets: u64) -> Result<u64, String> {
    let mut lines = lines(path)?;
    let header = lines.next().ok_or("the CSV file is empty")??;
    let place = |name: &str| header.split(',').position(|column| column == name).ok_or_else(|| format!("no column {name}"));
    let places = [place("packets_a_to_b")?, place("packets_b_to_a")?];
    let (mut flows, mut sum) = (0, 0);
    for line in lines {
        let line = line?;
        flows += 1;
        for (index, field) in line.split(',').enumerate().filter(|(index, _)| places.contains(index)) {
            sum += field.parse::<u64>().map_err(|_| format!("column {index} holds {field:?}"))?;
        }
    }
    if sum == packets { Ok(flows) } else { Err(format!("its flows hold {sum} packets of {packets}")) }
}

/// Lines that contain `mark`.
pub fn marked(path: &Path, mark: &str) -> Result<u64, String> {
    lines(path)?.try_fold(0, |count, line| Ok(count + u64::from(line?.contains(mark))))
}

/// The number that follows `name` in the first line that begins with it.
pub fn named(path: &Path, name: &str) -> Result<u64, String> {
    for line in lines(path)? {
        if let Some(rest) = line?.trim_start().strip_prefix(name) {
            return number(rest).ok_or_else(|| format!("no number behind {name:?}"));
        }
    }
    Err(format!("{} has no line {name:?}", path.display()))
}

/// The number that follows `name` in what a program prints.
pub fn told(program: &str, arguments: &[&str], name: &str) -> Result<u64, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| number(line.trim_start().strip_prefix(name)?));
    found.ok_or_else(|| format!("{program} did not say {name:?}"))
}

fn number(text: &str) -> Option<u64> {
    text.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Lines as text, whatever bytes are in them.
fn lines(path: &Path) -> Result<impl Iterator<Item = Result<String, String>>, String> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let lines = BufReader::with_capacity(1 << 20, file).split(b'\n');
    Ok(lines.map(move |line| {
        line.map(|line| String::from_utf8_lossy(&line).into_owned()).map_err(|error| format!("{name}: {error}"))
    }))
}

/// The summary that NetScope wrote.
pub struct WrittenSummary(Value);

impl WrittenSummary {
    /// Reads it; every packet of the capture must be in it.
    pub fn read(path: &Path, packets: u64) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let value = serde_json::from_reader(BufReader::new(file)).map_err(|error| format!("{}: {error}", path.display()))?;
        let summary = Self(value);
        summary.expect("/packets", packets)?;
        summary.expect("/unaccounted", 0)?;
        Ok(summary)
    }

    /// The number at this JSON pointer.
    pub fn get(&self, pointer: &str) -> Result<u64, String> {
        self.0.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| format!("the summary has no {pointer}"))
    }

    /// Packets whose fault is of this kind, over all layers.
    pub fn faults(&self, kind: &str) -> Result<u64, String> {
        let faults = self.0.get("faults").and_then(Value::as_array).ok_or("the summary has no faults")?;
        let of_kind = faults.iter().filter(|fault| fault.get("kind").and_then(Value::as_str) == Some(kind));
        of_kind.map(|fault| fault.get("packets").and_then(Value::as_u64).ok_or_else(|| "a fault has no packets".to_owned())).sum()
    }

    /// It must be this number.
    pub fn expect(&self, pointer: &str, expected: u64) -> Result<(), String> {
        let found = self.get(pointer)?;
        if found == expected { Ok(()) } else { Err(format!("{pointer} is {found}, not {expected}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch<T>(name: &str, text: &str, look: impl Fn(&Path) -> T) -> T {
        let path = std::env::temp_dir().join(format!("netscope-perf-count-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let seen = look(&path);
        std::fs::remove_file(&path).unwrap();
        seen
    }

    #[test]
    fn flows_count_only_when_their_packets_add_up() {
        let text = "protocol,packets_a_to_b,packets_b_to_a\ntcp,1,2\nudp,3,4\n";
        assert_eq!(scratch("csv", text, |path| csv(path, 10)), Ok(2));
        assert!(scratch("csv-less", text, |path| csv(path, 11)).unwrap_err().contains("10 packets of 11"));
        assert!(scratch("csv-none", "a,b\n", |path| csv(path, 0)).unwrap_err().contains("no column"));
    }

    #[test]
    fn numbers_are_found_by_their_names() {
        let text = "Packets: 7\n  Flows expired: 2000 (0 forced)\nx <-> y\n";
        assert_eq!(scratch("named", text, |path| named(path, "Flows expired:")), Ok(2000));
        assert!(scratch("unnamed", text, |path| named(path, "Nothing:")).is_err());
        assert_eq!(scratch("marked", text, |path| marked(path, "<->")), Ok(1));
        assert_eq!(told("echo", &["Flows: 12"], "Flows:"), Ok(12));
        assert!(told("echo", &["nothing"], "Flows:").is_err());
    }

    #[test]
    fn a_summary_must_hold_every_packet() {
        let text = r#"{"packets": 5, "unaccounted": 0, "flows": {"opened": 3}}"#;
        let opened = |packets| {
            scratch("summary", text, |path| WrittenSummary::read(path, packets).and_then(|all| all.get("/flows/opened")))
        };
        assert_eq!(opened(5), Ok(3));
        assert!(opened(6).is_err());
        let text = r#"{"packets": 5, "unaccounted": 0, "faults": [{"kind": "malformed", "packets": 2}, {"kind": "truncated", "packets": 1},
            {"kind": "malformed", "packets": 1}]}"#;
        assert_eq!(scratch("faults", text, |path| WrittenSummary::read(path, 5).and_then(|all| all.faults("malformed"))), Ok(3));
    }
}
