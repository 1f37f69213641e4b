//! TLS for receivers: rustls with ring, the system's authorities or those of a file, names of servers always checked.
//!
//! Owns which certificates count. Invariant: nothing turns the check of a certificate or of its name off.

use crate::output::OutputError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Certificates for a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Authorities in PEM; `None` = those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its chain in PEM, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What goes wrong with PEM files.
fn invalid(path: &Path, what: impl ToString) -> OutputError {
    OutputError::new("use", path, io::Error::new(io::ErrorKind::InvalidData, what.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OutputError> {
    let text = fs::read(path).map_err(|source| OutputError::new("read", path, source))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(|error| invalid(path, error))?;
    if found.is_empty() { Err(invalid(path, "there is no certificate in it")) } else { Ok(found) }
}

impl TlsSettings {
    /// The authorities that count.
    ///
    /// # Errors
    /// When a file cannot be read or has none, or the system has none.
    pub(super) fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, OutputError> {
        if let Some(path) = &self.ca_file {
            return certificates(path);
        }
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
            return Err(invalid(Path::new("of the system's certificate authorities"), why));
        }
        Ok(found.certs)
    }

    /// A client with these certificates.
    ///
    /// # Errors
    /// As [`TlsSettings::authorities`], and when a certificate and its key do not fit.
    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>, OutputError> {
        let mut roots = RootCertStore::empty();
        // Systems have some that nobody can read any more.
        let (added, _) = roots.add_parsable_certificates(self.authorities()?);
        if added == 0 {
            return Err(invalid(self.ca_file.as_deref().unwrap_or(Path::new("")), "no certificate in it is one of an authority"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(Path::new(""), error))?
            .with_root_certificates(roots);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key_path)) => {
                let text = fs::read(key_path).map_err(|source| OutputError::new("read", key_path, source))?;
                let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| invalid(key_path, error))?;
                builder.with_client_auth_cert(certificates(chain)?, key).map_err(|error| invalid(chain, error))?
            }
        };
        Ok(Arc::new(config))
    }
}
