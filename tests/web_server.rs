//! The page's server in the whole program: what is said of it, TLS, credentials, its beginning and its end.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/http_client.rs"]
mod http_client;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::certificate::certificate;
use common::{RUN_LIMIT, fixture, netscope, run, temp_dir};
use http_client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The program with its page, reading a file or listening to loopback.
struct WebProgram {
    child: Child,
    said: Receiver<String>,
    heard: Vec<String>,
    url: String,
    address: SocketAddr,
}

impl WebProgram {
    /// Reads a small capture, and stays.
    fn of_file(arguments: &[&str]) -> Self {
        let capture = fixture("demo.pcapng");
        let mut command = netscope();
        command.args(["--no-summary", "--read-pcap"]).arg(capture).args([
            "--export-json",
            "/dev/null",
            "--web",
            "--web-port",
            "0",
        ]);
        Self::start(command.args(arguments))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lines = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, said) = channel();
        std::thread::spawn(move || lines.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut program = Self { child, said, heard: Vec::new(), url: String::new(), address };
        let line = program.wait_for("the page: ");
        program.url = line.split_once("the page: ").expect("an address").1.to_owned();
        let authority = program.url.split('/').nth(2).expect("an authority").to_owned();
        program.address = authority.parse().expect("address and port");
        program
    }

    /// The line of standard error with this text in it.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + RUN_LIMIT;
        loop {
            let line = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("no line with {text:?}: {error}; so far: {:#?}", self.heard));
            self.heard.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().try_into().expect("a pid")), Signal::SIGINT).expect("it runs");
    }

    /// Ends it by Ctrl-C.
    #[track_caller]
    fn end(mut self) -> ExitStatus {
        self.interrupt();
        let deadline = Instant::now() + RUN_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for WebProgram {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn refused(arguments: &[&str]) -> String {
    let capture = fixture("demo.pcapng");
    let finished = run(netscope().arg("--read-pcap").arg(capture).args(["--quiet", "--no-summary", "--web"]).args(arguments));
    let finished = finished.expect_code(1);
    assert_eq!(finished.stderr.trim_end().lines().count(), 1, "{}", finished.stderr);
    finished.stderr
}

#[test]
fn the_page_is_there_until_ctrl_c_after_a_file() {
    let mut program = WebProgram::of_file(&[]);
    program.wait_for("the page stays until Ctrl-C");
    let mut client = program.client();
    let page = client.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").is_some());
    assert_eq!(client.get("/api/health").text(), "ok");
    let unknown = client.get("/api/unknown");
    assert_eq!(unknown.status, 404);
    let error: serde_json::Value = serde_json::from_slice(&unknown.body).expect("JSON");
    assert_eq!(error["error"]["code"], "not_found");
    assert_eq!(client.ask("GET /api/health", &[("Host", "evil.example")], b"").status, 421);
    let mut socket = program.client();
    assert_eq!(program.client().upgrade("/ws", &[("Origin", "http://evil.example")]).status, 403);
    assert_eq!(socket.upgrade("/ws", &[("Origin", "http://localhost")]).status, 101);
    let hello: serde_json::Value = serde_json::from_str(&socket.message()).expect("JSON");
    assert_eq!((hello["type"].as_str(), hello["tick_ms"].as_u64()), (Some("hello"), Some(1000)));
    program.interrupt();
    assert_eq!(socket.closing(), Some(1001));
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn the_page_ends_with_the_file_where_that_is_asked_for() {
    let capture = fixture("demo.pcapng");
    let finished =
        run(netscope().arg("--read-pcap").arg(capture).args(["--no-summary", "--web", "--web-port", "0", "--no-web-stay"]));
    let finished = finished.expect_code(0);
    assert!(finished.stderr.contains("the page: http://127.0.0.1:"), "{}", finished.stderr);
}

#[test]
fn a_taken_port_is_an_error_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let said = refused(&["--web-port", &port]);
    assert!(said.contains(&format!("port {port} of 127.0.0.1 is taken by ")), "{said}");
    assert!(said.contains(&format!("(pid {})", std::process::id())) && said.contains("--web-port"), "{said}");
    assert!(refused(&["--web-bind", "192.0.2.1"]).contains("--web-bind"));
}

#[test]
fn a_page_for_everybody_is_warned_of() {
    let mut program = WebProgram::of_file(&["--web-bind", "0.0.0.0"]);
    assert!(program.url.starts_with("http://127.0.0.1:"), "{}", program.url);
    let warned = program.heard.join("\n");
    assert!(warned.contains("open to everybody") && warned.contains("--web-auth"), "{warned}");
    program.wait_for("the page stays");
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn credentials_guard_every_route_and_a_link_logs_in() {
    let directory = temp_dir("web-auth");
    let hashed = Command::new(env!("CARGO_BIN_EXE_netscope"))
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            child.stdin.take().expect("stdin is piped").write_all(b"correct horse\n")?;
            child.wait_with_output()
        })
        .expect("it is hashed");
    let hash = String::from_utf8(hashed.stdout).expect("UTF-8");
    assert!(hash.starts_with("$argon2id$") && hash.lines().count() == 1, "{hash}");
    let file = directory.path().join("password");
    fs::write(&file, &hash).expect("it is written");
    let config = directory.path().join("netscope.toml");
    let token = "[[web.auth.tokens]]\nname = \"scraper\"\ntoken = \"0123456789abcdef\"\n";
    fs::write(&config, token).expect("it is written");
    let (file, config) = (file.to_string_lossy().into_owned(), config.to_string_lossy().into_owned());
    let mut program =
        WebProgram::of_file(&["--config", &config, "--web-auth", "--web-auth-user", "admin", "--web-auth-pass-file", &file]);
    let login = program.wait_for("/login?once=");
    let path = login.split_once(&program.address.to_string()).expect("an address").1.to_owned();
    for route in ["/", "/api/health", "/metrics", "/nothing"] {
        assert_eq!(program.client().get(route).status, 401, "{route}");
    }
    assert_eq!(program.client().upgrade("/ws", &[]).status, 401);
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("admin:{password}")));
    let ask = |authorization: &str| program.client().ask("GET /api/health", &[("Authorization", authorization)], b"").status;
    assert_eq!((ask(&basic("correct horse")), ask(&basic("correct house")), ask(&basic(hash.trim()))), (200, 401, 401));
    assert_eq!((ask("Bearer 0123456789abcdef"), ask("Bearer 0123456789abcdeg")), (200, 401));
    let mut socket = program.client();
    assert_eq!(socket.upgrade("/ws", &[("Authorization", "Bearer 0123456789abcdef")]).status, 101);
    let hello: serde_json::Value = serde_json::from_str(&socket.message()).expect("JSON");
    assert_eq!(hello["role"], "look");
    let logged_in = program.client().get(&path);
    assert_eq!(logged_in.status, 303);
    let cookie = logged_in.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned();
    assert_eq!(program.client().ask("GET /", &[("Cookie", &cookie)], b"").status, 200);
    assert_eq!(program.client().get(&path).status, 401, "a second time");
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let directory = temp_dir("web-refused");
    let missing = directory.path().join("missing").to_string_lossy().into_owned();
    let auth = ["--web-auth", "--web-auth-user", "admin", "--web-auth-pass-file", &missing];
    let said = refused(&auth);
    assert!(said.contains("--web-auth-pass-file") && said.contains("missing"), "{said}");
    let said = refused(&["--web-tls", "--web-tls-cert", &missing, "--web-tls-key", &missing]);
    assert!(said.contains("--web-tls-cert") && said.contains("missing"), "{said}");
    let said = refused(&[&auth[..], &["--web-bind", "0.0.0.0"]].concat());
    assert!(said.contains("--web-auth-without-tls") && said.contains("--web-tls"), "{said}");
}

