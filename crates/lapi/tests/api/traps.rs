//! What bouncers and agents in use rely on. The numbers are those of our checklist of traps.

use std::io::Write as _;

use crate::sandbox::{Sandbox, alert, alert_with};

const KEY: &str = "X-Api-Key: good\r\n";
const STREAM: &str = "/v1/decisions/stream";

async fn with_bouncer() -> (Sandbox, String) {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    (sandbox, token)
}

/// The values of a stream's answer: those to add, those to remove.
async fn stream(sandbox: &Sandbox, query: &str, head: &str) -> (Vec<String>, Vec<String>) {
    let answer = sandbox.ask("GET", &format!("{STREAM}{query}"), head, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let delta: api::DecisionDelta = serde_json::from_str(&answer.body).unwrap();
    let values = |list: Vec<api::Decision>| {
        let mut values: Vec<String> = list.into_iter().filter_map(|one| one.value).collect();
        values.sort();
        values
    };
    (values(delta.new), values(delta.deleted))
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn trap_01_nothing_is_null_with_its_length() {
    let (sandbox, _) = with_bouncer().await;
    let answer = sandbox.ask("GET", "/v1/decisions?ip=192.0.2.7", KEY, "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "null"));
    assert!(answer.head.contains("content-length: 4"), "{}", answer.head);
}

#[tokio::test]
async fn trap_02_bad_keys_are_403() {
    let (sandbox, _) = with_bouncer().await;
    for (verb, path) in [("GET", STREAM), ("HEAD", STREAM), ("POST", "/v1/usage-metrics")] {
        for head in ["", "X-Api-Key: bad\r\n"] {
            assert_eq!(sandbox.ask(verb, path, head, "{}").await.status, 403, "{verb} {head}");
        }
    }
}

#[tokio::test]
async fn trap_03_head_changes_nothing() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    for path in ["/v1/decisions", STREAM] {
        let answer = sandbox.ask("HEAD", path, KEY, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    let rows = sandbox.service.store().bouncers().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].last_pull, rows[0].cursor, rows[0].ip.as_str()), (None, None, ""));
}

#[tokio::test]
async fn trap_04_the_stream_always_has_both_lists() {
    let (sandbox, _) = with_bouncer().await;
    for query in ["", "?startup=true", "?startup=false"] {
        let head = format!("{KEY}Accept-Encoding: gzip\r\n");
        let answer = sandbox.ask("GET", &format!("{STREAM}{query}"), &head, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"new": [], "deleted": []}"#));
        assert!(!answer.head.contains("content-encoding"), "{}", answer.head);
    }
}

#[tokio::test]
async fn trap_05_no_lifetime_is_zero() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "1300ms").await;
    sandbox.pass(1).await;
    for path in ["/v1/decisions?ip=192.0.2.7", "/v1/decisions/stream?startup=true"] {
        let answer = sandbox.ask("GET", path, KEY, "").await;
        assert!(answer.body.contains(r#""duration":"1s""#), "{}", answer.body);
    }
}

#[tokio::test]
async fn trap_06_what_is_still_covered_is_not_deleted() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "10s").await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    assert_eq!(stream(&sandbox, "", KEY).await, (strings(&["192.0.2.7"]), vec![]));
    sandbox.pass(30).await;
    assert_eq!(stream(&sandbox, "", KEY).await, (vec![], vec![]));
}

#[tokio::test]
async fn trap_07_what_ends_is_told_as_it_began() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    sandbox.decide(&token, "Range", "198.51.100.0/24", "captcha", "60s").await;
    let told = |body: &str, list: &str| -> Vec<api::Decision> {
        let delta: serde_json::Value = serde_json::from_str(body).unwrap();
        let mut told: Vec<api::Decision> = serde_json::from_value(delta[list].clone()).unwrap();
        told.sort_by_key(|one| one.id);
        for one in &mut told {
            assert!(one.uuid.is_some() && one.id.is_some());
            // All that may differ.
            one.duration = None;
        }
        told
    };
    let began = told(&sandbox.ask("GET", STREAM, KEY, "").await.body, "new");
    assert_eq!(began.len(), 2);
    sandbox.ask("DELETE", "/v1/decisions?ip=192.0.2.7", &token, "").await;
    sandbox.pass(120).await;
    let ended = told(&sandbox.ask("GET", STREAM, KEY, "").await.body, "deleted");
    assert_eq!(began, ended);
}

