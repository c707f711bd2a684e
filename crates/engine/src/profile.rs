//! Profiles: what is decided about an alert.
//!
//! A profile has filters, and templates of the decisions to make when one of them holds. Deciding
//! is pure: what earlier decisions say about a value is asked of a [`History`], which is an
//! argument, and a template becomes a [`NewDecision`] whose lifetime is a length of time; the store
//! turns it into an instant.
//!
//! Where the incumbent's profiles are known to do something else than they promise, the promise is
//! kept: two filters that hold make one set of decisions and not two, a template without a duration
//! lasts four hours and not none, and `on_failure` and `on_error` do what their words say.
//!
//! Reading order: [`Profiles`] (what the rule compiler makes), [`Profiles::decide`], [`Outcome`].

use crate::data::DataFiles;
use crate::eval::{Cx, Eval, Roots, Scratch};
use crate::event::Event;
use crate::expr::Expr;
use crate::outside::{Asn, City, Outside};
use crate::overflow::alert_value;
use crate::pool::Pool;
use crate::value::{EvalError, Value};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{net::IpAddr, time::Duration};
use model::{Alert, NewDecision, Scope, Timestamp};

/// How long a decision lasts where nothing says otherwise.
pub const USUAL_DURATION: Duration = Duration::from_secs(4 * 3600);

/// Profiles in the order in which they are tried, and what their expressions refer to.
#[derive(Debug, Default)]
pub struct Profiles {
    /// Fields, literals, patterns of the expressions.
    pub pool: Pool,
    /// Data files, of which profiles have none of their own.
    pub data: DataFiles,
    /// The profiles.
    pub list: Vec<Profile>,
}

/// One profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What it is called; may be empty.
    pub name: Box<str>,
    /// Whether what its expressions give is told to [`Outside::note`].
    pub debug: bool,
    /// It matches where any of these holds; without any it never does.
    pub filters: Vec<Filter>,
    /// What is decided where it matches. May be empty: such a profile only notifies.
    pub decisions: Vec<Template>,
    /// Computes how long the decisions last.
    pub duration: Option<Expr>,
    /// What happens after it matched.
    pub on_success: Then,
    /// What happens after it did not match.
    pub on_failure: OnFailure,
    /// What happens when a filter cannot be evaluated; `None` refuses the alert as a whole.
    pub on_error: Option<OnError>,
    /// Names of the notifications to send where it matches.
    pub notifications: Vec<Box<str>>,
}

/// A condition, with its text for messages.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What is evaluated.
    pub expr: Expr,
    /// What was written.
    pub text: Box<str>,
}

/// What becomes a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// `ban`, `captcha` or another word that bouncers know.
    pub remediation: Box<str>,
    /// How long it lasts unless an expression says otherwise.
    pub duration: Duration,
    /// The scope; that of the alert's source where absent.
    pub scope: Option<Scope>,
    /// Whether it is only for show.
    pub simulated: bool,
    /// What is told of its origin beside our name.
    pub origin: Option<Box<str>>,
}

/// Whether later profiles are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// They are.
    #[default]
    Continue,
    /// They are not.
    Break,
}

/// What happens after a profile did not match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The next one is tried.
    #[default]
    Continue,
    /// No other is tried.
    Break,
    /// It counts as matched.
    Apply,
}

/// What happens when a filter cannot be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The profile does not match; the next one is tried.
    Continue,
    /// The profile does not match, and no other is tried.
    Break,
    /// The profile counts as matched.
    Apply,
    /// The filter counts as one that does not hold; the profile's other filters are tried.
    Ignore,
}

/// What is known of earlier decisions about a value.
///
/// An answer may fail, which makes the expression that asked fail.
pub trait History: Send + Sync {
    /// How many decisions there ever were, as far as they are still stored.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn decisions(&self, value: &str) -> Result<u64, String>;

    /// How many of them were made after an instant.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn decisions_since(&self, value: &str, since: Timestamp) -> Result<u64, String>;

    /// How many of them are in force.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn active_decisions(&self, value: &str) -> Result<u64, String>;

    /// How long the longest of those in force lasts from now on; zero without any.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn active_time_left(&self, value: &str) -> Result<Duration, String>;
}

