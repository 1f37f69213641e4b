//! Receivers of alerts and the real program: webhook, command, syslog on every transport, each up, down, slow, back again. What a receiver does changes nothing of
//! the alerts that others get, every alert is counted, and order is kept.
#![cfg(target_os = "linux")]

mod common;

use common::receivers::{HttpServer, Replay, collect, free_address, octet_counted, wait_until};
use common::{RUN_LIMIT, RunningProgram};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a message is about, without its text.
fn keys(lines: &[String]) -> Vec<(String, String)> {
    let text = |alert: &Value, name: &str| alert[name].as_str().expect("text").to_owned();
    let of = |line: &String| {
        let alert: Value = serde_json::from_str(line).expect("JSON");
        (text(&alert, "key"), text(&alert, "phase"))
    };
    lines.iter().map(of).collect()
}

/// The texts of syslog messages, behind their structured data.
fn texts(messages: &[String]) -> Vec<String> {
    let text = |message: &String| message.split_once("\"] ").expect("structured data").1.to_owned();
    messages.iter().map(text).collect()
}

fn lost(receiver: &Value) -> u64 {
    ["alerts_refused", "alerts_expired", "alerts_queue_full", "alerts_unsent_at_exit"]
        .map(|name| receiver[name].as_u64().expect("a count"))
        .iter()
        .sum()
}

#[test]
fn a_webhook_gets_each_alert_in_order_and_signed() {
    let replay = Replay::of_floods(12);
    let server = HttpServer::start(ANY, |_| (204, Duration::ZERO));
    let (secret, token) = (replay.path("secret"), replay.path("token"));
    fs::write(&secret, "s3cret of the test\n").expect("it is written");
    fs::write(&token, "t0ken").expect("it is written");
    let finished = replay
        .run(&format!(
            "[analysis.alerts.webhook]\nurl = \"http://{}/hooks/p4th?x=1\"\nextra_headers = [\"X-Sensor: one\"]\nsecret_file = \"{}\"\n\
             bearer_token_file = \"{}\"\n",
            server.address,
            secret.display(),
            token.display()
        ))
        .expect_code(0);
    let alerts = replay.alerts();
    assert_eq!(alerts.len(), 24);
    assert_eq!(server.bodies(), alerts);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret of the test");
    let requests = server.requests();
    for request in &requests {
        assert_eq!(request.line, "POST /hooks/p4th?x=1 HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!((request.header("x-sensor"), request.header("authorization")), (Some("one"), Some("Bearer t0ken")));
        let time = request.header("x-netscope-timestamp").expect("a time");
        let signature = request.header("x-netscope-signature").and_then(|text| text.strip_prefix("v1=")).expect("a signature");
        let tag: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&signature[at..at + 2], 16).expect("hex")).collect();
        let signed = [time.as_bytes(), b".", &request.body].concat();
        ring::hmac::verify(&key, &signed, &tag).expect("it is ours");
    }
    let mut deliveries: Vec<_> =
        requests.iter().map(|request| request.header("x-netscope-delivery").map(str::to_owned)).collect();
    deliveries.dedup();
    assert_eq!(deliveries.len(), 24, "each has a name of its own");
    let receiver = replay.receiver();
    assert_eq!((&receiver["alerts_delivered"], lost(&receiver)), (&json!(24), 0));
    let said = format!("{}{}{}", finished.stdout, finished.stderr, replay.summary());
    assert!(!["s3cret", "t0ken", "p4th"].iter().any(|secret| said.contains(secret)), "{said}");
}

#[test]
fn a_webhook_that_answers_500_gets_each_alert_again() {
    let replay = Replay::of_floods(3);
    let server = HttpServer::start(ANY, |number| (if number < 2 { 500 } else { 200 }, Duration::ZERO));
    let config =
        format!("[analysis.alerts]\ndrain_secs = 60.0\n[analysis.alerts.webhook]\nurl = \"http://{}\"\n", server.address);
    let finished = replay.run(&config).expect_code(0);
    let bodies = server.bodies();
    assert_eq!((&bodies[0], &bodies[1]), (&bodies[2], &bodies[2]));
    assert_eq!(bodies[2..], replay.alerts());
    let names = server.requests();
    assert_eq!(names[0].header("x-netscope-delivery"), names[2].header("x-netscope-delivery"), "so that it is known again");
    let receiver = replay.receiver();
    assert_eq!((&receiver["alerts_delivered"], &receiver["failed_attempts"], lost(&receiver)), (&json!(6), &json!(2), 0));
    assert!(finished.stderr.contains("takes no alerts: HTTP status 500"), "{}", finished.stderr);
    assert!(finished.stderr.contains("takes alerts again"), "{}", finished.stderr);
}