#[tokio::test]
async fn trap_08_scopes_and_types_have_one_spelling() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "iP", "192.0.2.7", "BAN", "4h").await;
    sandbox.decide(&token, "COUNTRY", "FR", "Captcha", "4h").await;
    let answer = sandbox.ask("GET", "/v1/decisions", KEY, "").await;
    for part in [r#""scope":"Ip","type":"ban""#, r#""scope":"Country","type":"captcha""#] {
        assert!(answer.body.contains(part), "{}", answer.body);
    }
}

#[tokio::test]
async fn trap_09_startup_repeats_itself() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    let first = stream(&sandbox, "?startup=true", KEY).await;
    assert_eq!(first, stream(&sandbox, "?startup=true", KEY).await);
    assert_eq!(first.0, ["192.0.2.7"]);
    assert_eq!(stream(&sandbox, "", KEY).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn trap_11_unknown_words_are_ignored() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "2001:db8::7", "ban", "4h").await;
    for path in [
        "/v1/decisions/stream?startup=true&additional_pull=false&community_pull=false",
        "/v1/decisions?",
        "//v1/decisions?ip=2001:db8::7",
        "/v1/decisions?ip=2001%3Adb8%3A%3A7&what=ever",
        "/v1/decisions?ip=2001:DB8:0:0::7",
    ] {
        let answer = sandbox.ask("GET", path, KEY, "").await;
        assert!(answer.body.contains("2001:db8::7"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn trap_12_reports_come_in_many_forms() {
    let (sandbox, token) = with_bouncer().await;
    let bouncer = r#"{"remediation_components":[{"version":"v1","utc_startup_timestamp":1.5,"type":"t","metrics":[{"meta":{"window_size_seconds":0,"utc_now_timestamp":1},"items":[]}]}],"log_processors":null}"#;
    let machine = r#"{"log_processors":[{"version":"v1","utc_startup_timestamp":1,"datasources":{"file":1},"hub_items":{},"os":{"name":"debian","version":"12"}}]}"#;
    let plain = sandbox.ask("POST", "/v1/usage-metrics", KEY, bouncer).await;
    assert_eq!((plain.status, plain.body.as_str()), (201, ""));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bouncer.as_bytes()).unwrap();
    let head = format!("{KEY}Content-Encoding: gzip\r\n");
    let answer =
        sandbox.ask_bytes("POST", "/v1/usage-metrics", &head, &packed.finish().unwrap()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(sandbox.ask("POST", "/v1/usage-metrics", &token, machine).await.status, 201);
    for (head, body, status, message) in [
        (KEY, machine, 400, "Missing remediation component data"),
        (token.as_str(), bouncer, 400, "Missing log processor data"),
        (
            KEY,
            r#"{"remediation_components":[{"version":"1","utc_startup_timestamp":1},{"version":"1","utc_startup_timestamp":1}]}"#,
            400,
            "Payload has more than one remediation component",
        ),
        (
            KEY,
            r#"{"remediation_components":[{"version":"1"}]}"#,
            422,
            r"validation failure list:\nremediation_components.0.utc_startup_timestamp in body is required",
        ),
        (
            KEY,
            r#"{"remediation_components":[{"version":"1","utc_startup_timestamp":"x"}]}"#,
            400,
            "json: cannot unmarshal string into Go struct field AllMetrics.remediation_components.utc_startup_timestamp of type int64",
        ),
        ("User-Agent: crowdsec/1\r\n", machine, 401, "cookie token is empty"),
    ] {
        let answer = sandbox.ask("POST", "/v1/usage-metrics", head, body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(&format!(r#""message":"{message}""#)), "{}", answer.body);
    }
    let reports = sandbox.service.store().metrics(store::MetricsFilter::All).await.unwrap();
    assert_eq!(reports.len(), 3);
    assert_eq!(
        reports[0].payload,
        r#"{"metrics":[{"items":[],"meta":{"utc_now_timestamp":1,"window_size_seconds":0}}],"type":"t"}"#
    );
    let row = sandbox.service.store().machine("m").await.unwrap().unwrap();
    assert_eq!(row.datasources.as_deref(), Some(r#"{"file":1}"#));
}

#[tokio::test]
async fn trap_13_any_user_agent_will_do_for_bouncers() {
    let (sandbox, _) = with_bouncer().await;
    for (agent, kind, version) in [
        ("Apache/2.4.62 (Debian)", "Apache", "2.4.62 (Debian)"),
        ("Apache/2.4 mod/1", "Apache/2.4 mod/1", "N/A"),
        ("x", "x", "N/A"),
    ] {
        let head = format!("{KEY}User-Agent: {agent}\r\n");
        assert_eq!(sandbox.ask("GET", "/v1/decisions?ip=192.0.2.1", &head, "").await.status, 200);
        let row = sandbox.service.store().bouncer("b").await.unwrap().unwrap();
        assert_eq!((row.kind.as_str(), row.version.as_str()), (kind, version));
    }
}

#[tokio::test]
async fn trap_15_a_longer_ban_is_told_and_the_shorter_ends_in_silence() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "60s").await;
    assert_eq!(stream(&sandbox, "", KEY).await.0, ["192.0.2.7"]);
    sandbox.pass(5).await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    assert_eq!(stream(&sandbox, "", KEY).await, (strings(&["192.0.2.7"]), vec![]));
    sandbox.pass(120).await;
    assert_eq!(stream(&sandbox, "", KEY).await, (vec![], vec![]));
}

#[tokio::test]
async fn trap_16_what_was_never_seen_can_be_taken_back() {
    let (sandbox, token) = with_bouncer().await;
    stream(&sandbox, "?startup=true", KEY).await;
    sandbox.pass(1).await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    sandbox.ask("DELETE", "/v1/decisions?ip=192.0.2.7", &token, "").await;
    sandbox.pass(1).await;
    assert_eq!(stream(&sandbox, "", KEY).await, (vec![], strings(&["192.0.2.7"])));
}

#[tokio::test]
async fn trap_17_networks_have_one_spelling() {
    let (sandbox, token) = with_bouncer().await;
    sandbox.decide(&token, "Range", "4.4.4.2/24", "ban", "4h").await;
    for (query, found) in [
        ("ip=4.4.4.3", true),
        ("range=4.4.4.2/28", true),
        ("range=4.4.0.0/16&contains=false", true),
        ("range=4.4.0.0/16", false),
        ("ip=4.4.5.1", false),
    ] {
        let answer = sandbox.ask("GET", &format!("/v1/decisions?{query}"), KEY, "").await;
        assert_eq!(
            answer.body.contains(r#""scope":"Range","type":"ban","value":"4.4.4.0/24""#),
            found,
            "{query}"
        );
    }
}

#[tokio::test]
async fn trap_20_lifetimes_are_told_by_the_clock_of_the_answer() {
    let (sandbox, token) = with_bouncer().await;
    // What the sender's clock says does not matter: this alert claims to be of another year.
    let body =
        alert_with("Ip", "192.0.2.7", "ban", "4h").replace("2026-01-02T03:04", "2031-05-06T07:08");
    assert_eq!(sandbox.post_alerts(&token, &format!("[{body}]")).await.status, 201);
    let lifetime = async |path: &str| {
        let answer = sandbox.ask("GET", path, KEY, "").await;
        let (_, rest) = answer.body.split_once(r#""duration":""#).unwrap();
        api::duration::parse(rest.split_once('"').unwrap().0).unwrap() / 1_000_000_000
    };
    let startup = "/v1/decisions/stream?startup=true";
    for path in ["/v1/decisions?ip=192.0.2.7", startup] {
        let before = lifetime(path).await;
        sandbox.pass(600).await;
        assert_eq!(lifetime(path).await, before - 600, "{path}");
    }
    // A clock that is set back makes lifetimes longer, never negative, and nothing is told twice.
    assert_eq!(stream(&sandbox, "", KEY).await, (vec![], vec![]));
    let before = lifetime(startup).await;
    sandbox.pass(-300).await;
    assert_eq!(lifetime(startup).await, before + 300);
    assert_eq!(stream(&sandbox, "", KEY).await, (vec![], vec![]));
}

#[tokio::test]
async fn trap_22_hosts_that_share_a_key_have_places_of_their_own() {
    let rules = lapi::Rules {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..Default::default()
    };
    let sandbox = Sandbox::with(rules, |_| lapi::Listen {
        tcp: Some("127.0.0.1:0".into()),
        ..Default::default()
    })
    .await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("fw", "good").await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    for host in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        let head = format!("{KEY}X-Forwarded-For: {host}\r\n");
        assert_eq!(stream(&sandbox, "", &head).await.0, ["192.0.2.7"], "{host}");
        assert_eq!(stream(&sandbox, "", &head).await.0, Vec::<String>::new(), "{host}");
    }
    let names: Vec<String> =
        sandbox.service.store().bouncers().await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["fw", "fw@10.0.0.2", "fw@10.0.0.3"]);
}

#[tokio::test]
async fn trap_10_who_hangs_up_is_told_again() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (sandbox, token) = with_bouncer().await;
    // More than the buffers between the two ends take, or the server would not notice.
    let decisions: Vec<String> = (0..40_000)
        .map(|n| format!(r#"{{"duration":"4h","origin":"cscli","scenario":"{}","scope":"Ip","type":"ban","value":"10.{}.{}.{}"}}"#, "s".repeat(200), n >> 16, (n >> 8) & 255, n & 255))
        .collect();
    let body = alert("192.0.2.7").replacen(
        r#""events":"#,
        &format!(r#""decisions":[{}],"events":"#, decisions.join(",")),
        1,
    );
    assert_eq!(sandbox.post_alerts(&token, &format!("[{body}]")).await.status, 201);
    let mut socket = tokio::net::TcpStream::connect(sandbox.address).await.unwrap();
    socket
        .write_all(format!("GET {STREAM} HTTP/1.1\r\nHost: t\r\n{KEY}\r\n").as_bytes())
        .await
        .unwrap();
    let mut some = [0u8; 4096];
    socket.read_exact(&mut some).await.unwrap();
    drop(socket);
    let row = sandbox.service.store().bouncer("b").await.unwrap().unwrap();
    assert_eq!(row.cursor, None);
    assert_eq!(stream(&sandbox, "", KEY).await.0.len(), 40_000);
}

#[tokio::test]
async fn an_alert_sent_twice_is_stored_once() {
    let (sandbox, token) = with_bouncer().await;
    let uuid = r#"{"uuid":"00112233-4455-4677-8899-aabbccddeeff","#;
    let twice = format!("[{}]", alert("192.0.2.7").replacen('{', uuid, 1));
    for _ in 0..2 {
        assert_eq!(sandbox.post_alerts(&token, &twice).await.body, r#"["1"]"#);
    }
    sandbox.add_machine("other", "password").await;
    let other = sandbox.login("other", "password").await;
    assert_eq!(sandbox.post_alerts(&other, &twice).await.body, r#"["2"]"#, "another machine's");
}

#[tokio::test]
async fn our_client_and_a_unix_socket() {
    use api::client::{Client, Credentials, Settings};
    let sandbox = Sandbox::with(lapi::Rules::default(), |directory| lapi::Listen {
        unix: Some(directory.join("api.sock")),
        ..Default::default()
    })
    .await;
    let path = sandbox.directory.path().join("api.sock").display().to_string();
    let credentials = Credentials::Password { machine: "m".to_owned(), password: "p".to_owned() };
    let client = Client::new(Settings::new(&path, credentials, "crowdsec/v1.7.3")).unwrap();
    assert_eq!(client.register(None).await.unwrap(), api::client::Registered::Waiting);
    let refused = client.heartbeat().await.unwrap_err();
    assert_eq!((refused.status(), refused.retry()), (Some(401), api::client::Retry::Later));
    let change = store::MachineChange { validated: Some(true), ..Default::default() };
    sandbox.service.store().change_machine("m", change, sandbox.service.now()).await.unwrap();
    client.heartbeat().await.unwrap();
    // Long enough to be packed.
    let alerts: Vec<api::Alert> =
        (1..40).map(|n| serde_json::from_str(&alert(&format!("192.0.2.{n}"))).unwrap()).collect();
    assert_eq!(client.post_alerts(&alerts).await.unwrap().len(), 39);
    assert_eq!(client.alerts(&[("ip", "192.0.2.9")]).await.unwrap().len(), 1);
    assert_eq!(client.alerts(&[("ip", "198.51.100.1")]).await.unwrap(), []);
    // The token ends; the client does not mind.
    sandbox.pass(4_000).await;
    assert_eq!(
        client.delete_decisions(&[("range", "192.0.2.0/24"), ("contains", "false")]).await.unwrap(),
        39
    );
    assert_eq!(client.delete_alerts(&[]).await.unwrap(), 39);
    client.unregister().await.unwrap();
    assert_eq!(client.heartbeat().await.unwrap_err().status(), Some(401));
    sandbox.add_bouncer("b", "good").await;
    let bouncer =
        Client::new(Settings::new(&path, Credentials::ApiKey("good".to_owned()), "x/1")).unwrap();
    assert_eq!(bouncer.decisions(&[]).await.unwrap(), []);
    sandbox.stop().await;
    assert!(!std::path::Path::new(&path).exists());
}

#[tokio::test]
async fn trap_14_blocklists_keep_their_names() {
    let (sandbox, token) = with_bouncer().await;
    let list = r#""decisions":[{"duration":"4h","origin":"lists","scenario":"firehol","scope":"Ip","type":"ban","value":"192.0.2.9"}],"events":"#;
    let body = alert("192.0.2.9").replacen(r#""events":"#, list, 1);
    assert_eq!(sandbox.post_alerts(&token, &format!("[{body}]")).await.status, 201);
    let answer =
        sandbox.ask("GET", "/v1/decisions/stream?startup=true&origins=lists", KEY, "").await;
    assert!(answer.body.contains(r#""origin":"lists","scenario":"firehol""#), "{}", answer.body);
    let other = sandbox.ask("GET", "/v1/decisions/stream?startup=true&origins=CAPI", KEY, "").await;
    assert_eq!(other.body, r#"{"new": [], "deleted": []}"#);
}

#[tokio::test]
async fn trap_25_old_and_patient_clients_are_served() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (sandbox, _) = with_bouncer().await;
    let mut socket = tokio::net::TcpStream::connect(sandbox.address).await.unwrap();
    let request = format!("GET /v1/decisions?ip=192.0.2.1 HTTP/1.1\r\nHost: t\r\n{KEY}\r\n");
    for _ in 0..3 {
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.ends_with("\r\n\r\nnull") {
            let mut bytes = [0u8; 1024];
            let n = socket.read(&mut bytes).await.unwrap();
            assert_ne!(n, 0, "the connection was not kept: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    }
    let mut socket = tokio::net::TcpStream::connect(sandbox.address).await.unwrap();
    let old = format!("GET /v1/decisions/stream HTTP/1.0\r\n{KEY}\r\n");
    socket.write_all(old.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    // No pieces for those who cannot put them together.
    assert!(text.ends_with("\r\n\r\n{\"new\": [], \"deleted\": []}"), "{text}");
}
