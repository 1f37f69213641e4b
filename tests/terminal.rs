//! What is left on a terminal: the progress bar is gone and has eaten no line, at any width.
//!
//! The program runs on a pseudo-terminal, and a terminal emulator reads what it writes.
#![cfg(target_os = "linux")]

mod common;

use common::{RUN_LIMIT, fixture, netscope, temp_dir};
use nix::pty::{OpenptyResult, Winsize, openpty};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROWS: u16 = 60;

/// What a run wrote to a terminal of this width, and what the terminal shows at the end.
struct Shown {
    written: String,
    lines: Vec<String>,
}

/// Reads until all that have the other end are gone; EIO stands for that.
fn read_all(mut terminal: File) -> Vec<u8> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match terminal.read(&mut part) {
            Ok(0) | Err(_) => return bytes,
            Ok(len) => bytes.extend_from_slice(&part[..len]),
        }
    }
}

fn wait(child: &mut Child) {
    let deadline = Instant::now() + RUN_LIMIT;
    while child.try_wait().expect("the child can be waited for").is_none() {
        assert!(Instant::now() < deadline, "still running");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn on_terminal(columns: u16, command: &mut Command) -> Shown {
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(Some(&size), None).expect("there is a pseudo-terminal");
    let end = || Stdio::from(slave.try_clone().expect("it can be duplicated"));
    let mut child =
        command.env("TERM", "xterm-256color").stdin(Stdio::null()).stdout(end()).stderr(end()).spawn().expect("it starts");
    // Ours has to go as well, or reading would not end.
    drop::<OwnedFd>(slave);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let written = read_all(File::from(master));
    wait(&mut child);
    let mut emulator = vt100::Parser::new(ROWS, columns, 1000);
    emulator.process(&written);
    let lines = emulator.screen().rows(0, columns).map(|line| line.trim_end().to_owned()).collect();
    Shown { written: String::from_utf8_lossy(&written).into_owned(), lines }
}

/// The demo capture, repeated until reading it takes some tenths of a second.
fn long_capture(path: &Path) {
    let packets = netscope_backends::memory::read_all(&fixture("demo.pcapng")).expect("it can be read");
    let mut file = std::io::BufWriter::new(File::create(path).expect("it can be created"));
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4du32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for round in 0..200 {
        for packet in &packets {
            let ns = packet.time.0 + round * 30_000_000_000;
            for word in [(ns / 1_000_000_000) as u32, (ns % 1_000_000_000) as u32, packet.data.len() as u32, packet.wire_len] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&packet.data);
        }
        file.write_all(&bytes).expect("it can be written");
        bytes.clear();
    }
    file.flush().expect("it can be written");
}

/// The summary of the same run without a terminal.
fn expected(capture: &Path) -> Vec<String> {
    let finished = common::run(netscope().arg("-r").arg(capture).arg("-q")).expect_code(0);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    let summary: Vec<String> = said.lines().skip_while(|line| *line != "Summary").map(str::to_owned).collect();
    assert!(summary.len() > 5, "{said}");
    summary
}

#[test]
fn a_progress_bar_eats_no_line_and_leaves_nothing() {
    let directory = temp_dir("terminal");
    let capture = directory.path().join("long.pcap");
    long_capture(&capture);
    let summary = expected(&capture);
    for columns in [60, 80, 200] {
        let shown = on_terminal(columns, netscope().arg("-r").arg(&capture).arg("-q"));
        assert!(shown.written.contains(" left"), "at {columns} columns a bar is drawn");
        let seen: Vec<&String> =
            shown.lines.iter().skip_while(|line| *line != "Summary").filter(|line| !line.is_empty()).collect();
        // Rows that are longer than the terminal is wide go on in the next.
        let cut = |line: &String| line.chars().take(columns.into()).collect::<String>().trim_end().to_owned();
        assert_eq!(
            seen.iter().map(|line| cut(line)).collect::<Vec<_>>(),
            summary.iter().map(cut).collect::<Vec<_>>(),
            "{columns}"
        );
        let above: Vec<&String> =
            shown.lines.iter().take_while(|line| *line != "Summary").filter(|line| !line.is_empty()).collect();
        assert!(above.is_empty(), "nothing of the bar is left at {columns} columns: {above:?}");
    }
    fs::remove_file(&capture).expect("it is there");
}

#[test]
fn lines_of_packets_and_intervals_are_not_mixed_with_a_bar() {
    let capture = fixture("demo.pcapng");
    for (columns, flags) in [(60, &["-c", "20"][..]), (80, &["-q", "--stats", "-c", "20"]), (200, &["-q", "--stats"])] {
        let shown = on_terminal(columns, netscope().arg("-r").arg(&capture).args(flags));
        assert!(!shown.written.contains(" left"), "{}", shown.written);
    }
}
