//! WebSocket clients: their frames, their pace, their end.

use super::http_client::{BINARY, PING, TEXT};
use super::*;
use std::io::Write as _;

fn socket(server: &TestServer) -> Client {
    let mut client = server.client();
    assert_eq!(client.upgrade("/ws", &[]).status, 101);
    assert_eq!(client.message(), "hello Download");
    client
}

fn frame(server: &TestServer, seq: u64, json: String) {
    server.api.frames.send_replace(Arc::new(PageFrame { seq, json: json.into() }));
}

#[test]
fn frames_come_while_somebody_looks() {
    let server = TestServer::start(&settings());
    let mut client = socket(&server);
    server.wait("it looks", |server| server.api.lookers.load(Ordering::Relaxed) == 1);
    frame(&server, 1, "first".to_owned());
    assert_eq!(client.message(), "first");
    client.send_frame(TEXT, b"question");
    assert_eq!(client.message(), "question");
    client.send_frame(TEXT, b"hide");
    server.wait("it looks no more", |server| server.api.lookers.load(Ordering::Relaxed) == 0);
    frame(&server, 2, "unseen".to_owned());
    client.send_frame(TEXT, b"show");
    server.wait("it looks again", |server| server.api.lookers.load(Ordering::Relaxed) == 1);
    frame(&server, 3, "third".to_owned());
    assert_eq!(client.message(), "third");
    frame(&server, 4, String::new());
    frame(&server, 5, "fifth".to_owned());
    assert_eq!(client.message(), "fifth", "an empty one was not made");
    drop(client);
    server.wait("it is gone", |server| server.counts().sockets_open == 0);
    assert_eq!(server.api.lookers.load(Ordering::Relaxed), 0);
    server.wait("its connection, too", |server| server.counts().connections_open == 0);
}

#[test]
fn who_breaks_the_rules_is_told_and_closed() {
    let server = TestServer::start(&settings());
    let large = vec![b'x'; limits::MESSAGE_BYTES_MAX];
    let mut client = socket(&server);
    client.send_frame(TEXT, &large);
    assert_eq!(client.message().len(), large.len(), "as long as it may be");
    client.send_frame(TEXT, &[large.as_slice(), b"x"].concat());
    assert_eq!(client.closing(), Some(1009));
    type Misdeed<'a> = &'a dyn Fn(&mut Client);
    let cases: [(Misdeed<'_>, u16); 7] = [
        (&|client| client.send_frame(BINARY, b"x"), 1003),
        (&|client| client.send_frame(TEXT, &[0xff, 0xfe]), 1007),
        (&|client| client.send_frame(3, b"reserved"), 1002),
        (&|client| client.send([0x81, 1, b'x']), 1002),
        (&|client| client.send([0xc1, 0x81, 0, 0, 0, 0, b'x']), 1002),
        (&|client| client.send_frame(TEXT, b"close"), 1008),
        (&|client| (0..200).for_each(|_| client.send_frame(PING, b"x")), 1008),
    ];
    for (number, (misbehave, code)) in cases.iter().enumerate() {
        let mut client = socket(&server);
        misbehave(&mut client);
        assert_eq!(client.closing(), Some(*code), "case {number}");
    }
    // Parts of a message that never ends, and have nothing in them.
    let mut client = socket(&server);
    client.send([&[1, 0x80, 0, 0, 0, 0][..], &[0, 0x80, 0, 0, 0, 0].repeat(200)].concat());
    assert_eq!(client.closing(), Some(1008));
    // A frame that says it is an exabyte long is not waited for.
    let mut client = socket(&server);
    client.send([0x81, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    client.send([0; 4]);
    assert_eq!(client.closing(), Some(1009));
    server.wait("all are gone", |server| server.counts().sockets_open == 0);
    assert_eq!(server.counts().sockets_misbehaved, 10);
    assert_eq!(server.client().ask("GET /ws", &[], b"").status, 426);
    assert_eq!(server.client().ask("POST /ws", &[("Origin", "http://localhost")], b"").status, 405);
}

#[test]
fn a_slow_client_skips_frames_and_holds_up_nobody() {
    let server = TestServer::start(&settings());
    let (mut slow, mut quick) = (socket(&server), socket(&server));
    server.wait("both look", |server| server.api.lookers.load(Ordering::Relaxed) == 2);
    let large = "x".repeat(1 << 20);
    for seq in 1..=40 {
        frame(&server, seq, format!("{seq} {large}"));
        assert!(quick.message().starts_with(&format!("{seq} ")), "each frame, at once");
    }
    // The kernel's buffers hold a few of them; the server one.
    assert!(slow.message().ends_with(&large), "what it gets is whole");
    server.wait("it goes on", |server| server.counts().frames_skipped > 0);
    let latest = (0..40).map(|_| slow.message()).find(|message| message.starts_with("40 "));
    assert!(latest.is_some(), "it is up to date again");
}

#[test]
fn a_client_that_takes_nothing_is_closed() {
    let server = TestServer::start(&settings());
    let client = socket(&server);
    let large = "x".repeat(8 << 20);
    server.wait("it looks", |server| server.api.lookers.load(Ordering::Relaxed) == 1);
    frame(&server, 1, large.clone());
    frame(&server, 2, large);
    server.wait("it is closed", |server| server.counts().sockets_slow == 1 && server.counts().sockets_open == 0);
    drop(client);
}

#[test]
fn of_two_hundred_clients_some_get_all_and_the_others_an_answer() {
    let server = TestServer::start(&settings());
    let clients: Vec<(u16, Client)> = (0..200_u8)
        .map(|number| {
            let mut client = client_from(Ipv4Addr::new(127, 0, 1, 1 + number % 100), server.address);
            (client.upgrade("/ws", &[]).status, client)
        })
        .collect();
    let (taken, refused): (Vec<_>, Vec<_>) = clients.into_iter().partition(|(status, _)| *status == 101);
    assert_eq!(taken.len(), SOCKETS_DEFAULT);
    assert!(refused.iter().all(|(status, _)| *status == 503));
    server.wait("all look", |server| server.api.lookers.load(Ordering::Relaxed) == SOCKETS_DEFAULT);
    frame(&server, 1, "frame".to_owned());
    for (_, mut client) in taken {
        assert_eq!((client.message().as_str(), client.message().as_str()), ("hello Download", "frame"));
    }
    assert_eq!(server.counts().sockets_refused, 200 - SOCKETS_DEFAULT as u64);
    server.wait("all are gone", |server| server.api.lookers.load(Ordering::Relaxed) == 0);
}

/// A client with this address of loopback.
fn client_from(address: Ipv4Addr, server: SocketAddr) -> Client {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.into(), 0)).unwrap();
        socket.connect(server).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let mut client = Client::of(stream);
    client.stream.flush().unwrap();
    client
}
