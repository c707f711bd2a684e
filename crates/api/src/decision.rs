//! A decision on the wire.

use model::{NewDecision, canonical_scope};
use serde::{Deserialize, Serialize};

use crate::{WireError, alert::text, date, duration};

/// A decision as bouncers read it, and as alerts carry it.
///
/// What a sender must give is an `Option` here, because the wire can leave it out;
/// [`Decision::into_model`] says what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// How long it still holds, in whole seconds; negative once it has ended. From a sender: how
    /// long it shall hold.
    pub duration: Option<String>,
    /// Its number; given by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Who decided.
    pub origin: Option<String>,
    /// Why.
    pub scenario: Option<String>,
    /// What kind of thing `value` is.
    pub scope: Option<String>,
    /// Whether it is only written down; shown inside alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,
    /// What to do.
    #[serde(rename = "type")]
    pub remediation: Option<String>,
    /// When it ends; only the central API says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Its identifier; shown in the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Whom it is about.
    pub value: Option<String>,
}

/// Decisions to add and to remove: the answer of the stream, and one event of the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionDelta {
    /// To add.
    #[serde(default, deserialize_with = "text::null_as_empty")]
    pub new: Vec<Decision>,
    /// To remove.
    #[serde(default, deserialize_with = "text::null_as_empty")]
    pub deleted: Vec<Decision>,
}

impl Decision {
    /// The words every answer has; `duration` was computed by the caller, who knows what it means.
    #[must_use]
    pub fn from_model(decision: &model::Decision, duration: String) -> Self {
        Self {
            duration: Some(duration),
            id: Some(decision.id.0),
            origin: Some(decision.origin.as_ref().to_owned()),
            scenario: Some(decision.scenario.as_ref().to_owned()),
            scope: Some(decision.scope.name().to_owned()),
            remediation: Some(decision.remediation.as_ref().to_owned()),
            value: Some(decision.value.clone()),
            ..Self::default()
        }
    }

    /// A decision to send, with its length in full.
    #[must_use]
    pub fn from_new(decision: &NewDecision) -> Self {
        let nanos = i64::try_from(decision.duration.as_nanos()).unwrap_or(i64::MAX);
        Self {
            duration: Some(duration::format(nanos)),
            origin: Some(decision.origin.clone()),
            scenario: Some(decision.scenario.clone()),
            scope: Some(decision.scope.name().to_owned()),
            simulated: decision.simulated.then_some(true),
            remediation: Some(decision.remediation.clone()),
            value: Some(decision.value.clone()),
            uuid: decision.uuid.map(|uuid| uuid.to_string()),
            ..Self::default()
        }
    }

    /// Notes what a sender left out although it must be there; `at` is where this decision stands.
    pub(crate) fn missing(&self, at: &str, out: &mut Vec<String>) {
        let fields = [
            ("duration", &self.duration),
            ("origin", &self.origin),
            ("scenario", &self.scenario),
            ("scope", &self.scope),
            ("type", &self.remediation),
            ("value", &self.value),
        ];
        for (name, field) in fields {
            if field.is_none() {
                out.push(format!("{at}.{name} in body is required"));
            }
        }
    }

    /// The decision as a noun. An identifier or an end that cannot be read is not there.
    ///
    /// # Errors
    /// When the duration cannot be read. What [`Self::missing`] notes was checked before.
    pub fn into_model(self) -> Result<NewDecision, WireError> {
        let text = self.duration.unwrap_or_default();
        let nanos = duration::parse(&text)
            .map_err(|source| WireError::Duration { text: source.0.clone(), source })?;
        Ok(NewDecision {
            uuid: self.uuid.as_deref().and_then(model::Uuid::parse),
            origin: self.origin.unwrap_or_default(),
            scenario: self.scenario.unwrap_or_default(),
            // COMPAT(crowdsec): bouncers compare types in lower case (trap 8 of the checklist).
            remediation: self.remediation.unwrap_or_default().to_ascii_lowercase(),
            scope: canonical_scope(&self.scope.unwrap_or_default()),
            value: self.value.unwrap_or_default().trim().to_owned(),
            // A length below zero ended in the past; the store wants to hear "at once".
            duration: std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)),
            simulated: self.simulated.unwrap_or(false),
        })
    }

    /// When it ends, where the sender said so.
    #[must_use]
    pub fn until(&self) -> Option<model::Timestamp> {
        self.until.as_deref().and_then(date::parse).map(|time| time.at)
    }
}
