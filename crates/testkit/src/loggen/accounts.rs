//! Services with accounts and logs of their own: databases, file servers, mail, telephony, web
//! applications.
//!
//! The hub's parsers for MySQL and SMB read no date of their own, so a replay can only place these
//! lines in time when syslog carried them: `system` wraps what is written here. PostgreSQL is absent:
//! its parser extracts a date that the date parser does not know, so both engines place the line at
//! the time of the replay, where nothing can be compared.

use super::cast::{STAFF, port, tried_name};
use super::{Behavior, Script, Service, Sources, Visit};
use crate::rng::Rng;

/// A service in whose log attackers guess passwords and innocents mistype one.
const fn guessed(
    kind: &'static str,
    attacks: &'static [Behavior],
    innocents: &'static [Behavior],
) -> Service {
    Service { kind, attacks, innocents }
}

const fn fast(script: Script, sources: Sources) -> Behavior {
    Behavior { script, n_lines: (4, 24), gap: (300, 4000), sources }
}

const fn slow(script: Script, sources: Sources) -> Behavior {
    Behavior { script, n_lines: (4, 18), gap: (8000, 40_000), sources }
}

const fn rare(script: Script, sources: Sources) -> Behavior {
    Behavior { script, n_lines: (2, 5), gap: (60_000, 900_000), sources }
}

/// The services, each with the log of one program.
pub(super) static SERVICES: [Service; 10] = [
    guessed(
        "mariadb",
        &[fast(mariadb, Sources::Any), slow(mariadb, Sources::V4)],
        &[rare(mariadb_note, Sources::Any), rare(mariadb, Sources::Any)],
    ),
    guessed(
        "vsftpd",
        &[fast(vsftpd, Sources::V4), slow(vsftpd, Sources::V4)],
        &[rare(vsftpd_accepted, Sources::V4), rare(vsftpd, Sources::V4)],
    ),
    guessed(
        "proftpd",
        &[fast(proftpd, Sources::V4), slow(proftpd, Sources::V4)],
        &[rare(proftpd_accepted, Sources::V4), rare(proftpd, Sources::V4)],
    ),
    guessed(
        "exim",
        &[
            fast(exim_login, Sources::Any),
            slow(exim_spam, Sources::Any),
            fast(exim_spam, Sources::V4),
        ],
        &[rare(exim_delivered, Sources::Any), rare(exim_login, Sources::Any)],
    ),
    guessed(
        "asterisk",
        &[fast(asterisk, Sources::V4), slow(asterisk, Sources::V4)],
        &[rare(asterisk_accepted, Sources::V4), rare(asterisk, Sources::V4)],
    ),
    guessed(
        "Vaultwarden",
        &[fast(vaultwarden, Sources::Any), slow(vaultwarden, Sources::Any)],
        &[rare(vaultwarden_note, Sources::Any), rare(vaultwarden, Sources::Any)],
    ),
    guessed(
        "authelia",
        &[
            fast(authelia_text, Sources::Any),
            fast(authelia_json, Sources::V4),
            slow(authelia_text, Sources::Any),
        ],
        &[rare(authelia_accepted, Sources::Any), rare(authelia_text, Sources::Any)],
    ),
    guessed(
        "gitea",
        &[fast(gitea, Sources::V4), slow(gitea, Sources::V4)],
        &[rare(gitea_note, Sources::V4), rare(gitea, Sources::V4)],
    ),
    guessed(
        "Nextcloud",
        &[fast(nextcloud, Sources::Any), slow(nextcloud, Sources::Any)],
        &[rare(nextcloud_note, Sources::Any), rare(nextcloud, Sources::Any)],
    ),
    guessed(
        "endlessh",
        &[slow(endlessh, Sources::V4), fast(endlessh, Sources::V4)],
        &[rare(endlessh_note, Sources::V4), rare(endlessh, Sources::V4)],
    ),
];

pub(super) fn mysql(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, user, source) = (visit.at.iso_millis('T'), tried_name(rng), visit.source);
    let code = if rng.chance(50) { " [MY-010926] [Server]" } else { "" };
    let used = rng.pick(&["YES", "NO"]);
    format!(
        "{at}Z {} [Note]{code} Access denied for user '{user}'@'{source}' (using password: {used})",
        rng.between(8, 999)
    )
}

pub(super) fn mysql_note(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let at = visit.at.iso_millis('T');
    format!("{at}Z {} [Note] Aborted connection to db: 'shop' user: 'shop'", rng.between(8, 999))
}

fn mariadb(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (user, used) = (tried_name(rng), rng.pick(&["YES", "NO"]));
    let at = visit.at.iso(' ');
    // Half of the installations still write two-digit years.
    let head = if rng.chance(50) {
        format!("{at} {}", rng.between(8, 999))
    } else {
        format!("{}{}{} {}", &at[2..4], &at[5..7], &at[8..10], visit.at.hms())
    };
    format!(
        "{head} [Warning] Access denied for user '{user}'@'{}' (using password: {used})",
        visit.source
    )
}

