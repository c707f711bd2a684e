//! From counted numbers to sections: what an endpoint tells, and what agents reported.

use super::{scrape::Sample, tree::Node};
use api::metrics::Detail;
use serde::Deserialize;
use std::collections::BTreeMap;
use store::Metrics;

/// Sections under construction.
pub(super) type Sections = BTreeMap<&'static str, Node>;

/// Adds a count to a section.
pub(super) fn add(sections: &mut Sections, key: &'static str, path: &[&str], n: u64) {
    // Counts beyond 2^53 lose their last digit, which nobody will miss.
    #[expect(clippy::cast_precision_loss, reason = "said above")]
    sections.entry(key).or_default().add(path, n as f64);
}

/// What a report of usage holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Payload {
    pub(in crate::cli) metrics: Option<Vec<Detail>>,
}

impl Payload {
    /// Reads a stored report. One that cannot be read tells nothing.
    pub(in crate::cli) fn of(report: &Metrics) -> Self {
        serde_json::from_str(&report.payload).unwrap_or_default()
    }
}

/// `file:/var/log/auth.log`, as far as both are known.
fn source(kind: &str, name: &str) -> String {
    if kind.is_empty() { name.to_owned() } else { format!("{kind}:{name}") }
}

/// Adds one sample of a running engine. Names are those of the incumbent's endpoint.
pub(super) fn sample(sample: &Sample<'_>, sections: &mut Sections) {
    let label = |name: &str| sample.label(name);
    let kind = ["type", "datasource_type"].map(label).into_iter().find(|kind| !kind.is_empty());
    let source = source(kind.unwrap_or(""), label("source"));
    let name = label("name");
    let (key, path): (&'static str, Vec<&str>) = match sample.name {
        "cs_filesource_hits_total"
        | "cs_journalctlsource_hits_total"
        | "cs_syslogsource_hits_total"
        | "cs_stdinsource_hits_total"
        | "cs_reader_hits_total" => ("acquisition", vec![&source, "reads"]),
        "cs_parser_hits_ok_total" => ("acquisition", vec![&source, "parsed"]),
        "cs_parser_hits_ko_total" => ("acquisition", vec![&source, "unparsed"]),
        "cs_node_hits_total" => ("parsers", vec![name, "hits"]),
        "cs_node_hits_ok_total" => ("parsers", vec![name, "parsed"]),
        "cs_node_hits_ko_total" => ("parsers", vec![name, "unparsed"]),
        "cs_node_wl_hits_total" => ("whitelists", vec![name, label("reason"), "hits"]),
        "cs_node_wl_hits_ok_total" => {
            if !label("source").is_empty() {
                let acquisition = sections.entry("acquisition").or_default();
                acquisition.add(&[&source, "whitelisted"], sample.value);
            }
            ("whitelists", vec![name, label("reason"), "whitelisted"])
        }
        "cs_buckets" => ("scenarios", vec![name, "curr_count"]),
        "cs_bucket_created_total" => ("scenarios", vec![name, "instantiation"]),
        "cs_bucket_overflowed_total" => ("scenarios", vec![name, "overflow"]),
        "cs_bucket_underflowed_total" => ("scenarios", vec![name, "underflow"]),
        "cs_bucket_poured_total" => {
            if !label("source").is_empty() {
                let acquisition = sections.entry("acquisition").or_default();
                acquisition.add(&[&source, "pour"], sample.value);
            }
            ("scenarios", vec![name, "pour"])
        }
        "cs_cache_size" => {
            let kind = Node::Text(label("type").to_owned());
            *sections.entry("stash").or_default().at(&[name, "Type"]) = kind;
            ("stash", vec![name, "Count"])
        }
        "cs_alerts" => ("alerts", vec![label("reason")]),
        "cs_active_decisions" => {
            ("decisions", vec![label("reason"), label("origin"), label("action")])
        }
        "cs_lapi_route_requests_total" => ("lapi", vec![label("route"), label("method")]),
        "cs_lapi_machine_requests_total" => {
            ("lapi-machine", vec![label("machine"), label("route"), label("method")])
        }
        "cs_lapi_bouncer_requests_total" => {
            ("lapi-bouncer", vec![label("bouncer"), label("route"), label("method")])
        }
        "cs_lapi_decisions_ok_total" => ("lapi-decisions", vec![label("bouncer"), "NonEmpty"]),
        "cs_lapi_decisions_ko_total" => ("lapi-decisions", vec![label("bouncer"), "Empty"]),
        "cs_appsec_reqs_total" => ("appsec-engine", vec![label("appsec_engine"), "processed"]),
        "cs_appsec_block_total" => ("appsec-engine", vec![label("appsec_engine"), "blocked"]),
        "cs_appsec_rule_hits" => {
            ("appsec-rule", vec![label("appsec_engine"), label("rule_name"), "triggered"])
        }
        other => return challenge(other, sample, sections),
    };
    sections.entry(key).or_default().add(&path, sample.value);
}

