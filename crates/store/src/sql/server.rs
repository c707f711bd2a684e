//! Which PostgreSQL server, and how to be let in.

use std::{fmt, path::PathBuf};

/// A database on a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Where the server listens.
    pub address: ServerAddress,
    /// The role to be; empty for that of the system's user.
    pub user: String,
    /// Its password; empty where none is needed. Never printed.
    pub password: String,
    /// The database; empty for the one named like the role.
    pub database: String,
    /// What the connection must be safe from.
    pub ssl_mode: SslMode,
    /// Who signs the server's certificate; `None` means whoever the system trusts.
    pub ca_cert: Option<PathBuf>,
    /// What is shown where the server asks for a certificate.
    pub client_cert: Option<ClientCertificate>,
    /// At most so many connections: one that writes, and at least one that reads.
    pub max_connections: usize,
}

/// Where a PostgreSQL server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// On the network.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// On a socket of this host.
    Socket {
        /// The directory it is in.
        directory: PathBuf,
        /// The port it is named after.
        port: u16,
    },
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, with those between it and the root.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How a connection over the network is kept safe (`sslmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Not at all.
    Disable,
    /// From listeners, where the server can do that.
    #[default]
    Prefer,
    /// From listeners; with a `ca_cert` the same as `VerifyCa`.
    Require,
    /// The server's certificate must be signed by somebody who is trusted.
    VerifyCa,
    /// And must name the host.
    VerifyFull,
}

impl SslMode {
    /// The mode of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "disable" => Self::Disable,
            // The other order of trying, with the same outcome or a safer one.
            "prefer" | "allow" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            ServerAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "postgresql://[{host}]:{port}/{}", self.database)
            }
            ServerAddress::Tcp { host, port } => {
                write!(f, "postgresql://{host}:{port}/{}", self.database)
            }
            ServerAddress::Socket { directory, port } => {
                let directory = directory.display();
                write!(f, "postgresql:///{}?host={directory}&port={port}", self.database)
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} as '{}', {:?}", self.user, self.ssl_mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let mut server = Server {
            address: ServerAddress::Tcp { host: "::1".to_owned(), port: 5432 },
            user: "guard".to_owned(),
            password: "hunter2".to_owned(),
            database: "wall".to_owned(),
            ssl_mode: SslMode::Prefer,
            ca_cert: None,
            client_cert: None,
            max_connections: 100,
        };
        assert_eq!(server.to_string(), "postgresql://[::1]:5432/wall");
        assert!(!format!("{server:?}").contains("hunter2"));
        server.address = ServerAddress::Socket { directory: "/run/postgresql".into(), port: 5432 };
        assert_eq!(server.to_string(), "postgresql:///wall?host=/run/postgresql&port=5432");
    }
}
