//! A certificate for localhost that signs itself, as PEM files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use std::fs;
use std::path::Path;

/// Writes `cert.pem` and `key.pem` into this directory; the certificate.
pub fn certificate(directory: &Path) -> CertificateDer<'static> {
    let pem = |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(directory.join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).expect("it is written");
    fs::write(directory.join("cert.pem"), pem("CERTIFICATE", certificate.der())).expect("it is written");
    certificate.der().clone()
}
