//! Configuration: what beats what, and every refusal by name.

use clap::CommandFactory;
use netscope::config::{
    Args, BackendChoice, ColorWhen, Command, ConfigError, FanoutChoice, Options, PacketView, Settings, SourceSettings,
    TimeChoice, Verbosity, command, read_file, resolve,
};
use netscope::record::TimeResolution;
use netscope_backends::writing::RotationOptions;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::tempdir;

fn run(flags: &[&str]) -> Result<Command, ConfigError> {
    command(std::iter::once("netscope").chain(flags.iter().copied()).map(Into::into))
}

fn settings(flags: &[&str]) -> Settings {
    match run(flags) {
        Ok(Command::Run(settings)) => *settings,
        other => panic!("{flags:?}: {other:?}"),
    }
}

fn refusal(flags: &[&str]) -> String {
    let error = run(flags).expect_err(&format!("{flags:?} is refused"));
    assert_eq!(error.exit_code(), 1, "{flags:?}");
    error.to_string()
}

/// Settings, or the refusal, with this configuration file and these flags.
fn with_file(text: &str, flags: &[&str]) -> Result<Settings, String> {
    let directory = tempdir().unwrap();
    let path = directory.path().join("netscope.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_string_lossy().into_owned();
    let all: Vec<&str> = ["--config", path.as_str()].into_iter().chain(flags.iter().copied()).collect();
    match run(&all) {
        Ok(Command::Run(settings)) => Ok(*settings),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), 1);
            Err(error.to_string())
        }
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("netscope.example.toml")
}

#[test]
fn the_command_line_is_well_formed() {
    Args::command().debug_assert();
}

#[test]
fn the_example_file_is_the_defaults() {
    let file = read_file(&example()).unwrap();
    for verbose in 0..4 {
        let from_file = resolve(Options::default(), file.clone(), verbose, 4).unwrap();
        let defaults = resolve(Options::default(), Options::default(), verbose, 4).unwrap();
        assert_eq!(from_file, defaults);
    }
    // A source from a file has a default of its own.
    assert_eq!(settings(&["--read-pcap", "x.pcap"]).output.export_ended_max, 1_000_000);
    assert_eq!(settings(&[]).output.export_ended_max, 100_000);
}

/// Full names of all keys, those of sections in sections too.
fn keys_of(section: &str, value: &serde_json::Value) -> Vec<String> {
    match value.as_object() {
        Some(keys) => keys
            .iter()
            .flat_map(|(key, value)| keys_of(&if section.is_empty() { key.clone() } else { format!("{section}.{key}") }, value))
            .collect(),
        None => vec![section.to_owned()],
    }
}

#[test]
fn the_example_file_has_every_key_and_no_other() {
    let known: BTreeSet<String> = keys_of("", &serde_json::to_value(Options::default()).unwrap()).into_iter().collect();
    let mut section = String::new();
    let mut shown = BTreeSet::new();
    for line in fs::read_to_string(example()).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let line = line.trim_start_matches("# ");
            let key = line.split_once(" = ").map_or("", |(key, _)| key.trim());
            if !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                assert!(shown.insert(format!("{section}.{key}")), "{line}");
            }
        }
    }
    assert_eq!(shown, known);
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let text = "[flow]\nmax_flows = 5\n[stats]\nenabled = true\ninterval_ms = 20\n";
    let from_file = with_file(text, &[]).unwrap();
    assert_eq!((from_file.flow.flow_count_max, from_file.stats.enabled, from_file.stats.interval_ns), (5, true, 20_000_000));
    let both = with_file(text, &["--max-flows", "7", "--no-stats"]).unwrap();
    assert_eq!((both.flow.flow_count_max, both.stats.enabled, both.stats.interval_ns), (7, false, 20_000_000));
    let default = settings(&[]);
    assert_eq!((default.flow.flow_count_max, default.stats.enabled, default.stats.interval_ns), (100_000, false, 1_000_000_000));
}

#[test]
fn a_source_that_is_a_flag_replaces_the_files_source() {
    let live = with_file("[capture]\nread_pcap = \"x.pcap\"\n", &["-i", "lo", "--promiscuous"]).unwrap();
    assert!(matches!(&live.source, SourceSettings::Live(live) if live.interfaces == ["lo"] && live.promiscuous));
    let file = with_file("[capture]\ninterface = \"lo\"\npromiscuous = false\n", &["--read-pcap", "-"]).unwrap();
    assert!(matches!(&file.source, SourceSettings::File(file) if file.paths == [Path::new("-")] && file.snaplen.is_none()));
}

