//! How the server is to run.
//!
//! Owns no default and no check: the configuration has them.

use super::secret::Secret;
use crate::dashboard::Role;
use crate::detect::IpPrefix;
use std::net::IpAddr;
use std::path::PathBuf;

/// Address, TLS, auth and names of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where it listens.
    pub bind: IpAddr,
    /// The port; 0 = one that is free.
    pub port: u16,
    /// In front of every path, such as `/netscope`; empty without one. Begins with `/`, does not end with it.
    pub prefix: String,
    /// Names by which clients may ask for it, besides `localhost` and addresses; lower case.
    pub hosts: Vec<String>,
    /// Proxies that say by `X-Forwarded-For` or `Forwarded` for whom they ask; of anybody else these headers are not looked at.
    pub trusted_proxies: Vec<IpPrefix>,
    /// WebSocket clients at once.
    pub clients_max: usize,
    /// Certificate and key; `None` = HTTP without TLS.
    pub tls: Option<ServerTls>,
    /// Who may come; `None` = everybody.
    pub auth: Option<ServerAuth>,
}

/// Certificate and key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate and its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Who may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAuth {
    /// A person, by HTTP Basic.
    pub user: Option<(String, SecretSource)>,
    /// Programs, by bearer tokens.
    pub tokens: Vec<TokenSettings>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration file.
    Text(Secret),
    /// The first line of this file.
    File(PathBuf),
}

impl SecretSource {
    /// The file, where it is in one.
    pub const fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Text(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// What it is called in what is told.
    pub name: String,
    /// The token.
    pub token: SecretSource,
    /// What it may do.
    pub role: Role,
}
