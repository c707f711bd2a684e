//! Every route, asked by everybody who may not. Made from the route table: a new route is asked too.

use lapi::route::{Access, ROUTES, Verb};
use store::BouncerChange;

use crate::sandbox::{Answer, Sandbox};

const KEY: &str = "X-Api-Key: good\r\n";

fn path(pattern: &str) -> String {
    pattern
        .replace("{alert_id}", "1")
        .replace("{decision_id}", "1")
        .replace("{ip_or_range}", "192.0.2.7")
        .replace("{allowlist_name}", "none")
}

fn check(answer: &Answer, verb: Verb, path: &str, status: u16, body: &str, who: &str) {
    assert_eq!(answer.status, status, "{who}: {} {path}: {}", verb.name(), answer.body);
    let body = if verb == Verb::Head { "" } else { body };
    assert_eq!(answer.body, body, "{who}: {} {path}", verb.name());
}

/// Asks all routes for machines with `head`, and wants the same refusal from each.
async fn machines_refused(sandbox: &Sandbox, who: &str, head: &str, message: &str) {
    let body = format!(r#"{{"code":401,"message":"{message}"}}"#);
    for route in ROUTES {
        use Access::{Machine, RecentMachine, TrustedMachine};
        if matches!(route.access, Machine | RecentMachine | TrustedMachine) {
            let path = path(route.path);
            let answer = sandbox.ask(route.verb.name(), &path, head, "").await;
            check(&answer, route.verb, &path, 401, &body, who);
            assert!(answer.head.contains("www-authenticate: jwt"), "{}", answer.head);
        }
    }
}

async fn bouncers_refused(sandbox: &Sandbox, who: &str, head: &str) {
    for route in ROUTES.iter().filter(|route| route.access == Access::Bouncer) {
        let path = path(route.path);
        let answer = sandbox.ask(route.verb.name(), &path, head, "").await;
        check(&answer, route.verb, &path, 403, r#"{"message":"access forbidden"}"#, who);
    }
}

#[tokio::test]
async fn who_shows_nothing_is_refused() {
    let sandbox = Sandbox::start().await;
    machines_refused(&sandbox, "nobody", "", "cookie token is empty").await;
    bouncers_refused(&sandbox, "nobody", "").await;
    bouncers_refused(&sandbox, "empty key", "X-Api-Key: \r\n").await;
    let answer = sandbox.ask("POST", "/v1/usage-metrics", "", "{}").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn who_shows_the_wrong_kind_is_refused() {
    let sandbox = Sandbox::start().await;
    sandbox.add_bouncer("b", "good").await;
    let token = sandbox.token().await;
    machines_refused(&sandbox, "a bouncer", KEY, "cookie token is empty").await;
    bouncers_refused(&sandbox, "a machine", &token).await;
    bouncers_refused(&sandbox, "a wrong key", "X-Api-Key: bad\r\n").await;
    machines_refused(&sandbox, "no scheme", "Authorization: xyz\r\n", "auth header is invalid")
        .await;
    let forged = "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJpZCI6Im0iLCJleHAiOjk5OTk5OTk5OTksIm9yaWdfaWF0Ijo5OTk5OTk5OTk5fQ.\r\n";
    machines_refused(&sandbox, "no signature", forged, "signature is invalid").await;
}

#[tokio::test]
async fn who_is_too_late_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    assert_eq!(sandbox.ask("GET", "/v1/heartbeat", &token, "").await.status, 200);
    sandbox.pass(3_601).await;
    machines_refused(&sandbox, "an old token", &token, "Token is expired").await;
}

#[tokio::test]
async fn who_is_gone_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    assert_eq!(sandbox.ask("HEAD", "/v1/decisions", KEY, "").await.status, 200);
    sandbox.service.store().delete_machines(vec!["m".to_owned()]).await.unwrap();
    sandbox.service.store().delete_bouncers(vec!["b".to_owned()]).await.unwrap();
    machines_refused(&sandbox, "a deleted machine", &token, "ent: machine not found").await;
    bouncers_refused(&sandbox, "a deleted bouncer", KEY).await;
    // A machine made anew under the name is another machine.
    sandbox.pass(10).await;
    sandbox.add_machine("m", "password").await;
    machines_refused(&sandbox, "a machine made anew", &token, "Token is expired").await;
}

#[tokio::test]
async fn who_is_not_admitted_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let change = store::MachineChange { validated: Some(false), ..Default::default() };
    sandbox.service.store().change_machine("m", change, sandbox.service.now()).await.unwrap();
    machines_refused(&sandbox, "not admitted", &token, "machine m not validated").await;
}