#[test]
fn every_switch_works_both_ways() {
    let line = PacketView {
        time: TimeChoice::Auto,
        color: ColorWhen::Auto,
        link: false,
        absolute_seq: false,
        payload: true,
        layers: false,
        flow: false,
        hex: false,
    };
    assert_eq!(settings(&["--quiet"]).view, None);
    assert_eq!(settings(&["--hex-dump"]).view, Some(PacketView { layers: true, hex: true, ..line }));
    assert_eq!(settings(&["-vv"]).view, Some(PacketView { layers: true, ..line }));
    assert_eq!(settings(&["-vvv"]).view, Some(PacketView { layers: true, flow: true, ..line }));
    assert_eq!(settings(&["-v"]).view, Some(line));
    let all = settings(&["--time", "delta", "--color", "always", "--link", "--absolute-seq"]).view;
    let (time, color) = (TimeChoice::Delta, ColorWhen::Always);
    assert_eq!(all, Some(PacketView { time, color, link: true, absolute_seq: true, ..line }));
    let keys = "[output]\ntime = \"delta\"\ncolor = \"always\"\nlink = true\nabsolute_seq = true\n";
    assert_eq!(with_file(keys, &[]).unwrap().view, all);
    assert_eq!(
        with_file(keys, &["--time", "auto", "--color", "auto", "--no-link", "--no-absolute-seq"]).unwrap().view,
        Some(line)
    );
    assert_eq!(settings(&["-vvvv"]).verbosity, Verbosity::Trace);
    let loud = with_file("[output]\nquiet = true\n", &["--no-quiet"]).unwrap();
    assert_eq!(loud.view, Some(line));
    let plain = with_file("[output]\nhex_dump = true\n", &["--no-hex-dump"]).unwrap();
    assert_eq!(plain.view, Some(line));
    let modes = |flags: &[&str]| match settings(flags).source {
        SourceSettings::Live(live) => (live.promiscuous, live.immediate_mode),
        SourceSettings::File(_) => panic!("not live"),
    };
    assert_eq!(modes(&[]), (true, false));
    assert_eq!(modes(&["-p"]), (true, false));
    assert_eq!(modes(&["--no-promiscuous", "--immediate-mode"]), (false, true));
    assert_eq!(modes(&["--no-immediate-mode"]), (true, false));
    assert!(settings(&[]).output.summary && !settings(&["--no-summary"]).output.summary);
    assert!(with_file("[output]\nsummary = false\n", &["--summary"]).unwrap().output.summary);
    // An output on standard output is alone there.
    assert_eq!(settings(&["--write-pcap", "-", "-vv"]).view, None);
    assert_eq!(with_file("[output]\nquiet = false\nwrite_pcap = \"-\"\n", &[]).unwrap().view, None);
}

#[test]
fn a_switch_given_both_ways_is_refused() {
    for (yes, no) in [
        ("--quiet", "--no-quiet"),
        ("--hex-dump", "--no-hex-dump"),
        ("--link", "--no-link"),
        ("--absolute-seq", "--no-absolute-seq"),
        ("--promiscuous", "--no-promiscuous"),
        ("--immediate-mode", "--no-immediate-mode"),
        ("--stats", "--no-stats"),
        ("--summary", "--no-summary"),
        ("--pipeline", "--no-pipeline"),
        ("--anomalies", "--no-anomalies"),
        ("--web", "--no-web"),
        ("--web-stay", "--no-web-stay"),
        ("--web-tls", "--no-web-tls"),
        ("--web-auth", "--no-web-auth"),
    ] {
        for flags in [[yes, no], [no, yes]] {
            let text = refusal(&flags);
            assert!(text.contains(yes) && text.contains(no), "{text}");
        }
    }
}

