//! The route table: which paths there are, who may call them, and what answers.
//!
//! INVARIANT: the router is made from [`ROUTES`] alone, and authentication happens between the
//! table and the handler; a route that is not here does not exist.

use axum::{
    Router,
    body::Body,
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{Method, Response, StatusCode},
    routing::{MethodFilter, MethodRouter, on},
};

use crate::{Service, call, refusal::empty};

/// The verb of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Reads without a body.
    Head,
    /// Adds.
    Post,
    /// Removes.
    Delete,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Machines, by token.
    Machine,
    /// Machines whose token may have expired not long ago.
    RecentMachine,
    /// Machines that call from a trusted address.
    TrustedMachine,
    /// Bouncers, by key or certificate.
    Bouncer,
    /// Machines and bouncers.
    Either,
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after their routes, which the table shows")]
pub enum Endpoint {
    Health,
    Register,
    Login,
    RefreshToken,
    Unregister,
    PostAlerts,
    ListAlerts,
    DeleteAlerts,
    ShowAlert,
    DeleteAlert,
    DeleteDecisions,
    DeleteDecision,
    Heartbeat,
    Allowlists,
    Allowlist,
    CheckAllowlist,
    CheckAllowlists,
    Decisions,
    DecisionStream,
    DecisionFeed,
    UsageMetrics,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The verb.
    pub verb: Verb,
    /// The path; a part in braces is a parameter.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What answers.
    pub endpoint: Endpoint,
}

const fn route(verb: Verb, path: &'static str, access: Access, endpoint: Endpoint) -> Route {
    Route { verb, path, access, endpoint }
}

/// All routes; those of one path stand together.
pub const ROUTES: &[Route] = {
    use Access::{Bouncer, Either, Machine, Open, RecentMachine, TrustedMachine};
    use Verb::{Delete, Get, Head, Post};
    &[
        route(Get, "/health", Open, Endpoint::Health),
        route(Post, "/v1/watchers", Open, Endpoint::Register),
        route(Post, "/v1/watchers/login", Open, Endpoint::Login),
        route(Delete, "/v1/watchers/self", Machine, Endpoint::Unregister),
        route(Get, "/v1/refresh_token", RecentMachine, Endpoint::RefreshToken),
        route(Post, "/v1/alerts", Machine, Endpoint::PostAlerts),
        route(Get, "/v1/alerts", Machine, Endpoint::ListAlerts),
        route(Head, "/v1/alerts", Machine, Endpoint::ListAlerts),
        route(Delete, "/v1/alerts", TrustedMachine, Endpoint::DeleteAlerts),
        route(Get, "/v1/alerts/{alert_id}", Machine, Endpoint::ShowAlert),
        route(Head, "/v1/alerts/{alert_id}", Machine, Endpoint::ShowAlert),
        route(Delete, "/v1/alerts/{alert_id}", TrustedMachine, Endpoint::DeleteAlert),
        route(Get, "/v1/decisions", Bouncer, Endpoint::Decisions),
        route(Head, "/v1/decisions", Bouncer, Endpoint::Decisions),
        route(Delete, "/v1/decisions", Machine, Endpoint::DeleteDecisions),
        route(Get, "/v1/decisions/stream", Bouncer, Endpoint::DecisionStream),
        route(Head, "/v1/decisions/stream", Bouncer, Endpoint::DecisionStream),
        route(Get, "/v1/decisions/feed", Bouncer, Endpoint::DecisionFeed),
        route(Delete, "/v1/decisions/{decision_id}", Machine, Endpoint::DeleteDecision),
        route(Get, "/v1/heartbeat", Machine, Endpoint::Heartbeat),
        route(Get, "/v1/allowlists", Machine, Endpoint::Allowlists),
        route(Post, "/v1/allowlists/check", Machine, Endpoint::CheckAllowlists),
        route(Get, "/v1/allowlists/check/{ip_or_range}", Machine, Endpoint::CheckAllowlist),
        route(Head, "/v1/allowlists/check/{ip_or_range}", Machine, Endpoint::CheckAllowlist),
        route(Get, "/v1/allowlists/{allowlist_name}", Machine, Endpoint::Allowlist),
        route(Post, "/v1/usage-metrics", Either, Endpoint::UsageMetrics),
    ]
};

impl Verb {
    /// As requests spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Head => MethodFilter::HEAD,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// The router over [`ROUTES`].
pub(crate) fn router(service: Service) -> Router {
    let mut router = Router::new();
    for (at, route) in ROUTES.iter().enumerate() {
        if ROUTES.iter().take(at).any(|earlier| earlier.path == route.path) {
            continue;
        }
        let same_path = || ROUTES.iter().filter(|other| other.path == route.path);
        let mut methods: MethodRouter<Service> = MethodRouter::new();
        for route in same_path() {
            methods = methods.on(
                route.verb.filter(),
                move |State(service): State<Service>, params: Params, request: Request| {
                    call::answer(service, route, first(params), request)
                },
            );
        }
        // axum answers HEAD wherever it answers GET; the table decides here.
        if same_path().any(|route| route.verb == Verb::Get)
            && !same_path().any(|route| route.verb == Verb::Head)
        {
            methods = methods.merge(on(MethodFilter::HEAD, not_allowed));
        }
        router = router.route(route.path, methods.fallback(not_allowed));
    }
    router.fallback(not_found).with_state(service)
}

type Params = Result<RawPathParams, RawPathParamsRejection>;

/// The parameter of the path. What is no text fits nothing, and is refused as any other misfit:
/// by the handler, to those who may ask.
fn first(params: Params) -> Option<String> {
    match params {
        Ok(params) => params.iter().next().map(|(_, value)| value.to_owned()),
        Err(_) => Some("\u{fffd}".to_owned()),
    }
}

async fn not_allowed(State(service): State<Service>, verb: Method) -> Response<Body> {
    service.meter().lost(&verb);
    empty(StatusCode::METHOD_NOT_ALLOWED)
}

async fn not_found(State(service): State<Service>, verb: Method) -> Response<Body> {
    service.meter().lost(&verb);
    empty(StatusCode::NOT_FOUND)
}
