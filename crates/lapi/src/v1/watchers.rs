//! Machines: registration, login, heartbeat.

use api::{Login, Registration};
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use store::{Machine, MachineAuth, MachineChange, NewMachine};
use subtle::ConstantTimeEq as _;

use crate::{
    Refusal, Service,
    auth::{certificate, key, password, split_user_agent},
    body,
    call::Call,
    refusal::{empty, json},
};

/// What a table of machines can show.
const LONGEST_NAME: usize = 255;

/// `POST /watchers`
pub(crate) async fn register(
    service: &Service,
    call: &Call,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let (peer, now) = (call.peer.clone(), service.now());
    if service.rules().disable_remote_registration && !peer.is_local {
        return Err(Refusal::forbidden());
    }
    if !service.registrations().take(peer.ip, now) {
        return Err(too_many());
    }
    let request: Registration = body::json(service, call, body, body::SMALL).await?;
    check(&request)?;
    let name = request.machine_id.unwrap_or_default();
    let validated = admitted(service, call, request.registration_token.as_deref())?;
    let password = hash(service, request.password.unwrap_or_default()).await?;
    let machine = NewMachine {
        name: name.clone(),
        password,
        ip: peer.ip.to_string(),
        validated,
        auth: MachineAuth::Password,
    };
    match service.store().add_machine(machine, now).await {
        Ok(_) if validated => Ok(empty(StatusCode::ACCEPTED)),
        Ok(_) => Ok(empty(StatusCode::CREATED)),
        Err(store::Error::Exists { .. }) => {
            Err(Refusal::new(StatusCode::FORBIDDEN, format!("user '{name}': user already exist")))
        }
        Err(error) => Err(Refusal::store(&error, "unable to insert bulk")),
    }
}

fn too_many() -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many attempts, try again later")
}

fn check(request: &Registration) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    for (name, field) in [("machine_id", &request.machine_id), ("password", &request.password)] {
        match field.as_deref() {
            None | Some("") => wrong.push(format!("{name} in body is required")),
            Some(text) if name == "machine_id" && text.chars().count() > LONGEST_NAME => {
                wrong.push(format!("{name} in body should be at most {LONGEST_NAME} chars long"));
            }
            Some(_) => {}
        }
    }
    let token = request.registration_token.as_deref().filter(|token| !token.is_empty());
    match token.map(|token| token.chars().count()) {
        Some(..32) => {
            wrong.push("registration_token in body should be at least 32 chars long".to_owned())
        }
        Some(256..) => {
            wrong.push("registration_token in body should be at most 255 chars long".to_owned())
        }
        _ => {}
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!("validation failure list:\n{}", wrong.join("\n"));
    Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message))
}

/// Whether the machine needs no administrator.
fn admitted(service: &Service, call: &Call, token: Option<&str>) -> Result<bool, Refusal> {
    let Some(auto) = &service.rules().auto_registration else { return Ok(false) };
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(false) };
    let unauthorized = |message: &str| Refusal::new(StatusCode::UNAUTHORIZED, message);
    if !bool::from(token.as_bytes().ct_eq(auto.token.as_bytes())) {
        return Err(unauthorized("invalid token for auto registration"));
    }
    if !auto.allowed_ranges.iter().any(|net| net.contains(&call.peer.ip)) {
        return Err(unauthorized("IP not in allowed range for auto registration"));
    }
    Ok(true)
}

/// `POST /watchers/login`
pub(crate) async fn login(
    service: &Service,
    call: &Call,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let (peer, now) = (call.peer.clone(), service.now());
    let request: Login = body::json(service, call, body, body::SMALL).await?;
    // COMPAT(crowdsec): trap 11.
    let Some((_, version)) = split_user_agent(call.user_agent()) else {
        let agent: String = call.user_agent().chars().take(255).collect();
        return Err(Refusal::token(format!("bad user agent '{agent}'")));
    };
    let version = version.to_owned();
    // An attempt is taken before it is judged, so that many at once count as many.
    if !service.logins().take(peer.ip, now) {
        return Err(too_many());
    }
    let scenarios = request.scenarios.clone();
    let machine = if call.peer.certificate.is_some() {
        by_certificate(service, call, scenarios.is_some()).await?
    } else {
        by_password(service, request).await?
    };
    service.logins().give_back(peer.ip, now);
    let change = news(&machine, call, version, scenarios);
    store_change(service, &machine.name, change).await?;
    Ok(json(StatusCode::OK, &service.tokens().issue(&machine.name, now)?))
}

async fn by_password(service: &Service, request: Login) -> Result<Machine, Refusal> {
    let wrong = || Refusal::token("incorrect Username or Password");
    let missing = || Refusal::token("missing Username or Password");
    let name = request.machine_id.filter(|name| !name.is_empty()).ok_or_else(missing)?;
    let given = request.password.filter(|given| !given.is_empty()).ok_or_else(missing)?;
    let machine = find(service, &name).await?;
    let machine = machine.ok_or_else(|| Refusal::token("ent: machine not found"))?;
    if !machine.validated {
        return Err(Refusal::token(format!("machine {name} not validated")));
    }
    if machine.auth != MachineAuth::Password {
        return Err(Refusal::token(format!(
            "machine {name} attempted to auth with password but it is configured to use tls"
        )));
    }
    let turn = service.hashing_turn().await;
    let stored = machine.password.clone();
    let checked = given.clone();
    let verdict = tokio::task::spawn_blocking(move || password::verify(&checked, &stored)).await;
    drop(turn);
    match verdict.map_err(|_| Refusal::internal("the password could not be checked"))? {
        password::Verdict::Right => {}
        password::Verdict::RightButOld => {
            let password = Some(hash(service, given).await?);
            store_change(service, &name, MachineChange { password, ..MachineChange::default() })
                .await?;
        }
        password::Verdict::Wrong => return Err(wrong()),
    }
    Ok(machine)
}

