//! What Prometheus reads from a whole program, and what the tools make of it.

mod sandbox;

use sandbox::{Ran, Sandbox, fails, http::Api, running::Up, wait_for};
use serde_json::json;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
};

fn sandbox(prometheus: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        &format!(
            "common: {{log_media: stdout}}\nconfig_paths: {{config_dir: etc, data_dir: data}}\n\
             crowdsec_service: {{acquisition_path: etc/acquis.yaml}}\n\
             db_config: {{type: sqlite, db_path: data/crowdsec.db}}\n\
             api:\n  server: {{listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}}\n\
             prometheus: {{{prometheus}}}\n"
        ),
    );
    sandbox.write(
        "profiles.yaml",
        "name: default\nfilters: [Alert.Remediation == true]\n\
         decisions: [{type: ban, duration: 4h}]\n",
    );
    sandbox.write("etc/acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write("logs/demo.log", "");
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    symlink(env!("CARGO_BIN_EXE_shieldwall"), sandbox.path("cscli")).expect("a link");
    sandbox
}

fn cscli(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let args = [&["-c", "config.yaml"], args].concat();
    let ran =
        Ran::new(sandbox.command_as(&sandbox.path("cscli"), &args).output().expect("it runs"));
    assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.out, ran.err);
    ran
}

fn read(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("an endpoint");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body.to_owned()
}

/// Waits until the page has a line.
fn until(address: &str, line: &str) -> String {
    wait_for(line, || {
        let page = read(address);
        page.lines().any(|found| found == line).then_some(page)
    })
}

/// A running program, killed should the test fail.
struct Running(Option<Up>);

impl Running {
    /// Starts a program; tells where its API and its metrics are.
    fn start(sandbox: &Sandbox, command: &str) -> (Self, String, String) {
        let up = Self(Some(Up::start(sandbox.command(&[command, "-c", "config.yaml"]))));
        let shown = up.0.as_ref().expect("it runs");
        let line = shown.logged("CrowdSec Local API listening on 127");
        let api = line.rsplit(' ').next().expect("an address").to_owned();
        let line = shown.logged("Prometheus metrics are at");
        let (_, at) = line.split_once("http://").expect("an address");
        let at = at.split('/').next().expect("an address").to_owned();
        (up, api, at)
    }

    fn stop(mut self) {
        self.0.take().expect("it runs").stop();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(up) = self.0.take() {
            up.kill();
        }
    }
}

#[test]
fn everything_is_told_to_prometheus_and_the_tools() {
    let sandbox = sandbox("enabled: true, level: full, listen_port: 0");
    let (up, api, at) = Running::start(&sandbox, "up");
    up.0.as_ref().expect("it runs").logged("following");
    // Four lines fail, of which three make a bucket overflow; one is none of ours.
    sandbox.append("logs/demo.log", &fails(0, "192.0.2.7", 3));
    sandbox.append("logs/demo.log", "2024-03-01T10:00:09Z something else\n");
    let page = until(
        &at,
        "cs_active_decisions{reason=\"test/three-fails\",origin=\"crowdsec\",action=\"ban\"} 1",
    );
    for line in [
        "# TYPE cs_parser_hits_total counter",
        "cs_filesource_hits_total{source=\"logs/*.log\",datasource_type=\"file\",acquis_type=\"demo\"} 4",
        "cs_bucket_overflowed_total{name=\"test/three-fails\"} 1",
        "cs_bucket_poured_total{name=\"test/three-fails\"} 3",
        "cs_alerts{reason=\"test/three-fails\"} 1",
    ] {
        // The last line may be read a moment later than the ban is there.
        let page = until(&at, line);
        assert!(page.starts_with("# HELP cs_info "), "{page}");
    }
    let page = until(&at, "cs_parser_hits_total{source=\"*\",type=\"\"} 4") + &page;
    assert!(page.contains("cs_node_hits_total{name=\"test/"), "{page}");

    // Requests are counted by route, by who asks, and by whether anything was found.
    let key = cscli(&sandbox, &["bouncers", "add", "wall", "-o", "raw"]).out;
    let bouncer = Api::with_key(&api, &key);
    assert_eq!(bouncer.get("/v1/decisions?ip=192.0.2.7").0, 200);
    assert_eq!(bouncer.get("/v1/decisions?ip=198.51.100.1").0, 200);
    assert_eq!(bouncer.get("/v1/alerts/7").0, 401);
    assert_eq!(bouncer.get("/health").0, 200);
    let page = read(&at);
    for line in [
        "cs_lapi_route_requests_total{route=\"/v1/decisions\",method=\"GET\"} 2",
        "cs_lapi_route_requests_total{route=\"/v1/alerts/:alert_id\",method=\"GET\"} 1",
        "cs_lapi_bouncer_requests_total{bouncer=\"wall\",route=\"/v1/decisions\",method=\"GET\"} 2",
        "cs_lapi_decisions_ok_total{bouncer=\"wall\"} 1",
        "cs_lapi_decisions_ko_total{bouncer=\"wall\"} 1",
        "cs_lapi_request_duration_seconds_count{endpoint=\"/v1/decisions\",method=\"GET\"} 2",
        "cs_lapi_request_duration_seconds_bucket{endpoint=\"/v1/decisions\",method=\"GET\",le=\"+Inf\"} 2",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!page.contains("/health"), "{page}");

    let url = format!("http://{at}/metrics");
    let shown = cscli(&sandbox, &["metrics", "-o", "json", "-u", &url]).json();
    assert_eq!(shown["acquisition"]["file:logs/*.log"], json!({"reads": 4}));
    assert_eq!(shown["lapi-bouncer"]["wall"]["/v1/decisions"], json!({"GET": 2}));
    assert_eq!(shown["lapi-decisions"]["wall"], json!({"Empty": 1, "NonEmpty": 1}));
    assert_eq!(shown["scenarios"]["test/three-fails"]["overflow"], 1);
    up.stop();
    assert!(TcpStream::connect(&at).is_err(), "the endpoint ends with the program");
}

#[test]
fn aggregated_names_nobody() {
    let sandbox = sandbox("enabled: true, level: aggregated, listen_port: 0");
    let (up, api, at) = Running::start(&sandbox, "serve");
    let key = cscli(&sandbox, &["bouncers", "add", "wall", "-o", "raw"]).out;
    assert_eq!(Api::with_key(&api, &key).get("/v1/decisions").0, 200);
    assert_eq!(Api::with_key(&api, &key).get("/v3/nothing").0, 404);
    let page = read(&at);
    for line in [
        "cs_lapi_route_requests_total{route=\"/v1/decisions\",method=\"GET\"} 1",
        "cs_lapi_route_requests_total{route=\"invalid-endpoint\",method=\"GET\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    for absent in ["wall", "cs_active_decisions", "cs_lapi_request_duration", "cs_alerts"] {
        assert!(!page.contains(absent), "{absent}\n{page}");
    }
    up.stop();
}
