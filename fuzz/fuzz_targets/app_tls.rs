//! The bytes of one side of TLS and a datagram of DTLS: no panic, and `More` asks for more than there is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::app::Parsed;
use netscope::app::tls::{CertificateFacts, ClientHello, DtlsHandshake, Ja4, ServerFlight, Sslv2Hello, ja3, ja3s};

fn checked<T>(answer: Parsed<T>, len: usize) -> Option<T> {
    if let Parsed::More { need } = answer {
        assert!(need > len);
    }
    answer.done()
}

fuzz_target!(|data: &[u8]| {
    let mut joined = Vec::new();
    if let Some(hello) = checked(ClientHello::read_stream(data, &mut joined), data.len()) {
        ja3(&hello);
        assert!(Ja4::of(&hello).as_bytes().is_ascii());
    }
    if let Some(flight) = checked(ServerFlight::read_stream(data, &mut joined), data.len()) {
        flight.hello.iter().for_each(|hello| drop(ja3s(hello).to_string()));
        flight.certificates.first().and_then(CertificateFacts::read);
    }
    checked(Sslv2Hello::read_stream(data), data.len());
    CertificateFacts::read(data);
    let mut handshake = DtlsHandshake::default();
    let (first, second) = data.split_at(data.len() / 2);
    for datagram in [data, first, second] {
        let _ = handshake.push(datagram);
    }
    handshake.client_hello().map(|hello| Ja4::of(&hello));
    handshake.server_hello();
});