#[test]
fn a_webhook_that_refuses_or_stays_away_costs_its_own_alerts_alone() {
    let replay = Replay::of_floods(4);
    let server = HttpServer::start(ANY, |number| (if number == 1 { 400 } else { 200 }, Duration::ZERO));
    replay.run(&format!("[analysis.alerts.webhook]\nurl = \"http://{}\"\n", server.address)).expect_code(1);
    let receiver = replay.receiver();
    assert_eq!((&receiver["alerts_delivered"], &receiver["alerts_refused"], lost(&receiver)), (&json!(7), &json!(1), 1));
    assert_eq!(server.bodies(), replay.alerts(), "it is not sent again");
    drop(server);

    // Nobody listens, and 500 for ever: both are given up at the end of the drain.
    let stubborn = HttpServer::start(ANY, |_| (503, Duration::ZERO));
    for address in [free_address(), stubborn.address] {
        let start = Instant::now();
        let config = format!("[analysis.alerts]\ndrain_secs = 1.0\n[analysis.alerts.webhook]\nurl = \"http://{address}\"\n");
        let finished = replay.run(&config).expect_code(1);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert_eq!(replay.alerts().len(), 8);
        let receiver = replay.receiver();
        assert_eq!(
            (&receiver["alerts_delivered"], &receiver["alerts_unsent_at_exit"], lost(&receiver)),
            (&json!(0), &json!(8), 8)
        );
        assert!(finished.stderr.contains(&format!("alerts not delivered to webhook http://{address}: 8")), "{}", finished.stderr);
    }
}

#[test]
fn a_slow_webhook_fills_its_queue_and_holds_up_nothing() {
    let replay = Replay::of_floods(20);
    let server = HttpServer::start(ANY, |_| (200, Duration::from_secs(3)));
    let start = Instant::now();
    let config = format!(
        "[analysis.alerts]\nqueue = 3\ndrain_secs = 0.5\n[analysis.alerts.webhook]\nurl = \"http://{}\"\n",
        server.address
    );
    replay.run(&config).expect_code(1);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let (receiver, alerts) = (replay.receiver(), replay.alerts());
    assert_eq!(alerts.len(), 40, "the other outputs have them all");
    assert_eq!(receiver["alerts_delivered"].as_u64().expect("a count") + lost(&receiver), 40);
    assert!(receiver["alerts_queue_full"].as_u64() >= Some(30), "{receiver}");
    assert!(alerts.starts_with(&server.bodies()), "order is kept");
}

#[test]
fn a_webhook_that_comes_back_gets_what_waited() {
    let replay = Replay::of_floods(5);
    let address = free_address();
    let config = format!("[analysis.alerts]\ndrain_secs = 60.0\n[analysis.alerts.webhook]\nurl = \"http://{address}\"\n");
    let running = RunningProgram::start(&mut replay.command(&config));
    std::thread::sleep(Duration::from_millis(1500));
    let server = HttpServer::start(address, |_| (200, Duration::ZERO));
    running.finish(RUN_LIMIT).expect_code(0);
    assert_eq!(server.bodies(), replay.alerts());
    let receiver = replay.receiver();
    assert!(receiver["failed_attempts"].as_u64() >= Some(1), "{receiver}");
}

#[test]
fn a_format_is_chosen_for_each_receiver() {
    let replay = Replay::of_floods(1);
    let server = HttpServer::start(ANY, |_| (200, Duration::ZERO));
    for (format, media_type, begins) in [
        ("ecs", "application/json", "{\"@timestamp\""),
        ("cef", "text/plain; charset=utf-8", "CEF:0|NetScope|"),
        ("text", "text/plain; charset=utf-8", "Single-source SYN flood on"),
    ] {
        let config = format!("[analysis.alerts.webhook]\nurl = \"http://{}\"\nformat = \"{format}\"\n", server.address);
        replay.run(&config).expect_code(0);
        let request = server.requests().pop().expect("a request");
        assert_eq!(request.header("content-type"), Some(media_type));
        let body = String::from_utf8(request.body).expect("UTF-8");
        assert!(body.starts_with(begins), "{body}");
    }
}

