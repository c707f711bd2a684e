//! What a host's syslog says: SSH, mail, FTP, the firewall, the name server, and the rest of it.

use super::accounts;
use super::cast::{STAFF, port, tried_name};
use super::{Behavior, Script, Service, Sources, Visit};
use crate::rng::Rng;

/// One host's syslog, in which many programs write.
pub(super) static SERVICE: Service = Service {
    kind: "syslog",
    attacks: &[
        attack(ssh_password, (4, 40), (500, 4000), Sources::Any),
        attack(ssh_password, (12, 30), (20_000, 70_000), Sources::Any),
        attack(ssh_preauth, (6, 20), (800, 3000), Sources::Any),
        attack(ssh_pam, (6, 15), (1000, 5000), Sources::Any),
        attack(mail_login, (4, 16), (1000, 6000), Sources::Any),
        attack(mail_relay, (5, 12), (500, 2500), Sources::V4),
        attack(mail_pregreet, (1, 3), (60_000, 90_000), Sources::V4),
        attack(imap_login, (3, 9), (5000, 60_000), Sources::Any),
        attack(ftp_login, (5, 14), (700, 2500), Sources::V4),
        attack(firewall_drop, (12, 40), (100, 900), Sources::V4),
        attack(router_drop, (12, 40), (100, 900), Sources::V4),
        attack(hypervisor_login, (5, 14), (900, 3500), Sources::Any),
        attack(database_login, (4, 16), (300, 4000), Sources::Any),
        attack(share_login, (4, 16), (300, 4000), Sources::V4),
        attack(name_query, (4, 16), (300, 3000), Sources::Any),
    ],
    innocents: &[
        attack(housekeeping, (4, 12), (60_000, 900_000), Sources::Any),
        attack(ssh_accepted, (1, 4), (60_000, 900_000), Sources::Any),
        attack(ssh_typo, (1, 3), (2000, 9000), Sources::Any),
        attack(database_note, (1, 4), (60_000, 900_000), Sources::Any),
        attack(share_accepted, (1, 4), (60_000, 900_000), Sources::V4),
        attack(mail_delivered, (1, 6), (1000, 60_000), Sources::Any),
        attack(imap_accepted, (1, 8), (60_000, 300_000), Sources::Any),
    ],
};

const fn attack(
    script: Script,
    n_lines: (u64, u64),
    gap: (u64, u64),
    sources: Sources,
) -> Behavior {
    Behavior { script, n_lines, gap, sources }
}

/// A line as the syslog daemon writes it.
fn entry(rng: &mut Rng, visit: &Visit<'_>, program: &str, message: &str) -> String {
    let pid = rng.between(400, 32_000);
    format!("{} gate {program}[{pid}]: {message}", visit.at.syslog())
}

fn ssh_password(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (user, port, source) = (tried_name(rng), port(rng), visit.source);
    let message = match rng.below(4) {
        0 => format!("Invalid user {user} from {source} port {port}"),
        1 => format!("Failed password for invalid user {user} from {source} port {port} ssh2"),
        _ => format!("Failed password for {user} from {source} port {port} ssh2"),
    };
    entry(rng, visit, "sshd", &message)
}

fn ssh_preauth(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (user, port, source) = (tried_name(rng), port(rng), visit.source);
    let message = match rng.below(5) {
        0 => format!(
            "Connection closed by authenticating user {user} {source} port {port} [preauth]"
        ),
        1 => format!("Connection closed by invalid user {user} {source} port {port} [preauth]"),
        2 => format!("Disconnected from authenticating user {user} {source} port {port} [preauth]"),
        3 => format!("banner exchange: Connection from {source} port {port}: invalid format"),
        _ => format!("Disconnected from {source} port {port} [preauth]"),
    };
    entry(rng, visit, "sshd", &message)
}

fn ssh_pam(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = tried_name(rng);
    let message = format!(
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= \
         rhost={}  user={user}",
        visit.source
    );
    entry(rng, visit, "sshd", &message)
}

fn ssh_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (user, port) = (rng.pick(&STAFF), port(rng));
    let message = match rng.below(3) {
        0 => format!("Accepted publickey for {user} from {} port {port} ssh2", visit.source),
        1 => format!("pam_unix(sshd:session): session opened for user {user} by (uid=0)"),
        _ => format!("Received disconnect from {} port {port}:11: bye", visit.source),
    };
    entry(rng, visit, "sshd", &message)
}

fn ssh_typo(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (user, port) = (rng.pick(&STAFF), port(rng));
    let message = format!("Failed password for {user} from {} port {port} ssh2", visit.source);
    entry(rng, visit, "sshd", &message)
}

fn mail_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let method = rng.pick(&["LOGIN", "PLAIN"]);
    let program = rng.pick(&["postfix/smtpd", "postfix/submission/smtpd"]);
    let message = format!(
        "warning: unknown[{}]: SASL {method} authentication failed: authentication failure",
        visit.source
    );
    entry(rng, visit, program, &message)
}

fn mail_relay(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = match rng.below(3) {
        0 => format!("lost connection after AUTH from unknown[{}]", visit.source),
        1 => format!(
            "NOQUEUE: reject: RCPT from mx.example.net[{}]: 554 5.7.1 <x@example.org>: relay denied",
            visit.source
        ),
        _ => format!("lost connection after EHLO from unknown[{}]", visit.source),
    };
    entry(rng, visit, "postfix/smtpd", &message)
}

