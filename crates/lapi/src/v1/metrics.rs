//! Usage metrics: stored as they come, and what they say of their sender is written down.

use api::metrics::{AllMetrics, Component};
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use serde_json::{Map, Value};
use store::{Bouncer, BouncerChange, MachineChange, MetricsSource, Os};

use super::watchers;
use crate::{Refusal, Service, auth::Caller, body, call::Call, refusal::empty};

/// `POST /usage-metrics`
pub(crate) async fn post(
    service: &Service,
    caller: Caller,
    call: &Call,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let report: AllMetrics = body::json(service, call, body, body::LARGE).await?;
    let wrong = report.check();
    if !wrong.is_empty() {
        let message = format!("validation failure list:\n{}", wrong.join("\n"));
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let machines = report.log_processors.unwrap_or_default();
    let bouncers = report.remediation_components.unwrap_or_default();
    if !machines.is_empty() && !bouncers.is_empty() {
        return Err(Refusal::bad_request("Payload has both LP and RC data"));
    }
    match caller {
        Caller::Machine(name) => {
            let component = only(machines, "log processor")?;
            of_machine(service, &name, component).await?;
        }
        Caller::Bouncer(bouncer) => {
            let component = only(bouncers, "remediation component")?;
            of_bouncer(service, &bouncer, component).await?;
        }
        Caller::Anyone | Caller::KeyHolder => return Err(Refusal::forbidden()),
    }
    Ok(empty(StatusCode::CREATED))
}

fn only(mut components: Vec<Component>, what: &str) -> Result<Component, Refusal> {
    if components.len() > 1 {
        return Err(Refusal::bad_request(format!("Payload has more than one {what}")));
    }
    components.pop().ok_or_else(|| Refusal::bad_request(format!("Missing {what} data")))
}

async fn of_machine(service: &Service, name: &str, component: Component) -> Result<(), Refusal> {
    let json = |map: Option<Map<String, Value>>| map.map(|map| Value::Object(map).to_string());
    store(service, MetricsSource::LogProcessor, name, payload(&component)).await?;
    let change = MachineChange {
        version: component.version,
        os: component.os.map(os),
        feature_flags: component.feature_flags.map(|flags| flags.join(",")),
        hub_state: json(component.hub_items),
        datasources: json(component.datasources),
        ..MachineChange::default()
    };
    watchers::store_change(service, name, change).await
}

async fn of_bouncer(
    service: &Service,
    bouncer: &Bouncer,
    component: Component,
) -> Result<(), Refusal> {
    let mut report = payload(&component);
    if let Some(kind) = &component.kind {
        report.insert("type".to_owned(), Value::from(kind.as_str()));
    }
    store(service, MetricsSource::RemediationComponent, &bouncer.name, report).await?;
    let change = BouncerChange {
        version: component.version,
        os: component.os.map(os),
        feature_flags: component.feature_flags.map(|flags| flags.join(",")),
        kind: component.kind.filter(|kind| !kind.is_empty()),
        ..BouncerChange::default()
    };
    let changed = service.store().change_bouncer(bouncer.id, change, service.now()).await;
    changed.map_err(|error| Refusal::store(&error, "unable to query"))
}

/// What is kept of a report.
fn payload(component: &Component) -> Map<String, Value> {
    let metrics = serde_json::to_value(&component.metrics).unwrap_or(Value::Null);
    Map::from_iter([("metrics".to_owned(), metrics)])
}

async fn store(
    service: &Service,
    source: MetricsSource,
    name: &str,
    payload: Map<String, Value>,
) -> Result<(), Refusal> {
    let payload = Value::Object(payload).to_string();
    let stored = service.store().add_metrics(source, name, payload, service.now()).await;
    stored.map_err(|error| Refusal::store(&error, "unable to insert bulk"))
}

fn os(os: api::metrics::Os) -> Os {
    Os {
        name: os.name.unwrap_or_default(),
        family: os.family.unwrap_or_default(),
        version: os.version.unwrap_or_default(),
    }
}
