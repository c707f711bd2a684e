//! Profiles as text, and what they decide.

use super::*;
use engine::{
    outside::NoOutside,
    profile::{History, NoHistory, Outcome, ProfileError},
};
use model::{Alert, Source, Time, Timestamp};

fn alert(scope: Scope, value: &str) -> Alert {
    Alert {
        scenario: "test/ssh-bf".into(),
        scenario_hash: String::new(),
        scenario_version: String::new(),
        message: String::new(),
        events_count: 6,
        start_at: Time::default(),
        stop_at: Time::default(),
        capacity: 5,
        leakspeed: Duration::from_secs(10),
        simulated: false,
        remediation: true,
        source: Source {
            scope,
            value: value.into(),
            ip: value.into(),
            range: String::new(),
            as_name: String::new(),
            as_number: String::new(),
            cn: "FR".into(),
            latitude: 0.0,
            longitude: 0.0,
        },
        events: vec![],
        meta: vec![],
    }
}

fn compile(text: &str) -> CompiledProfiles {
    compile_profiles([("profiles.yaml".to_owned(), text.to_owned())])
}

fn messages(compiled: &CompiledProfiles) -> Vec<(usize, &str)> {
    compiled
        .diagnostics
        .iter()
        .map(|it| {
            let line = it.place().map_or(0, |place| compiled.sources.line_col(place).0);
            (line, it.message.as_str())
        })
        .collect()
}

/// Compiles profiles without any mistake and decides about an address.
fn decide_with(text: &str, history: &dyn History) -> Result<Outcome, ProfileError> {
    let compiled = compile(text);
    assert_eq!(messages(&compiled), []);
    let now = Timestamp::from_unix(1_700_000_000, 0);
    compiled.profiles.decide(&alert(Scope::Ip, "192.0.2.1"), &NoOutside, history, now)
}

/// What is decided, as `type duration origin`, and who matched.
fn check(text: &str, decisions: &[&str], matched: &[usize]) {
    let outcome = decide_with(text, &NoHistory).expect("every filter can be evaluated");
    let found: Vec<String> = outcome
        .decisions
        .iter()
        .map(|it| format!("{} {}s {}", it.remediation, it.duration.as_secs(), it.origin))
        .collect();
    assert_eq!(found, decisions);
    assert_eq!(outcome.matched, matched);
}

/// What the store would know.
struct Past;

impl History for Past {
    fn decisions(&self, value: &str) -> Result<u64, String> {
        assert_eq!(value, "192.0.2.1");
        Ok(3)
    }

    fn decisions_since(&self, _: &str, since: Timestamp) -> Result<u64, String> {
        assert_eq!(since.unix(), (1_700_000_000 - 86400, 0));
        Ok(2)
    }

    fn active_decisions(&self, _: &str) -> Result<u64, String> {
        Ok(1)
    }

    fn active_time_left(&self, _: &str) -> Result<Duration, String> {
        Err("the disk is gone".to_owned())
    }
}

#[test]
fn a_matching_profile_decides_about_the_source() {
    let outcome = decide_with(
        "name: a\nfilters: [Alert.Remediation == true && Alert.GetScope() == 'Ip']\n\
         decisions: [{type: ban, duration: 2d, scope: range, simulated: true, origin: mine}]\n",
        &NoHistory,
    );
    let decision = outcome.unwrap().decisions.remove(0);
    assert_eq!(decision.scope, Scope::Range);
    assert_eq!(decision.value, "192.0.2.1");
    assert_eq!(decision.scenario, "test/ssh-bf");
    assert_eq!(decision.origin, "crowdsec/mine");
    assert_eq!(decision.duration, Duration::from_secs(2 * 86400));
    assert!(decision.simulated);
}

#[test]
fn a_simulated_alert_makes_simulated_decisions() {
    let compiled = compile("filters: ['true']\ndecisions: [{type: ban, duration: 1h}]\n");
    let simulated = Alert { simulated: true, ..alert(Scope::Other("user".into()), "root") };
    let outcome =
        compiled.profiles.decide(&simulated, &NoOutside, &NoHistory, Timestamp::default()).unwrap();
    assert!(outcome.decisions[0].simulated);
    assert_eq!(outcome.decisions[0].scope, Scope::Other("user".into()));
}

#[test]
fn two_filters_that_hold_make_one_set_of_decisions() {
    let text = "filters: ['true', \"Alert.GetValue() != ''\"]\n\
                decisions: [{type: ban, duration: 1h}, {type: captcha, duration: 2h}]\n";
    check(text, &["ban 3600s crowdsec", "captcha 7200s crowdsec"], &[0]);
}

#[test]
fn the_first_profile_that_decides_decides_alone() {
    let text = "filters: ['true']\nnotifications: [a]\n---\n\
                filters: ['false']\ndecisions: [{type: x, duration: 1h}]\n---\n\
                filters: ['true']\ndecisions: [{type: ban, duration: 1h}]\n---\n\
                filters: ['true']\ndecisions: [{type: captcha, duration: 1h}]\n";
    check(text, &["ban 3600s crowdsec"], &[0, 2, 3]);
}

