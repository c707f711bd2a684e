//! Allowlists, to be looked at; they are changed by tools beside the server.

use api::{AllowlistMatches, BulkCheck, BulkCheckReply, CheckReply, date};
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use ipnet::IpNet;
use model::parse_target;
use store::{AllowMatch, Items};

use crate::{
    Refusal, Service, body,
    call::Call,
    refusal::{empty, json},
};

/// `GET /allowlists`
pub(crate) async fn list(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let with_items = call.query("with_content") == Some("true");
    let items = if with_items { Items::Listed } else { Items::Left };
    let lists = service.store().allowlists(items).await;
    let lists = lists.map_err(|error| Refusal::store(&error, "unable to query"))?;
    let shown: Vec<api::Allowlist> = lists.iter().map(shown).collect();
    Ok(json(StatusCode::OK, &shown))
}

/// `GET /allowlists/{name}`
pub(crate) async fn show(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    match service.store().allowlist(&call.param).await {
        Ok(list) => Ok(json(StatusCode::OK, &shown(&list))),
        // COMPAT(crowdsec): 500 for a list that is not there (trap 2).
        Err(store::Error::NotFound { .. }) => {
            Err(Refusal::internal(format!("allowlist '{}' not found", call.param)))
        }
        Err(error) => Err(Refusal::store(&error, "unable to query")),
    }
}

fn shown(list: &store::Allowlist) -> api::Allowlist {
    let items = list.items.iter().map(|item| api::AllowlistItem {
        created_at: date::millis(item.created_at),
        description: Some(item.comment.clone()),
        expiration: item
            .expires_at
            .map_or_else(|| api::AllowlistItem::NEVER.to_owned(), date::millis),
        value: item.value.clone(),
    });
    api::Allowlist {
        allowlist_id: list.console_id.clone(),
        console_managed: Some(list.from_console),
        created_at: date::millis(list.created_at),
        description: list.description.clone(),
        items: items.collect(),
        name: list.name.clone(),
        updated_at: date::millis(list.updated_at),
    }
}

/// `GET` and `HEAD /allowlists/check/{ip_or_range}`
pub(crate) async fn check(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let target = read(&call.param)?;
    let matches = ask(service, vec![target]).await?.into_iter().flatten();
    let reasons: Vec<String> = matches.map(|found| reason(&found)).collect();
    let is_listed = !reasons.is_empty();
    if call.is_head() {
        return Ok(empty(if is_listed { StatusCode::OK } else { StatusCode::NO_CONTENT }));
    }
    let reply = if is_listed {
        CheckReply { allowlisted: Some(true), reason: Some(reasons.join(", ")) }
    } else {
        CheckReply::default()
    };
    Ok(json(StatusCode::OK, &reply))
}

/// `POST /allowlists/check`
pub(crate) async fn check_all(
    service: &Service,
    call: &Call,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let request: BulkCheck = body::json(service, call, body, body::LARGE).await?;
    let targets = request.targets.unwrap_or_default();
    if targets.is_empty() {
        return Err(Refusal::bad_request("targets list cannot be empty"));
    }
    let nets: Result<Vec<IpNet>, Refusal> = targets.iter().map(|target| read(target)).collect();
    let found = ask(service, nets?).await?;
    let results = targets
        .into_iter()
        .zip(found)
        .filter(|(_, matches)| !matches.is_empty())
        .map(|(target, matches)| AllowlistMatches {
            allowlists: matches.iter().map(reason).collect(),
            target,
        })
        .collect();
    Ok(json(StatusCode::OK, &BulkCheckReply { results }))
}

fn read(target: &str) -> Result<IpNet, Refusal> {
    parse_target(target)
        .map_err(|error| Refusal::internal(format!("{error}: invalid ip address / range")))
}

async fn ask(service: &Service, targets: Vec<IpNet>) -> Result<Vec<Vec<AllowMatch>>, Refusal> {
    let found = service.store().allowed(targets, service.now()).await;
    found.map_err(|error| Refusal::store(&error, "unable to query"))
}

fn reason(found: &AllowMatch) -> String {
    let AllowMatch { allowlist, value, comment } = found;
    if comment.is_empty() {
        return format!("{value} from {allowlist}");
    }
    format!("{value} from {allowlist} ({comment})")
}
