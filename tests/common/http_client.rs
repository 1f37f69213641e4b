//! A client for tests of the web server: raw requests and answers, raw WebSocket frames.
//!
//! Owns as much of both protocols as tests need, so that they can break their rules. Knows no flag. Invariant: nothing waits for ever.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer of a test takes longer.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A connection.
pub struct Client<S = TcpStream> {
    pub stream: S,
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A WebSocket frame: opcode and payload.
pub type RawFrame = (u8, Vec<u8>);

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;

/// The code of a close frame.
pub fn close_code(frame: &RawFrame) -> Option<u16> {
    let (opcode, payload) = frame;
    let code = payload.get(..2)?.try_into().ok()?;
    (*opcode == CLOSE).then_some(u16::from_be_bytes(code))
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("the server listens"))
    }

    /// Over a connection that is there.
    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a time");
        stream.set_write_timeout(Some(WAIT_MAX)).expect("a time");
        Self::over(stream)
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("it is sent");
    }

    /// A request by its first line and headers; `Host: localhost` where there is none.
    pub fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += "Host: localhost\r\n";
        }
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend(body);
        self.send(bytes);
        self.answer(line.starts_with("HEAD")).expect("an answer")
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    /// The next answer.
    pub fn answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.read_more()?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let mut answer = Answer { status, headers: lines.filter_map(header).collect(), body: Vec::new() };
        if is_head || matches!(status, 101 | 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunks()?;
        } else {
            let length = answer.header("content-length").expect("a length").parse().expect("a number");
            answer.body = self.take(length)?;
        }
        Ok(answer)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let at = loop {
                match self.unread.windows(2).position(|window| window == b"\r\n") {
                    Some(at) => break at,
                    None => self.read_more()?,
                }
            };
            let length = usize::from_str_radix(&String::from_utf8_lossy(&self.unread[..at]), 16).expect("a length");
            self.unread.drain(..at + 2);
            let chunk = self.take(length + 2)?;
            if length == 0 {
                return Ok(body);
            }
            body.extend(&chunk[..length]);
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.read_more()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend(&buffer[..count]);
                Ok(())
            }
        }
    }

    /// True when the server closed the connection without another byte, or with a reset.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read_more().is_err_and(|error| !is_timeout(&error))
    }

    /// Opens a WebSocket; its answer.
    pub fn upgrade(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.extend(headers);
        self.ask(&format!("GET {path}"), &all, b"")
    }

    /// Sends a masked frame that is a message of its own.
    pub fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        let mut bytes = vec![0x80 | opcode];
        match u16::try_from(payload.len()) {
            Ok(length) if length < 126 => bytes.push(0x80 | length as u8),
            Ok(length) => {
                bytes.push(0x80 | 126);
                bytes.extend(length.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0x80 | 127);
                bytes.extend((payload.len() as u64).to_be_bytes());
            }
        }
        // A mask of zeros leaves the payload as it is.
        bytes.extend([0; 4]);
        bytes.extend(payload);
        // A server that closed does not read it.
        let _closed = self.stream.write_all(&bytes);
    }

    /// The next frame.
    pub fn frame(&mut self) -> io::Result<RawFrame> {
        let head = self.take(2)?;
        let length = match head[1] {
            126 => u16::from_be_bytes(self.take(2)?.try_into().expect("two bytes")).into(),
            127 => u64::from_be_bytes(self.take(8)?.try_into().expect("eight bytes")),
            length => u64::from(length),
        };
        Ok((head[0] & 0xf, self.take(length.try_into().expect("it fits"))?))
    }

    /// The next text message; pings are left out.
    pub fn message(&mut self) -> String {
        loop {
            match self.frame().expect("a frame") {
                (TEXT, payload) => return String::from_utf8(payload).expect("UTF-8"),
                (PING, _) => {}
                other => panic!("{other:?} instead of a text"),
            }
        }
    }

    /// The code by which the server closes, other frames left out; `None` without one.
    pub fn closing(&mut self) -> Option<u16> {
        loop {
            let frame = self.frame().ok()?;
            if frame.0 == CLOSE {
                return close_code(&frame);
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
