//! `shieldwall why`: every reason an address is or was blocked, allowed or seen, on one screen.
//!
//! Where the local API runs on this host its database is read, so that the answer is there also
//! when the server is not; elsewhere the API is asked, which knows nothing of bouncers' reading.
//!
//! Reading order: [`run`], [`Findings`] (what was found), `gather` (where from), `lines` (the log
//! itself), `show`.

mod gather;

mod lines;

mod show;

use super::tool::{Form, Tool, ToolArgs};
use anyhow::{Result, bail};
use api::Alert;
use clap::Args;
use ipnet::IpNet;
use model::{Timestamp, parse_target};
use serde::Serialize;
use std::process::ExitCode;

/// Tells why an address or a network is blocked, allowed, or neither.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall why 192.0.2.7
  shieldwall why 192.0.2.0/24 -o json")]
pub(super) struct WhyArgs {
    #[command(flatten)]
    pub(super) command: WhyCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

/// Whom it is about.
#[derive(Args, Debug)]
pub(super) struct WhyCommand {
    /// An address or a network.
    #[arg(value_name = "IP|RANGE")]
    target: String,
}

pub(super) fn run(command: &WhyCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    let target = parse_target(&command.target)?;
    let findings = gather::findings(target, &tool)?;
    match tool.form {
        Form::Json => tool.json(&findings)?,
        Form::Raw => bail!("output format 'raw' not supported for this command"),
        Form::Human => {
            let color = crate::terminal::stdout_color();
            tool.line(show::screen(&findings, tool.now(), color).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything known about a target.
#[derive(Debug, Serialize)]
struct Findings {
    /// As it was asked for, in one spelling.
    target: String,
    /// What all of it comes to.
    verdict: Verdict,
    /// Decisions that concern it, those that hold first, each longest first.
    decisions: Vec<Reason>,
    /// Entries of allowlists that cover it or lie inside it.
    allowlists: Vec<Allowed>,
    /// Alerts about it, newest first, with their events.
    alerts: Vec<Alert>,
    /// Who enforces decisions; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    bouncers: Option<Vec<Reader>>,
    /// What the logs of this host say about it, as far as they are still there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<LogLines>,
    /// Whether there may be more alerts than were looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_cut: bool,
}

/// What all of it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// A decision that holds covers the whole target.
    Blocked,
    /// Decisions that hold cover parts of the network.
    PartlyBlocked,
    /// What holds is only simulated.
    Simulated,
    /// Nothing holds, and an allowlist sees to that.
    Allowed,
    /// It was seen; nothing holds.
    NotBlocked,
    /// Nothing is known.
    Unknown,
}

/// One decision that concerns the target.
#[derive(Clone, Debug, Serialize)]
struct Reason {
    id: i64,
    alert_id: i64,
    #[serde(rename = "type")]
    remediation: String,
    scope: String,
    value: String,
    origin: String,
    scenario: String,
    /// Who sent the alert.
    machine: String,
    /// The profile that decided; absent where the sender did, and where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    decided_at: String,
    until: String,
    /// Seconds that remain; negative once it has ended.
    expires_in: i64,
    active: bool,
    simulated: bool,
    /// Whether it is about all of the target, not only about a part of it.
    covers: bool,
    #[serde(skip)]
    at: Timestamp,
}

/// One entry of an allowlist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Allowed {
    allowlist: String,
    value: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

/// The latest lines of a log that name the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct LogLines {
    path: String,
    lines: Vec<LogLine>,
}

/// A line of a log, and who understood it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct LogLine {
    text: String,
    /// The parser that takes it with the rules of today; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    parser: Option<String>,
}

/// A bouncer, and whether it has heard of the newest decision that holds.
#[derive(Clone, Debug, Serialize)]
struct Reader {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    last_pull: Option<String>,
    revoked: bool,
    /// Whether it read decisions since; absent where nothing holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    knows: Option<bool>,
    #[serde(skip)]
    at: Option<Timestamp>,
}

/// What decisions, allowlists and alerts come to.
fn verdict(decisions: &[Reason], allowlists: &[Allowed], n_alerts: usize) -> Verdict {
    let holds = |reason: &&Reason| reason.active && !reason.simulated;
    if decisions.iter().filter(holds).any(|reason| reason.covers) {
        return Verdict::Blocked;
    }
    if decisions.iter().any(|reason| holds(&reason)) {
        return Verdict::PartlyBlocked;
    }
    if decisions.iter().any(|reason| reason.active) {
        return Verdict::Simulated;
    }
    if !allowlists.is_empty() {
        return Verdict::Allowed;
    }
    if decisions.is_empty() && n_alerts == 0 { Verdict::Unknown } else { Verdict::NotBlocked }
}

/// A network in the spelling people use: a single address without its length.
fn spelled(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(active: bool, simulated: bool, covers: bool) -> Reason {
        Reason {
            id: 1,
            alert_id: 1,
            remediation: "ban".to_owned(),
            scope: "Ip".to_owned(),
            value: "192.0.2.1".to_owned(),
            origin: "crowdsec".to_owned(),
            scenario: "a/b".to_owned(),
            machine: "m".to_owned(),
            profile: None,
            decided_at: String::new(),
            until: String::new(),
            expires_in: 0,
            active,
            simulated,
            covers,
            at: Timestamp::default(),
        }
    }

    #[test]
    fn the_worst_that_holds_counts() {
        let allowed = Allowed {
            allowlist: "a".to_owned(),
            value: "192.0.2.0/24".to_owned(),
            comment: String::new(),
        };
        let check = |decisions: &[Reason], n_allowed: usize, n_alerts: usize, expect: Verdict| {
            let allowlists = vec![allowed.clone(); n_allowed];
            assert_eq!(verdict(decisions, &allowlists, n_alerts), expect);
        };
        let (ended, simulated) = (reason(false, false, true), reason(true, true, true));
        check(&[ended.clone(), reason(true, false, true)], 1, 1, Verdict::Blocked);
        check(&[simulated.clone(), reason(true, false, false)], 0, 1, Verdict::PartlyBlocked);
        check(&[simulated], 1, 1, Verdict::Simulated);
        check(std::slice::from_ref(&ended), 1, 1, Verdict::Allowed);
        check(&[ended], 0, 1, Verdict::NotBlocked);
        check(&[], 0, 1, Verdict::NotBlocked);
        check(&[], 0, 0, Verdict::Unknown);
    }

    #[test]
    fn addresses_have_no_length() {
        assert_eq!(spelled("192.0.2.1/32".parse().unwrap()), "192.0.2.1");
        assert_eq!(spelled("192.0.2.0/24".parse().unwrap()), "192.0.2.0/24");
    }
}