#[test]
fn times_are_exact() {
    let flow = settings(&["--flow-timeout-s", "0.1", "--closed-timeout-s", "0", "--active-timeout-s", "1800"]).flow;
    assert_eq!((flow.idle_timeout_ns, flow.closed_timeout_ns, flow.active_timeout_ns), (100_000_000, 0, 1_800_000_000_000));
    let flow = settings(&[]).flow;
    assert_eq!((flow.idle_timeout_ns, flow.closed_timeout_ns, flow.active_timeout_ns), (60_000_000_000, 10_000_000_000, 0));
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (flag, value, key) in [
        ("--snaplen", "0", "capture.snaplen"),
        ("--snaplen", "262145", "capture.snaplen"),
        ("--timeout-ms", "0", "capture.timeout_ms"),
        ("--timeout-ms", "2147483648", "capture.timeout_ms"),
        ("--buffer-size-mb", "0", "capture.buffer_size_mb"),
        ("--buffer-size-mb", "2048", "capture.buffer_size_mb"),
        ("--stats-interval-ms", "0", "stats.interval_ms"),
        ("--flow-timeout-s", "NaN", "flow.timeout_secs"),
        ("--flow-timeout-s", "inf", "flow.timeout_secs"),
        ("--closed-timeout-s", "1e300", "flow.closed_timeout_secs"),
        ("--workers", "1025", "pipeline.workers"),
        ("--tpacket-block-kb", "64", "tpacket.block_kb"),
        ("--tpacket-block-kb", "200", "tpacket.block_kb"),
        ("--tpacket-block-kb", "65600", "tpacket.block_kb"),
        ("--tpacket-retire-ms", "0", "tpacket.retire_ms"),
        ("--tpacket-retire-ms", "10001", "tpacket.retire_ms"),
        ("--xdp-frame-size", "1500", "xdp.frame_size"),
        ("--xdp-frames", "63", "xdp.frames"),
        ("--xdp-frames", "1048577", "xdp.frames"),
        ("--xdp-ring-size", "1000", "xdp.ring_size"),
        ("--xdp-ring-size", "2097152", "xdp.ring_size"),
        ("--xdp-busy-poll-us", "1000001", "xdp.busy_poll_us"),
        ("--xdp-queues", "1,1", "xdp.queues"),
        ("--xdp-queues", "4096", "xdp.queues"),
        ("--cpus", "3-1", "pipeline.cpus"),
        ("--cpus", "1,1", "pipeline.cpus"),
        ("--cpus", "x", "pipeline.cpus"),
        ("--cpus", "0,", "pipeline.cpus"),
        ("--cpus", "0-99999999999", "pipeline.cpus"),
    ] {
        let backend: &[&str] = match flag.split('-').nth(2) {
            Some("tpacket") => &["--backend", "tpacket"],
            Some("xdp") => &["--backend", "xdp"],
            _ => &[],
        };
        let text = refusal(&[backend, &[flag, value]].concat());
        assert!(text.contains(flag) && text.contains(key) && text.contains("give"), "{text}");
    }
    for flag in ["--flow-timeout-s=-1", "--closed-timeout-s=-0.5", "--active-timeout-s=-1"] {
        assert!(refusal(&[flag]).contains("give seconds from 0"), "{flag}");
    }
    let text = refusal(&["--write-pcap", "x", "--write-pcap-max-files", "2", "--write-pcap-rotate-mb", "99999999999999"]);
    assert!(text.contains("output.write_pcap_rotate_mb"), "{text}");
    let text = with_file("[pipeline]\nchannel_capacity = 0\n", &[]).unwrap_err();
    assert!(text.contains("pipeline.channel_capacity"), "{text}");
}

