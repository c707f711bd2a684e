//! One request on its way: from the route to who calls, to what answers.

use std::time::Instant;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, StatusCode, header},
};

use crate::{
    Refusal, Service,
    auth::{self, Caller},
    connection::Peer,
    refusal::{empty, json},
    route::{Endpoint, Route, Verb},
    v1,
};

/// What a handler may know of the request; those who want one get its body beside it.
pub(crate) struct Call {
    pub(crate) verb: Verb,
    pub(crate) peer: Peer,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, String)>,
    /// The part of the path that is a parameter, decoded.
    pub(crate) param: String,
}

impl Call {
    pub(crate) fn is_head(&self) -> bool {
        self.verb == Verb::Head
    }

    /// The last value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header as text; what is no text is not there. Keys may hold any characters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.header(header::USER_AGENT.as_str()).unwrap_or_default()
    }
}

/// Answers one request of `route`.
pub(crate) async fn answer(
    service: Service,
    route: &'static Route,
    param: Option<String>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // Absent only if the server forgot to say who is calling; then the caller is a stranger.
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
    let query = parts.uri.query().map(parse_query).unwrap_or_default();
    let call = Call {
        verb: route.verb,
        peer,
        headers: parts.headers,
        query,
        param: param.unwrap_or_default(),
    };
    service.meter().asked(route);
    let started = Instant::now();
    let result = match auth::authenticate(&service, route.access, &call).await {
        Ok(caller) => {
            service.meter().let_in(&caller, route);
            dispatch(&service, route.endpoint, caller, &call, body).await
        }
        Err(refusal) => Err(refusal),
    };
    service.meter().took(route, started.elapsed());
    result.unwrap_or_else(Refusal::into_response)
}

async fn dispatch(
    service: &Service,
    endpoint: Endpoint,
    caller: Caller,
    call: &Call,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    match endpoint {
        Endpoint::Health => Ok(json(StatusCode::OK, &serde_json::json!({"status": "up"}))),
        Endpoint::Register => v1::watchers::register(service, call, body).await,
        Endpoint::Login => v1::watchers::login(service, call, body).await,
        Endpoint::RefreshToken => v1::watchers::refresh(service, &caller.machine()?),
        Endpoint::Unregister => v1::watchers::unregister(service, caller.machine()?).await,
        Endpoint::Heartbeat => v1::watchers::heartbeat(service, &caller.machine()?).await,
        Endpoint::PostAlerts => v1::alerts::post(service, &caller.machine()?, call, body).await,
        Endpoint::ListAlerts => v1::alerts::list(service, call).await,
        Endpoint::DeleteAlerts => v1::alerts::delete(service, call).await,
        Endpoint::ShowAlert => v1::alerts::show(service, call).await,
        Endpoint::DeleteAlert => v1::alerts::delete_one(service, call).await,
        Endpoint::DeleteDecisions => v1::decisions::delete(service, call).await,
        Endpoint::DeleteDecision => v1::decisions::delete_one(service, call).await,
        Endpoint::Allowlists => v1::allowlists::list(service, call).await,
        Endpoint::Allowlist => v1::allowlists::show(service, call).await,
        Endpoint::CheckAllowlist => v1::allowlists::check(service, call).await,
        Endpoint::CheckAllowlists => v1::allowlists::check_all(service, call, body).await,
        Endpoint::UsageMetrics => v1::metrics::post(service, caller, call, body).await,
        // Whether a key is good is all HEAD asks; nothing is read, written or counted for it.
        Endpoint::Decisions | Endpoint::DecisionStream if call.is_head() => {
            Ok(empty(StatusCode::OK))
        }
        Endpoint::Decisions => v1::decisions::list(service, caller.bouncer()?, call).await,
        Endpoint::DecisionStream => v1::stream::answer(service, caller.bouncer()?, call),
        Endpoint::DecisionFeed => v1::feed::answer(service, caller.bouncer()?, call),
    }
}

/// Splits `a=1&b=2`; `+` and `%` escapes are decoded, what is no UTF-8 is replaced.
fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(key), unescape(value))
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let digit = |at: Option<&u8>| at.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        match (first, digit(rest.first()), digit(rest.get(1))) {
            (b'+', _, _) => out.push(b' '),
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits are below 256.
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                bytes = rest.get(2..).unwrap_or_default();
            }
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let pairs = parse_query("ip=2001%3adb8::1&a=b+c&x&&y=%zz%4&=1");
        let want = [("ip", "2001:db8::1"), ("a", "b c"), ("x", ""), ("y", "%zz%4"), ("", "1")];
        let want: Vec<_> = want.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(pairs, want);
        assert_eq!(parse_query(""), []);
    }
}