#[tokio::test]
async fn another_servers_token_is_refused() {
    let (one, other) = (Sandbox::start().await, Sandbox::start().await);
    let token = one.token().await;
    other.add_machine("m", "password").await;
    machines_refused(&other, "another server's machine", &token, "signature is invalid").await;
}

#[tokio::test]
async fn everybody_else_is_let_in() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    for route in ROUTES {
        // The feed has no end, and who unregisters is gone.
        if matches!(route.path, "/v1/decisions/feed" | "/v1/watchers/self") {
            continue;
        }
        let head = match route.access {
            Access::Open => "User-Agent: a/b\r\n",
            Access::Bouncer | Access::Either => KEY,
            Access::Machine | Access::RecentMachine | Access::TrustedMachine => &token,
        };
        let answer = sandbox.ask(route.verb.name(), &path(route.path), head, "").await;
        let (verb, path) = (route.verb.name(), route.path);
        // Logging in without a word is refused for another reason: the body cannot be read.
        assert!(!matches!(answer.status, 0 | 401 | 403 | 405), "{verb} {path}: {}", answer.body);
    }
    assert_eq!(sandbox.ask("DELETE", "/v1/watchers/self", &token, "").await.status, 204);
}

#[tokio::test]
async fn paths_and_verbs_that_are_none_have_no_body() {
    let sandbox = Sandbox::start().await;
    for (verb, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v2/alerts", 404),
        ("GET", "/v1/alerts/1/2", 404),
        ("PUT", "/v1/alerts", 405),
        ("HEAD", "/v1/heartbeat", 405),
        ("HEAD", "/health", 405),
        ("GET", "/v1/watchers/login", 405),
        ("GET", "/v1/usage-metrics", 405),
    ] {
        let answer = sandbox.ask(verb, path, "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{verb} {path}");
    }
}

#[tokio::test]
async fn only_trusted_addresses_delete_alerts() {
    let rules =
        lapi::Rules { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Default::default() };
    let sandbox = Sandbox::with(rules, |_| lapi::Listen {
        tcp: Some("127.0.0.1:0".into()),
        ..Default::default()
    })
    .await;
    let token = sandbox.token().await;
    let head = format!("{token}X-Forwarded-For: 198.51.100.9\r\n");
    let answer = sandbox.ask("DELETE", "/v1/alerts", &head, "").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body, r#"{"message":"access forbidden from this IP (198.51.100.9)"}"#);
    assert_eq!(sandbox.ask("DELETE", "/v1/alerts", &token, "").await.status, 200);
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down() {
    let sandbox = Sandbox::start().await;
    sandbox.add_machine("m", "password").await;
    let wrong = r#"{"machine_id":"nobody","password":"x"}"#;
    for _ in 0..10 {
        let answer = sandbox.ask("POST", "/v1/watchers/login", "User-Agent: a/b\r\n", wrong).await;
        assert_eq!(answer.body, r#"{"code":401,"message":"ent: machine not found"}"#);
    }
    let answer = sandbox.ask("POST", "/v1/watchers/login", "User-Agent: a/b\r\n", wrong).await;
    assert_eq!(answer.status, 429);
    sandbox.pass(60).await;
    for _ in 0..30 {
        sandbox.login("m", "password").await;
    }
}

#[tokio::test]
async fn a_revoked_key_ends_nowhere() {
    let sandbox = Sandbox::start().await;
    sandbox.add_bouncer("b", "good").await;
    let row = sandbox.service.store().bouncer("b").await.unwrap().unwrap();
    let change = BouncerChange { ip: Some("198.51.100.1".to_owned()), ..Default::default() };
    sandbox.service.store().change_bouncer(row.id, change, sandbox.service.now()).await.unwrap();
    let revoked = rusqlite_revoke(&sandbox);
    assert_eq!(revoked, 1);
    bouncers_refused(&sandbox, "a revoked key", KEY).await;
}

/// Tools revoke keys by SQL; there is no call for it.
fn rusqlite_revoke(sandbox: &Sandbox) -> usize {
    let path = sandbox.directory.path().join("test.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("UPDATE bouncers SET revoked = 1 WHERE name = 'b'", []).unwrap()
}
