//! What the program says of itself to a shell and to man(1): completion scripts, man pages, the long version.
//!
//! Owns their wording beyond the flags' help. Its one invariant: every flag in them comes from the command line's definition.

use super::args::Args;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use netscope_backends::features;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Parts of the man page behind the flags.
const SECTIONS: [(&str, &str); 5] = [
    (
        "EXAMPLES",
        r#".TP
Watch an interface, a line per packet:
.B netscope \-i eth0
.TP
Only web traffic, without lines, with a table of the 20 largest flows at the end:
.B netscope \-i eth0 \-q \-\-flow\-table 20 tcp port 443
.TP
Rates and losses each second, with the five busiest flows:
.B netscope \-i eth0 \-q \-\-stats \-\-top\-flows 5
.TP
Every flow of a capture file as JSON:
.B netscope \-r capture.pcapng \-q \-\-export\-json flows.json
.TP
Flows as they end, for a program that reads along:
.B netscope \-i eth0 \-q \-\-expired\-flows\-jsonl flows.jsonl
.TP
Packets of one host to a file for 60 seconds:
.B netscope \-i eth0 \-q \-w host.pcapng \-\-duration 60 host 192.0.2.7
.TP
A page for the browser, with the alerts of what is detected:
.B netscope \-i eth0 \-q \-\-anomalies \-\-web
.TP
The hash of a password for that page:
.B netscope hash\-password > password.hash
.TP
What stands in the way of a capture:
.B netscope doctor eth0
"#,
    ),
    (
        "EXIT STATUS",
        r#".TP
.B 0
The run ended as asked: by its count, its duration, the end of the file, or a signal.
.TP
.B 1
A wrong command line or configuration, a source that cannot be opened or read to its end, or an output that could not be written. With
.BR "doctor \-\-check" :
there are troubles.
.TP
.B 2
.B \-\-synthetic\-flows
took more memory than its budget.
.TP
.B 130
A second signal ended the run at once.
"#,
    ),
    (
        "SIGNALS",
        r#".TP
.BR SIGINT ", " SIGTERM ", " SIGHUP
The run ends in order: what was captured is processed, every output is written, the summary is shown. A second one, more than 250 ms later, ends it at once.
SIGHUP is left ignored where it was ignored at the start, as by
.BR nohup (1).
.TP
.B SIGUSR2
With
.BR \-\-recorder ,
the packets in memory are written to a pcapng file whose name is told; else nothing.
.TP
.B SIGUSR1
The files of
.B \-\-export\-json
and
.B \-\-export\-csv
are written with all flows as they are now, and the run goes on.
"#,
    ),
    (
        "FILES",
        r#"No file is read or written that is not named by a flag or a key. A file at the end of a run appears under its name when it is whole.
.TP
.I netscope.example.toml
Every key of a configuration file with its default.
"#,
    ),
    (
        "SEE ALSO",
        r#".BR pcap\-filter (7),
.BR netscope\-doctor (1),
.BR tcpdump (8),
.BR tshark (1)
"#,
    ),
];

/// Parts of the subcommand's man page.
const DOCTOR_SECTIONS: [(&str, &str); 3] = [
    (
        "EXAMPLES",
        r#".TP
Look at an interface:
.B netscope doctor eth0
.TP
In a script, before a capture starts:
.B netscope doctor eth0 \-\-check > /dev/null
"#,
    ),
    (
        "EXIT STATUS",
        r#".TP
.B 0
The interface was looked at; with
.BR \-\-check :
there are no troubles.
.TP
.B 1
It could not be looked at; with
.BR \-\-check :
there are troubles.
"#,
    ),
    ("SEE ALSO", ".BR netscope (1)\n"),
];

/// The command line; with what only the running system knows, where the version is asked for.
pub fn command_line(asks_version: bool) -> Command {
    // A number below 0 is a wrong value and no flag.
    let command = Args::command().mut_args(|arg| {
        let takes_value = arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_value)
    });
    if asks_version { command.long_version(long_version()) } else { command }
}

/// Version, libraries, kernel and backends, a line each.
fn long_version() -> String {
    let mut text = format!("{}\n{}", env!("CARGO_PKG_VERSION"), features::libpcap_version());
    if let Some(kernel) = features::kernel() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{kernel}");
    }
    for (backend, state) in features::backends() {
        let _ = write!(text, "\nbackend {backend}: {state}");
    }
    text
}

/// Writes a completion script. Interfaces are completed as the shell's own functions list them.
///
/// # Errors
/// Those of `out`.
pub fn write_completions(shell: Shell, out: &mut impl Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "netscope", &mut script);
    out.write_all(complete_interfaces(shell, &String::from_utf8_lossy(&script)).as_bytes())?;
    out.flush()
}

/// The script with interface names where a file's name would be completed.
fn complete_interfaces(shell: Shell, script: &str) -> String {
    // Names of a directory of the kernel's, or what BSD's ifconfig lists.
    const NAMES: &str = "$(ls /sys/class/net 2>/dev/null || ifconfig -l)";
    let mut is_interface = false;
    let line = |line: &str| {
        let changed = match shell {
            Shell::Bash if is_interface && line.contains("compgen -f") => {
                line.replace("compgen -f \"${cur}\"", &format!("compgen -W \"{NAMES}\" -- \"${{cur}}\""))
            }
            Shell::Zsh if line.contains("--interface=") || line.contains("'-i+[") => {
                line.replace(":NAME:_default", ":NAME:_net_interfaces")
            }
            Shell::Fish if line.contains("-l interface ") => {
                line.replace("-l interface ", "-l interface -a '(__fish_print_interfaces)' -f ")
            }
            _ => line.to_owned(),
        };
        if shell == Shell::Bash && line.trim_end().ends_with(')') {
            is_interface = matches!(line.trim(), "--interface)" | "-i)");
        }
        changed
    };
    script.lines().map(line).fold(String::with_capacity(script.len()), |text, line| text + &line + "\n")
}

/// Writes the man page.
///
/// # Errors
/// Those of `out`.
pub fn write_man(out: &mut impl Write) -> io::Result<()> {
    write_page(clap_mangen::Man::new(Args::command()), &SECTIONS, out)
}

/// Writes the man page of `netscope doctor`.
///
/// # Errors
/// Those of `out`.
pub fn write_doctor_man(out: &mut impl Write) -> io::Result<()> {
    let command = Args::command();
    let doctor = command.find_subcommand("doctor").cloned().unwrap_or_default();
    write_page(clap_mangen::Man::new(doctor.name("netscope-doctor").bin_name("netscope doctor")), &DOCTOR_SECTIONS, out)
}

fn write_page(man: clap_mangen::Man, sections: &[(&str, &str)], out: &mut impl Write) -> io::Result<()> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    out.write_all(&page)?;
    for (title, text) in sections {
        write!(out, ".SH \"{title}\"\n{text}")?;
    }
    out.flush()
}