/// Runs with this target and checks what the receiver got: all alerts, in order.
fn check_syslog(replay: &Replay, target: &str, more: &str, got: impl Fn() -> Vec<String>) {
    replay.run(&format!("[analysis.alerts.syslog]\ntarget = \"{target}\"\nfacility = \"local0\"\n{more}")).expect_code(0);
    let alerts = replay.alerts();
    wait_until(target, || got().len() >= alerts.len());
    let messages = got();
    assert_eq!(texts(&messages), alerts, "{target}");
    for (message, (key, phase)) in messages.iter().zip(keys(&alerts)) {
        let priority = if phase == "end" { "<134>1 " } else { "<132>1 " };
        assert!(message.starts_with(priority), "{message}");
        assert!(
            message.contains(&format!("kind=\"syn_flood\" key=\"{key}\" phase=\"{phase}\" severity=\"medium\"")),
            "{message}"
        );
    }
    assert_eq!(replay.receiver()["output"], format!("syslog {target}"));
}

#[test]
fn syslog_reaches_a_server_by_each_transport() {
    let replay = Replay::of_floods(3);
    let udp = UdpSocket::bind(ANY).expect("a socket");
    let target = format!("udp://{}", udp.local_addr().expect("an address"));
    let messages = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&messages);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(count) = udp.recv(&mut buffer) {
            kept.lock().expect("no panic").push(String::from_utf8(buffer[..count].to_vec()).expect("UTF-8"));
        }
    });
    check_syslog(&replay, &target, "", || messages.lock().expect("no panic").clone());

    let path = replay.path("log");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let messages = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&messages);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(count) = socket.recv(&mut buffer) {
            kept.lock().expect("no panic").push(String::from_utf8(buffer[..count].to_vec()).expect("UTF-8"));
        }
    });
    check_syslog(&replay, &format!("unix:{}", path.display()), "", || messages.lock().expect("no panic").clone());

    let path = replay.path("log-stream");
    let listener = UnixListener::bind(&path).expect("a socket");
    let accepted = std::thread::spawn(move || collect(listener.accept().expect("a connection").0));
    let bytes = Arc::new(Mutex::new(None));
    let lines = || -> Vec<String> {
        let bytes = bytes.lock().expect("no panic");
        let Some(bytes): Option<&Arc<Mutex<Vec<u8>>>> = bytes.as_ref() else { return Vec::new() };
        String::from_utf8(bytes.lock().expect("no panic").clone()).expect("UTF-8").lines().map(str::to_owned).collect()
    };
    let mut accepted = Some(accepted);
    let take = std::cell::RefCell::new(&mut accepted);
    check_syslog(&replay, &format!("unix:{}", path.display()), "", || {
        if let Some(thread) = take.borrow_mut().take() {
            *bytes.lock().expect("no panic") = Some(thread.join().expect("no panic"));
        }
        lines()
    });

    let listener = TcpListener::bind(ANY).expect("a port");
    let target = format!("tcp://{}", listener.local_addr().expect("an address"));
    let all = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&all);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            kept.lock().expect("no panic").push(collect(stream));
        }
    });
    check_syslog(&replay, &target, "", || {
        let streams = all.lock().expect("no panic");
        streams.iter().flat_map(|bytes| octet_counted(&bytes.lock().expect("no panic"))).collect()
    });
}

#[test]
fn a_syslog_server_that_is_away_or_never_reads_holds_up_nothing() {
    let replay = Replay::of_floods(10);
    let listener = TcpListener::bind(ANY).expect("a port");
    let silent = listener.local_addr().expect("an address");
    for (address, is_there) in [(silent, true), (free_address(), false)] {
        let start = Instant::now();
        let config = format!("[analysis.alerts]\ndrain_secs = 1.0\n[analysis.alerts.syslog]\ntarget = \"tcp://{address}\"\n");
        // What fits into the buffers of a server that does not read counts as delivered.
        replay.run(&config).expect_code(i32::from(!is_there));
        assert!(start.elapsed() < Duration::from_secs(20));
        let receiver = replay.receiver();
        assert_eq!(receiver["alerts_delivered"].as_u64().expect("a count") + lost(&receiver), 20);
        assert_eq!(replay.alerts().len(), 20);
    }
}

