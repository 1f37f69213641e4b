//! HTTP/2: answers that a client does not take, and connections that are ended.

#[path = "../../../../tests/common/certificate.rs"]
mod certificate;

use super::*;
use crate::dashboard::server::settings::ServerTls;
use hyper::client::conn::http2::{Builder as ClientBuilder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// A server with TLS.
fn server(settings: ServerSettings, change: impl FnOnce(&mut Server)) -> (TestServer, ClientConfig) {
    let directory = tempfile::tempdir().unwrap();
    let certificate = certificate::certificate(directory.path());
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let mut server = Server::bind(&ServerSettings { tls: Some(ServerTls { cert, key }), ..settings }).unwrap();
    change(&mut server);
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let mut config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (TestServer::of(server), config)
}

/// A connection whose streams have a window of so many bytes.
async fn connect(server: &TestServer, config: &ClientConfig, window: u32) -> (SendRequest<String>, JoinHandle<()>) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await.unwrap();
    let handshake = ClientBuilder::new(TokioExecutor::new()).initial_stream_window_size(window).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    let driving = tokio::spawn(async move {
        let _ended = connection.await;
    });
    (sender, driving)
}

fn request(path: &str) -> hyper::Request<String> {
    hyper::Request::get(format!("https://localhost{path}")).body(String::new()).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn an_answer_that_nobody_takes_keeps_its_budget_and_ends_its_connection() {
    let (server, config) = server(settings(), |server| server.take_time = Duration::from_secs(8));
    runtime().block_on(async {
        // With a byte of window the connection takes a part as a whole, and the client a byte of it.
        let (mut greedy, driving) = connect(&server, &config, 1).await;
        let mut held = Vec::new();
        for _ in 0..40 {
            held.push(greedy.send_request(request("/api/part")).await.unwrap());
        }
        let (mut other, driving_other) = connect(&server, &config, 1).await;
        held.push(other.send_request(request("/api/huge")).await.unwrap());
        let (mut polite, _polite) = connect(&server, &config, 1 << 20).await;
        assert_eq!(polite.send_request(request("/api/most")).await.unwrap().status(), 503, "the parts count");
        assert!(held.iter().all(|answer| answer.status() == 200));
        for driving in [driving, driving_other] {
            timeout(Duration::from_secs(30), driving).await.expect("the connection is ended").unwrap();
        }
        let free = polite.send_request(request("/api/most")).await.unwrap();
        assert_eq!(free.status(), 200, "what they held is free");
    });
    assert!(server.counts().slow_readers >= 2);
}

#[test]
fn who_sends_too_much_is_sent_away() {
    let rate = BucketRate { per_sec: 1e-3, burst: 1.0 };
    let (server, config) = server(settings(), |server| server.request_rate = rate);
    runtime().block_on(async {
        let (mut sender, driving) = connect(&server, &config, 1 << 20).await;
        let mut refused = 0;
        for _ in 0..1000 {
            let Ok(answer) = sender.send_request(request("/api/health")).await else { break };
            refused += u32::from(answer.status() == 429);
        }
        assert!((limits::REFUSED_IN_A_ROW_MAX..300).contains(&refused), "{refused}");
        drop(sender);
        timeout(Duration::from_secs(30), driving).await.expect("the connection is ended").unwrap();
    });
    assert_eq!(server.counts().connections_ended_rate, 1);
}