/// Adds one sample about challenges: for each engine, all together, and by the reason given.
fn challenge(name: &str, sample: &Sample<'_>, sections: &mut Sections) {
    let stage =
        name.strip_prefix("cs_appsec_challenge_").and_then(|stage| stage.strip_suffix("_total"));
    let Some(stage) = stage else { return };
    if !["requested", "submitted", "accepted", "rejected", "exempt"].contains(&stage) {
        let infra = sections.entry("appsec-challenge-infra").or_default();
        return infra.add(&[stage], sample.value);
    }
    let engine = sections.entry("appsec-engine").or_default();
    engine.add(&[sample.label("appsec_engine"), &format!("challenge_{stage}")], sample.value);
    let all = sections.entry("appsec-challenge").or_default();
    all.add(&["funnel", stage], sample.value);
    let reason = sample.label("reason");
    if !reason.is_empty() {
        all.add(&["reasons", &format!("{stage}: {reason}")], sample.value);
    }
}

/// Adds what an agent reported: the sum over the spans of time that are on record.
pub(super) fn log_processor(report: &Metrics, sections: &mut Sections) {
    let details = Payload::of(report).metrics.unwrap_or_default();
    for item in details.into_iter().flat_map(|detail| detail.items.unwrap_or_default()) {
        let labels = item.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let name = item.name.unwrap_or_default();
        let value = item.value.and_then(|value| value.as_f64()).unwrap_or(0.0);
        let source = source(label("datasource_type"), label("source"));
        let parser = label("parser_name");
        let (key, path): (&'static str, Vec<&str>) = match name.as_str() {
            "parsed" | "unparsed" if !parser.is_empty() => {
                sections.entry("parsers").or_default().add(&[parser, "hits"], value);
                ("parsers", vec![parser, &name])
            }
            "read" => ("acquisition", vec![&source, "reads"]),
            "global_parsed" | "parsed" => ("acquisition", vec![&source, "parsed"]),
            "global_unparsed" | "unparsed" => ("acquisition", vec![&source, "unparsed"]),
            "whitelisted" => {
                ("whitelists", vec![label("whitelist_name"), label("reason"), "whitelisted"])
            }
            "appsec_processed" => ("appsec-engine", vec![label("appsec_engine"), "processed"]),
            "appsec_blocked" => ("appsec-engine", vec![label("appsec_engine"), "blocked"]),
            _ => continue,
        };
        sections.entry(key).or_default().add(&path, value);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::scrape::samples, *};
    use model::Timestamp;

    #[test]
    fn an_endpoint_fills_sections() {
        let text = "cs_filesource_hits_total{source=\"/a.log\",type=\"file\"} 10\n\
                    cs_parser_hits_ok_total{source=\"/a.log\",type=\"file\"} 7\n\
                    cs_bucket_poured_total{name=\"s\",source=\"/a.log\",type=\"file\"} 3\n\
                    cs_bucket_poured_total{name=\"s\",source=\"/b.log\",type=\"file\"} 4\n\
                    cs_active_decisions{reason=\"s\",origin=\"crowdsec\",action=\"ban\"} 2\n\
                    cs_cache_size{name=\"c\",type=\"lru\"} 5\n\
                    cs_appsec_challenge_rejected_total{appsec_engine=\"e\",reason=\"late\"} 2\n\
                    cs_appsec_challenge_reobfuscation_total 1\n\
                    go_threads 9\n";
        let mut sections = Sections::new();
        samples(text).for_each(|it| sample(&it, &mut sections));
        assert_eq!(
            serde_json::to_string(&sections).unwrap(),
            concat!(
                r#"{"acquisition":{"file:/a.log":{"parsed":7,"pour":3,"reads":10},"#,
                r#""file:/b.log":{"pour":4}},"#,
                r#""appsec-challenge":{"funnel":{"rejected":2},"reasons":{"rejected: late":2}},"#,
                r#""appsec-challenge-infra":{"reobfuscation":1},"#,
                r#""appsec-engine":{"e":{"challenge_rejected":2}},"#,
                r#""decisions":{"s":{"crowdsec":{"ban":2}}},"scenarios":{"s":{"pour":7}},"#,
                r#""stash":{"c":{"Count":5,"Type":"lru"}}}"#
            )
        );
    }

    #[test]
    fn reports_of_agents_add_up() {
        let report = |payload: &str| Metrics {
            id: 1,
            source: store::MetricsSource::LogProcessor,
            name: "m".to_owned(),
            received_at: Timestamp::default(),
            pushed_at: None,
            payload: payload.to_owned(),
        };
        let mut sections = Sections::new();
        let payload = r#"{"metrics":[{"items":[
            {"name":"read","value":5,"unit":"line","labels":{"source":"/a","datasource_type":"file"}},
            {"name":"parsed","value":4,"unit":"line","labels":{"parser_name":"p","source":"/a"}},
            {"name":"unparsed","value":1,"unit":"line","labels":{"parser_name":"p","source":"/a"}}]}]}"#;
        log_processor(&report(payload), &mut sections);
        log_processor(&report(payload), &mut sections);
        log_processor(&report("not json"), &mut sections);
        assert_eq!(
            serde_json::to_string(&sections).unwrap(),
            concat!(
                r#"{"acquisition":{"file:/a":{"reads":10}},"#,
                r#""parsers":{"p":{"hits":10,"parsed":8,"unparsed":2}}}"#
            )
        );
    }
}
