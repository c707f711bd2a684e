//! A server of its own for each test, with a clock the test turns.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use lapi::{Decide, Decided, History, Listen, Rules, Server, Service};
use model::{Alert, NewDecision, Timestamp};
use store::{Index, NewBouncer, NewMachine, Settings, Store};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// 2026-01-02T03:04:05Z
pub(crate) const START: i64 = 1_767_323_045;

pub(crate) struct Sandbox {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    pub(crate) directory: TempDir,
    clock: Arc<AtomicI64>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

/// An answer, as bytes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Bans every source for four hours.
pub(crate) struct BanAll;

impl Decide for BanAll {
    fn decide(&self, alert: &Alert, _: &dyn History, _: Timestamp) -> Result<Decided, String> {
        let decision = NewDecision {
            uuid: None,
            origin: "crowdsec".to_owned(),
            scenario: alert.scenario.clone(),
            remediation: "ban".to_owned(),
            scope: alert.source.scope.clone(),
            value: alert.source.value.clone(),
            duration: Duration::from_secs(4 * 3600),
            simulated: alert.simulated,
        };
        Ok(Decided {
            decisions: vec![decision],
            matched: vec![0],
            profile: Some("test".to_owned()),
        })
    }
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::with(Rules::default(), |_| Listen {
            tcp: Some("127.0.0.1:0".to_owned()),
            ..Listen::default()
        })
        .await
    }

    pub(crate) async fn with(
        rules: Rules,
        listen: impl FnOnce(&std::path::Path) -> Listen,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(START * 1_000_000_000));
        let hand = Arc::clone(&clock);
        let now = Arc::new(move || Timestamp::from_unix_nanos(hand.load(Ordering::Relaxed)));
        let settings = Settings { path: directory.path().join("test.db"), index: Index::Kept };
        let store = Store::open(&settings, now()).unwrap();
        let service = Service::new(store, rules, Arc::new(BanAll), now).unwrap();
        let server = Server::bind(service.clone(), &listen(directory.path())).await.unwrap();
        let address = server.tcp_addr().unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            drop(stopped.await);
        }));
        Self { service, address, directory, clock, stop: Some(stop), running: Some(running) }
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.running.take().unwrap().await.unwrap();
    }

    pub(crate) async fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
        self.service.store().tick(self.service.now()).await.unwrap();
    }

    pub(crate) async fn add_machine(&self, name: &str, password: &str) {
        let machine = NewMachine {
            name: name.to_owned(),
            password: lapi::password::hash(password).unwrap(),
            validated: true,
            ..NewMachine::default()
        };
        self.service.store().add_machine(machine, self.service.now()).await.unwrap();
    }

    pub(crate) async fn add_bouncer(&self, name: &str, key: &str) {
        let bouncer = NewBouncer {
            name: name.to_owned(),
            key_hash: lapi::key::hash(key),
            ..NewBouncer::default()
        };
        self.service.store().add_bouncer(bouncer, self.service.now()).await.unwrap();
    }

    /// Adds machine `m` and logs it in.
    pub(crate) async fn token(&self) -> String {
        self.add_machine("m", "password").await;
        self.login("m", "password").await
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> String {
        let body = format!(r#"{{"machine_id":"{name}","password":"{password}","scenarios":[]}}"#);
        let answer =
            self.ask("POST", "/v1/watchers/login", "User-Agent: crowdsec/v1.7.3\r\n", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap())
    }

    /// One request on a connection of its own; `head` are header lines.
    pub(crate) async fn ask(&self, verb: &str, path: &str, head: &str, body: &str) -> Answer {
        self.ask_bytes(verb, path, head, body.as_bytes()).await
    }

    pub(crate) async fn ask_bytes(
        &self,
        verb: &str,
        path: &str,
        head: &str,
        body: &[u8],
    ) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let request =
            format!("{verb} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{head}{length}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        // A refusal may come, and the connection go, before the body was taken.
        drop(socket.write_all(body).await);
        let mut bytes = Vec::new();
        drop(socket.read_to_end(&mut bytes).await);
        parse(&bytes)
    }

    pub(crate) async fn post_alerts(&self, token: &str, alerts: &str) -> Answer {
        self.ask("POST", "/v1/alerts", token, alerts).await
    }

    /// Has machine `m` post one decision of a person.
    pub(crate) async fn decide(
        &self,
        token: &str,
        scope: &str,
        value: &str,
        remediation: &str,
        duration: &str,
    ) {
        let answer = self
            .post_alerts(token, &format!("[{}]", alert_with(scope, value, remediation, duration)))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Answer { status, head: head.to_ascii_lowercase(), body }
}

fn unchunk(mut text: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return out;
        }
        out.push_str(&rest[..size]);
        text = &rest[size + 2..];
    }
    out.push_str("<broken off>");
    out
}

/// An alert about 192.0.2.7 without decisions.
pub(crate) fn alert(value: &str) -> String {
    alert_about("Ip", value, "")
}

pub(crate) fn alert_with(scope: &str, value: &str, remediation: &str, duration: &str) -> String {
    let decision = format!(
        r#""decisions":[{{"duration":"{duration}","origin":"cscli","scenario":"by hand","scope":"{scope}","type":"{remediation}","value":"{value}"}}],"#
    );
    alert_about(scope, value, &decision)
}

fn alert_about(scope: &str, value: &str, decisions: &str) -> String {
    format!(
        r#"{{"capacity":5,{decisions}"events":[{{"timestamp":"2026-01-02T03:04:00Z","meta":[{{"key":"k","value":"<v>"}}]}}],"events_count":6,"leakspeed":"10s","message":"m","remediation":true,"scenario":"demo/bf","scenario_hash":"","scenario_version":"","simulated":false,"source":{{"scope":"{scope}","value":"{value}","ip":"{value}"}},"start_at":"2026-01-02T03:04:00Z","stop_at":"2026-01-02T03:04:05Z"}}"#
    )
}
