//! Receivers of alerts by TLS: syslog (RFC 5425) and a webhook by https, with certificates that are made here. A certificate or a name that is not right gets no alert.
#![cfg(target_os = "linux")]

mod common;

use common::receivers::{Replay, octet_counted, wait_until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// An authority, and certificates by it in PEM.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

impl Authority {
    fn new(directory: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        let name = directory.file_name().and_then(|name| name.to_str()).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        fs::create_dir_all(directory).expect("a directory");
        fs::write(directory.join("ca.pem"), pem("CERTIFICATE", issuer.der())).expect("it is written");
        Self { issuer, directory: directory.to_owned() }
    }

    /// A certificate for a name, and its key; both are also written, as NAME.pem and NAME.key.
    fn certificate(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.pem")), pem("CERTIFICATE", certificate.der())).expect("it is written");
        fs::write(self.path(&format!("{name}.key")), pem("PRIVATE KEY", key.serialized_der())).expect("it is written");
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A server's settings; with `clients`, it wants a certificate by that authority.
fn server_config(authority: &Authority, name: &str, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.issuer.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (certificate, key) = authority.certificate(name);
    Arc::new(builder.with_single_cert(vec![certificate], key).expect("a certificate and its key"))
}

/// What came to a TLS server.
struct TlsServer {
    address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
}

/// Serves one connection after the other. `answers`: as HTTP.
fn serve(config: Arc<ServerConfig>, answers: bool) -> TlsServer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bytes);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = StreamOwned::new(session, stream);
            if answers {
                answer(&mut stream, &kept);
                continue;
            }
            let mut buffer = [0; 4096];
            while let Ok(count) = stream.read(&mut buffer)
                && count > 0
            {
                kept.lock().expect("no panic").extend(&buffer[..count]);
            }
        }
    });
    TlsServer { address, bytes }
}

/// Keeps the bodies of POSTs, a line each, and says 200.
fn answer(stream: &mut StreamOwned<ServerConnection, std::net::TcpStream>, bodies: &Mutex<Vec<u8>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (None, String::new());
        while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
            let header = line.to_ascii_lowercase();
            length = header.strip_prefix("content-length:").map(|text| text.trim().parse().expect("a length")).or(length);
            line.clear();
        }
        let Some(length) = length else { return };
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        body.push(b'\n');
        bodies.lock().expect("no panic").extend(body);
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("an answer");
    }
}

/// Runs with these settings of syslog; the alerts that were delivered, of 4.
fn delivered(replay: &Replay, target: &str, more: &str) -> (u64, String) {
    let config = format!("[analysis.alerts]\ndrain_secs = 2.0\n[analysis.alerts.syslog]\ntarget = \"{target}\"\n{more}");
    let finished = replay.run(&config);
    let delivered = replay.receiver()["alerts_delivered"].as_u64().expect("a count");
    assert_eq!(finished.status.code(), Some(i32::from(delivered < 4)), "{}", finished.stderr);
    (delivered, finished.stderr)
}

#[test]
fn syslog_by_tls_checks_the_server_and_shows_a_certificate() {
    let replay = Replay::of_floods(2);
    let (ours, other) = (Authority::new(&replay.path("ours")), Authority::new(&replay.path("other")));
    let ca = format!("ca_file = \"{}\"\n", ours.path("ca.pem").display());
    let messages = |server: &TlsServer| octet_counted(&server.bytes.lock().expect("no panic"));

    let server = serve(server_config(&ours, "localhost", None), false);
    let (count, said) = delivered(&replay, &format!("tls://localhost:{}", server.address.port()), &ca);
    assert_eq!(count, 4, "{said}");
    wait_until("all messages", || messages(&server).len() == 4);
    let texts: Vec<String> = messages(&server).iter().map(|text| text.split_once("\"] ").expect("data").1.to_owned()).collect();
    assert_eq!(texts, replay.alerts());

    // Another name, and an authority that we do not know.
    let by_address = format!("tls://127.0.0.1:{}", server.address.port());
    let (count, said) = delivered(&replay, &by_address, &ca);
    assert!(count == 0 && said.contains("not valid for name"), "{said}");
    let stranger = serve(server_config(&other, "localhost", None), false);
    let (count, said) = delivered(&replay, &format!("tls://localhost:{}", stranger.address.port()), &ca);
    assert!(count == 0 && said.contains("UnknownIssuer"), "{said}");
    assert_eq!((messages(&server).len(), messages(&stranger).len()), (4, 0));

    // A server that wants to know us.
    let strict = serve(server_config(&ours, "localhost", Some(&ours)), false);
    let target = format!("tls://localhost:{}", strict.address.port());
    let (count, said) = delivered(&replay, &target, &ca);
    assert_eq!(count, 0, "a refusal that comes after the handshake is seen: {said}");
    ours.certificate("sensor");
    let client = format!(
        "{ca}client_cert_file = \"{}\"\nclient_key_file = \"{}\"\n",
        ours.path("sensor.pem").display(),
        ours.path("sensor.key").display()
    );
    let (count, said) = delivered(&replay, &target, &client);
    assert_eq!(count, 4, "{said}");
    wait_until("all messages", || messages(&strict).len() == 4);
}

#[test]
fn a_webhook_by_https_checks_the_server() {
    let replay = Replay::of_floods(2);
    let (ours, other) = (Authority::new(&replay.path("ours")), Authority::new(&replay.path("other")));
    let server = serve(server_config(&ours, "localhost", None), true);
    let config = |authority: &Authority| {
        format!(
            "[analysis.alerts]\ndrain_secs = 2.0\n[analysis.alerts.webhook]\nurl = \"https://localhost:{}/\"\nca_file = \"{}\"\n",
            server.address.port(),
            authority.path("ca.pem").display()
        )
    };
    replay.run(&config(&ours)).expect_code(0);
    let text = String::from_utf8(server.bytes.lock().expect("no panic").clone()).expect("UTF-8");
    assert_eq!(text.lines().collect::<Vec<_>>(), replay.alerts());
    replay.run(&config(&other)).expect_code(1);
    assert_eq!(replay.receiver()["alerts_delivered"], json!(0));
    assert_eq!(server.bytes.lock().expect("no panic").len(), text.len());
    let missing =
        replay.run("[analysis.alerts.webhook]\nurl = \"https://localhost/\"\nca_file = \"/nonexistent/ca.pem\"\n").expect_code(1);
    assert!(missing.stderr.contains("/nonexistent/ca.pem"), "{}", missing.stderr);
}
