//! What one capture is written as, by the real program: the same for any number of workers and at any pace.

use super::{netscope, run, temp_dir};
use netscope_perf::scenario::Script;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The files that a run writes here, the one that tells of the run itself last.
const FILES: [(&str, &str); 5] = [
    ("--export-json", "flows.json"),
    ("--export-csv", "flows.csv"),
    ("--expired-flows-jsonl", "ended.jsonl"),
    ("--export-eve", "eve.json"),
    ("--summary-json", "summary.json"),
];

/// What a run wrote.
pub struct Written {
    /// Texts of the files, in their order.
    pub files: Vec<String>,
    /// What it said.
    pub stdout: String,
}

impl Written {
    /// The flow table, largest first.
    pub fn flows(&self) -> Vec<Value> {
        serde_json::from_str(&self.files[0]).expect("a JSON array")
    }

    /// Flows in the order in which they ended.
    pub fn ended(&self) -> Vec<Value> {
        self.files[2].lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
    }

    /// Counters of inspection.
    pub fn inspection(&self) -> Value {
        serde_json::from_str::<Value>(&self.files[4]).expect("a JSON object")["inspection"].clone()
    }
}

/// One run. `config`: the text of its configuration file.
pub fn written(capture: &Path, config: &str, flags: &[&str]) -> Written {
    let directory = temp_dir("written");
    let at = |name: &str| directory.path().join(name);
    fs::write(at("netscope.toml"), config).expect("the file is written");
    let mut command = netscope();
    for (flag, name) in FILES {
        command.arg(flag).arg(at(name));
    }
    command.arg("--config").arg(at("netscope.toml")).arg("--read-pcap").arg(capture).args(flags);
    let stdout = run(&mut command).expect_code(0).stdout;
    Written { files: FILES.iter().map(|(_, name)| fs::read_to_string(at(name)).expect("it was written")).collect(), stdout }
}

/// The same with any number of workers, at any pace, and where the table is all that is wanted.
pub fn of_capture(capture: &Path, config: &str, flags: &[&str]) -> Written {
    let with = |workers: &str, more: &[&str]| written(capture, config, &[flags, more, &["--workers", workers]].concat());
    let one = with("1", &[]);
    for (workers, more) in [("2", &[][..]), ("4", &[]), ("1", &["--replay-speed", "1000"]), ("3", &["--replay-speed", "1000"])] {
        let other = with(workers, more);
        for (at, (_, name)) in FILES.iter().enumerate().take(4) {
            assert!(one.files[at] == other.files[at], "{name} differs with {workers} workers {more:?}");
        }
        assert_eq!(one.inspection(), other.inspection(), "{workers} workers {more:?}");
    }
    // Who has the table at the end alone sees no order of ends.
    let directory = temp_dir("written-table");
    let (table, toml) = (directory.path().join("table.json"), directory.path().join("netscope.toml"));
    fs::write(&toml, config).expect("the file is written");
    for workers in ["1", "4"] {
        let mut command = netscope();
        command.args(["--workers", workers, "--export-json"]).arg(&table).arg("--config").arg(&toml);
        run(command.arg("--read-pcap").arg(capture).args(flags)).expect_code(0);
        assert!(fs::read_to_string(&table).expect("it was written") == one.files[0], "the table alone, {workers} workers");
    }
    one
}

/// The same of a script.
pub fn of_script(script: Script, config: &str, flags: &[&str]) -> Written {
    let directory = temp_dir("written-script");
    let capture = directory.path().join("script.pcap");
    script.write(&capture);
    of_capture(&capture, config, flags)
}