/// A past in which nothing was decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl History for NoHistory {
    fn decisions(&self, _: &str) -> Result<u64, String> {
        Ok(0)
    }

    fn decisions_since(&self, _: &str, _: Timestamp) -> Result<u64, String> {
        Ok(0)
    }

    fn active_decisions(&self, _: &str) -> Result<u64, String> {
        Ok(0)
    }

    fn active_time_left(&self, _: &str) -> Result<Duration, String> {
        Ok(Duration::ZERO)
    }
}

/// What became of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is decided: by the first profile that matches and decides anything.
    pub decisions: Vec<NewDecision>,
    /// The profiles that matched, by their place in [`Profiles::list`].
    pub matched: Vec<usize>,
    /// The one of them whose decisions these are.
    pub decided_by: Option<usize>,
}

/// A filter that could not be evaluated, in a profile that does not say what happens then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    /// The name of the profile.
    pub profile: Box<str>,
    /// The text of the filter.
    pub filter: Box<str>,
    /// Why.
    pub cause: EvalError,
}

impl core::fmt::Display for ProfileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "profile `{}`: the filter `{}`: {}", self.profile, self.filter, self.cause)
    }
}

impl core::error::Error for ProfileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// How a profile answers an alert.
enum Answer {
    Match,
    NoMatch,
    /// A filter failed, and nothing after this profile is to be tried.
    Stop,
}

impl Profiles {
    /// Decides about an alert.
    ///
    /// ```
    /// use engine::outside::NoOutside;
    /// use engine::profile::{NoHistory, Profiles};
    /// # use model::*;
    /// # let alert = Alert {
    /// #     scenario: "a/b".into(), scenario_hash: String::new(), scenario_version: String::new(),
    /// #     message: String::new(), events_count: 1, start_at: Time::default(),
    /// #     stop_at: Time::default(), capacity: 0, leakspeed: Default::default(),
    /// #     simulated: false, remediation: true,
    /// #     source: Source { scope: Scope::Ip, value: "192.0.2.1".into(), ip: String::new(),
    /// #         range: String::new(), as_name: String::new(), as_number: String::new(),
    /// #         cn: String::new(), latitude: 0.0, longitude: 0.0 },
    /// #     events: vec![], meta: vec![],
    /// # };
    /// // Without profiles nothing is decided.
    /// let none = Profiles::default();
    /// let outcome = none.decide(&alert, &NoOutside, &NoHistory, Timestamp::default())?;
    /// assert!(outcome.decisions.is_empty());
    /// # Ok::<(), engine::profile::ProfileError>(())
    /// ```
    ///
    /// # Errors
    /// When a filter fails in a profile that does not say what happens then: deciding nothing in
    /// silence would be worse than saying so.
    pub fn decide(
        &self,
        alert: &Alert,
        outside: &dyn Outside,
        history: &dyn History,
        now: Timestamp,
    ) -> Result<Outcome, ProfileError> {
        let roots = Roots {
            alert: Some(alert_value(alert, &alert.source)),
            no_event: true,
            ..Roots::default()
        };
        let outside = WithHistory { outside, history };
        let mut event = Event::new(self.pool.n_fields());
        let mut scratch = Scratch::default();
        let mut cx = Cx {
            pool: &self.pool,
            data: &self.data,
            event: &mut event,
            scratch: &mut scratch,
            outside: &outside,
            now,
            roots: &roots,
        };
        let mut outcome = Outcome::default();
        for (index, profile) in self.list.iter().enumerate() {
            let matches = match profile.answer(&mut cx)? {
                Answer::Stop => break,
                Answer::Match => true,
                Answer::NoMatch => match profile.on_failure {
                    OnFailure::Continue => false,
                    OnFailure::Break => break,
                    OnFailure::Apply => true,
                },
            };
            if !matches {
                continue;
            }
            outcome.matched.push(index);
            if outcome.decisions.is_empty() {
                outcome.decisions = profile.decisions(alert, &mut cx);
                outcome.decided_by = (!outcome.decisions.is_empty()).then_some(index);
            }
            if profile.on_success == Then::Break {
                break;
            }
        }
        Ok(outcome)
    }
}

