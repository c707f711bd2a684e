//! Every route, asked by everybody who may not. Made from the route table: a new route is asked too.

use lapi::route::{Access, ROUTES, Verb};
use store::BouncerChange;

use crate::sandbox::Sandbox;

const KEY: &str = "X-Api-Key: good\r\n";

/// A path to ask for. A parameter that is not named here fails the tests: say what to ask for.
fn path(pattern: &str) -> String {
    let path = pattern
        .replace("{alert_id}", "1")
        .replace("{decision_id}", "1")
        .replace("{ip_or_range}", "192.0.2.7")
        .replace("{allowlist_name}", "none");
    assert!(!path.contains('{'), "{pattern} has a parameter no test knows");
    path
}

/// What somebody hears who shows something that opens no door.
enum Refused<'a> {
    /// A machine's token, or nothing at all: why it is none.
    Token(&'a str),
    /// A key or a certificate of a bouncer.
    Key,
}

/// Asks every route of the table with `head`, and wants the refusal it owes. Answers how many.
async fn refused(sandbox: &Sandbox, who: &str, head: &str, shown: Refused<'_>) -> usize {
    let forbidden = (403, r#"{"message":"access forbidden"}"#.to_owned());
    let unauthorized = |why: &str| (401, format!(r#"{{"code":401,"message":"{why}"}}"#));
    let mut n_asked = 0;
    for route in ROUTES {
        // No arm for the rest: whoever adds a kind of access says here what it refuses.
        let (status, body) = match (route.access, &shown) {
            (Access::Open, _) => continue,
            (
                Access::Machine | Access::RecentMachine | Access::TrustedMachine,
                Refused::Token(why),
            ) => unauthorized(why),
            (Access::Machine | Access::RecentMachine | Access::TrustedMachine, Refused::Key) => {
                unauthorized("cookie token is empty")
            }
            (Access::Bouncer, _) | (Access::Either, Refused::Key) => forbidden.clone(),
            // Who shows a token is asked for a good one, who shows nothing for a key.
            (Access::Either, Refused::Token(_)) if head.is_empty() => forbidden.clone(),
            (Access::Either, Refused::Token(why)) => unauthorized(why),
        };
        let (verb, path) = (route.verb.name(), path(route.path));
        let answer = sandbox.ask(verb, &path, head, "").await;
        assert_eq!(answer.status, status, "{who}: {verb} {path}: {}", answer.body);
        let body = if route.verb == Verb::Head { String::new() } else { body };
        assert_eq!(answer.body, body, "{who}: {verb} {path}");
        let asks_for_token = answer.head.contains("www-authenticate: jwt");
        assert_eq!(asks_for_token, status == 401, "{who}: {verb} {path}: {}", answer.head);
        n_asked += 1;
    }
    n_asked
}

/// Every route is asked, or stands here with its reason.
#[tokio::test]
async fn no_route_is_forgotten() {
    let open: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.access == Access::Open)
        .map(|route| route.path)
        .collect();
    assert_eq!(
        open,
        [
            // Says that the server is up.
            "/health",
            // Makes a machine that an administrator must admit.
            "/v1/watchers",
            // Asks for the password itself.
            "/v1/watchers/login",
        ]
    );
    let sandbox = Sandbox::start().await;
    let n_asked = refused(&sandbox, "nobody", "", Refused::Token("cookie token is empty")).await;
    assert_eq!(n_asked + open.len(), ROUTES.len());
}

#[tokio::test]
async fn who_shows_nothing_is_refused() {
    let sandbox = Sandbox::start().await;
    refused(&sandbox, "nobody", "", Refused::Token("cookie token is empty")).await;
    refused(&sandbox, "an empty key", "X-Api-Key: \r\n", Refused::Key).await;
    let empty = "Authorization: Bearer \r\n";
    refused(&sandbox, "an empty token", empty, Refused::Token("auth header is invalid")).await;
}

#[tokio::test]
async fn who_shows_the_wrong_kind_is_refused() {
    let sandbox = Sandbox::start().await;
    sandbox.add_bouncer("b", "good").await;
    let token = sandbox.token().await;
    for route in ROUTES {
        use Access::{Bouncer, Either, Machine, Open, RecentMachine, TrustedMachine};
        let (head, status) = match route.access {
            Machine | RecentMachine | TrustedMachine => (KEY, 401),
            Bouncer => (token.as_str(), 403),
            Either | Open => continue,
        };
        let answer = sandbox.ask(route.verb.name(), &path(route.path), head, "").await;
        assert_eq!(answer.status, status, "{} {}", route.verb.name(), route.path);
    }
    refused(&sandbox, "a wrong key", "X-Api-Key: bad\r\n", Refused::Key).await;
    let hash = format!("X-Api-Key: {}\r\n", lapi::key::hash("good"));
    refused(&sandbox, "the hash of a key", &hash, Refused::Key).await;
    let invalid = Refused::Token("auth header is invalid");
    refused(&sandbox, "no scheme", "Authorization: xyz\r\n", invalid).await;
    let forged = "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJpZCI6Im0iLCJleHAiOjk5OTk5OTk5OTksIm9yaWdfaWF0Ijo5OTk5OTk5OTk5fQ.\r\n";
    refused(&sandbox, "no signature", forged, Refused::Token("signature is invalid")).await;
    let key_as_token = "Authorization: Bearer good\r\n";
    refused(&sandbox, "a key as token", key_as_token, Refused::Token("signature is invalid")).await;
}

#[tokio::test]
async fn who_is_too_late_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    assert_eq!(sandbox.ask("GET", "/v1/heartbeat", &token, "").await.status, 200);
    sandbox.pass(3_601).await;
    refused(&sandbox, "an old token", &token, Refused::Token("Token is expired")).await;
}

#[tokio::test]
async fn who_is_gone_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    assert_eq!(sandbox.ask("HEAD", "/v1/decisions", KEY, "").await.status, 200);
    sandbox.service.store().delete_machines(vec!["m".to_owned()]).await.unwrap();
    sandbox.service.store().delete_bouncers(vec!["b".to_owned()]).await.unwrap();
    let gone = Refused::Token("ent: machine not found");
    refused(&sandbox, "a deleted machine", &token, gone).await;
    refused(&sandbox, "a deleted bouncer", KEY, Refused::Key).await;
    // A machine made anew under the name is another machine.
    sandbox.pass(10).await;
    sandbox.add_machine("m", "password").await;
    let another = Refused::Token("Token is expired");
    refused(&sandbox, "a machine made anew", &token, another).await;
}

