//! Who is at the other end of a connection, and from where a request comes.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::http::HeaderMap;
use ipnet::IpNet;
use tokio::sync::watch;

use crate::tls::PeerCertificate;

/// What is known of a connection.
#[derive(Clone)]
pub(crate) struct Connection {
    /// The address of the other end; loopback for unix sockets.
    pub(crate) address: IpAddr,
    /// The certificate shown at the handshake.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// Turns true when the server stops: answers without an end must end.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What is known of the sender of one request.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Where it comes from, behind trusted proxies.
    pub(crate) ip: IpAddr,
    /// Whether it runs on this host.
    pub(crate) is_local: bool,
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Default for Peer {
    fn default() -> Self {
        let (_, stopping) = watch::channel(false);
        Self { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), is_local: false, certificate: None, stopping }
    }
}

impl Connection {
    /// The sender of a request with these headers.
    pub(crate) fn peer(&self, headers: &HeaderMap, proxies: &[IpNet]) -> Peer {
        let ip = client_ip(self.address, headers, proxies);
        Peer {
            ip,
            // A remote proxy cannot make anybody local: the connection must be local as well.
            is_local: ip.is_loopback() && self.address.is_loopback(),
            certificate: self.certificate.clone(),
            stopping: self.stopping.clone(),
        }
    }
}

/// The last address that is not a trusted proxy, read from the nearest to the farthest.
fn client_ip(address: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |ip: &IpAddr| proxies.iter().any(|net| net.contains(ip));
    let mut client = address.to_canonical();
    let hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    // Collected because a list of header values is only read forwards.
    let hops: Vec<&str> = hops.collect();
    for hop in hops.iter().rev() {
        if !trusted(&client) {
            break;
        }
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        client = ip.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, forwarded: &[&'static str], proxies: &[&str], want: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", axum::http::HeaderValue::from_static(value));
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(client_ip(address.parse().unwrap(), &headers, &proxies).to_string(), want);
    }

    #[test]
    fn forwarded_addresses_count_behind_trusted_proxies_only() {
        check("10.0.0.1", &["192.0.2.7"], &[], "10.0.0.1");
        check("10.0.0.1", &["192.0.2.7"], &["10.0.0.0/8"], "192.0.2.7");
        check("10.0.0.1", &["198.51.100.1, 192.0.2.7, 10.0.0.2"], &["10.0.0.0/8"], "192.0.2.7");
        check("10.0.0.1", &["198.51.100.1", "192.0.2.7"], &["10.0.0.0/8"], "192.0.2.7");
        check("10.0.0.1", &["192.0.2.7, junk"], &["10.0.0.0/8"], "10.0.0.1");
        check("::ffff:10.0.0.1", &["192.0.2.7"], &["0.0.0.0/0"], "192.0.2.7");
    }
}