impl Profile {
    /// Whether any filter holds.
    fn answer(&self, cx: &mut Cx<'_>) -> Result<Answer, ProfileError> {
        for filter in &self.filters {
            cx.begin_rule();
            let held = cx.test(&filter.expr);
            if self.debug {
                let result = held.as_ref().map(|held| if *held { "true" } else { "false" });
                let result = result.unwrap_or_else(|error| &error.0);
                cx.outside.note(&format!("profile `{}`: `{}`: {result}", self.name, filter.text));
            }
            let cause = match held {
                Ok(true) => return Ok(Answer::Match),
                Ok(false) => continue,
                Err(cause) => cause,
            };
            let error =
                ProfileError { profile: self.name.clone(), filter: filter.text.clone(), cause };
            let Some(on_error) = self.on_error else { return Err(error) };
            match on_error {
                OnError::Ignore => continue,
                OnError::Continue | OnError::Break | OnError::Apply => {
                    cx.outside.note(&format!("{error}"));
                }
            }
            return Ok(match on_error {
                OnError::Break => Answer::Stop,
                OnError::Apply => Answer::Match,
                OnError::Continue | OnError::Ignore => Answer::NoMatch,
            });
        }
        Ok(Answer::NoMatch)
    }

    /// The decisions of this profile about an alert.
    fn decisions(&self, alert: &Alert, cx: &mut Cx<'_>) -> Vec<NewDecision> {
        // A decision about nothing would be one about everything to a careless reader.
        if alert.source.value.is_empty() || self.decisions.is_empty() {
            return Vec::new();
        }
        let computed = self.duration.as_ref().and_then(|expr| {
            cx.begin_rule();
            match computed_duration(expr, cx) {
                Ok(duration) => Some(duration),
                Err(error) => {
                    cx.outside.note(&format!(
                        "profile `{}`: `duration_expr`: {error}; the written duration counts",
                        self.name
                    ));
                    None
                }
            }
        });
        self.decisions
            .iter()
            .map(|template| NewDecision {
                uuid: None,
                remediation: String::from(&*template.remediation),
                scope: template.scope.clone().unwrap_or_else(|| alert.source.scope.clone()),
                value: alert.source.value.clone(),
                scenario: alert.scenario.clone(),
                origin: match &template.origin {
                    Some(origin) => format!("crowdsec/{origin}"),
                    None => String::from("crowdsec"),
                },
                duration: computed.unwrap_or(template.duration),
                simulated: template.simulated || alert.simulated,
            })
            .collect()
    }
}

/// The duration an expression gives, as a text or as a length of time.
fn computed_duration(expr: &Expr, cx: &mut Cx<'_>) -> Eval<Duration> {
    let value = cx.eval(expr)?;
    let nanos = match &value {
        Value::Duration(nanos) => *nanos,
        other => {
            let text = cx.print(other);
            crate::builtins::duration::parse_duration_with_days(&text).map_err(EvalError::new)?
        }
    };
    // A decision that is over before it begins is surely not what was meant.
    u64::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos > 0)
        .map(Duration::from_nanos)
        .ok_or_else(|| EvalError::new("it is not longer than zero"))
}

/// The world, with a past.
struct WithHistory<'a> {
    outside: &'a dyn Outside,
    history: &'a dyn History,
}

impl Outside for WithHistory<'_> {
    fn reverse_dns(&self, ip: IpAddr) -> Option<String> {
        self.outside.reverse_dns(ip)
    }

    fn lookup_host(&self, name: &str) -> Vec<String> {
        self.outside.lookup_host(name)
    }

    fn hostname(&self) -> Option<String> {
        self.outside.hostname()
    }

    fn local_offset(&self, unix_seconds: i64) -> i32 {
        self.outside.local_offset(unix_seconds)
    }

    fn zone_offset(&self, zone: &str, unix_seconds: i64) -> Option<i32> {
        self.outside.zone_offset(zone, unix_seconds)
    }

    fn city(&self, ip: IpAddr) -> Option<City<'_>> {
        self.outside.city(ip)
    }

    fn asn(&self, ip: IpAddr) -> Option<Asn<'_>> {
        self.outside.asn(ip)
    }

    fn note(&self, text: &str) {
        self.outside.note(text);
    }

    fn history(&self) -> &dyn History {
        self.history
    }
}

#[cfg(test)]
mod tests;