async fn by_certificate(
    service: &Service,
    call: &Call,
    has_scenarios: bool,
) -> Result<Machine, Refusal> {
    let Some(shown) = &call.peer.certificate else { return Err(Refusal::token("no certificate")) };
    let allowed = &service.rules().agents_allowed_ou;
    let name = certificate::common_name(shown, allowed, service.now()).map_err(|reason| {
        tracing::warn!(client = %call.peer.ip, reason, "a machine's certificate was refused");
        Refusal::token("access forbidden")
    })?;
    if !has_scenarios {
        return Err(Refusal::token("missing scenarios list in login request for TLS auth"));
    }
    let name = format!("{name}@{}", call.peer.ip);
    if let Some(machine) = certified(service, &name).await? {
        return Ok(machine);
    }
    // Nobody knows this password, so that the row cannot be used with one.
    let unknown = key::generate().map_err(|_| Refusal::internal("no randomness"))?;
    let machine = NewMachine {
        name: name.clone(),
        password: hash(service, unknown).await?,
        ip: call.peer.ip.to_string(),
        validated: true,
        auth: MachineAuth::Tls,
    };
    match service.store().add_machine(machine, service.now()).await {
        Ok(machine) => Ok(machine),
        // Another login of the same host was faster.
        Err(store::Error::Exists { .. }) => {
            certified(service, &name).await?.ok_or_else(|| Refusal::token("ent: machine not found"))
        }
        Err(error) => Err(Refusal::store(&error, "unable to insert bulk")),
    }
}

/// The machine of this name, if it is one with a certificate.
async fn certified(service: &Service, name: &str) -> Result<Option<Machine>, Refusal> {
    let Some(machine) = find(service, name).await? else { return Ok(None) };
    if machine.auth != MachineAuth::Tls {
        return Err(Refusal::token(format!(
            "machine {name} attempted to auth with TLS cert but it is configured to use password"
        )));
    }
    if !machine.validated {
        return Err(Refusal::token(format!("machine {name} not validated")));
    }
    Ok(Some(machine))
}

/// What the login says of the machine that is not known yet.
fn news(
    machine: &Machine,
    call: &Call,
    version: String,
    scenarios: Option<Vec<String>>,
) -> MachineChange {
    let ip = call.peer.ip.to_string();
    if machine.ip.as_deref().is_some_and(|old| !old.is_empty() && old != ip) {
        tracing::warn!(machine = machine.name, client = ip, "a machine has a new address");
    }
    let scenarios = scenarios.filter(|list| !list.is_empty()).map(|list| list.join(","));
    MachineChange {
        ip: (machine.ip.as_deref() != Some(ip.as_str())).then_some(ip),
        version: (machine.version.as_deref() != Some(version.as_str())).then_some(version),
        scenarios: scenarios.filter(|list| *list != machine.scenarios),
        ..MachineChange::default()
    }
}

/// `GET /refresh_token`
pub(crate) fn refresh(service: &Service, machine: &str) -> Result<Response<Body>, Refusal> {
    Ok(json(StatusCode::OK, &service.tokens().issue(machine, service.now())?))
}

/// `DELETE /watchers/self`
pub(crate) async fn unregister(service: &Service, name: String) -> Result<Response<Body>, Refusal> {
    let deleted = service.store().delete_machines(vec![name]).await;
    deleted.map_err(|error| Refusal::store(&error, "unable to delete"))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /heartbeat`
pub(crate) async fn heartbeat(service: &Service, name: &str) -> Result<Response<Body>, Refusal> {
    service.heartbeat(name).await?;
    Ok(empty(StatusCode::OK))
}

impl Service {
    /// Notes that a machine lives.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn heartbeat(&self, machine: &str) -> Result<(), Refusal> {
        let last_heartbeat = Some(self.now());
        store_change(self, machine, MachineChange { last_heartbeat, ..MachineChange::default() })
            .await
    }
}

async fn find(service: &Service, name: &str) -> Result<Option<Machine>, Refusal> {
    let machine = service.store().machine(name).await;
    machine.map_err(|error| Refusal::store(&error, "unable to query"))
}

pub(super) async fn store_change(
    service: &Service,
    name: &str,
    change: MachineChange,
) -> Result<(), Refusal> {
    if is_nothing(&change) {
        return Ok(());
    }
    let changed = service.store().change_machine(name, change, service.now()).await;
    changed.map_err(|error| Refusal::store(&error, "unable to query"))
}

fn is_nothing(change: &MachineChange) -> bool {
    let texts = [&change.password, &change.ip, &change.scenarios, &change.version];
    let reports = [&change.feature_flags, &change.hub_state, &change.datasources];
    texts.into_iter().chain(reports).all(Option::is_none)
        && change.validated.is_none()
        && change.last_heartbeat.is_none()
        && change.last_push.is_none()
        && change.os.is_none()
}

async fn hash(service: &Service, given: String) -> Result<String, Refusal> {
    let turn = service.hashing_turn().await;
    let hashed = tokio::task::spawn_blocking(move || password::hash(&given)).await;
    drop(turn);
    // COMPAT(crowdsec): a password that cannot be hashed is a bad request.
    hashed
        .map_err(|_| Refusal::internal("the password could not be hashed"))?
        .map_err(Refusal::bad_request)
}
