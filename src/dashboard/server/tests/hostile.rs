//! Clients that break rules, send too much or take nothing.

use super::*;
use std::io::{Read as _, Write as _};

/// The status of what a raw request gets; 0 where the connection is closed without an answer.
fn status(server: &TestServer, request: &[u8]) -> u16 {
    let mut client = server.client();
    client.send(request);
    client.answer(false).map_or(0, |answer| answer.status)
}

#[test]
fn other_hosts_and_other_sites_are_refused() {
    let server = TestServer::start(&settings());
    let ask = |line: &str, headers: &[(&str, &str)]| server.client().ask(line, headers, b"").status;
    for host in ["127.0.0.1", "localhost:8080", "probe.example", "[::1]:80", "192.0.2.1"] {
        assert_eq!(ask("GET /", &[("Host", host)]), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", ""] {
        for path in ["/", "/api/health", "/metrics", "/ws", "/s/x"] {
            assert_eq!(ask(&format!("GET {path}"), &[("Host", host)]), 421, "{host} {path}");
        }
    }
    assert_eq!(status(&server, b"GET / HTTP/1.1\r\n\r\n"), 400, "none");
    assert_eq!(status(&server, b"GET / HTTP/1.0\r\n\r\n"), 400, "none");
    assert_eq!(status(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 400, "two");
    assert_eq!(status(&server, b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400, "two that differ");
    assert_eq!(status(&server, b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
    assert_eq!(server.client().upgrade("/ws", &[("Origin", "http://localhost")]).status, 101);
    for origin in ["http://evil.example", "null", "http://localhost:3000", "https://127.0.0.1"] {
        assert_eq!(server.client().upgrade("/ws", &[("Origin", origin)]).status, 403, "{origin}");
        assert_eq!(ask("GET /api/health", &[("Origin", origin)]), 403, "{origin}");
        assert_eq!(ask("POST /api/x", &[("Origin", origin)]), 403, "{origin}");
    }
    assert_eq!(ask("POST /api/x", &[]), 403, "without an origin");
    for (site, expected) in [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)] {
        assert_eq!(ask("GET /api/health", &[("Sec-Fetch-Site", site)]), expected, "{site}");
    }
    assert_eq!(ask("GET /", &[("Sec-Fetch-Site", "cross-site")]), 200, "a link to the page");
    assert!(server.counts().hosts_refused > 15 && server.counts().origins_refused > 10);
}

#[test]
fn path_tricks_are_refused() {
    let server = TestServer::start(&settings());
    let long = format!("/{}", "a".repeat(5000));
    for path in [
        "//",
        "//evil.example/",
        "/../etc/passwd",
        "/s/../../x",
        "/%2e%2e/x",
        "/s/%2e%2e%2fx",
        "/a%00",
        "/a%5c..%5cb",
        "/api//health",
        "/./",
        "*",
        long.as_str(),
    ] {
        let answered = status(&server, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert_eq!(answered, 400, "{path}");
    }
    for line in ["GET /a\\b", "GET /a\u{0}b", "GET /a b", "GET", "\u{16}\u{3}\u{1}"] {
        let answered = status(&server, format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert!(matches!(answered, 400), "{line:?}: {answered}");
    }
    let query = "a&".repeat(100);
    assert_eq!(server.client().get(&format!("/api/x?{query}")).status, 400);
    assert!(server.api.asked.lock().unwrap().is_empty());
}

#[test]
fn requests_of_two_readings_are_refused() {
    let server = TestServer::start(&settings());
    let head = "POST /api/x HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n";
    for rest in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "Content-Length: +1\r\n\r\na",
        "Content-Length: -1\r\n\r\na",
        "Content-Length: 0x1\r\n\r\na",
        "Content-Length: 1, 2\r\n\r\na",
        "Content-Length : 1\r\n\r\na",
        "X-A: b\r\n folded: c\r\n\r\n",
        "X A: b\r\n\r\n",
        "X-A: b\u{0}c\r\n\r\n",
        "X-A: b\rX-B: c\r\n\r\n",
        ": empty\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(format!("{head}{rest}"));
        let answer = client.answer(false).map_or(0, |answer| answer.status);
        assert!(matches!(answer, 0 | 400 | 411), "{rest:?}: {answer}");
        assert!(client.is_closed(), "{rest:?}: nothing behind it is read");
    }
    assert!(server.api.asked.lock().unwrap().is_empty(), "{:?}", server.api.asked.lock().unwrap());
    let many = "X: y\r\n".repeat(200);
    assert!(matches!(status(&server, format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes()), 400 | 431));
    let long = "y".repeat(100_000);
    assert!(matches!(
        status(&server, format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n").as_bytes()),
        0 | 400 | 431
    ));
}

#[test]
fn a_gigabyte_is_cut_at_once() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    let start = "POST /api/x HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n";
    client.send(format!("{start}Content-Length: 1073741824\r\n\r\n"));
    assert_eq!(client.answer(false).unwrap().status, 413);
    let mut sent = 0_u64;
    while client.stream.write_all(&[0; 64 << 10]).is_ok() {
        sent += 64 << 10;
        assert!(sent < 64 << 20, "it is cut");
    }
    let mut client = server.client();
    client.send(format!("{start}Content-Length: 65537\r\n\r\n"));
    assert_eq!(client.answer(false).unwrap().status, 413);
    let all = vec![b'x'; limits::BODY_BYTES_MAX];
    assert_eq!(server.client().ask("POST /api/x", &[("Origin", "http://localhost")], &all).body.len(), all.len());
    assert_eq!(server.counts().bodies_refused, 2);
}

#[test]
fn a_client_that_asks_too_often_is_told_to_wait() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    let mut refused = 0;
    let request = "GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    'asking: for _ in 0..100 {
        client.send(request.repeat(20));
        for _ in 0..20 {
            let Ok(answer) = client.answer(false) else { break 'asking };
            if answer.status == 429 {
                assert!(answer.header("retry-after").is_some());
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
    assert!(server.counts().requests_refused_rate >= refused);
    assert!(server.api.asked.lock().unwrap().len() < 1500, "most of them reach nobody");
}

#[test]
fn connections_have_a_limit() {
    let server = TestServer::start(&settings());
    let mut open: Vec<Client> = (0..limits::CONNECTIONS_OF_PROXY_MAX).map(|_| server.client()).collect();
    server.wait("all are taken", |server| server.counts().connections_open == limits::CONNECTIONS_OF_PROXY_MAX as u64);
    let mut refused = server.client();
    assert_eq!(refused.answer(false).unwrap().status, 503);
    assert!(server.counts().connections_refused > 0);
    assert_eq!(open[0].get("/api/health").status, 200, "the others go on");
    drop(open);
    server.wait("they are free", |server| server.counts().connections_open == 0);
    assert_eq!(server.client().get("/api/health").status, 200);
}

#[test]
fn a_request_that_never_ends_is_cut() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n");
    client.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let start = Instant::now();
    // A header now and then, for ever.
    loop {
        assert!(start.elapsed() < Duration::from_secs(60), "it is still open");
        let sent = client.stream.write_all(b"X: y\r\n");
        match client.stream.read(&mut [0; 512]) {
            Err(error) if sent.is_ok() && error.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    server.wait("it is counted", |server| server.counts().header_timeouts == 1);
}

#[test]
fn a_client_that_takes_a_byte_now_and_then_is_cut() {
    let mut server = Server::bind(&settings()).unwrap();
    server.take_time = Duration::from_secs(1);
    let server = TestServer::of(server);
    let mut client = server.client();
    client.send("GET /api/huge HTTP/1.1\r\nHost: localhost\r\n\r\n");
    server.wait("it is cut", |server| {
        let _slowly = (&client.stream).read(&mut [0; 512]);
        server.counts().slow_readers == 1
    });
    server.wait("it is gone", |server| server.counts().connections_open == 0);
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_its_memory_is_free() {
    let server = TestServer::start(&settings());
    let mut client = server.client();
    client.send("GET /api/huge HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // Its answer began, so its memory is held.
    assert_eq!(client.stream.peek(&mut [0]).unwrap(), 1);
    assert_eq!(server.client().get("/api/health").status, 200);
    assert_eq!(server.client().get("/api/huge").status, 503, "there is memory for one of these");
    server.wait("it is cut", |server| server.counts().slow_readers == 1);
    server.wait("it is gone", |server| server.counts().connections_open == 0);
    assert_eq!(server.client().get("/api/huge").body.len(), 40 << 20);
}
