//! What profiles do is tested with their text, in `rules`; here is what no text can say.

use super::*;
use crate::outside::NoOutside;
use alloc::vec;
use model::{Source, Time};

fn alert(value: &str) -> Alert {
    Alert {
        scenario: "a/b".into(),
        scenario_hash: String::new(),
        scenario_version: String::new(),
        message: String::new(),
        events_count: 1,
        start_at: Time::default(),
        stop_at: Time::default(),
        capacity: 0,
        leakspeed: Duration::ZERO,
        simulated: false,
        remediation: true,
        source: Source {
            scope: Scope::Ip,
            value: value.into(),
            ip: String::new(),
            range: String::new(),
            as_name: String::new(),
            as_number: String::new(),
            cn: String::new(),
            latitude: 0.0,
            longitude: 0.0,
        },
        events: vec![],
        meta: vec![],
    }
}

fn profile(filter: Expr) -> Profile {
    Profile {
        name: "p".into(),
        debug: false,
        filters: vec![Filter { expr: filter, text: "f".into() }],
        decisions: vec![Template {
            remediation: "ban".into(),
            duration: USUAL_DURATION,
            scope: None,
            simulated: false,
            origin: None,
        }],
        duration: None,
        on_success: Then::Continue,
        on_failure: OnFailure::Continue,
        on_error: None,
        notifications: vec![],
    }
}

fn decide(profiles: Vec<Profile>, value: &str) -> Result<Outcome, ProfileError> {
    let profiles = Profiles { list: profiles, ..Profiles::default() };
    profiles.decide(&alert(value), &NoOutside, &NoHistory, Timestamp::default())
}

#[test]
fn an_alert_about_nothing_decides_nothing() {
    let outcome = decide(vec![profile(Expr::Bool(true))], "").unwrap();
    assert_eq!(outcome, Outcome { matched: vec![0], ..Outcome::default() });
    let both = vec![profile(Expr::Bool(false)), profile(Expr::Bool(true))];
    let outcome = decide(both, "192.0.2.1").unwrap();
    assert_eq!((outcome.decisions.len(), outcome.decided_by), (1, Some(1)));
}

#[test]
fn a_filter_that_is_no_condition_is_an_error() {
    let error = decide(vec![profile(Expr::Int(1))], "192.0.2.1").unwrap_err();
    assert_eq!(
        alloc::format!("{error}"),
        "profile `p`: the filter `f`: int where a bool is needed"
    );
}

#[test]
fn there_is_no_event_in_a_profile() {
    use crate::pool::known;
    let error = decide(vec![profile(Expr::HasField(known::META_SOURCE_IP))], "192.0.2.1");
    assert!(error.unwrap_err().cause.0.contains("no event"));
}
