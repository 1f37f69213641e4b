//! The server as a client sees it, in front of an interface that the tests make.

#[path = "../../../tests/common/http_client.rs"]
mod http_client;

mod hostile;
mod http2;
mod proxies;
mod sockets;

use super::*;
use crate::dashboard::{Answering, ApiBody, ApiRequest, ApiResponse, Method, PageFrame, Role, SocketReply, SocketSession};
use bytes::Bytes;
use http_client::Client;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers what tests ask for.
struct FakeApi {
    frames: watch::Sender<Arc<PageFrame>>,
    lookers: AtomicUsize,
    asked: Mutex<Vec<ApiRequest>>,
}

impl PageApi for FakeApi {
    fn answer<'a>(&'a self, request: ApiRequest) -> Answering<'a> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(request.clone());
            let mut content_type = "text/plain";
            let body = match request.path.as_str() {
                "/api/large" => {
                    content_type = "application/json";
                    ApiBody::Full(format!("[{}0]", "1234567,".repeat(25_000)).into())
                }
                "/api/part" => ApiBody::Full(vec![b'x'; 60_000].into()),
                "/api/most" => ApiBody::Full(vec![b'x'; 23 << 20].into()),
                "/api/huge" => ApiBody::Full(vec![b'x'; 40 << 20].into()),
                "/api/stream" | "/api/broken" => {
                    let (sender, receiver) = mpsc::channel(1);
                    tokio::spawn(async move {
                        for _ in 0..3 {
                            sender.send(Ok(Bytes::from_static(b"part,"))).await.unwrap();
                        }
                        if request.path == "/api/broken" {
                            sender.send(Err(io::Error::other("lost"))).await.unwrap();
                        }
                    });
                    ApiBody::Stream(receiver)
                }
                "/api/slow" => {
                    sleep(Duration::from_millis(500)).await;
                    ApiBody::Full("slow".into())
                }
                _ if request.method == Method::Get => ApiBody::Full("ok".into()),
                _ => ApiBody::Full(request.body),
            };
            ApiResponse { status: 200, content_type, headers: vec![("X-Test", "1".to_owned())], body }
        })
    }

    fn hello(&self, role: Role) -> String {
        format!("hello {role:?}")
    }

    fn session(&self, _role: Role) -> Box<dyn SocketSession> {
        Box::new(FakeSession)
    }

    fn frames(&self) -> watch::Receiver<Arc<PageFrame>> {
        self.frames.subscribe()
    }

    fn set_lookers(&self, count: usize) {
        self.lookers.store(count, Ordering::Relaxed);
    }
}

struct FakeSession;

impl SocketSession for FakeSession {
    fn message(&mut self, text: &str) -> SocketReply {
        match text {
            "close" => SocketReply::Close("error".to_owned()),
            "hide" => SocketReply::Hidden(true),
            "show" => SocketReply::Hidden(false),
            text => SocketReply::Message(text.to_owned()),
        }
    }

    fn frame(&mut self, frame: &PageFrame) -> Bytes {
        frame.json.clone()
    }
}

/// A server that runs.
struct TestServer {
    api: Arc<FakeApi>,
    address: SocketAddr,
    counters: Arc<ServerCounters>,
    running: RunningServer,
    login: Option<String>,
}

fn settings() -> ServerSettings {
    ServerSettings {
        bind: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        prefix: String::new(),
        hosts: vec!["probe.example".to_owned()],
        trusted_proxies: Vec::new(),
        clients_max: SOCKETS_DEFAULT,
        tls: None,
        auth: None,
    }
}

impl TestServer {
    fn start(settings: &ServerSettings) -> Self {
        Self::of(Server::bind(settings).unwrap())
    }