#[test]
fn combinations_that_cannot_work_are_refused_by_name() {
    let cases: [(&[&str], &str); 52] = [
        (&["--read-pcap", "x", "--interface", "lo"], "--interface"),
        (&["--read-pcap", "x", "--promiscuous"], "--promiscuous"),
        (&["--read-pcap", "x", "--no-promiscuous"], "--no-promiscuous"),
        (&["--read-pcap", "x", "--immediate-mode"], "--immediate-mode"),
        (&["--read-pcap", "x", "--buffer-size-mb", "1"], "--buffer-size-mb"),
        (&["--read-pcap", "x", "--backend", "libpcap"], "--backend"),
        (&["--expired-flows-csv", "x", "--expired-flows-max-files", "1"], "--expired-flows-rotate-mb"),
        (&["--expired-flows-rotate-s", "1"], "--expired-flows-jsonl"),
        (&["--write-pcap", "x-%Q.pcap", "--write-pcap-rotate-mb", "1"], "%Q"),
        (&["--write-pcap", "-", "--write-pcap-rotate-mb", "1"], "standard output"),
        (&["--write-pcap", "x", "--post-rotate", "gzip"], "--write-pcap-rotate-mb"),
        (&["--export-json", "-", "--export-csv", "/dev/stdout"], "--export-csv"),
        (&["--export-json", "-", "--hex-dump"], "--hex-dump"),
        (&["--export-json", "-", "--no-quiet"], "--no-quiet"),
        (&["--summary", "--no-summary"], "--no-summary"),
        (&["--write-pcap", "x", "--write-pcap-max-files", "1"], "--write-pcap-rotate-mb"),
        (&["--write-pcap-rotate-mb", "1", "--write-pcap-max-files", "1"], "--write-pcap"),
        (&["--export-json", "x", "--export-csv", "x"], "--export-csv"),
        (&["--read-pcap", "x", "--write-pcap", "x"], "--write-pcap"),
        (&["--quiet", "--hex-dump"], "--no-hex-dump"),
        (&["--quiet", "--time", "utc"], "--no-quiet"),
        (&["--quiet", "--link"], "--no-quiet"),
        (&["--top-flows", "3"], "--stats"),
        (&["--stats", "--stats-interval-ms", "86400000", "--top-flows", "100001"], "at most 100000"),
        (&["--stats", "--stats-interval-ms", "100", "--top-flows", "1001"], "give at most 1000 at this interval"),
        (&["--stats", "--top-flows", "20000"], "an interval of 2000 ms"),
        (&["--stats", "--stats-interval-ms", "1", "--top-flows", "101"], "give at most 100 at this interval"),
        (&["--export-ended-max", "3"], "--export-json"),
        (&["--zeek-format", "tsv"], "--export-zeek"),
        (&["--export-zeek", "-"], "--export-zeek"),
        (&["--workers", "2", "--no-pipeline"], "--no-pipeline"),
        (&["--tpacket-retire-ms", "5"], "--backend tpacket"),
        (&["--backend", "libpcap", "--tpacket-block-kb", "128"], "--backend tpacket"),
        (&["--backend", "auto", "--fanout", "cpu", "--workers", "2"], "--backend tpacket"),
        (&["--backend", "tpacket", "--fanout", "cpu"], "--workers"),
        (&["--backend", "tpacket", "--no-fanout-defrag", "--workers", "1"], "--workers"),
        (&["--backend", "tpacket", "--no-fanout-defrag", "--fanout", "cpu", "--workers", "2"], "--fanout hash"),
        (&["--backend", "tpacket", "--immediate-mode", "--tpacket-retire-ms", "5"], "--immediate-mode"),
        (&["--read-pcap", "x", "--tpacket-retire-ms", "5"], "--tpacket-retire-ms"),
        (&["--read-pcap", "x", "--fanout", "hash"], "--fanout"),
        (&["--read-pcap", "x", "--xdp-frames", "64"], "--xdp-frames"),
        (&["--read-pcap", "x", "--rss", "symmetric"], "--rss"),
        (&["--xdp-mode", "native"], "--backend xdp"),
        (&["--backend", "tpacket", "--xdp-insist"], "--backend xdp"),
        (&["--backend", "tpacket", "--xdp-queues", "0"], "--backend xdp"),
        (&["--backend", "xdp", "--tpacket-retire-ms", "3"], "--backend tpacket"),
        (&["--backend", "xdp", "--buffer-size-mb", "3"], "--xdp-frames"),
        (&["--backend", "xdp", "--xdp-unmatched", "drop"], "--filter"),
        (&["--rss", "symmetric"], "--backend xdp"),
        (&["--backend", "libpcap", "--rss", "symmetric"], "--backend xdp"),
        (&["--backend", "tpacket", "--rss", "symmetric"], "--fanout queue"),
        (&["--backend", "xdp", "--xdp-insist", "--no-xdp-insist"], "--no-xdp-insist"),
    ];
    for (flags, name) in cases {
        let text = refusal(flags);
        assert!(text.contains(name), "{flags:?}: {text}");
    }
    let both = with_file("[capture]\ninterface = \"lo\"\nread_pcap = \"x\"\n", &[]).unwrap_err();
    assert!(both.contains("capture.read_pcap") && both.contains("capture.interface"), "{both}");
    let live_only = with_file("[capture]\nread_pcap = \"x\"\n", &["--promiscuous"]).unwrap_err();
    assert!(live_only.contains("--promiscuous") && live_only.contains("capture.read_pcap"), "{live_only}");
    // Devices may be written to twice.
    settings(&["--export-json", "/dev/null", "--export-csv", "/dev/null"]);
}

