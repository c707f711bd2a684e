//! Query parameters as filters of the store.

use std::fmt::Display;

use ipnet::IpNet;
use model::{Scope, Timestamp, Uuid, canonical_scope, parse_ip, parse_range};
use store::{AlertFilter, DecisionFilter, HasActive, Page, Relation, Simulated, Sort};

use crate::Refusal;

type Pairs<'a> = &'a [(String, String)];

/// How many alerts are told unless asked otherwise.
const USUAL_LIMIT: usize = 100;
/// The longest list of names in a parameter.
const MOST_NAMES: usize = 256;

fn invalid(what: impl Display) -> Refusal {
    Refusal::internal(format!("{what}: invalid filter"))
}

fn unreadable(what: impl Display) -> Refusal {
    Refusal::internal(format!("{what}: unable to parse type"))
}

/// The parts of a list. Each decision is held against all of them, so there cannot be any number.
fn commas(text: &str) -> Result<Vec<String>, Refusal> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.take(MOST_NAMES + 1).map(str::to_owned).collect();
    if parts.len() > MOST_NAMES {
        return Err(invalid(format_args!("more than {MOST_NAMES} names in a list")));
    }
    Ok(parts)
}

fn boolean(name: &str, text: &str) -> Result<bool, Refusal> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(unreadable(format_args!("invalid bool value for {name}: '{text}'"))),
    }
}

fn number(name: &str, text: &str) -> Result<usize, Refusal> {
    text.parse().map_err(|_| unreadable(format_args!("invalid number for {name}: '{text}'")))
}

/// An address or network, while the parameters are read: which way it is meant comes separately.
#[derive(Default)]
struct Target {
    net: Option<IpNet>,
    inside: bool,
}

impl Target {
    fn read(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let bad = |error| Refusal::internal(format!("{error}: invalid ip address / range"));
        match name {
            "ip" => self.net = Some(IpNet::from(parse_ip(value).map_err(bad)?)),
            "range" => self.net = Some(parse_range(value).map_err(bad)?),
            _ => self.inside = !boolean(name, value)?,
        }
        Ok(())
    }

    fn finish(self) -> Option<(IpNet, Relation)> {
        let relation = if self.inside { Relation::Inside } else { Relation::Contains };
        self.net.map(|net| (net, relation))
    }
}

/// The filter of `GET /decisions`; what it does not know it ignores, as bouncers rely on.
pub(super) fn decisions(query: Pairs<'_>) -> Result<(DecisionFilter, Page), Refusal> {
    let (mut filter, mut page) = (DecisionFilter::default(), Page::default());
    let mut target = Target::default();
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "ip" | "range" | "contains" => target.read(name, value)?,
            "scope" | "scopes" => filter.scopes.extend(scopes(value)?),
            "value" => filter.value = Some(value.clone()),
            "type" => filter.remediation = Some(value.clone()),
            "origins" => filter.origins.extend(commas(value)?),
            "scenarios_containing" => filter.scenarios_containing.extend(commas(value)?),
            "scenarios_not_containing" => filter.scenarios_not_containing.extend(commas(value)?),
            "simulated" if value != "false" => filter.simulated = Simulated::Included,
            "limit" => page.limit = Some(number(name, value)?).filter(|limit| *limit > 0),
            "offset" => page.offset = number(name, value)?,
            "id_gt" => {
                page.id_gt = Some(value.parse().map_err(|_| unreadable("invalid id_gt"))?);
            }
            _ => {}
        }
    }
    filter.net = target.finish();
    Ok((filter, page))
}

/// The filter of the stream: addresses and networks only, unless asked otherwise.
pub(super) fn stream(query: Pairs<'_>) -> Result<DecisionFilter, Refusal> {
    let (mut filter, _) = decisions(query)?;
    if filter.scopes.is_empty() {
        filter.scopes = vec![Scope::Ip, Scope::Range];
    }
    Ok(filter)
}

fn scopes(text: &str) -> Result<Vec<Scope>, Refusal> {
    Ok(commas(text)?.iter().map(|name| canonical_scope(name)).collect())
}

/// The filter of `DELETE /decisions`. Here an unknown parameter is an error: a misspelt filter
/// must not end everything.
pub(super) fn ended_decisions(query: Pairs<'_>) -> Result<DecisionFilter, Refusal> {
    let mut filter = DecisionFilter { simulated: Simulated::Included, ..DecisionFilter::default() };
    let mut target = Target::default();
    for (name, value) in query {
        match name.as_str() {
            "ip" | "range" | "contains" => target.read(name, value)?,
            // `scope` is what the published description says, `scopes` what works elsewhere.
            "scope" | "scopes" => filter.scopes.extend(scopes(value)?),
            "value" => filter.value = Some(value.clone()),
            "type" => filter.remediation = Some(value.clone()),
            "origin" => filter.origins = vec![value.clone()],
            "scenario" => filter.scenario = Some(value.clone()),
            "uuid" => {
                let uuid = Uuid::parse(value);
                filter.uuids.push(uuid.ok_or_else(|| invalid(format_args!("uuid '{value}'")))?);
            }
            _ => return Err(invalid(format_args!("'{name}' doesn't exist"))),
        }
    }
    filter.net = target.finish();
    Ok(filter)
}

