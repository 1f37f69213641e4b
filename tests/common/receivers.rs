//! Receivers of alerts for tests: an HTTP server and servers of streams, on loopback, and captures with so many alerts.
//!
//! Owns sockets and what came through them. Knows no flag. Its one invariant: a server that is dropped takes nothing more.

use super::{Finished, netscope, run};
use netscope_perf::scenario::{MS, Outcome, SEC, Script};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A capture in which so many services are flooded, each by one host: two alerts each, a begin and an end.
pub fn floods(path: &Path, services: u8) {
    let mut script = Script::default();
    add_floods(&mut script, 0, 0..services);
    // So that the bins of the floods are complete.
    script.udp(20 * SEC, (Ipv4Addr::new(10, 0, 0, 1), 5000), (Ipv4Addr::new(10, 0, 0, 2), 53));
    script.write(path);
}

/// Floods of these services, `at` ns after the start.
pub fn add_floods(script: &mut Script, at: u64, services: std::ops::Range<u8>) {
    for service in services {
        for i in 0..250_u16 {
            let (from, to) = ((Ipv4Addr::new(203, 0, 113, service), 1024 + i), (Ipv4Addr::new(198, 51, service, 80), 443));
            script.connect(at + u64::from(i) * 4 * MS + u64::from(service), from, to, MS, Outcome::Silent);
        }
    }
}

/// A replay with receivers, and what it left.
pub struct Replay {
    directory: TempDir,
}

impl Replay {
    /// Of a capture with floods of so many services.
    pub fn of_floods(services: u8) -> Self {
        let directory = super::temp_dir("receivers");
        floods(&directory.path().join("floods.pcap"), services);
        Self { directory }
    }

    /// A file of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program, about to read the capture with this configuration.
    pub fn command(&self, config: &str) -> Command {
        fs::write(self.path("netscope.toml"), config).expect("it is written");
        let mut command = netscope();
        command.args(["--quiet", "--anomalies", "--config"]).arg(self.path("netscope.toml"));
        command.arg("--read-pcap").arg(self.path("floods.pcap"));
        command.arg("--alerts-jsonl").arg(self.path("alerts.jsonl")).arg("--summary-json").arg(self.path("summary.json"));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, config: &str) -> Finished {
        run(&mut self.command(config))
    }

    /// The lines of the alerts file.
    pub fn alerts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("alerts.jsonl")).expect("it was written");
        text.lines().map(str::to_owned).collect()
    }

    /// What the summary says of the one receiver.
    pub fn receiver(&self) -> Value {
        let summary = self.summary();
        assert_eq!(summary["receivers"].as_array().map(Vec::len), Some(1), "{summary}");
        summary["receivers"][0].clone()
    }

    pub fn summary(&self) -> Value {
        let text = fs::read_to_string(self.path("summary.json")).expect("it was written");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// In small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Says what the request with this number gets: a status, after a time.
pub type Answer = dyn Fn(usize) -> (u16, Duration) + Send + Sync;

/// A small HTTP server.
pub struct HttpServer {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

impl HttpServer {
    /// At this address; port 0 for any.
    pub fn start(address: SocketAddr, answer: impl Fn(usize) -> (u16, Duration) + Send + Sync + 'static) -> Self {
        let listener = listen(address);
        let address = listener.local_addr().expect("it has an address");
        let (requests, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, over, answer) = (Arc::clone(&requests), Arc::clone(&is_over), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (kept, over, answer) = (Arc::clone(&kept), Arc::clone(&over), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &kept, &over, answer.as_ref()));
            }
        });
        Self { address, requests, is_over }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Bodies of the requests as text.
    pub fn bodies(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| String::from_utf8(request.body).expect("UTF-8")).collect()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It looks when somebody comes.
        drop(TcpStream::connect(self.address));
    }
}

/// A listener; the port may still be in use by one that is about to go.
fn listen(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn serve(stream: TcpStream, requests: &Mutex<Vec<Request>>, is_over: &AtomicBool, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader) {
        let number = {
            let mut requests = requests.lock().expect("no panic");
            requests.push(request);
            requests.len() - 1
        };
        let (status, wait) = answer(number);
        thread::sleep(wait);
        let text = format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\n\r\nok");
        if is_over.load(Ordering::Relaxed) || stream.write_all(text.as_bytes()).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _gone = stream.shutdown(Shutdown::Both);
}

/// `None` at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0).map(|_| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = Vec::new();
    loop {
        let next = line()?;
        let Some((name, value)) = next.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { line: first, headers, body: Vec::new() };
    if let Some(length) = request.header("content-length") {
        request.body = vec![0; length.parse().expect("a length")];
        reader.read_exact(&mut request.body).ok()?;
    } else if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).expect("a size") + 2];
            reader.read_exact(&mut chunk).ok()?;
            if chunk.len() == 2 {
                break;
            }
            request.body.extend(&chunk[..chunk.len() - 2]);
        }
    }
    Some(request)
}

/// An address of loopback with a port that is free now.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it has an address")
}

/// Messages behind their lengths, as far as they are whole.
pub fn octet_counted(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).expect("digits").parse().expect("a length");
        let Some(message) = bytes.get(space + 1..space + 1 + length) else { break };
        messages.push(String::from_utf8(message.to_vec()).expect("UTF-8"));
        bytes = &bytes[space + 1 + length..];
    }
    messages
}

/// Reads a stream to its end on a thread; what was read so far.
pub fn collect(mut stream: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&collected);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = stream.read(&mut buffer)
            && count > 0
        {
            kept.lock().expect("no panic").extend(&buffer[..count]);
        }
    });
    collected
}

/// Waits until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