fn mariadb_note(_rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!("{} 0 [Note] InnoDB: Buffer pool(s) load completed", visit.at.iso(' '))
}

fn vsftpd(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, pid, user, source) =
        (visit.at.ctime(), rng.between(100, 32_000), tried_name(rng), visit.source);
    match rng.below(3) {
        0 => format!(
            "{at} [pid {pid}] [{user}] FTP response: Client \"{source}\", \"530 Permission denied.\""
        ),
        1 => format!("{at} [pid {pid}] [{user}] FAIL LOGIN: Client \"{source}\""),
        _ => format!("{at} [pid {pid}] [{user}] FAIL LOGIN: Client \"::ffff:{source}\""),
    }
}

fn vsftpd_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, pid, user) = (visit.at.ctime(), rng.between(100, 32_000), rng.pick(&STAFF));
    format!("{at} [pid {pid}] [{user}] OK LOGIN: Client \"::ffff:{}\"", visit.source)
}

fn proftpd(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (pid, user, source) = (rng.between(100, 32_000), tried_name(rng), visit.source);
    let at = visit.at.iso_millis(' ').replace('.', ",");
    if rng.chance(50) {
        return format!(
            "{at} gate proftpd[{pid}] gate ({source}[{source}]): USER {user} (Login failed): Incorrect password"
        );
    }
    format!(
        "{at} gate proftpd[{pid}] gate ({source}[{source}]): USER {user}: no such user found from {source} [{source}] to 192.0.2.2:21"
    )
}

fn proftpd_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, pid, user) =
        (visit.at.iso_millis(' ').replace('.', ","), rng.between(100, 32_000), rng.pick(&STAFF));
    format!(
        "{at} gate proftpd[{pid}] gate ({source}[{source}]): USER {user}: Login successful.",
        source = visit.source
    )
}

pub(super) fn smb(rng: &mut Rng, visit: &Visit<'_>) -> String {
    smb_line(rng, visit, "NT_STATUS_NO_SUCH_USER", "NT_STATUS_WRONG_PASSWORD")
}

pub(super) fn smb_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    smb_line(rng, visit, "NT_STATUS_OK", "NT_STATUS_OK")
}

fn smb_line(rng: &mut Rng, visit: &Visit<'_>, one: &str, other: &str) -> String {
    let (user, port) = (tried_name(rng), port(rng));
    let status = if rng.chance(50) { one } else { other };
    format!(
        "Auth: [SMB2,(null)] user [WORKGROUP]\\[{user}] at [{}] with [NTLMv2] status [{status}] \
         workstation [DESK] remote host [ipv4:{}:{port}] mapped to [WORKGROUP]\\[{user}]. \
         local host [ipv4:192.0.2.2:445]",
        visit.at.samba(),
        visit.source
    )
}

fn exim_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, user, port, source) = (visit.at.iso(' '), tried_name(rng), port(rng), visit.source);
    let who = match rng.below(3) {
        0 => "([198.18.0.1])".to_owned(),
        1 => "(mail.example.com)".to_owned(),
        _ => "host.example.net ([198.18.0.9])".to_owned(),
    };
    format!(
        "{at} dovecot_login authenticator failed for {who} [{source}]:{port}: 535 Incorrect authentication data (set_id={user}@example.com)"
    )
}

fn exim_spam(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, port, source) = (visit.at.iso(' '), port(rng), visit.source);
    let head = format!("{at} H=relay.example.net [{source}]:{port}");
    match rng.below(3) {
        0 => format!(
            "{head} temporarily rejected connection in \"connect\" ACL: \"Host is ratelimited (1.9/1h max:1.2)\""
        ),
        1 => format!(
            "{head} X=TLS1.2:AES256:256 CV=no F=<a@example.net> rejected RCPT <b@example.com>: Sender verify failed"
        ),
        _ => format!(
            "{head} X=TLS1.2:AES256:256 CV=no F=<a@example.net> rejected RCPT <b@example.com>: No Such User Here"
        ),
    }
}

fn exim_delivered(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{} 1pZ{:06}-00 <= {}@example.org H=mx.example.org [{}] P=esmtp S=2048",
        visit.at.iso(' '),
        rng.below(1_000_000),
        rng.pick(&STAFF),
        visit.source
    )
}

fn asterisk(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (name, tail) = if rng.chance(50) {
        ("InvalidAccountID", "")
    } else {
        (
            "InvalidPassword",
            ",Challenge=\"62790d2c\",ReceivedChallenge=\"62790d2c\",ReceivedHash=\"5f0c\"",
        )
    };
    asterisk_line(rng, visit, name, "Error", tail)
}