/// A client that trusts this certificate and speaks one of these protocols.
fn tls_config(certificate: &CertificateDer<'static>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// A client behind TLS, or an error of the handshake.
fn tls_client(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
) -> std::io::Result<Client<StreamOwned<ClientConnection, TcpStream>>> {
    let connection = ClientConnection::new(tls_config(certificate, &[b"http/1.1"]), localhost()).expect("a client");
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Client::over(stream))
}

#[test]
fn tls_speaks_both_protocols_and_loads_a_new_certificate() {
    let directory = temp_dir("web-tls");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let first = certificate(directory.path());
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let mut program = WebProgram::of_file(&["--web-tls", "--web-tls-cert", &cert, "--web-tls-key", &key]);
    assert!(program.url.starts_with("https://127.0.0.1:"), "{}", program.url);
    let mut client = tls_client(program.address, &first).expect("the certificate is ours");
    let page = client.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("strict-transport-security").is_none());
    assert_eq!(client.upgrade("/ws", &[("Origin", "https://localhost")]).status, 101);
    assert!(client.message().contains("hello"));
    assert_eq!(http2_status(program.address, &first), 200);
    // HTTP without TLS gets a word.
    let mut plain = program.client();
    plain.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let told = plain.answer(false).expect("an answer");
    assert_eq!(told.status, 400);
    assert!(told.text().contains("TLS port"));
    fs::write(directory.path().join("cert.pem"), "broken").expect("it is written");
    program.wait_for("the certificate stays as it was");
    assert!(tls_client(program.address, &first).is_ok());
    let second = certificate(directory.path());
    program.wait_for("was loaded again");
    assert!(tls_client(program.address, &first).is_err(), "the old one is gone");
    assert_eq!(tls_client(program.address, &second).expect("the new one").get("/api/health").text(), "ok");
    assert_eq!(program.end().code(), Some(0));
}

/// The status of the page by HTTP/2.
fn http2_status(address: SocketAddr, certificate: &CertificateDer<'static>) -> u16 {
    let connector = tokio_rustls::TlsConnector::from(tls_config(certificate, &[b"h2"]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let stream = connector.connect(localhost(), stream).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.expect("HTTP/2");
        let driving = tokio::spawn(connection);
        let request = hyper::Request::get("https://localhost/").body(String::new()).expect("a request");
        let status = sender.send_request(request).await.expect("an answer").status();
        let evil = hyper::Request::get("https://evil.example/").body(String::new()).expect("a request");
        assert_eq!(sender.send_request(evil).await.expect("an answer").status(), 421);
        drop(sender);
        let _ended = driving.await.expect("no panic");
        status.as_u16()
    })
}

#[test]
fn a_prefix_is_part_of_the_address() {
    let program = WebProgram::of_file(&["--web-prefix", "/netscope/", "--web-host", "probe.example"]);
    assert!(program.url.ends_with("/netscope/"), "{}", program.url);
    let mut client = program.client();
    assert_eq!(client.get("/netscope/api/health").text(), "ok");
    assert_eq!(client.get("/api/health").status, 404);
    assert_eq!(client.ask("GET /netscope/", &[("Host", "probe.example")], b"").status, 200);
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn hostile_bytes_end_nothing() {
    let program = WebProgram::of_file(&[]);
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\0\0\0\0", b"GET", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 4096]] {
        let mut client = program.client();
        client.send(bytes);
        client.stream.shutdown(std::net::Shutdown::Write).expect("half of it is closed");
        // Whatever it says, it closes.
        let _said = client.stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(program.client().get("/api/health").text(), "ok");
    assert_eq!(program.end().code(), Some(0));
}