#[test]
fn a_backend_has_its_settings() {
    let tpacket = |settings: &Settings| match &settings.source {
        SourceSettings::Live(live) => (live.backend, live.tpacket),
        SourceSettings::File(_) => panic!("an interface"),
    };
    let (backend, rings) = tpacket(&settings(&[]));
    assert_eq!((backend, rings.block_bytes, rings.block_count, rings.retire_ms), (BackendChoice::Auto, 1 << 20, 64, 10));
    assert_eq!((rings.fanout, rings.defrag), (FanoutChoice::Hash, true));
    let said = ["--backend", "tpacket", "--tpacket-block-kb", "256", "--tpacket-retire-ms", "3", "--buffer-size-mb", "8"];
    let (backend, rings) = tpacket(&settings(&said));
    assert_eq!((backend, rings.block_bytes, rings.block_count, rings.retire_ms), (BackendChoice::Tpacket, 256 << 10, 32, 3));
    let (_, rings) = tpacket(&with_file("[tpacket]\nfanout = \"queue\"\nfanout_defrag = false\n", &[]).unwrap());
    assert_eq!((rings.fanout, rings.defrag), (FanoutChoice::Queue, false));
    let xdp = |flags: &[&str]| match settings(&[&["--backend", "xdp"], flags].concat()).source {
        SourceSettings::Live(live) => live.xdp,
        SourceSettings::File(_) => panic!("an interface"),
    };
    let rings = xdp(&[]);
    assert_eq!((rings.frame_bytes, rings.frame_count, rings.rx_ring, rings.busy_poll_us), (2048, 32_768, None, None));
    assert_eq!((rings.queues, rings.insist), (None, false));
    let rings = xdp(&["--xdp-queues", "2,0-1", "--xdp-insist", "--xdp-ring-size", "64", "--xdp-busy-poll-us", "20"]);
    assert_eq!((rings.queues, rings.insist), (Some(vec![2, 0, 1]), true));
    assert_eq!((rings.rx_ring, rings.busy_poll_us), (Some(64), Some(20)));
    let said = ["--backend", "tpacket", "--workers", "0", "--fanout", "cpu"];
    assert_eq!(tpacket(&settings(&said)).1.fanout, FanoutChoice::Cpu);
    assert_eq!(settings(&["--user", "nobody"]).user.as_deref(), Some("nobody"));
    assert_eq!(with_file("[run]\nuser = \"\"\n", &[]).unwrap().user, None);
}

#[test]
fn records_say_batch_where_the_clock_is_read_once_per_batch() {
    for (flags, times) in [
        (&["--backend", "xdp"][..], TimeResolution::Batch),
        (&["--backend", "xdp", "--xdp-timestamps", "packet"], TimeResolution::Packet),
        (&["--backend", "tpacket"], TimeResolution::Packet),
        (&["--backend", "libpcap"], TimeResolution::Packet),
        (&["--read-pcap", "x.pcap"], TimeResolution::Packet),
    ] {
        assert_eq!(settings(flags).output.record.times, times, "{flags:?}");
    }
}

#[test]
fn rotation_is_by_size_by_time_or_both() {
    let flags =
        ["--write-pcap", "x.pcap", "--write-pcap-rotate-mb", "2", "--write-pcap-rotate-s", "1.5", "--write-pcap-max-files", "3"];
    let recording = settings(&flags).output.write_pcap.unwrap();
    assert_eq!((recording.rotate_bytes, recording.rotate_ns, recording.files_max), (Some(2 << 20), Some(1_500_000_000), Some(3)));
    let plain = settings(&["--write-pcap", "x.pcap"]).output.write_pcap.unwrap();
    assert_eq!(plain, RotationOptions { path: "x.pcap".into(), ..RotationOptions::default() });
    let all_kept = settings(&["--write-pcap", "x-%s.pcap", "--write-pcap-rotate-mb", "1"]).output.write_pcap.unwrap();
    assert_eq!((all_kept.rotate_bytes, all_kept.files_max), (Some(1 << 20), None));
    let flags =
        ["--expired-flows-csv", "x.csv.gz", "--expired-flows-rotate-s", "60", "--expired-flows-max-files", "5", "-z", "gzip"];
    let output = settings(&flags).output;
    let flows = output.expired_flows_csv.unwrap();
    assert_eq!((flows.rotate_ns, flows.files_max, output.post_rotate), (Some(60_000_000_000), Some(5), Some("gzip".into())));
    assert_eq!(output.write_pcap, None);
}

