//! Tokens of machines: signed, short-lived, and good only as long as the machine is.

use axum::http::header;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use store::Machine;

use super::Caller;
use crate::{Refusal, Service, call::Call};

/// How long a token is good, and how long after its making it can be exchanged for a new one.
const LIFETIME: i64 = 3600;

/// Signs and checks tokens.
pub(crate) struct Tokens {
    signer: EncodingKey,
    checker: DecodingKey,
    validation: Validation,
}

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    exp: i64,
    id: String,
    orig_iat: i64,
}

/// Which tokens will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Those that are good.
    Valid,
    /// Those that were made not too long ago.
    Recent,
}

impl Tokens {
    pub(crate) fn new(secret: &[u8]) -> Self {
        // One algorithm, or a token could choose how it is checked. When it ends is checked here,
        // by the clock everything else goes by.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self {
            signer: EncodingKey::from_secret(secret),
            checker: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for `machine`, as the answer to a login.
    pub(crate) fn issue(&self, machine: &str, now: Timestamp) -> Result<api::Token, Refusal> {
        let (seconds, _) = now.unix();
        let exp = seconds.saturating_add(LIFETIME);
        let claims = Claims { exp, id: machine.to_owned(), orig_iat: seconds };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signer)
            .map_err(|_| Refusal::internal("the token could not be signed"))?;
        Ok(api::Token {
            code: 200,
            expire: api::date::seconds(Timestamp::from_unix(exp, 0)),
            token,
        })
    }

    fn claims(&self, token: &str) -> Result<Claims, Refusal> {
        match decode::<Claims>(token, &self.checker, &self.validation) {
            Ok(data) => Ok(data.claims),
            Err(_) => Err(Refusal::token("signature is invalid")),
        }
    }
}

/// The machine whose token the request carries.
///
/// Unlike the incumbent's, a token dies with its machine: one that was deleted, made anew or not
/// admitted any more is refused at once and not an hour later.
pub(crate) async fn machine(service: &Service, call: &Call, age: Age) -> Result<Caller, Refusal> {
    let claims = service.tokens().claims(find(call)?)?;
    let (now, _) = service.now().unix();
    let end = match age {
        Age::Valid => claims.exp,
        Age::Recent => claims.orig_iat.saturating_add(LIFETIME),
    };
    if now > end {
        return Err(Refusal::token("Token is expired"));
    }
    let machine = find_machine(service, &claims.id).await?;
    if claims.orig_iat < machine.created_at.unix().0 {
        return Err(Refusal::token("Token is expired"));
    }
    admitted(&machine)?;
    Ok(Caller::Machine(machine.name))
}

/// Refuses a machine that was let in and has been deleted or excluded since.
pub(crate) async fn still_admitted(service: &Service, name: &str) -> Result<(), Refusal> {
    admitted(&find_machine(service, name).await?)
}

async fn find_machine(service: &Service, name: &str) -> Result<Machine, Refusal> {
    let machine = service.store().machine(name).await;
    let machine = machine.map_err(|error| Refusal::store(&error, "unable to query"))?;
    machine.ok_or_else(|| Refusal::token("ent: machine not found"))
}

fn admitted(machine: &Machine) -> Result<(), Refusal> {
    if machine.validated {
        return Ok(());
    }
    Err(Refusal::token(format!("machine {} not validated", machine.name)))
}

fn find(call: &Call) -> Result<&str, Refusal> {
    if let Some(value) = call.header(header::AUTHORIZATION.as_str()).filter(|text| !text.is_empty())
    {
        return value
            .split_once(' ')
            .filter(|(scheme, token)| *scheme == "Bearer" && !token.is_empty())
            .map(|(_, token)| token)
            .ok_or_else(|| Refusal::token("auth header is invalid"));
    }
    // COMPAT(crowdsec): a missing token is a missing cookie, whoever asks (trap 12).
    call.headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("jwt="))
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Refusal::token("cookie token is empty"))
}
