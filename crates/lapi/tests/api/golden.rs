//! Answers byte for byte.

use store::{NewAllowlist, NewAllowlistItem};

use crate::sandbox::{Sandbox, alert, alert_with};

const KEY: &str = "X-Api-Key: good\r\n";

/// Replaces random identifiers.
fn tame(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\"uuid\":\"") {
        out.push_str(before);
        out.push_str("\"uuid\":\"U\"");
        rest = &after[37..];
    }
    out + rest
}

#[tokio::test]
async fn alerts() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let posted = sandbox
        .post_alerts(
            &token,
            &format!(
                "[{},{}]",
                alert("192.0.2.7"),
                alert_with("range", "198.51.100.9/24", "Captcha", "1d")
            ),
        )
        .await;
    assert_eq!((posted.status, posted.body.as_str()), (201, r#"["1","2"]"#));
    assert!(
        posted.head.contains("content-type: application/json; charset=utf-8"),
        "{}",
        posted.head
    );
    let first = r#"{"capacity":5,"created_at":"2026-01-02T03:04:05Z","decisions":[{"duration":"4h0m0s","id":1,"origin":"crowdsec","scenario":"demo/bf","scope":"Ip","simulated":false,"type":"ban","value":"192.0.2.7"}],"events":[{"meta":[{"key":"k","value":"\u003cv\u003e"}],"timestamp":"2026-01-02 03:04:00 +0000 UTC"}],"events_count":6,"id":1,"kind":"crowdsec","labels":null,"leakspeed":"10s","machine_id":"m","message":"m","remediation":true,"scenario":"demo/bf","scenario_hash":"","scenario_version":"","simulated":false,"source":{"ip":"192.0.2.7","scope":"Ip","value":"192.0.2.7"},"start_at":"2026-01-02T03:04:00Z","stop_at":"2026-01-02T03:04:05Z","uuid":"U"}"#;
    let shown = sandbox.ask("GET", "/v1/alerts/1", &token, "").await;
    assert_eq!(tame(&shown.body), first);
    let listed = sandbox.ask("GET", "/v1/alerts?sort=ASC&limit=1", &token, "").await;
    assert_eq!(tame(&listed.body), format!("[{first}]"));
    let second = sandbox.ask("GET", "/v1/alerts/2", &token, "").await;
    assert!(
        second.body.contains(r#""decisions":[{"duration":"24h0m0s","id":2,"origin":"cscli","scenario":"by hand","scope":"Range","simulated":false,"type":"captcha","value":"198.51.100.0/24"}]"#),
        "{}", second.body
    );
    let none = sandbox.ask("GET", "/v1/alerts?scenario=other", &token, "").await;
    assert_eq!(none.body, "null");
    let lacking = sandbox.post_alerts(&token, "[{}]").await;
    assert_eq!(lacking.status, 500);
    assert!(
        lacking.body.starts_with(
            r#"{"message":"validation failure list:\n0.capacity in body is required\n"#
        ),
        "{}",
        lacking.body
    );
    for (verb, path, status, body) in [
        ("GET", "/v1/alerts/99", 404, r#"{"message":"object not found"}"#),
        ("GET", "/v1/alerts/x", 400, r#"{"message":"alert_id must be valid integer"}"#),
        ("DELETE", "/v1/alerts/99", 500, r#"{"message":"ent: alert not found"}"#),
        (
            "GET",
            "/v1/alerts?what=1",
            500,
            r#"{"message":"filter parameter 'what' is unknown (=1): invalid filter"}"#,
        ),
        (
            "DELETE",
            "/v1/decisions/99",
            500,
            r#"{"message":"decision with id '99' doesn't exist: unable to delete"}"#,
        ),
        ("DELETE", "/v1/decisions/x", 400, r#"{"message":"decision_id must be valid integer"}"#),
        ("DELETE", "/v1/decisions?value=192.0.2.7", 200, r#"{"nbDeleted":"1"}"#),
        ("DELETE", "/v1/decisions/2", 200, r#"{"nbDeleted":"1"}"#),
        ("DELETE", "/v1/alerts/1", 200, r#"{"nbDeleted":"1"}"#),
        ("DELETE", "/v1/alerts", 200, r#"{"nbDeleted":"1"}"#),
        ("GET", "/health", 200, r#"{"status":"up"}"#),
        ("GET", "/v1/heartbeat", 200, ""),
    ] {
        let answer = sandbox.ask(verb, path, &token, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{verb} {path}");
    }
    for bad in ["", "{", "{}", r#"[{"capacity":"five"}]"#] {
        assert_eq!(sandbox.post_alerts(&token, bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn long_lists_come_whole() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let many: Vec<String> = (0..250).map(|n| alert(&format!("10.0.0.{n}"))).collect();
    assert_eq!(sandbox.post_alerts(&token, &format!("[{}]", many.join(","))).await.status, 201);
    for (query, want) in
        [("limit=0", 250), ("", 100), ("limit=120", 120), ("limit=250", 250), ("limit=200", 200)]
    {
        let answer = sandbox.ask("GET", &format!("/v1/alerts?{query}"), &token, "").await;
        let alerts: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
        let mut ids: Vec<i64> = alerts.iter().map(|alert| alert["id"].as_i64().unwrap()).collect();
        ids.dedup();
        assert_eq!(ids.len(), want, "{query}");
    }
}

#[tokio::test]
async fn decisions() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    sandbox.decide(&token, "Ip", "192.0.2.7", "ban", "4h").await;
    sandbox.pass(1).await;
    let live = sandbox.ask("GET", "/v1/decisions?ip=192.0.2.7", KEY, "").await;
    assert_eq!(
        live.body,
        r#"[{"duration":"3h59m59s","id":1,"origin":"cscli","scenario":"by hand","scope":"Ip","type":"ban","value":"192.0.2.7"}]"#
    );
    let stream = sandbox.ask("GET", "/v1/decisions/stream?startup=true", KEY, "").await;
    assert_eq!(
        tame(&stream.body),
        r#"{"new": [{"duration":"3h59m59s","id":1,"origin":"cscli","scenario":"by hand","scope":"Ip","type":"ban","uuid":"U","value":"192.0.2.7"}], "deleted": []}"#
    );
    sandbox.pass(1).await;
    let again = sandbox.ask("GET", "/v1/decisions/stream", KEY, "").await;
    assert_eq!(again.body, r#"{"new": [], "deleted": []}"#);
    sandbox.ask("DELETE", "/v1/decisions/1", &token, "").await;
    sandbox.pass(3).await;
    let ended = sandbox.ask("GET", "/v1/decisions/stream", KEY, "").await;
    assert_eq!(
        tame(&ended.body),
        r#"{"new": [], "deleted": [{"duration":"-3s","id":1,"origin":"cscli","scenario":"by hand","scope":"Ip","type":"ban","uuid":"U","value":"192.0.2.7"}]}"#
    );
    let bad = sandbox.ask("GET", "/v1/decisions?ip=1.2.3", KEY, "").await;
    assert_eq!(
        (bad.status, bad.body.as_str()),
        (500, r#"{"message":"invalid ip address '1.2.3': invalid ip address / range"}"#)
    );
}

#[tokio::test]
async fn allowlists() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    let empty = sandbox.ask("GET", "/v1/allowlists", &token, "").await;
    assert_eq!(empty.body, "[]");
    let store = sandbox.service.store();
    let now = sandbox.service.now();
    let list = NewAllowlist {
        name: "Office".to_owned(),
        description: "ours".to_owned(),
        console_id: None,
    };
    store.add_allowlist(list, now).await.unwrap();
    let item = NewAllowlistItem {
        net: "192.0.2.0/24".parse().unwrap(),
        value: "192.0.2.0/24".to_owned(),
        comment: "first floor".to_owned(),
        expires_at: None,
    };
    store.add_allowlist_items("Office", vec![item], now).await.unwrap();
    let date = "2026-01-02T03:04:05.000Z";
    for (path, want) in [
        (
            "/v1/allowlists",
            format!(
                r#"[{{"created_at":"{date}","description":"ours","items":[],"name":"Office","updated_at":"{date}"}}]"#
            ),
        ),
        (
            "/v1/allowlists/Office",
            format!(
                r#"{{"created_at":"{date}","description":"ours","items":[{{"created_at":"{date}","description":"first floor","expiration":"0001-01-01T00:00:00.000Z","value":"192.0.2.0/24"}}],"name":"Office","updated_at":"{date}"}}"#
            ),
        ),
        ("/v1/allowlists/none", r#"{"message":"allowlist 'none' not found"}"#.to_owned()),
        (
            "/v1/allowlists/check/192.0.2.0%2F25",
            r#"{"allowlisted":true,"reason":"192.0.2.0/24 from Office (first floor)"}"#.to_owned(),
        ),
        ("/v1/allowlists/check/198.51.100.1", "{}".to_owned()),
        (
            "/v1/allowlists/check/x",
            r#"{"message":"invalid ip address 'x': invalid ip address / range"}"#.to_owned(),
        ),
    ] {
        assert_eq!(sandbox.ask("GET", path, &token, "").await.body, want, "{path}");
    }
    assert_eq!(sandbox.ask("HEAD", "/v1/allowlists/check/192.0.2.1", &token, "").await.status, 200);
    assert_eq!(sandbox.ask("HEAD", "/v1/allowlists/check/192.0.3.1", &token, "").await.status, 204);
    let bulk = sandbox
        .ask("POST", "/v1/allowlists/check", &token, r#"{"targets":["192.0.2.1","192.0.3.1"]}"#)
        .await;
    assert_eq!(
        bulk.body,
        r#"{"results":[{"allowlists":["192.0.2.0/24 from Office (first floor)"],"target":"192.0.2.1"}]}"#
    );
    let none = sandbox.ask("POST", "/v1/allowlists/check", &token, r#"{"targets":[]}"#).await;
    assert_eq!(
        (none.status, none.body.as_str()),
        (400, r#"{"message":"targets list cannot be empty"}"#)
    );
    let dropped = sandbox.post_alerts(&token, &format!("[{}]", alert("192.0.2.7"))).await;
    assert_eq!((dropped.status, dropped.body.as_str()), (201, "[]"), "an allowlisted source");
}

#[tokio::test]
async fn registration() {
    let token = "t".repeat(32);
    let auto = lapi::AutoRegistration {
        token: token.clone(),
        allowed_ranges: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let rules = lapi::Rules {
        auto_registration: Some(auto),
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..Default::default()
    };
    let sandbox = Sandbox::with(rules, |_| lapi::Listen {
        tcp: Some("127.0.0.1:0".into()),
        ..Default::default()
    })
    .await;
    let far = "X-Forwarded-For: 198.51.100.9\r\n";
    for (name, extra, head, status, body) in [
        ("a", String::new(), "", 201, ""),
        ("a", String::new(), "", 403, r#"{"message":"user 'a': user already exist"}"#),
        ("b", format!(r#","registration_token":"{token}""#), "", 202, ""),
        (
            "c",
            format!(r#","registration_token":"{}""#, "x".repeat(32)),
            "",
            401,
            r#"{"message":"invalid token for auto registration"}"#,
        ),
        (
            "c",
            format!(r#","registration_token":"{token}""#),
            far,
            401,
            r#"{"message":"IP not in allowed range for auto registration"}"#,
        ),
        (
            "c",
            r#","registration_token":"short""#.to_owned(),
            "",
            422,
            r#"{"message":"validation failure list:\nregistration_token in body should be at least 32 chars long"}"#,
        ),
        (
            "",
            String::new(),
            "",
            422,
            r#"{"message":"validation failure list:\nmachine_id in body is required"}"#,
        ),
    ] {
        let request = format!(r#"{{"machine_id":"{name}","password":"p"{extra}}}"#);
        let answer = sandbox.ask("POST", "/v1/watchers", head, &request).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{name}{extra}");
    }
    sandbox.login("b", "p").await;
    let login = |name: &str| format!(r#"{{"machine_id":"{name}","password":"wrong"}}"#);
    for (name, agent, message) in [
        ("a", "a/b", "machine a not validated"),
        ("b", "a/b", "incorrect Username or Password"),
        ("nobody", "a/b", "ent: machine not found"),
        ("b", "a/b/c", "bad user agent 'a/b/c'"),
    ] {
        let head = format!("User-Agent: {agent}\r\n");
        let answer = sandbox.ask("POST", "/v1/watchers/login", &head, &login(name)).await;
        assert_eq!(
            answer.body,
            format!(r#"{{"code":401,"message":"{message}"}}"#),
            "{name} {agent}"
        );
    }
}

#[tokio::test]
async fn old_hashes_are_renewed_at_login() {
    let sandbox = Sandbox::start().await;
    let machine = store::NewMachine {
        name: "old".to_owned(),
        password: bcrypt::hash("secret", 4).unwrap(),
        validated: true,
        ..Default::default()
    };
    sandbox.service.store().add_machine(machine, sandbox.service.now()).await.unwrap();
    sandbox.login("old", "secret").await;
    let machine = sandbox.service.store().machine("old").await.unwrap().unwrap();
    assert!(machine.password.starts_with("$argon2id$"));
    assert_eq!(machine.version.as_deref(), Some("v1.7.3"));
    assert_eq!(machine.ip.as_deref(), Some("127.0.0.1"));
    let token = sandbox.login("old", "secret").await;
    let renewed = sandbox.ask("GET", "/v1/refresh_token", &token, "").await;
    assert!(
        renewed.body.starts_with(r#"{"code":200,"expire":"2026-01-02T04:04:05Z","token":"ey"#),
        "{}",
        renewed.body
    );
}

/// Every route that reads a body says what is wrong with it in the words people know.
#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token().await;
    sandbox.add_bouncer("b", "good").await;
    let agent = "User-Agent: a/b\r\n";
    let routes = [
        (
            "/v1/watchers",
            agent,
            r#"{"machine_id":1}"#,
            "number into Go struct field WatcherRegistrationRequest.machine_id of type string",
        ),
        (
            "/v1/watchers/login",
            agent,
            r#"{"scenarios":[1]}"#,
            "number into Go struct field WatcherAuthRequest.scenarios of type string",
        ),
        (
            "/v1/alerts",
            token.as_str(),
            r#"[{"events_count":"six"}]"#,
            "string into Go struct field Alert.events_count of type int32",
        ),
        (
            "/v1/allowlists/check",
            token.as_str(),
            r#"{"targets":"192.0.2.1"}"#,
            "string into Go struct field BulkCheckAllowlistRequest.targets of type []string",
        ),
        (
            "/v1/usage-metrics",
            KEY,
            r#"{"remediation_components":{}}"#,
            "object into Go struct field AllMetrics.remediation_components of type []*models.RemediationComponentsMetrics",
        ),
    ];
    let with_body =
        lapi::route::ROUTES.iter().filter(|route| route.verb == lapi::route::Verb::Post);
    assert_eq!(with_body.count(), routes.len(), "a route that reads a body is missing here");
    for (path, head, wrong_type, words) in routes {
        for (body, message) in [
            ("", "EOF".to_owned()),
            ("{", "unexpected EOF".to_owned()),
            ("[,]", "invalid character ',' looking for beginning of value".to_owned()),
            ("nonsense", "invalid character 'o' in literal null (expecting 'u')".to_owned()),
            (wrong_type, format!("json: cannot unmarshal {words}")),
        ] {
            let answer = sandbox.ask("POST", path, head, body).await;
            let want = serde_json::json!({ "message": message }).to_string();
            assert_eq!((answer.status, answer.body), (400, want), "{path} {body}");
        }
    }
}