fn asterisk_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    asterisk_line(rng, visit, "SuccessfulAuth", "Informational", ",UsingPassword=\"1\"")
}

fn asterisk_line(
    rng: &mut Rng,
    visit: &Visit<'_>,
    name: &str,
    severity: &str,
    tail: &str,
) -> String {
    let (port, account) = (port(rng), 6000 + rng.below(40));
    format!(
        "[{}] SECURITY[77] res_security_log.c: SecurityEvent=\"{name}\",\
         EventTV=\"{}+0000\",Severity=\"{severity}\",Service=\"PJSIP\",EventVersion=\"1\",\
         AccountID=\"{account}\",SessionID=\"s{}\",LocalAddress=\"IPV4/UDP/192.0.2.2/5060\",\
         RemoteAddress=\"IPV4/UDP/{}/{port}\"{tail}",
        visit.at.iso(' '),
        visit.at.iso_millis('T'),
        rng.below(1 << 30),
        visit.source
    )
}

fn vaultwarden(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (at, source) = (visit.at.iso_millis(' '), visit.source);
    match rng.below(4) {
        0 => format!("[{at}][vaultwarden::api::admin][ERROR] Invalid admin token. IP: {source}"),
        _ => format!(
            "[{at}][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: {source}. Username: {}@example.com.",
            tried_name(rng)
        ),
    }
}

fn vaultwarden_note(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "[{}][response][INFO] (login) POST /identity/connect/token => {} OK",
        visit.at.iso_millis(' '),
        rng.pick(&["200", "201"])
    )
}

fn authelia_text(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let factor = rng.pick(&["1FA", "1FA", "TOTP"]);
    format!(
        "time=\"{}Z\" level=error msg=\"Unsuccessful {factor} authentication attempt by user '{}'\" method=POST path=/api/firstfactor remote_ip={}",
        visit.at.iso('T'),
        tried_name(rng),
        visit.source
    )
}

fn authelia_json(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{{\"level\":\"error\",\"method\":\"POST\",\"msg\":\"Unsuccessful 1FA authentication attempt by user '{}'\",\"path\":\"/api/firstfactor\",\"remote_ip\":\"{}\",\"time\":\"{}Z\"}}",
        tried_name(rng),
        visit.source,
        visit.at.iso('T')
    )
}

fn authelia_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "time=\"{}Z\" level=debug msg=\"Successful 1FA authentication attempt made by user '{}'\" method=POST path=/api/firstfactor remote_ip={}",
        visit.at.iso('T'),
        rng.pick(&STAFF),
        visit.source
    )
}

fn gitea(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = tried_name(rng);
    format!(
        "{} ...ers/web/auth/auth.go:200:SignInPost() [I] Failed authentication attempt for {user} from {}:{}: user does not exist [uid: 0, name: {user}, keyid: 0]",
        visit.at.slashes(),
        visit.source,
        port(rng)
    )
}

fn gitea_note(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{} [I] router: completed GET /{} for {}:{}, 200 OK",
        visit.at.slashes(),
        rng.pick(&STAFF),
        visit.source,
        port(rng)
    )
}

fn nextcloud(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let source = visit.source;
    let message = match rng.below(4) {
        0 => format!("Bruteforce attempt from \\\"{source}\\\" detected for action \\\"login\\\"."),
        1 => format!(
            "Trusted domain error. \\\"{source}\\\" tried to access using \\\"x.example\\\" as host."
        ),
        _ => format!("Login failed: {} (Remote IP: {source})", tried_name(rng)),
    };
    nextcloud_line(rng, visit, &message)
}

fn nextcloud_note(rng: &mut Rng, visit: &Visit<'_>) -> String {
    nextcloud_line(rng, visit, "Deprecated event type for \\\\OC\\\\Files")
}

fn nextcloud_line(rng: &mut Rng, visit: &Visit<'_>, message: &str) -> String {
    format!(
        "{{\"reqId\":\"r{:08x}\",\"level\":2,\"time\":\"{}+00:00\",\"remoteAddr\":\"{}\",\"user\":\"--\",\"app\":\"core\",\"method\":\"POST\",\"url\":\"/login\",\"message\":\"{message}\",\"userAgent\":\"-\",\"version\":\"25.0.3.2\"}}",
        rng.below(1 << 32),
        visit.at.iso('T'),
        visit.source
    )
}

fn endlessh(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{}Z ACCEPT host=::ffff:{} port={} fd=4 n=1/4096",
        visit.at.iso_millis('T'),
        visit.source,
        port(rng)
    )
}

fn endlessh_note(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{}Z CLOSE host=::ffff:{} port={} fd=4 time=20.0 bytes=31",
        visit.at.iso_millis('T'),
        visit.source,
        port(rng)
    )
}
