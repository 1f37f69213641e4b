//! First messages of application protocols, as short as readers of them take.
//!
//! Owns their bytes: DNS (RFC 1035), the hellos of TLS 1.3 (RFC 8446), HTTP/1.1, SSH (RFC 4253), PostgreSQL's startup. Knows no packet.

use std::net::Ipv4Addr;

/// Lengths of what is written here are below 2^16.
fn be16(len: usize) -> [u8; 2] {
    (len as u16).to_be_bytes()
}

fn dns(id: u16, flags: u16, name: &[u8], answer: Option<Ipv4Addr>) -> Vec<u8> {
    let mut message = Vec::new();
    for field in [id, flags, 1, answer.is_some().into(), 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.split(|&byte| byte == b'.') {
        message.push(label.len() as u8);
        message.extend(label);
    }
    message.extend([0, 0, 1, 0, 1]);
    if let Some(address) = answer {
        // The name as a pointer to the question, type A, class IN, five minutes, four bytes.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
        message.extend(address.octets());
    }
    message
}

/// Asks for the address of a name.
pub fn dns_query(id: u16, name: impl AsRef<[u8]>) -> Vec<u8> {
    dns(id, 0x0100, name.as_ref(), None)
}

/// Tells it; without an address, that there is no such name.
pub fn dns_answer(id: u16, name: impl AsRef<[u8]>, address: Option<Ipv4Addr>) -> Vec<u8> {
    dns(id, if address.is_some() { 0x8180 } else { 0x8183 }, name.as_ref(), address)
}

/// A handshake message of this kind in a record of its own.
fn tls_record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 1];
    record.extend(be16(body.len() + 4));
    record.extend([kind, 0]);
    record.extend(be16(body.len()));
    record.extend(body);
    record
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &be16(body.len()), body].concat()
}

/// TLS 1.3 for a server of this name; `alpn` is what is offered of protocols above.
pub fn client_hello(name: impl AsRef<[u8]>, alpn: &[&str]) -> Vec<u8> {
    let name = name.as_ref();
    let server_name = [&be16(name.len() + 3)[..], &[0], &be16(name.len()), name].concat();
    let mut extensions = extension(0, &server_name);
    if !alpn.is_empty() {
        let names: Vec<u8> = alpn.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).collect();
        extensions.extend(extension(16, &[&be16(names.len())[..], &names].concat()));
    }
    extensions.extend(extension(43, &[2, 3, 4]));
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    // No session, three ciphers, no compression.
    body.extend([0, 0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0]);
    body.extend(be16(extensions.len()));
    body.extend(extensions);
    tls_record(1, &body)
}

/// The answer.
pub fn server_hello() -> Vec<u8> {
    let extensions = extension(43, &[3, 4]);
    let mut body = vec![3, 3];
    body.extend([0xa5; 32]);
    body.extend([0, 0x13, 1, 0]);
    body.extend(be16(extensions.len()));
    body.extend(extensions);
    tls_record(2, &body)
}

/// A request.
pub fn http_get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n").into_bytes()
}

/// An answer.
pub fn http_ok() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 6000\r\n\r\n".to_vec()
}

/// The first message of a PostgreSQL client.
pub fn postgresql_startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    for text in ["user", user, "database", database, "application_name", "billing"] {
        body.extend(text.bytes());
        body.push(0);
    }
    body.push(0);
    let mut message = ((body.len() + 4) as u32).to_be_bytes().to_vec();
    message.extend(body);
    message
}
