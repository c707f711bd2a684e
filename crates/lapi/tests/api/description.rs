//! The published description has every route of the table, and no other.

use std::collections::BTreeSet;

use lapi::route::{Access, ROUTES};

fn document() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/lapi-v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn routes_and_description_agree() {
    let document = document();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, verbs)| {
            verbs.as_object().unwrap().keys().map(move |verb| (path.clone(), verb.to_uppercase()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (route.path.to_owned(), route.verb.name().to_owned())).collect();
    assert_eq!(described, routed);
    assert_eq!(routed.len(), ROUTES.len(), "a route stands in the table twice");
}

#[test]
fn who_may_call_is_described() {
    let document = document();
    for route in ROUTES {
        let verb = route.verb.name().to_lowercase();
        let schemes: BTreeSet<&str> = document["paths"][route.path][verb.as_str()]["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|one| one.as_object().unwrap().keys().map(String::as_str))
            .collect();
        let want: &[&str] = match route.access {
            Access::Open => &[],
            Access::Machine | Access::RecentMachine | Access::TrustedMachine => &["machineToken"],
            Access::Bouncer => &["apiKey", "clientCertificate"],
            Access::Either => &["apiKey", "clientCertificate", "machineToken"],
        };
        assert_eq!(schemes, want.iter().copied().collect(), "{verb} {}", route.path);
    }
}
