//! TLS: the certificate and its key, loaded at the start and again when their files change.
//!
//! Owns which certificate counts. Knows no request. Invariants: TLS 1.2 at least; a changed file that cannot be used changes nothing and is told once.

use super::ServerError;
use super::counts::{ServerCounters, count};
use super::settings::ServerTls;
use super::validity::not_after;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

const CERT: &str = "--web-tls-cert (web.tls.cert_path)";
const KEY: &str = "--web-tls-key (web.tls.key_path)";
/// What a client may speak behind TLS, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What is seen of a file: inode, bytes, and seconds and nanoseconds of its last change.
type FileStamp = (u64, u64, i64, i64);

/// The certificate that counts.
#[derive(Debug)]
pub(super) struct Certificate {
    files: ServerTls,
    current: RwLock<Arc<CertifiedKey>>,
    counters: Arc<ServerCounters>,
}

/// Looks after the files.
pub(super) struct CertificateWatch {
    certificate: Arc<Certificate>,
    /// What was loaded, or could not be.
    settled: [Option<FileStamp>; 2],
    /// What was seen last: files that are being written are left alone until they are quiet.
    seen: [Option<FileStamp>; 2],
}

impl Certificate {
    /// Loads it; with what a person should know of it.
    ///
    /// # Errors
    /// When a file cannot be read or used, or the two do not fit.
    pub(super) fn load(files: &ServerTls, counters: Arc<ServerCounters>) -> Result<(Arc<Self>, Option<String>), ServerError> {
        let (key, warning) = load(files)?;
        count(&counters.certificates_loaded);
        let certificate = Self { files: files.clone(), current: RwLock::new(Arc::new(key)), counters };
        Ok((Arc::new(certificate), warning))
    }

    /// Settings of TLS with this certificate, whichever it is when a client comes.
    ///
    /// # Errors
    /// None that is known: the provider has all that is asked for.
    pub(super) fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, ServerError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ServerError::System { what: "set up TLS", source: io::Error::other(error) })?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(Arc::new(config))
    }

    /// Somebody who looks after the files.
    pub(super) fn watch(self: &Arc<Self>) -> CertificateWatch {
        let stamps = stamps(&self.files);
        CertificateWatch { certificate: Arc::clone(self), settled: stamps, seen: stamps }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl CertificateWatch {
    /// Looks at the files; called now and then. What is to be told.
    pub(super) fn look(&mut self) -> Option<String> {
        let now = stamps(&self.certificate.files);
        let is_quiet = std::mem::replace(&mut self.seen, now) == now;
        if now == self.settled || !is_quiet {
            return None;
        }
        self.settled = now;
        let Certificate { files, current, counters } = self.certificate.as_ref();
        match load(files) {
            Ok((key, warning)) => {
                count(&counters.certificates_loaded);
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                let more = warning.map_or_else(String::new, |warning| format!("; {warning}"));
                Some(format!("the certificate {} was loaded again{more}", files.cert.display()))
            }
            Err(error) => {
                count(&counters.certificates_refused);
                let why = std::error::Error::source(&error).map_or_else(String::new, |why| format!(": {why}"));
                Some(format!("the certificate stays as it was: {error}{why}"))
            }
        }
    }
}

fn stamps(files: &ServerTls) -> [Option<FileStamp>; 2] {
    [&files.cert, &files.key].map(|path| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    })
}

/// Certificate and key, with what a person should know.
fn load(files: &ServerTls) -> Result<(CertifiedKey, Option<String>), ServerError> {
    let invalid = |name, path: &Path, what: String| ServerError::File { name, path: path.to_owned(), what };
    let read = |name, path: &Path| fs::read(path).map_err(|source| ServerError::Read { name, path: path.to_owned(), source });
    let text = read(CERT, &files.cert)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(CERT, &files.cert, format!("is no PEM file: {error}")))?;
    let Some(first) = chain.first() else {
        return Err(invalid(CERT, &files.cert, "there is no certificate in it (PEM, BEGIN CERTIFICATE)".to_owned()));
    };
    let end = not_after(first);
    let key = PrivateKeyDer::from_pem_slice(&read(KEY, &files.key)?).map_err(|_| {
        invalid(KEY, &files.key, "there is no private key in it (PEM, not encrypted, BEGIN PRIVATE KEY)".to_owned())
    })?;
    let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            invalid(KEY, &files.key, format!("is not the key of the certificate {} ({CERT})", files.cert.display()))
        }
        error => {
            invalid(KEY, &files.key, format!("cannot be used with the certificate {} ({CERT}): {error}", files.cert.display()))
        }
    })?;
    let warning = end
        .filter(|end| *end < Timestamp::now())
        .map(|end| format!("the certificate {} expired at {end}; clients will refuse it", files.cert.display()));
    Ok((key, warning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::path::PathBuf;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn settings(&self) -> ServerTls {
            ServerTls { cert: self.path("cert.pem"), key: self.path("key.pem") }
        }

        /// A certificate until the end of this year, and its key.
        fn write(&self, year: i32) {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 12, 31);
            let certificate = params.self_signed(&key).unwrap();
            fs::write(self.path("cert.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
            fs::write(self.path("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
        }

        fn error(&self) -> String {
            load(&self.settings()).map(|_| ()).unwrap_err().to_string()
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let files = Files::new();
        assert!(files.error().contains("cert.pem (--web-tls-cert"), "{}", files.error());
        files.write(2100);
        assert_eq!(load(&files.settings()).unwrap().1, None);
        let good_key = fs::read(files.path("key.pem")).unwrap();
        files.write(1999);
        assert!(load(&files.settings()).unwrap().1.is_some_and(|warning| warning.contains("expired at 1999-12-31")));
        fs::write(files.path("key.pem"), &good_key).unwrap();
        assert!(files.error().contains("is not the key of the certificate"), "{}", files.error());
        fs::write(files.path("key.pem"), "nothing").unwrap();
        assert!(files.error().contains("no private key in it"), "{}", files.error());
        fs::remove_file(files.path("key.pem")).unwrap();
        assert!(files.error().contains("key.pem (--web-tls-key"), "{}", files.error());
        fs::write(files.path("cert.pem"), &good_key).unwrap();
        assert!(files.error().contains("no certificate in it"), "{}", files.error());
    }

    #[test]
    fn a_changed_certificate_is_loaded_and_a_broken_one_is_not() {
        let files = Files::new();
        files.write(2100);
        let (certificate, _) = Certificate::load(&files.settings(), Arc::default()).unwrap();
        let mut watch = certificate.watch();
        let current = || Arc::clone(&certificate.current.read().unwrap());
        let first = current();
        assert_eq!(watch.look(), None);
        fs::write(files.path("cert.pem"), "half").unwrap();
        assert_eq!(watch.look(), None, "it may still be written");
        assert!(watch.look().is_some_and(|told| told.contains("stays as it was") && told.contains("cert.pem")));
        assert_eq!(watch.look(), None, "told once");
        assert!(Arc::ptr_eq(&first, &current()));
        files.write(1999);
        assert_eq!(watch.look(), None);
        let told = watch.look().unwrap();
        assert!(told.contains("loaded again") && told.contains("expired"), "{told}");
        assert!(!Arc::ptr_eq(&first, &current()));
        let counts = certificate.counters.counts();
        assert_eq!((counts.certificates_loaded, counts.certificates_refused), (2, 1));
    }
}
