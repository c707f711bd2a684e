//! Versions of HTTP, with and without TLS, and the unix socket.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lapi::{ClientVerification, Listen, Rules, Tls};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

use crate::sandbox::{Sandbox, alert};

/// Speaks the second version at once, as those do who know that the server does.
async fn second_version<S>(socket: S) -> SendRequest<Body>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    // Ends with the sender.
    tokio::spawn(connection);
    sender
}

async fn ask(
    sender: &mut SendRequest<Body>,
    verb: &str,
    path: &str,
    head: (&str, &str),
    body: String,
) -> (u16, String) {
    let request = Request::builder()
        .method(verb)
        .uri(format!("http://t{path}"))
        .header(head.0, head.1)
        .header("user-agent", "t/1")
        .body(Body::from(body))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.version(), axum::http::Version::HTTP_2);
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The same conversation over any connection.
async fn converse(sandbox: &Sandbox, mut sender: SendRequest<Body>) {
    let key = ("x-api-key", "good");
    let live = "/v1/decisions?ip=192.0.2.7";
    assert_eq!(ask(&mut sender, "GET", live, key, String::new()).await, (200, "null".to_owned()));
    assert_eq!(ask(&mut sender, "GET", live, ("x-api-key", "bad"), String::new()).await.0, 403);
    let token = sandbox.token().await;
    let token = token.trim().strip_prefix("Authorization: ").unwrap();
    let posted = format!("[{}]", alert("192.0.2.7"));
    let answer = ask(&mut sender, "POST", "/v1/alerts", ("authorization", token), posted).await;
    assert_eq!(answer, (201, r#"["1"]"#.to_owned()));
    // Several at a time on one connection.
    let asked = (0..20).map(|_| {
        let mut sender = sender.clone();
        async move {
            ask(&mut sender, "GET", "/v1/decisions/stream?startup=true", key, String::new()).await
        }
    });
    for (status, body) in futures_util::future::join_all(asked).await {
        assert_eq!(status, 200);
        assert!(body.contains("192.0.2.7"), "{body}");
    }
}

#[tokio::test]
async fn the_second_version_in_clear_text() {
    let sandbox = Sandbox::start().await;
    sandbox.add_bouncer("b", "good").await;
    let socket = TcpStream::connect(sandbox.address).await.unwrap();
    converse(&sandbox, second_version(socket).await).await;
}

/// A server with TLS and a unix socket, and the certificate it shows.
async fn with_tls() -> (Sandbox, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let sandbox = Sandbox::with(Rules::default(), |directory| {
        let (cert_file, key_file) = (directory.join("cert.pem"), directory.join("key.pem"));
        std::fs::write(&cert_file, made.cert.pem()).unwrap();
        std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
        Listen {
            tcp: Some("127.0.0.1:0".to_owned()),
            unix: Some(directory.join("api.sock")),
            tls: Some(Tls {
                cert_file,
                key_file,
                ca_cert_path: None,
                client_verification: ClientVerification::VerifyIfGiven,
                crl_path: None,
            }),
        }
    })
    .await;
    sandbox.add_bouncer("b", "good").await;
    (sandbox, certificate)
}

#[tokio::test]
async fn the_second_version_over_tls() {
    let (sandbox, certificate) = with_tls().await;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(sandbox.address).await.unwrap();
    let socket = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = second_version(socket).await;
    let key = ("x-api-key", "good");
    let answer = ask(&mut sender, "GET", "/v1/decisions", key, String::new()).await;
    assert_eq!(answer, (200, "null".to_owned()));
    assert_eq!(ask(&mut sender, "GET", "/v1/alerts", key, String::new()).await.0, 401);
}

#[tokio::test]
async fn the_socket_is_clear_text_and_opens_no_door_by_itself() {
    let (sandbox, _) = with_tls().await;
    let path = sandbox.directory.path().join("api.sock");
    let ask = async |head: &str, line: &str| {
        let mut socket = UnixStream::connect(&path).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{head}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        text
    };
    for (head, line, status) in [
        ("", "GET /v1/decisions", "403"),
        ("X-Api-Key: bad\r\n", "GET /v1/decisions", "403"),
        ("X-Api-Key: good\r\n", "GET /v1/decisions", "200"),
        ("", "GET /v1/alerts", "401"),
        ("", "DELETE /v1/alerts", "401"),
        ("X-Api-Key: good\r\n", "DELETE /v1/alerts", "401"),
        (
            "X-Forwarded-For: 198.51.100.1\r\nX-Api-Key: good\r\n",
            "GET /v1/decisions?ip=192.0.2.1",
            "200",
        ),
    ] {
        let answer = ask(head, line).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}{line}: {answer}");
    }
    // Whoever comes over the socket comes from this host, whatever it says of itself.
    let row = sandbox.service.store().bouncer("b").await.unwrap().unwrap();
    assert_eq!(row.ip, "127.0.0.1");
}