/// The filter of `GET` and `DELETE /alerts`.
pub(super) fn alerts(query: Pairs<'_>, now: Timestamp) -> Result<AlertFilter, Refusal> {
    let mut filter = AlertFilter { limit: Some(USUAL_LIMIT), ..AlertFilter::default() };
    let mut target = Target::default();
    for (name, value) in query {
        match name.as_str() {
            "ip" | "range" | "contains" => target.read(name, value)?,
            "scope" => filter.scope = Some(canonical_scope(value)),
            "value" => filter.value = Some(value.clone()),
            "scenario" => filter.scenario = Some(value.clone()),
            "since" => filter.started_since = Some(ago(value, now)?),
            "until" => filter.started_until = Some(ago(value, now)?),
            "created_before" => filter.created_before = Some(ago(value, now)?),
            "decision_type" => filter.decision_remediation = Some(value.clone()),
            "origin" => filter.origin = Some(value.clone()),
            "include_capi" => filter.without_community = value == "false",
            "has_active_decision" => {
                let wanted = boolean(name, value)?;
                filter.has_active =
                    Some(if wanted { HasActive::Yes } else { HasActive::NoneAtAll });
            }
            "kind" => filter.kind = Some(value.clone()),
            "simulated" => filter.without_simulated = value == "false",
            "limit" => filter.limit = Some(number(name, value)?).filter(|limit| *limit > 0),
            "sort" => {
                filter.sort = match value.to_ascii_uppercase().as_str() {
                    "ASC" => Sort::Ascending,
                    "DESC" => Sort::Descending,
                    _ => return Err(invalid(format_args!("invalid sort parameter '{value}'"))),
                };
            }
            "with_decisions" => filter.without_decisions = !boolean(name, value)?,
            _ => {
                let cut: String = value.chars().take(64).collect();
                return Err(invalid(format_args!("filter parameter '{name}' is unknown (={cut})")));
            }
        }
    }
    if filter.origin.is_some() {
        filter.without_community = false;
    }
    filter.net = target.finish();
    Ok(filter)
}

fn ago(text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let nanos = api::duration::parse(text).map_err(unreadable)?;
    Ok(now.plus_nanos(nanos.saturating_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn bouncers_may_ask_with_words_unknown_here() {
        let query =
            [("startup", "true"), ("community_pull", "false"), ("scopes", "IP,country,user")];
        let filter = stream(&pairs(&query)).unwrap();
        let names: Vec<&str> = filter.scopes.iter().map(Scope::name).collect();
        assert_eq!(names, ["Ip", "Country", "user"]);
        assert_eq!(stream(&[]).unwrap().scopes, [Scope::Ip, Scope::Range]);
    }

    #[test]
    fn words_unknown_here_end_nothing() {
        let error = ended_decisions(&pairs(&[("limit", "1")])).unwrap_err();
        assert_eq!(error.message, "'limit' doesn't exist: invalid filter");
        let error = alerts(&pairs(&[("alert_source", "x")]), Timestamp::default()).unwrap_err();
        assert_eq!(
            error.message,
            "filter parameter 'alert_source' is unknown (=x): invalid filter"
        );
    }

    #[test]
    fn bad_addresses_say_so() {
        let error = decisions(&pairs(&[("ip", "1.2.3")])).unwrap_err();
        assert_eq!(error.message, "invalid ip address '1.2.3': invalid ip address / range");
        let error = decisions(&pairs(&[("range", "1.2.3.4/33")])).unwrap_err();
        assert!(error.message.ends_with(": invalid ip address / range"), "{}", error.message);
    }

    #[test]
    fn lists_are_bounded() {
        let many = vec!["x"; MOST_NAMES].join(",");
        assert!(decisions(&pairs(&[("origins", &many)])).is_ok());
        let error = decisions(&pairs(&[("origins", &format!("{many},y"))])).unwrap_err();
        assert!(error.message.ends_with(": invalid filter"), "{}", error.message);
    }

    #[test]
    fn inside_and_around() {
        let (filter, _) =
            decisions(&pairs(&[("contains", "false"), ("range", "4.4.0.1/16")])).unwrap();
        assert_eq!(filter.net, Some(("4.4.0.0/16".parse().unwrap(), Relation::Inside)));
    }
}