    fn of(server: Server) -> Self {
        let (address, counters, login) = (server.address(), server.counters(), server.login_url());
        let api = Arc::new(FakeApi { frames: watch::Sender::default(), lookers: AtomicUsize::new(0), asked: Mutex::default() });
        let running = server.start(Arc::<FakeApi>::clone(&api), &[], Arc::new(|_: &str| {})).unwrap();
        Self { api, address, counters, running, login }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn counts(&self) -> ServerCounts {
        self.counters.counts()
    }

    /// Waits until this is so.
    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "never: {what}: {:?}", self.counts());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn the_page_is_served_with_the_headers_of_security() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    let page = client.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<title>"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-cache"),
        ("server", "netscope"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert_eq!(page.header("strict-transport-security"), None);
    let tag = page.header("etag").unwrap().to_owned();
    assert_eq!(client.ask("GET /", &[("If-None-Match", &tag)], b"").status, 304);
    assert_eq!(client.ask("GET /", &[("If-None-Match", "\"x\"")], b"").status, 200);
    let head = client.ask("HEAD /", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some(page.body.len().to_string().as_str())));
    let posted = client.ask("POST /", &[], b"");
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(client.get("/nothing").status, 404);
    assert_eq!(client.get("/s/0123456789abcdef/index.html").status, 404);
    let zipped = client.ask("GET /", &[("Accept-Encoding", "gzip")], b"");
    if zipped.header("content-encoding") == Some("gzip") {
        assert!(zipped.body.len() < page.body.len());
    }
    assert_eq!(server.counts().connections, 1, "all of it by one connection");
}

#[test]
fn the_interface_gets_what_passed_the_checks() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    let answer = client.ask("GET /api/v1/alerts/syn%3A1?filter=port%3A443+x&limit=3", &[("Accept", "text/csv")], b"");
    assert_eq!((answer.status, answer.header("x-test"), answer.header("cache-control")), (200, Some("1"), Some("no-store")));
    let asked = server.api.asked.lock().unwrap().pop().unwrap();
    assert_eq!((asked.method, asked.path.as_str(), asked.accept.as_str()), (Method::Get, "/api/v1/alerts/syn:1", "text/csv"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(asked.query, [pair("filter", "port:443 x"), pair("limit", "3")]);
    assert_eq!((asked.role, asked.user), (Role::Download, None));
    let head = client.ask("HEAD /api/health", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("2")));
    assert_eq!(client.get("/metrics").text(), "ok");
    let same = ("Origin", "http://localhost");
    let posted = client.ask("POST /api/v1/mutes", &[same], b"{\"kind\":1}");
    assert_eq!((posted.status, posted.text().as_str()), (200, "{\"kind\":1}"));
    assert_eq!(client.ask("DELETE /api/v1/mutes/1", &[same], b"").status, 200);
    let put = client.ask("PUT /api/v1/mutes", &[same], b"x");
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST, DELETE")));
    let mut client = server.client();
    let error: serde_json::Value = serde_json::from_slice(&client.ask("OPTIONS /api/v1/x", &[same], b"").body).unwrap();
    assert_eq!(error["error"]["code"], "method_not_allowed");
}

#[test]
fn large_answers_are_compressed_and_streams_are_whole_or_broken() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    let plain = client.get("/api/large");
    assert_eq!((plain.body.len(), plain.header("vary")), (200_003, Some("Accept-Encoding")));
    let zipped = client.ask("GET /api/large", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut text = Vec::new();
    io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped.body[..]), &mut text).unwrap();
    assert!(text == plain.body && zipped.body.len() < 20_000);
    assert_eq!(client.ask("GET /api/health", &[("Accept-Encoding", "gzip")], b"").header("content-encoding"), None);
    assert_eq!(client.get("/api/stream").text(), "part,part,part,");
    client.send("GET /api/broken HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(client.answer(false).is_err(), "half of it is not taken for a whole");
}

