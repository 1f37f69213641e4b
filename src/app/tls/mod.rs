//! TLS and DTLS as far as they are in the clear: hellos, alerts, certificates, fingerprints.
//!
//! Owns what a passive reader can know without keys.

mod alert;
mod behind;
mod certificate;
mod certificate_list;
mod client_hello;
mod dtls;
mod extension;
mod handshake;
mod ja3;
mod ja4;
mod record;
mod server_hello;
mod sslv2;
#[cfg(test)]
pub(crate) mod tests;
mod version;

pub use alert::TlsAlert;
pub use behind::{BEHIND_MAX, client_hello_behind, server_hello_behind};
pub use certificate::{CERTIFICATE_MAX, CERTIFICATE_NAME_MAX, CERTIFICATE_NAMES_MAX, CertificateFacts};
pub use certificate_list::CertificateList;
pub use client_hello::{ClientHello, HelloCarrier, SERVER_NAME_MAX};
pub use dtls::{DTLS_HELLO_MAX, DtlsHandshake, are_dtls_records};
pub use extension::{Extensions, NameList, is_grease};
pub use handshake::{CERTIFICATE, CLIENT_HELLO, HandshakeMessage, HandshakeMessages, SERVER_HELLO};
pub use ja3::{ja3, ja3s, write_ja3, write_ja3s};
pub use ja4::{JA4_LEN, Ja4};
pub use record::{FLIGHT_MAX, Flight, FlightEnd};
pub use server_hello::{ServerFlight, ServerHello};
pub use sslv2::Sslv2Hello;
pub use version::tls_version_name;