#[test]
fn a_command_is_run_for_each_alert() {
    let replay = Replay::of_floods(3);
    let (script, told) = (replay.path("hook.sh"), replay.path("told"));
    fs::write(&script, format!("#!/bin/sh\n(printf '%s %s ' \"$1\" \"$NETSCOPE_ALERT_PHASE\"; cat) >> {}\n", told.display()))
        .expect("it is written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let config = format!(
        "[analysis.alerts]\ndrain_secs = 60.0\n[analysis.alerts.command]\nprogram = \"{}\"\nargs = [\"$(id); 'a' *\"]\nconcurrency = 1\n",
        script.display()
    );
    replay.run(&config).expect_code(0);
    let expected: Vec<String> = replay
        .alerts()
        .iter()
        .zip(keys(&replay.alerts()))
        .map(|(alert, (_, phase))| format!("$(id); 'a' * {phase} {alert}"))
        .collect();
    let text = fs::read_to_string(&told).expect("it was written");
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(replay.receiver()["alerts_delivered"], json!(6));

    // One that hangs is killed at the end at the latest.
    fs::write(&script, "#!/bin/sh\nsleep 1000\n").expect("it is written");
    let start = Instant::now();
    let config = format!("[analysis.alerts]\ndrain_secs = 0.5\n[analysis.alerts.command]\nprogram = \"{}\"\n", script.display());
    replay.run(&config).expect_code(1);
    assert!(start.elapsed() < Duration::from_secs(20));
    let receiver = replay.receiver();
    assert_eq!((lost(&receiver), replay.alerts().len()), (6, 6), "{receiver}");
}

/// It is where a user's PATH need not lead.
fn rsyslogd() -> Command {
    let mut command = Command::new("rsyslogd");
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    command
}

/// rsyslogd with sockets of its own; killed when dropped.
struct Rsyslog(std::process::Child);

impl Rsyslog {
    /// Writes messages that come to these places to `log`, a line each.
    fn start(directory: &Path, port: u16, log: &Path) -> Self {
        let config = directory.join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\n\
             module(load=\"imtcp\")\nmodule(load=\"imudp\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\ninput(type=\"imudp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             input(type=\"imuxsock\" socket=\"{0}/socket\" useSpecialParser=\"off\")\n\
             template(name=\"ours\" type=\"string\" string=\"%syslogfacility-text% %syslogseverity% %app-name% %msgid% %structured-data% %msg%\\n\")\n\
             action(type=\"omfile\" file=\"{1}\" template=\"ours\")\n",
            directory.display(),
            log.display()
        );
        fs::write(&config, text).expect("it is written");
        let mut command = rsyslogd();
        command.arg("-n").arg("-f").arg(&config).arg("-i").arg(directory.join("rsyslog.pid"));
        let child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("rsyslogd");
        let running = Self(child);
        wait_until("rsyslogd listens", || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        running
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[test]
fn rsyslogd_reads_what_we_send_and_is_found_again() {
    if rsyslogd().arg("-v").output().is_err() {
        common::skip("there is no rsyslogd (package rsyslog)");
        return;
    }
    let replay = Replay::of_floods(3);
    let port = free_address().port();
    let directory = replay.path("rsyslog");
    fs::create_dir(&directory).expect("it can be made");
    let socket = directory.join("socket");
    let lines = |log: &Path| fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let check = |log: &Path| {
        let alerts = replay.alerts();
        wait_until("all lines", || lines(log).len() >= alerts.len());
        let lines = lines(log);
        assert_eq!(texts(&lines), alerts);
        assert!(
            lines[0].starts_with("local3 4 probe syn_flood [netscope@32473 kind=\"syn_flood\" key=\"syn_flood 198.51.0.80:443\""),
            "{}",
            lines[0]
        );
        assert!(lines[5].starts_with("local3 6 probe syn_flood "), "{}", lines[5]);
    };
    let settings = "facility = \"local3\"\napp_name = \"probe\"\n";
    for (number, target) in
        [format!("tcp://127.0.0.1:{port}"), format!("udp://127.0.0.1:{port}"), format!("unix:{}", socket.display())]
            .iter()
            .enumerate()
    {
        let log = directory.join(format!("{number}.log"));
        let _rsyslog = Rsyslog::start(&directory, port, &log);
        replay.run(&format!("[analysis.alerts.syslog]\ntarget = \"{target}\"\n{settings}")).expect_code(0);
        check(&log);
    }
    // Down when the alerts come, and there again before the drain is over.
    let log = directory.join("later.log");
    let config = format!(
        "[analysis.alerts]\ndrain_secs = 60.0\n[analysis.alerts.syslog]\ntarget = \"tcp://127.0.0.1:{port}\"\n{settings}"
    );
    let running = RunningProgram::start(&mut replay.command(&config));
    std::thread::sleep(Duration::from_secs(1));
    let _rsyslog = Rsyslog::start(&directory, port, &log);
    let finished = running.finish(RUN_LIMIT).expect_code(0);
    assert!(finished.stderr.contains("takes no alerts: Connection refused"), "{}", finished.stderr);
    check(&log);
}