#[test]
fn workers() {
    let workers = |said: &[&str], text: &str, cores: usize| {
        let mut args = <Args as clap::Parser>::try_parse_from(std::iter::once("netscope").chain(said.iter().copied())).unwrap();
        args.options.settle();
        let directory = tempdir().unwrap();
        let path = directory.path().join("c.toml");
        fs::write(&path, text).unwrap();
        resolve(args.options, read_file(&path).unwrap(), 0, cores).unwrap().pipeline.workers
    };
    let file = ["--read-pcap", "x"];
    assert_eq!(workers(&file, "", 8), 1);
    assert_eq!(workers(&["--read-pcap", "x", "--pipeline"], "", 8), 8);
    assert_eq!(workers(&["--read-pcap", "x", "--workers", "0"], "", 8), 8);
    assert_eq!(workers(&["--read-pcap", "x", "--workers", "3"], "[pipeline]\nenabled = false\n", 8), 3);
    assert_eq!(workers(&file, "[pipeline]\nworkers = 4\n", 8), 4);
    assert_eq!(workers(&file, "[pipeline]\nworkers = 4\nenabled = false\n", 8), 1);
    assert_eq!(workers(&["--read-pcap", "x", "--no-pipeline"], "[pipeline]\nworkers = 4\n", 8), 1);
    // Only the interface knows how many queues it has.
    assert_eq!(workers(&["--pipeline"], "", 8), 0);
    assert_eq!(workers(&["--workers", "0", "--backend", "tpacket"], "", 8), 0);
    assert_eq!(workers(&["--workers", "0", "--backend", "libpcap"], "", 8), 1);
    assert_eq!(workers(&["--backend", "tpacket"], "", 8), 1);
    // AF_XDP has a worker per queue, unless somebody says otherwise.
    assert_eq!(workers(&["--backend", "xdp"], "", 8), 0);
    assert_eq!(workers(&["--backend", "xdp", "--no-pipeline"], "", 8), 1);
    assert_eq!(workers(&["--backend", "xdp", "--workers", "2"], "", 8), 2);
    assert_eq!(workers(&["--workers", "2"], "", 8), 2);
    assert_eq!(settings(&["--workers", "2", "--cpus", "0,2-4"]).pipeline.cpus, [0, 2, 3, 4]);
    assert_eq!(settings(&[]).pipeline.reader_chunks, 8);
}

#[test]
fn unknown_keys_are_told_with_line_and_neighbour() {
    let text = with_file("[capture]\n\nsnaplenn = 5\n", &[]).unwrap_err();
    assert!(
        text.contains("line 3") && text.contains("capture.snaplenn") && text.contains("did you mean capture.snaplen?"),
        "{text}"
    );
    let text = with_file("[captures]\nsnaplen = 5\n", &[]).unwrap_err();
    assert!(text.contains("line 1") && text.contains("did you mean capture?"), "{text}");
    let text = with_file("[flow]\ncompletely_else = 5\n", &[]).unwrap_err();
    assert!(text.contains("flow.completely_else") && text.contains("flow.max_flows"), "{text}");
    assert_eq!(text.lines().count(), 1);
    // Fields that serve the command line alone are no keys.
    assert!(with_file("[output]\nquiet_yes = true\n", &[]).is_err());
}

