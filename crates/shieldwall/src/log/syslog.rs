//! The host's syslog: one datagram for each line.

use std::{
    io::{self, Write},
    os::unix::net::UnixDatagram,
    path::Path,
};

/// Where syslog listens.
const PLACE: &str = "/dev/log";

/// Facility `daemon`, severity `informational`; the line itself tells its level.
const PRIORITY: &str = "<30>";

/// A socket that syslog listens on.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    tag: String,
}

impl Syslog {
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(PLACE))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A syslog that does not read must not stop us: what does not fit is lost.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, tag: format!("crowdsec[{}]: ", std::process::id()) })
    }
}

impl Write for &Syslog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut message = format!("{PRIORITY}{}", self.tag).into_bytes();
        message.extend_from_slice(line.trim_ascii_end());
        // Nobody can be told that a log line is lost.
        let _lost = self.socket.send(&message);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_datagram() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::at(&path).unwrap();
        (&syslog).write_all(b"INFO hello\n").unwrap();
        let mut message = [0; 100];
        let n = receiver.recv(&mut message).unwrap();
        let expect = format!("<30>crowdsec[{}]: INFO hello", std::process::id());
        assert_eq!(String::from_utf8_lossy(&message[..n]), expect);
        assert!(Syslog::at(&dir.path().join("nobody")).is_err());
    }
}
