//! What can be shown, under the names scripts know.

use anyhow::{Result, bail};

/// A table of numbers.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// What its rows are told apart by, outermost first.
    pub(super) groups: &'static [&'static str],
    /// Its numbers; none where a row has only one, which then has no name.
    pub(super) leaves: &'static [&'static str],
}

macro_rules! sections {
    ($($key:literal, $title:literal, $about:literal, [$($group:literal),*], [$($leaf:literal),*];)*) => {
        /// All sections, in the order they are shown.
        pub(super) const SECTIONS: &[Section] = &[$(Section {
            key: $key,
            title: $title,
            about: $about,
            groups: &[$($group),*],
            leaves: &[$($leaf),*],
        }),*];
    };
}

sections! {
    "acquisition", "Acquisition Metrics", "Lines read from each source, and what became of them",
        ["Source"], ["reads", "parsed", "unparsed", "pour", "whitelisted"];
    "parsers", "Parser Metrics", "Events each parser looked at and understood",
        ["Parser"], ["hits", "parsed", "unparsed"];
    "scenarios", "Scenario Metrics", "Buckets of each scenario: made, poured into, overflowed, expired",
        ["Scenario"], ["curr_count", "overflow", "instantiation", "pour", "underflow"];
    "whitelists", "Whitelist Metrics", "Events each whitelist looked at and let pass",
        ["Whitelist", "Reason"], ["hits", "whitelisted"];
    "stash", "Parser Stash Metrics", "Values parsers keep for later",
        ["Name"], ["Type", "Count"];
    "alerts", "Local API Alerts", "Alerts of each scenario",
        ["Reason"], [];
    "decisions", "Local API Decisions", "Active decisions of each scenario",
        ["Reason", "Origin", "Action"], [];
    "lapi", "Local API Metrics", "Requests to the local API",
        ["Route", "Method"], [];
    "lapi-machine", "Local API Machines Metrics", "Requests of each machine",
        ["Machine", "Route", "Method"], [];
    "lapi-bouncer", "Local API Bouncers Metrics", "Requests of each bouncer",
        ["Bouncer", "Route", "Method"], [];
    "lapi-decisions", "Local API Bouncers Decisions", "Answers to bouncers with and without decisions",
        ["Bouncer"], ["NonEmpty", "Empty"];
    "appsec-engine", "Appsec Metrics", "Requests each web application firewall judged and refused",
        ["Engine"], ["processed", "blocked", "challenge_requested", "challenge_submitted",
            "challenge_accepted", "challenge_rejected", "challenge_exempt"];
    "appsec-rule", "Appsec Rules Metrics", "How often each rule matched",
        ["Engine", "Rule"], ["triggered"];
    "appsec-challenge", "Appsec Challenge Metrics", "How far browsers came with challenges, and why not further",
        ["Kind", "Name"], [];
    "appsec-challenge-infra", "Appsec Challenge Upkeep", "What issuing challenges took",
        ["Name"], [];
    "bouncers", "Bouncer Metrics", "What bouncers report of themselves",
        ["Bouncer", "Origin"], [];
}

/// Names for several sections at once.
const ALIASES: [(&str, &[&str]); 4] = [
    ("engine", &["acquisition", "parsers", "scenarios", "stash", "whitelists"]),
    ("lapi", &["alerts", "decisions", "lapi", "lapi-bouncer", "lapi-decisions", "lapi-machine"]),
    ("appsec", &["appsec-engine", "appsec-rule"]),
    ("bot-detection", &["appsec-challenge", "appsec-challenge-infra"]),
];

/// Every name that can be asked for.
pub(in crate::cli) const SECTION_NAMES: &[&str] = &[
    "acquisition",
    "parsers",
    "scenarios",
    "whitelists",
    "stash",
    "alerts",
    "decisions",
    "lapi",
    "lapi-machine",
    "lapi-bouncer",
    "lapi-decisions",
    "appsec-engine",
    "appsec-rule",
    "appsec-challenge",
    "appsec-challenge-infra",
    "bouncers",
    "engine",
    "appsec",
    "bot-detection",
];

/// The sections with these names, or all of them, each once and in their order.
pub(super) fn named(names: &[String]) -> Result<Vec<&'static Section>> {
    let mut wanted: Vec<&str> = Vec::new();
    for name in names {
        if let Some((_, keys)) = ALIASES.iter().find(|(alias, _)| alias == name) {
            wanted.extend(*keys);
        } else if SECTIONS.iter().any(|section| section.key == name) {
            wanted.push(name);
        } else {
            bail!("unknown metrics type: {name}");
        }
    }
    let is_wanted = |section: &&Section| wanted.is_empty() || wanted.contains(&section.key);
    Ok(SECTIONS.iter().filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sections_or_several() {
        let check = |names: &[&str], expect: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let keys: Vec<&str> = named(&names).unwrap().iter().map(|it| it.key).collect();
            assert_eq!(keys, expect);
        };
        check(&["appsec", "appsec-rule", "alerts"], &["alerts", "appsec-engine", "appsec-rule"]);
        assert_eq!(named(&[]).unwrap().len(), SECTIONS.len());
        let all: Vec<String> = SECTION_NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(named(&all).unwrap().len(), SECTIONS.len());
        let is_listed = |section: &Section| SECTION_NAMES.contains(&section.key);
        assert!(
            SECTIONS.iter().all(is_listed) && ALIASES.iter().all(|it| all.contains(&it.0.into()))
        );
        let error = named(&["foobar".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "unknown metrics type: foobar");
    }
}