#[test]
fn what_is_detected() {
    assert_eq!(settings(&[]).detection, None);
    let default = settings(&["--anomalies", "--alerts-jsonl", "alerts"]);
    assert_eq!(default.output.alerts_jsonl.as_deref(), Some(Path::new("alerts")));
    let detection = default.detection.unwrap();
    let (flood, scan) = (detection.detectors.syn_flood.unwrap(), detection.detectors.port_scan.unwrap());
    assert_eq!((flood.window_ns, flood.syn_threshold, flood.unique_src_threshold), (5_000_000_000, 200, 50));
    assert_eq!(flood.cooldown_ns, 10_000_000_000);
    assert_eq!((scan.window_ns, scan.unique_ports_threshold, scan.unique_hosts_threshold), (10_000_000_000, 25, 10));
    assert_eq!((scan.cooldown_ns, detection.table_bytes), (30_000_000_000, 4 << 20));
    let text = "[analysis]\nlocal_networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n[analysis.anomalies]\nenabled = true\n\
                [analysis.anomalies.syn_flood]\nenabled = false\n[analysis.anomalies.port_scan]\nunique_hosts_threshold = 3\n";
    let detection = with_file(text, &[]).unwrap().detection.unwrap();
    assert_eq!((detection.detectors.syn_flood, detection.detectors.port_scan.unwrap().unique_hosts_threshold), (None, 3));
    assert_eq!(detection.local_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "2001:db8::/32"]);
    assert_eq!(with_file(text, &["--no-anomalies"]).unwrap().detection, None, "a flag beats the file");
    for (text, name) in [
        ("[analysis]\nlocal_networks = [\"10.0.0.0/40\"]\n", "analysis.local_networks"),
        ("[analysis.anomalies]\ntable_mb = 0\n", "analysis.anomalies.table_mb"),
        ("[analysis.anomalies.syn_flood]\nwindow_secs = 0.0\n", "analysis.anomalies.syn_flood.window_secs"),
        ("[analysis.anomalies.syn_flood]\nsyn_threshold = 0\n", "analysis.anomalies.syn_flood.syn_threshold"),
        ("[analysis.anomalies.port_scan]\ncooldown_secs = -1.0\n", "analysis.anomalies.port_scan.cooldown_secs"),
        ("[analysis.anomalies.port_scan]\nports = 1\n", "analysis.anomalies.port_scan.ports"),
    ] {
        let refused = with_file(text, &[]).unwrap_err();
        assert!(refused.contains(name), "{refused}");
    }
    assert!(refusal(&["--alerts-jsonl", "x"]).contains("--anomalies"));
    let same = refusal(&["--anomalies", "--alerts-jsonl", "x", "--summary-json", "x"]);
    assert!(same.contains("--alerts-jsonl") && same.contains("--summary-json"), "{same}");
}

#[test]
fn wrong_types_are_told_with_line_and_key() {
    let text = with_file("[capture]\npromiscuous = true\nsnaplen = \"many\"\n", &[]).unwrap_err();
    assert!(text.contains("line 3") && text.contains("capture.snaplen: invalid type"), "{text}");
    assert_eq!(text.lines().count(), 1);
    let text = with_file("[flow]\nmax_flows = -1\n", &[]).unwrap_err();
    assert!(text.contains("flow.max_flows"), "{text}");
    let text = with_file("capture = 5\n", &[]).unwrap_err();
    assert!(text.contains("line 1") && text.contains("capture"), "{text}");
    let text = with_file("[capture\n", &[]).unwrap_err();
    assert!(text.contains("line 1"), "{text}");
    let text = with_file("[capture]\nbackend = \"pfring\"\n", &[]).unwrap_err();
    assert!(text.contains("capture.backend") && text.contains("pfring"), "{text}");
}

#[test]
fn empty_text_is_unset() {
    let keys = [
        "export_json",
        "export_csv",
        "export_eve",
        "export_zeek",
        "expired_flows_jsonl",
        "expired_flows_csv",
        "expired_flows_eve",
        "expired_flows_zeek",
        "summary_json",
        "write_pcap",
    ];
    let text: String = keys.iter().map(|key| format!("{key} = \"\"\n")).collect();
    assert_eq!(with_file(&format!("[output]\n{text}"), &[]).unwrap().output, settings(&[]).output);
}

#[test]
fn a_missing_file_is_an_error_but_not_for_the_list_of_interfaces() {
    let missing = ["--config", "/does/not/exist.toml"];
    let text = refusal(&missing);
    assert!(text.contains("/does/not/exist.toml"), "{text}");
    for (flag, wanted) in
        [("--list-interfaces", Command::ListInterfaces), ("-l", Command::ListInterfaces), ("--man", Command::Man)]
    {
        assert_eq!(run(&[missing[0], missing[1], flag]).unwrap(), wanted);
    }
}

#[test]
fn synthetic_flows_keep_the_other_settings() {
    match run(&["--synthetic-flows", "1000", "--max-flows", "5"]).unwrap() {
        Command::SyntheticFlows(1000, settings) => assert_eq!(settings.flow.flow_count_max, 5),
        other => panic!("{other:?}"),
    }
    refusal(&["--synthetic-flows", "0"]);
}