#[test]
fn credentials_are_needed_on_every_route() {
    let user = Some(("admin".to_owned(), SecretSource::Text(Secret::new("secret"))));
    let token = |name: &str, role| TokenSettings {
        name: name.to_owned(),
        token: SecretSource::Text(Secret::new(format!("{name}-0123456789abcdef"))),
        role,
    };
    let tokens = vec![token("looker", Role::Look), token("loader", Role::Download)];
    let server = TestServer::start(&ServerSettings { auth: Some(ServerAuth { user, tokens }), ..settings() });
    for path in ["/", "/metrics", "/api/health", "/api/v1/status", "/s/x/y", "/nothing"] {
        let answer = server.client().get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic realm=")));
    }
    assert_eq!(server.client().upgrade("/ws", &[]).status, 401);
    let basic = ("Authorization", "Basic YWRtaW46c2VjcmV0");
    let wrong = ("Authorization", "Basic YWRtaW46c2VjcmV1");
    assert_eq!(server.client().ask("GET /", &[wrong], b"").status, 401);
    assert_eq!(server.client().ask("GET /", &[basic], b"").status, 200);
    let looker = ("Authorization", "Bearer looker-0123456789abcdef");
    assert_eq!(server.client().ask("GET /api/x", &[looker], b"").status, 200);
    let asked = server.api.asked.lock().unwrap().pop().unwrap();
    assert_eq!((asked.role, asked.user.as_deref()), (Role::Look, Some("looker")));
    let mut client = server.client();
    assert_eq!(client.upgrade("/ws", &[looker]).status, 101);
    assert_eq!(client.message(), "hello Look");
    // What browsers send by themselves does not change anything; a bearer token does.
    assert_eq!(server.client().ask("POST /api/x", &[basic], b"{}").status, 403);
    assert_eq!(server.client().ask("POST /api/x", &[basic, ("Origin", "http://localhost")], b"{}").status, 200);
    assert_eq!(server.client().ask("POST /api/x", &[("Authorization", "Bearer loader-0123456789abcdef")], b"{}").status, 200);
    let login = server.login.as_deref().unwrap();
    let path = login.split_once(&server.address.to_string()).unwrap().1;
    assert_eq!(server.client().get("/login?once=wrong").status, 401);
    let logged_in = server.client().get(path);
    assert_eq!((logged_in.status, logged_in.header("location")), (303, Some("./")));
    let cookie = logged_in.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(server.client().ask("GET /", &[("Cookie", cookie)], b"").status, 200);
    assert_eq!(server.client().get(path).status, 401, "a second time");
    let refused = (0..30).map(|_| server.client().ask("GET /", &[wrong], b"")).find(|answer| answer.status == 429);
    assert!(refused.is_some_and(|answer| answer.header("retry-after").is_some()));
    assert_eq!(server.client().ask("GET /", &[basic], b"").status, 200);
    assert!(server.counts().logins_refused > 0 && server.counts().logins_failed > 0);
}

#[test]
fn a_prefix_is_in_front_of_every_path() {
    let server = TestServer::start(&ServerSettings { prefix: "/netscope".to_owned(), ..settings() });
    let mut client = server.client();
    assert_eq!(client.get("/netscope/").status, 200);
    assert_eq!(client.get("/netscope/api/health").text(), "ok");
    assert_eq!(server.api.asked.lock().unwrap().pop().unwrap().path, "/api/health");
    for path in ["/", "/netscope", "/netscopes/", "/api/health", "/other/netscope/"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert_eq!(client.upgrade("/netscope/ws", &[]).status, 101);
}

#[test]
fn a_taken_port_is_told_with_its_holder() {
    let server = TestServer::start(&settings());
    let error = match Server::bind(&ServerSettings { port: server.address.port(), ..settings() }) {
        Ok(_) => panic!("the port is taken"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(&format!("port {} of 127.0.0.1 is taken by ", server.address.port())), "{error}");
    assert!(error.contains(&format!("(pid {})", std::process::id())) && error.contains("--web-port"), "{error}");
}

#[test]
fn open_requests_end_before_the_server() {
    let server = TestServer::start(&settings());
    let (mut slow, mut idle, mut socket) = (server.client(), server.client(), server.client());
    assert_eq!(idle.get("/api/health").status, 200);
    assert_eq!(socket.upgrade("/ws", &[]).status, 101);
    assert_eq!(socket.message(), "hello Download");
    slow.send("GET /api/slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    server.wait("the request is there", |server| !server.api.asked.lock().unwrap().iter().all(|asked| asked.path != "/api/slow"));
    let start = Instant::now();
    let address = server.address;
    server.running.stop();
    assert!(start.elapsed() < STOP_TIME, "nothing is waited for that is not there");
    assert_eq!(slow.answer(false).unwrap().text(), "slow");
    assert!(idle.is_closed());
    assert_eq!(socket.closing(), Some(1001));
    assert!(std::net::TcpStream::connect(address).is_err());
}
