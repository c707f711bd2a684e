//! Who must not be locked out: read from the kernel and from files, again and again.
//!
//! Nothing here fails: what cannot be read protects nobody, and is said in the log.
//!
//! A connection to the SSH port proves nothing, an attacker who tries passwords has one too. What
//! counts is one in the hands of a server process that has let its user in, or one from an address
//! that is in the list of logins.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

/// What protection goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// From where people are logged in by SSH.
    pub sessions: Vec<IpAddr>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Resolvers of names.
    pub resolvers: Vec<IpAddr>,
    /// This host's own addresses.
    pub own: Vec<IpAddr>,
    /// Where the local API is; told, not found out.
    pub api: Vec<IpAddr>,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/proc`
    pub proc: PathBuf,
    /// `/etc`
    pub etc: PathBuf,
    /// `/run`
    pub run: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { proc: "/proc".into(), etc: "/etc".into(), run: "/run".into() }
    }
}

/// Files are read up to here; none of them is honestly longer.
const LIMIT: u64 = 64 << 20;
/// More logins than this are not told apart.
const MAX_SESSIONS: usize = 1024;

/// Finds out. `ssh_connection` is the variable `SSH_CONNECTION` of whoever started us, if any.
#[must_use]
pub fn collect(places: &Places, ssh_connection: Option<&str>, api: &[IpAddr]) -> Facts {
    let mut sessions = sessions(places);
    // The client's address comes first.
    let client: Option<IpAddr> =
        ssh_connection.and_then(|text| text.split_whitespace().next()?.parse().ok());
    sessions.extend(client);
    Facts {
        sessions: sessions.into_iter().collect(),
        gateways: gateways(places),
        resolvers: resolvers(places),
        own: own(),
        api: api.to_vec(),
    }
}

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = match File::open(path) {
        Ok(file) => Some(file),
        Err(error) => {
            // A kernel without IPv6 has no files about it.
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "cannot tell whom to protect");
            }
            None
        }
    };
    let reader = file.map(|file| BufReader::new(file.take(LIMIT)));
    reader.into_iter().flat_map(|reader| reader.lines().map_while(Result::ok))
}

fn gateways(places: &Places) -> Vec<IpAddr> {
    const GATEWAY: u32 = 2;
    let mut found = BTreeSet::new();
    for line in lines(&places.proc.join("net/route")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| u32::from_str_radix(text, 16).ok());
        // Interface, destination, gateway, flags, …, mask, as numbers of this machine.
        if let (Some(0), Some(gateway), Some(flags), Some(0)) =
            (number(1), number(2), number(3), number(7))
            && flags & GATEWAY != 0
        {
            found.insert(IpAddr::from(gateway.to_ne_bytes()));
        }
    }
    for line in lines(&places.proc.join("net/ipv6_route")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number =
            |at: usize| fields.get(at).and_then(|text| u128::from_str_radix(text, 16).ok());
        // Destination, its length, source, its length, next hop.
        if let (Some(0), Some(0), Some(hop)) = (number(0), number(1), number(4))
            && hop != 0
        {
            found.insert(Ipv6Addr::from_bits(hop).into());
        }
    }
    found.into_iter().collect()
}

fn resolvers(places: &Places) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    for line in lines(&places.etc.join("resolv.conf")) {
        let mut words = line.split_whitespace();
        if words.next() == Some("nameserver")
            && let Some(address) = words.next()
        {
            let bare = address.split('%').next().unwrap_or(address);
            found.extend(bare.parse::<IpAddr>());
        }
    }
    found.into_iter().collect()
}

fn own() -> Vec<IpAddr> {
    let interfaces = match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "cannot tell this host's own addresses");
            return Vec::new();
        }
    };
    let mut found = BTreeSet::new();
    for address in interfaces.filter_map(|interface| interface.address) {
        found.extend(address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip())));
        found.extend(address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())));
    }
    found.into_iter().collect()
}

/// Where sshd listens, by its configuration.
fn ssh_ports(places: &Places) -> BTreeSet<u16> {
    let mut files = vec![places.etc.join("ssh/sshd_config")];
    let more = fs::read_dir(places.etc.join("ssh/sshd_config.d")).into_iter().flatten();
    files.extend(more.filter_map(|entry| Some(entry.ok()?.path())).take(1000));
    let mut ports = BTreeSet::new();
    for line in files.iter().flat_map(|path| lines(path)) {
        let mut words =
            line.split(|c: char| c.is_whitespace() || c == '=').filter(|w| !w.is_empty());
        match words.next().map(str::to_ascii_lowercase).as_deref() {
            Some("port") => ports.extend(words.next().and_then(|port| port.parse::<u16>().ok())),
            Some("listenaddress") => {
                let port = words.next().and_then(|address| address.rsplit_once(':'));
                // The last part of a bare IPv6 address is no port; taking it for one does no harm.
                ports.extend(port.and_then(|(_, port)| port.parse::<u16>().ok()));
            }
            _ => {}
        }
    }
    ports.insert(22);
    ports
}

/// Peers of established connections to sshd, by the number of our end's socket.
fn connections(places: &Places, ports: &BTreeSet<u16>) -> HashMap<u64, IpAddr> {
    const ESTABLISHED: &str = "01";
    let mut found = HashMap::new();
    for name in ["net/tcp", "net/tcp6"] {
        for line in lines(&places.proc.join(name)) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, peer, state, _, _, _, _, _, inode, ..] = fields[..] else { continue };
            let Some((_, port)) = local.rsplit_once(':') else { continue };
            let is_ours = u16::from_str_radix(port, 16).is_ok_and(|port| ports.contains(&port));
            if state == ESTABLISHED
                && is_ours
                && let Some(peer) = hexadecimal(peer)
                && let Ok(inode) = inode.parse()
                && found.len() < MAX_SESSIONS * 16
            {
                found.insert(inode, peer);
            }
        }
    }
    found
}

/// An address as `/proc/net/tcp` writes it: groups of four bytes, each a number of this machine.
fn hexadecimal(text: &str) -> Option<IpAddr> {
    let (address, _) = text.split_once(':')?;
    if !address.is_ascii() {
        return None;
    }
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        let group = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&group.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

fn sessions(places: &Places) -> BTreeSet<IpAddr> {
    let connections = connections(places, &ssh_ports(places));
    if connections.is_empty() {
        return BTreeSet::new();
    }
    let peers: BTreeSet<IpAddr> = connections.values().copied().collect();
    let mut found: BTreeSet<IpAddr> =
        logins(places).into_iter().filter(|address| peers.contains(address)).collect();
    let processes = fs::read_dir(&places.proc).into_iter().flatten().filter_map(Result::ok);
    for process in processes {
        let name = process.file_name();
        if !name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
            continue;
        }
        let path = process.path();
        let mut title = Vec::new();
        let read = File::open(path.join("cmdline"));
        let read = read.and_then(|file| file.take(4096).read_to_end(&mut title));
        if read.is_err() || !is_logged_in(&title) {
            continue;
        }
        // Without the right to look at other users' processes the list of logins must do.
        for handle in fs::read_dir(path.join("fd")).into_iter().flatten().filter_map(Result::ok) {
            let target = fs::read_link(handle.path()).unwrap_or_default();
            let inode = target.to_str().and_then(|text| {
                text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
            });
            found.extend(inode.and_then(|inode| connections.get(&inode)));
        }
        if found.len() >= MAX_SESSIONS {
            break;
        }
    }
    found
}

/// Whether this is the title of an SSH server process whose user is in: `sshd: name@pts/0`. Before
/// that it ends with what the process is about: `sshd: name [net]`.
fn is_logged_in(title: &[u8]) -> bool {
    let title = String::from_utf8_lossy(title);
    let title = title.trim_end_matches(['\0', ' ']);
    let rest = title.strip_prefix("sshd: ").or_else(|| title.strip_prefix("sshd-session: "));
    rest.is_some_and(|rest| rest.contains('@') && !rest.ends_with(']'))
}

/// The addresses in the list of logins (`utmp`): records of 384 bytes.
fn logins(places: &Places) -> BTreeSet<IpAddr> {
    const RECORD: usize = 384;
    const USER: i16 = 7;
    const ADDRESS: usize = 348;
    let mut bytes = Vec::new();
    let file = File::open(places.run.join("utmp"));
    if file.and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)).is_err() {
        return BTreeSet::new();
    }
    let mut found = BTreeSet::new();
    for record in bytes.chunks_exact(RECORD).take(100_000) {
        if i16::from_ne_bytes([record[0], record[1]]) != USER {
            continue;
        }
        let Ok(address) = <[u8; 16]>::try_from(&record[ADDRESS..ADDRESS + 16]) else { continue };
        // An IPv4 address takes the first four bytes.
        let address = if address[4..].iter().all(|byte| *byte == 0) {
            IpAddr::from([address[0], address[1], address[2], address[3]])
        } else {
            IpAddr::from(address).to_canonical()
        };
        if !address.is_unspecified() {
            found.insert(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, os::unix::fs::symlink};

    fn places(root: &Path) -> Places {
        Places { proc: root.join("proc"), etc: root.join("etc"), run: root.join("run") }
    }

    fn write(root: &Path, path: &str, text: impl AsRef<[u8]>) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let ne = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        write(
            root,
            "proc/net/route",
            format!(
                "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
                 eth0\t00000000\t{}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                 eth0\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\n",
                ne([192, 0, 2, 1]),
                ne([192, 0, 2, 0]),
                ne([255, 255, 255, 0]),
            ),
        );
        write(
            root,
            "proc/net/ipv6_route",
            format!(
                "{0:032x} 00 {0:032x} 00 fe800000000000000000000000000001 00000400 1 0 3 eth0\n\
                 20010db8{0:024x} 20 {0:032x} 00 {0:032x} 00000100 1 0 1 eth0\n",
                0
            ),
        );
        write(
            root,
            "etc/resolv.conf",
            "# by hand\nnameserver 9.9.9.9\nnameserver fe80::53%eth0\nsearch x\n",
        );
        let facts = collect(&places(root), Some("198.51.100.3 51234 192.0.2.8 22"), &[]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(facts.gateways, [ip("192.0.2.1"), ip("fe80::1")]);
        assert_eq!(facts.resolvers, [ip("9.9.9.9"), ip("fe80::53")]);
        assert_eq!(facts.sessions, [ip("198.51.100.3")]);
        assert!(facts.own.contains(&ip("127.0.0.1")), "{:?}", facts.own);
    }

    #[test]
    fn who_is_logged_in_is_protected_and_who_tries_is_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "etc/ssh/sshd_config", "Port 2222\n#Port 1\nListenAddress [::]:2200\n");
        let ne = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let line = |peer: [u8; 4], port: u16, state: &str, inode: u32| {
            format!("   0: 0100007F:{port:04X} {}:C001 {state} 0:0 0:0 0 0 0 {inode} 1\n", ne(peer))
        };
        let v6 = format!("0000000000000000{}{}", ne([0, 0, 255, 255]), ne([198, 51, 100, 5]));
        write(
            root,
            "proc/net/tcp",
            [
                "  sl local rem st tx rx tr tm when uid timeout inode\n".to_owned(),
                line([198, 51, 100, 1], 22, "01", 101),
                line([198, 51, 100, 2], 2222, "01", 102),
                line([198, 51, 100, 3], 22, "01", 103),
                line([198, 51, 100, 4], 80, "01", 104),
                line([198, 51, 100, 6], 22, "06", 106),
            ]
            .concat(),
        );
        write(
            root,
            "proc/net/tcp6",
            format!(" 0: {0:032X}:0016 {v6}:C001 01 0:0 0:0 0 0 0 105 1\n", 0),
        );
        for (pid, title, inode) in [
            (11, "sshd: root@pts/0\0\0\0", 101),
            (12, "sshd: unknown [net]\0\0", 102),
            (13, "sshd: x@pts/1 [priv]\0", 103),
            (14, "sshd: joe@notty\0", 104),
        ] {
            write(root, &format!("proc/{pid}/cmdline"), title);
            fs::create_dir_all(root.join(format!("proc/{pid}/fd"))).unwrap();
            symlink(format!("socket:[{inode}]"), root.join(format!("proc/{pid}/fd/3"))).unwrap();
        }
        // In the list of logins: one with a connection, by IPv6 as far as the kernel cares; one
        // whose connection is gone.
        let mut utmp = Vec::new();
        for address in [[198, 51, 100, 5], [198, 51, 100, 7]] {
            let mut record = vec![0; 384];
            record[..2].copy_from_slice(&7i16.to_ne_bytes());
            record[348..352].copy_from_slice(&address);
            utmp.extend(record);
        }
        write(root, "run/utmp", utmp);
        let found = collect(&places(root), None, &[]).sessions;
        let want = [IpAddr::from([198, 51, 100, 1]), IpAddr::from([198, 51, 100, 5])];
        assert_eq!(found, want);
    }

    /// The kernel's own files about a real connection.
    #[test]
    fn finds_a_real_connection() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (_accepted, peer) = server.accept().unwrap();
        assert_eq!(client.local_addr().unwrap(), peer);
        let found = connections(&Places::default(), &BTreeSet::from([port]));
        assert!(found.values().any(|address| address.is_loopback()), "{found:?}");
        // The kernel's own tables can be read, whatever is in them.
        drop(collect(&Places::default(), None, &[]));
    }
}