#[tokio::test]
async fn who_is_not_admitted_is_refused() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let change = store::MachineChange { validated: Some(false), ..Default::default() };
    sandbox.service.store().change_machine("m", change, sandbox.service.now()).await.unwrap();
    let excluded = Refused::Token("machine m not validated");
    refused(&sandbox, "not admitted", &token, excluded).await;
}

#[tokio::test]
async fn another_machines_token_is_refused() {
    let (one, other) = (Sandbox::start().await, Sandbox::start().await);
    let token = one.token().await;
    other.add_machine("m", "password").await;
    let strange = || Refused::Token("signature is invalid");
    refused(&other, "another server's machine", &token, strange()).await;
    // The claims of one machine under the signature of another.
    other.add_machine("n", "password").await;
    let (of_m, of_n) = (other.login("m", "password").await, other.login("n", "password").await);
    let claims = of_m.split('.').nth(1).unwrap();
    let mut parts: Vec<&str> = of_n.split('.').collect();
    parts[1] = claims;
    refused(&other, "mixed tokens", &parts.join("."), strange()).await;
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
    refused(&sandbox, "a revoked key", KEY, Refused::Key).await;
}

/// Tools revoke keys by SQL; there is no call for it.
fn rusqlite_revoke(sandbox: &Sandbox) -> usize {
    let path = sandbox.directory.path().join("test.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("UPDATE bouncers SET revoked = 1 WHERE name = 'b'", []).unwrap()
}