fn mail_pregreet(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let port = port(rng);
    let message = format!(
        "PREGREET 17 after 0.{} from [{}]:{port}: EHLO ylmf-pc",
        rng.below(100),
        visit.source
    );
    entry(rng, visit, "postfix/postscreen", &message)
}

fn mail_delivered(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = match rng.below(2) {
        0 => format!("connect from mail.example.com[{}]", visit.source),
        _ => format!(
            "disconnect from mail.example.com[{}] ehlo=1 mail=1 rcpt=1 quit=1",
            visit.source
        ),
    };
    entry(rng, visit, "postfix/smtpd", &message)
}

fn imap_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let (user, source) = (tried_name(rng), visit.source);
    let message = match rng.below(3) {
        0 => format!(
            "imap-login: Disconnected (auth failed, 1 attempts in 4 secs): user=<{user}>, \
             method=PLAIN, rip={source}, lip=192.0.2.2, TLS, session=<AbCdEf>"
        ),
        1 => format!("auth-worker(2201): pam({user},{source},<AbCdEf>): unknown user"),
        _ => format!(
            "pop3-login: Aborted login (auth failed, 2 attempts in 9 secs): user=<{user}>, \
             method=PLAIN, rip={source}, lip=192.0.2.2, session=<GhIjKl>"
        ),
    };
    format!("{} gate dovecot: {message}", visit.at.syslog())
}

fn imap_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{} gate dovecot: imap-login: Login: user=<{}>, method=PLAIN, rip={}, lip=192.0.2.2, \
         mpid=4711, TLS, session=<MnOpQr>",
        visit.at.syslog(),
        rng.pick(&STAFF),
        visit.source
    )
}

fn ftp_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = tried_name(rng);
    format!(
        "{} gate pure-ftpd: (?@{}) [WARNING] Authentication failed for user [{user}]",
        visit.at.syslog(),
        visit.source
    )
}

fn firewall_drop(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{} gate kernel: [{}.{:06}] DROP IN=eth0 OUT= \
         MAC=52:54:00:12:34:56:52:54:00:ab:cd:ef:08:00 SRC={} DST=192.0.2.2 LEN=40 TOS=0x00 \
         PREC=0x00 TTL=244 ID={} PROTO=TCP SPT={} DPT={} WINDOW=1024 RES=0x00 SYN URGP=0",
        visit.at.syslog(),
        rng.between(1000, 99_999),
        rng.below(1_000_000),
        visit.source,
        rng.below(65_536),
        port(rng),
        scanned_port(rng, visit),
    )
}

fn router_drop(rng: &mut Rng, visit: &Visit<'_>) -> String {
    format!(
        "{} gate filterlog: 5,,,1000000103,igb0,match,block,in,4,0x0,,243,{},0,none,6,tcp,40,{},\
         192.0.2.2,{},{},0,S,{},,1024,,",
        visit.at.syslog(),
        rng.below(65_536),
        visit.source,
        port(rng),
        scanned_port(rng, visit),
        rng.below(4_000_000_000),
    )
}

/// Scanners mostly go up one by one and sometimes knock twice.
fn scanned_port(rng: &mut Rng, visit: &Visit<'_>) -> u64 {
    if rng.chance(15) { 22 } else { 1000 + visit.nth }
}

fn hypervisor_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = tried_name(rng);
    let reason = if rng.chance(50) {
        "Authentication failure".to_owned()
    } else {
        format!("no such user ('{user}@pam')")
    };
    let message =
        format!("authentication failure; rhost={} user={user}@pam msg={reason}", visit.source);
    entry(rng, visit, "pvedaemon", &message)
}

fn name_query(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let zone = rng.pick(&["example.com", "example.net", "example.org"]);
    let what = match rng.below(3) {
        0 => format!("query (cache) '{zone}/ANY/IN' denied"),
        1 => format!("query '{zone}/TXT/IN' denied"),
        _ => format!("zone transfer '{zone}/AXFR/IN' denied"),
    };
    let message = format!(
        "client @0x7f{:010x} {}#{} ({zone}): {what}",
        rng.below(1 << 40),
        visit.source,
        port(rng)
    );
    entry(rng, visit, "named", &message)
}

fn database_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = accounts::mysql(rng, visit);
    entry(rng, visit, "mysql", &message)
}

fn database_note(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = accounts::mysql_note(rng, visit);
    entry(rng, visit, "mysql", &message)
}

fn share_login(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = accounts::smb(rng, visit);
    entry(rng, visit, "smb", &message)
}

fn share_accepted(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let message = accounts::smb_accepted(rng, visit);
    entry(rng, visit, "smb", &message)
}

/// What the machine says to itself; no parser of the hub takes most of it.
fn housekeeping(rng: &mut Rng, visit: &Visit<'_>) -> String {
    let user = rng.pick(&STAFF);
    match rng.below(5) {
        0 => entry(rng, visit, "CRON", "(www-data) CMD (php /srv/www/cron.php)"),
        1 => entry(rng, visit, "systemd", "Started Daily apt download activities."),
        2 => entry(
            rng,
            visit,
            "sudo",
            &format!("{user} : TTY=pts/0 ; PWD=/srv ; USER=daemon ; COMMAND=/bin/ls"),
        ),
        3 => format!(
            "{} gate kernel: [{}.000001] usb 1-1: new device",
            visit.at.syslog(),
            rng.below(9999)
        ),
        _ => entry(rng, visit, "systemd-logind", &format!("New session 42 of user {user}.")),
    }
}
