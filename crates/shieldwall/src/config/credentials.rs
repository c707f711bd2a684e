//! `local_api_credentials.yaml`: where a local API is, and who this host is to it.
//!
//! COMPAT(crowdsec): messages are those that scripts look for.

use super::raw::Desk;
use crate::{hub::installed::with_suffix, terminal};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

const KEYS: &[&str] = &["url", "login", "password", "ca_cert_path", "key_path", "cert_path"];

/// A text that is not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whom it is meant.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where a local API is, and who this host is to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// `http://127.0.0.1:8080/`, or the path of a unix socket.
    pub(crate) url: String,
    pub(crate) proof: Proof,
    /// Who may have signed the server's certificate, besides those the system knows.
    pub(crate) ca_cert: Option<PathBuf>,
}

/// What shows who this host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Password { login: String, password: Secret },
    Certificate { cert: PathBuf, key: PathBuf },
}

impl Credentials {
    /// Reads a file, amended by `.local`. Mistakes in it are printed.
    ///
    /// # Errors
    /// When it cannot be read, or does not tell what it must.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let named =
            || format!("loading api client: while reading yaml file: open {}", path.display());
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("{}: no such file or directory", named())
            }
            other => other.with_context(named)?,
        };
        let mut desk = Desk::default();
        let mut tree = desk.read(path)?.into_iter().next();
        let local = with_suffix(path, ".local");
        if local.is_file()
            && let Some(over) = desk.read(&local)?.into_iter().next()
        {
            tree = Some(match tree {
                Some(tree) => desk.merge(tree, over),
                None => over,
            });
        }
        let missing = || {
            format!("no credentials or URL found in api client configuration '{}'", path.display())
        };
        let tree = tree.with_context(missing)?;
        desk.check_keys(&tree, KEYS);
        let mut text = |key: &str| desk.text(&tree, key).map(str::to_owned);
        let (url, login, password) = (text("url"), text("login"), text("password"));
        let [cert, key, ca_cert] =
            ["cert_path", "key_path", "ca_cert_path"].map(|key| text(key).map(PathBuf::from));
        terminal::diagnostics(&desk.diagnostics, &desk.sources);
        ensure!(!desk.diagnostics.has_errors(), "{} has mistakes, shown above", path.display());
        let url = address(url.with_context(missing)?);
        let is_socket = url.starts_with('/');
        ensure!(
            !(is_socket && (cert.is_some() || key.is_some())),
            "cannot use TLS with a unix socket"
        );
        let proof = match (login, password, cert, key) {
            (None, None, Some(cert), Some(key)) => Proof::Certificate { cert, key },
            (Some(login), Some(password), None, None) => {
                Proof::Password { login, password: Secret(password) }
            }
            (Some(_), _, Some(_), _) | (Some(_), _, _, Some(_)) | (_, Some(_), Some(_), _) => {
                bail!("user/password authentication and TLS authentication are mutually exclusive")
            }
            _ => bail!(missing()),
        };
        Ok(Self { url, proof, ca_cert })
    }

    /// Writes a file that only its owner can read, at once or not at all.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let doing = || format!("writing api credentials to '{}'", path.display());
        let fresh = with_suffix(path, ".new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .with_context(doing)?;
        file.write_all(self.yaml().as_bytes()).with_context(doing)?;
        file.sync_all().with_context(doing)?;
        fs::rename(&fresh, path).with_context(doing)
    }

    /// The text of such a file.
    pub(crate) fn yaml(&self) -> String {
        let mut text = format!("url: {}\n", scalar(&self.url));
        match &self.proof {
            Proof::Password { login, password } => {
                text += &format!("login: {}\npassword: {}\n", scalar(login), scalar(&password.0));
            }
            Proof::Certificate { cert, key } => {
                let [cert, key] = [cert, key].map(|path| scalar(&path.to_string_lossy()));
                text += &format!("cert_path: {cert}\nkey_path: {key}\n");
            }
        }
        text
    }

    /// What the machine calls itself, where it has a say in that.
    pub(crate) fn login(&self) -> Option<&str> {
        match &self.proof {
            Proof::Password { login, .. } => Some(login),
            Proof::Certificate { .. } => None,
        }
    }
}

/// A URL with the slash at its end that paths are put behind; sockets stay as they are.
pub(crate) fn address(url: String) -> String {
    if url.starts_with('/') || url.ends_with('/') { url } else { url + "/" }
}

/// A YAML scalar: plain where nothing in it could be misread, else in double quotes.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    // A letter first, and a colon never before a blank or the end: no number, no mapping.
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null"
    );
    if starts_well && !is_word && !text.ends_with(':') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credentials> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        fs::write(&path, text).unwrap();
        Credentials::read(&path)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        for password in
            ["abc", "P@ss: \"x\" #y\\", "$NOT_DEFINED_1", "1234", "yes", "-x", "a\u{7}b"]
        {
            let credentials = Credentials {
                url: "http://127.0.0.1:8080/".into(),
                proof: Proof::Password { login: "m-1".into(), password: Secret::new(password) },
                ca_cert: None,
            };
            credentials.write(&path).unwrap();
            assert_eq!(Credentials::read(&path).unwrap(), credentials);
        }
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_local_file_amends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        fs::write(&path, "url: http://a\nlogin: b\npassword: c\n").unwrap();
        fs::write(with_suffix(&path, ".local"), "url: https://d:1\n").unwrap();
        assert_eq!(Credentials::read(&path).unwrap().url, "https://d:1/");
    }

    #[test]
    fn what_is_missing_or_too_much_is_said() {
        let check = |text: &str, expect: &str| {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(expect), "{error}");
        };
        check("", "no credentials or URL found in api client configuration '");
        check("url: http://x\n", "no credentials or URL found");
        check("login: a\npassword: b\n", "no credentials or URL found");
        check("url: /run/x.sock\ncert_path: a\nkey_path: b\n", "cannot use TLS with a unix socket");
        check(
            "url: https://x\nlogin: a\npassword: b\ncert_path: a\nkey_path: b\n",
            "mutually exclusive",
        );
        check("url: http://x\nlogin: a\npasword: b\n", "has mistakes");
        let error = Credentials::read(Path::new("/nowhere/c.yaml")).unwrap_err().to_string();
        assert_eq!(
            error,
            "loading api client: while reading yaml file: open /nowhere/c.yaml: no such file or \
             directory"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = read("url: http://x\nlogin: a\npassword: hunter2\n").unwrap();
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