#[test]
fn success_and_failure_may_end_it() {
    let ban = "filters: ['true']\ndecisions: [{type: ban, duration: 1h}]\n";
    check(&format!("filters: ['true']\non_success: break\n---\n{ban}"), &[], &[0]);
    check(&format!("filters: ['false']\non_failure: break\n---\n{ban}"), &[], &[]);
    check(
        &format!("filters: ['false']\non_failure: continue\n---\n{ban}"),
        &["ban 3600s crowdsec"],
        &[1],
    );
    check(
        "filters: ['false']\non_failure: apply\ndecisions: [{type: ban, duration: 1h}]\n",
        &["ban 3600s crowdsec"],
        &[0],
    );
}

#[test]
fn errors_do_what_the_profile_says() {
    let broken = "filters: [\"fromJSON(Alert.GetValue()) == 1\", 'true']\n\
                  decisions: [{type: ban, duration: 1h}]\n";
    let next = "---\nfilters: ['true']\ndecisions: [{type: captcha, duration: 1h}]\n";
    let with = |word: &str| format!("{broken}on_error: {word}\n{next}");
    check(&with("continue"), &["captcha 3600s crowdsec"], &[1]);
    check(&with("break"), &[], &[]);
    check(&with("apply"), &["ban 3600s crowdsec"], &[0, 1]);
    check(&with("ignore"), &["ban 3600s crowdsec"], &[0, 1]);
    let error = decide_with(&format!("name: p\n{broken}{next}"), &NoHistory).unwrap_err();
    assert_eq!(&*error.profile, "p");
    assert_eq!(&*error.filter, "fromJSON(Alert.GetValue()) == 1");
}

#[test]
fn the_past_is_asked_for() {
    let seconds = |expr: &str| {
        let text = format!(
            "filters: ['true']\ndecisions: [{{type: ban, duration: 1h}}]\nduration_expr: \"{expr}\"\n"
        );
        decide_with(&text, &Past).unwrap().decisions[0].duration.as_secs()
    };
    assert_eq!(seconds("Sprintf('%dh', (GetDecisionsCount(Alert.GetValue()) + 1) * 4)"), 16 * 3600);
    assert_eq!(seconds("Sprintf('%dm', GetDecisionsSinceCount(Alert.GetValue(), '24h'))"), 120);
    assert_eq!(seconds("Sprintf('%dd', GetActiveDecisionsCount(Alert.GetValue()))"), 86400);
    // What cannot be computed leaves what is written.
    assert_eq!(seconds("GetActiveDecisionsTimeLeft(Alert.GetValue())"), 3600);
    assert_eq!(seconds("'soon'"), 3600);
    assert_eq!(seconds("'-5m'"), 3600);
    assert_eq!(seconds("'0s'"), 3600);
}

#[test]
fn a_question_that_cannot_be_answered_is_an_error() {
    let text = "filters: [\"GetActiveDecisionsTimeLeft(Alert.GetValue()).Hours() > 1\"]\n\
                decisions: [{type: ban, duration: 1h}]\n";
    let error = decide_with(text, &Past).unwrap_err();
    assert!(error.cause.0.contains("the disk is gone"), "{error}");
}

#[test]
fn mistakes_are_shown_in_their_places() {
    let compiled = compile(
        "name: one\nfilter: ['true']\n---\n\
         name: two\nfilters: [Alert.GetScop() == 'Ip']\n---\n\
         name: three\nfilters: ['true']\ndecisions: [{duration: 4 hours}]\non_success: brake\n---\n\
         name: four\nfilters: ['true']\ndecisions: [{type: ban, value: x}]\n---\n\
         name: five\n",
    );
    assert_eq!(
        messages(&compiled),
        [
            (1, "a profile without `filters` never matches"),
            (2, "a profile has no key `filter`"),
            (5, "an alert has no method `GetScop`"),
            (9, "a decision needs `type`"),
            (9, "`duration` must be a length of time"),
            (10, "`on_success` knows no `brake`"),
            (14, "a decision without `duration` lasts 4h"),
            (14, "`value` has no effect in a profile: the value is that of the alert's source"),
            (16, "a profile without `filters` never matches"),
        ]
    );
    let names: Vec<&str> = compiled.profiles.list.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["four", "five"]);
    assert_eq!(compiled.profiles.list[0].decisions[0].duration, USUAL_DURATION);
}

#[test]
fn files_are_tried_in_the_order_given() {
    let file = |name: &str| (format!("{name}.yaml"), format!("name: {name}\nfilters: ['true']\n"));
    let compiled = compile_profiles([file("b"), file("a")]);
    let names: Vec<&str> = compiled.profiles.list.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["b", "a"]);
}

/// What Debian ships, where somebody unpacked it and says where.
#[test]
fn the_profiles_of_debian_ban_addresses_for_four_hours() {
    let Some(path) = std::env::var_os("CROWDSEC_PROFILES") else {
        eprintln!("skipped: CROWDSEC_PROFILES names no profiles.yaml");
        return;
    };
    let text = std::fs::read_to_string(&path).expect("the file is readable");
    check(&text, &["ban 14400s crowdsec"], &[0]);
    let compiled = compile(&text);
    let range = alert(Scope::Range, "192.0.2.0/24");
    let outcome =
        compiled.profiles.decide(&range, &NoOutside, &NoHistory, Timestamp::default()).unwrap();
    assert_eq!(outcome, Outcome::default());
}
