//! Talks to a local API: over TCP, TLS or a unix socket; as a machine or as a bouncer.
//!
//! A machine's token is fetched when first needed and again when the server no longer takes it, so
//! callers never log in by themselves; several calls at a time share one login. Nothing here
//! retries beyond that: [`ClientError::retry`] tells the caller what is worth repeating.
//!
//! Reading order: [`Settings`], [`Client`], then `tls`.

mod error;
mod tls;

use std::{io::Write as _, path::PathBuf, time::Duration};

use flate2::{Compression, write::GzEncoder};
use reqwest::{Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use crate::{
    Alert, Allowlist, BulkCheck, BulkCheckReply, Decision, DecisionDelta, Deleted, Login, Message,
    Registration, Token, metrics::AllMetrics,
};

pub use error::{ClientError, Retry};

/// Bodies above this are compressed; the server inflates them.
const COMPRESS_ABOVE: usize = 5 * 1024;
/// No answer of a local API is longer: a million decisions take some 250 MB.
const MAX_ANSWER: usize = 1 << 30;

/// Whom to talk to, and as whom.
#[derive(Clone)]
pub struct Settings {
    /// `http://…`, `https://…`, or the path of a unix socket.
    pub url: String,
    /// Who we are.
    pub credentials: Credentials,
    /// `name/version`: exactly one slash, or a machine's login is refused.
    pub user_agent: String,
    /// The scenarios a machine reports when it logs in.
    pub scenarios: Vec<String>,
    /// Certificates to trust beside those of the system.
    pub ca_cert: Option<PathBuf>,
    /// Our certificate and its key.
    pub identity: Option<Identity>,
    /// Whether any certificate of the server will do.
    pub insecure_skip_verify: bool,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A client certificate, in PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, followed by those that lead to the authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How we prove who we are.
#[derive(Clone)]
pub enum Credentials {
    /// A machine with a password.
    Password {
        /// Its name.
        machine: String,
        /// Its password.
        password: String,
    },
    /// A machine with a certificate ([`Settings::identity`]).
    MachineCertificate,
    /// A bouncer with a key.
    ApiKey(String),
    /// A bouncer with a certificate.
    BouncerCertificate,
}

impl Settings {
    /// The usual settings for `url`.
    #[must_use]
    pub fn new(url: &str, credentials: Credentials, user_agent: &str) -> Self {
        Self {
            url: url.to_owned(),
            credentials,
            user_agent: user_agent.to_owned(),
            scenarios: Vec::new(),
            ca_cert: None,
            identity: None,
            insecure_skip_verify: false,
            timeout: Duration::from_secs(60),
        }
    }
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// An administrator must admit the machine.
    Waiting,
    /// The machine may log in.
    Admitted,
}

/// A connection to a local API. Connections are kept and shared; so is the token.
pub struct Client {
    http: reqwest::Client,
    base: String,
    settings: Settings,
    token: Mutex<Option<String>>,
}

type Query<'a> = &'a [(&'a str, &'a str)];

impl Client {
    /// Reads certificates and prepares connections; talks to nobody yet.
    ///
    /// # Errors
    /// When the URL or a file cannot be used.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(settings.user_agent.as_str())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(settings.timeout);
        let base = if settings.url.starts_with('/') {
            builder = builder.unix_socket(settings.url.as_str()).no_proxy();
            "http://localhost".to_owned()
        } else {
            let url = reqwest::Url::parse(&settings.url)
                .map_err(|error| ClientError::Settings(format!("{}: {error}", settings.url)))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(ClientError::Settings(format!("{}: not http(s)", settings.url)));
            }
            // What listens on this host is reached directly, whatever the environment says.
            if is_loopback(&url) {
                builder = builder.no_proxy();
            }
            settings.url.trim_end_matches('/').to_owned()
        };
        let http = builder
            .tls_backend_preconfigured(tls::config(&settings)?)
            .build()
            .map_err(|error| ClientError::Settings(error::chain(&error)))?;
        Ok(Self { http, base, settings, token: Mutex::new(None) })
    }

    /// Logs in now instead of at the first call.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn login(&self) -> Result<(), ClientError> {
        let mut token = self.token.lock().await;
        *token = Some(self.fetch_token().await?);
        Ok(())
    }

    /// Introduces this machine to the server.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached, and when we are no machine with a password.
    pub async fn register(&self, token: Option<&str>) -> Result<Registered, ClientError> {
        let Credentials::Password { machine, password } = &self.settings.credentials else {
            return Err(ClientError::Settings("only machines with a password register".to_owned()));
        };
        let body = Registration {
            machine_id: Some(machine.clone()),
            password: Some(password.clone()),
            registration_token: token.map(str::to_owned),
        };
        let answer = self.exchange(Method::POST, "/v1/watchers", &[], json(&body), None).await?;
        match answer.status {
            StatusCode::ACCEPTED => Ok(Registered::Admitted),
            status if status.is_success() => Ok(Registered::Waiting),
            _ => Err(answer.refusal()),
        }
    }

    /// Deletes this machine from the server.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn unregister(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/v1/watchers/self", &[], None).await.map(drop)
    }

    /// Posts alerts; the answer has a number for each that was stored.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn post_alerts(&self, alerts: &[Alert]) -> Result<Vec<String>, ClientError> {
        self.call(Method::POST, "/v1/alerts", &[], json(alerts)).await?.json()
    }

    /// Alerts that match.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn alerts(&self, query: Query<'_>) -> Result<Vec<Alert>, ClientError> {
        self.list("/v1/alerts", query).await
    }

    /// One alert.
    ///
    /// # Errors
    /// When there is none, and when the server refuses or cannot be reached.
    pub async fn alert(&self, id: i64) -> Result<Alert, ClientError> {
        self.call(Method::GET, &format!("/v1/alerts/{id}"), &[], None).await?.json()
    }

    /// Deletes alerts that match and tells how many.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn delete_alerts(&self, query: Query<'_>) -> Result<u64, ClientError> {
        self.delete("/v1/alerts", query).await
    }

    /// Deletes one alert.
    ///
    /// # Errors
    /// When there is none, and when the server refuses or cannot be reached.
    pub async fn delete_alert(&self, id: i64) -> Result<u64, ClientError> {
        self.delete(&format!("/v1/alerts/{id}"), &[]).await
    }

    /// Active decisions that match, for bouncers.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn decisions(&self, query: Query<'_>) -> Result<Vec<Decision>, ClientError> {
        self.list("/v1/decisions", query).await
    }

    /// What changed since this bouncer last asked.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn stream(&self, query: Query<'_>) -> Result<DecisionDelta, ClientError> {
        self.call(Method::GET, "/v1/decisions/stream", query, None).await?.json()
    }

    /// Ends decisions that match and tells how many.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn delete_decisions(&self, query: Query<'_>) -> Result<u64, ClientError> {
        self.delete("/v1/decisions", query).await
    }

    /// Ends one decision.
    ///
    /// # Errors
    /// When there is none, and when the server refuses or cannot be reached.
    pub async fn delete_decision(&self, id: i64) -> Result<u64, ClientError> {
        self.delete(&format!("/v1/decisions/{id}"), &[]).await
    }

    /// Tells the server that this machine lives.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn heartbeat(&self) -> Result<(), ClientError> {
        self.call(Method::GET, "/v1/heartbeat", &[], None).await.map(drop)
    }

    /// Reports usage.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn usage_metrics(&self, report: &AllMetrics) -> Result<(), ClientError> {
        self.call(Method::POST, "/v1/usage-metrics", &[], json(report)).await.map(drop)
    }

    /// All allowlists, with their items.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn allowlists(&self) -> Result<Vec<Allowlist>, ClientError> {
        self.list("/v1/allowlists", &[("with_content", "true")]).await
    }

    /// Which of these addresses and networks are allowlisted, and by what.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn check_allowlists(
        &self,
        targets: &[String],
    ) -> Result<BulkCheckReply, ClientError> {
        let body = BulkCheck { targets: Some(targets.to_vec()) };
        self.call(Method::POST, "/v1/allowlists/check", &[], json(&body)).await?.json()
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<Vec<T>, ClientError> {
        // Nothing is told as `null`.
        let list: Option<Vec<T>> = self.call(Method::GET, path, query, None).await?.json()?;
        Ok(list.unwrap_or_default())
    }

    async fn delete(&self, path: &str, query: Query<'_>) -> Result<u64, ClientError> {
        let deleted: Deleted = self.call(Method::DELETE, path, query, None).await?.json()?;
        deleted
            .n_deleted
            .parse()
            .map_err(|_| ClientError::Answer("nbDeleted is no number".to_owned()))
    }

    /// One call as whoever we are; a machine whose token is refused logs in once more.
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, ClientError> {
        let token = self.token().await?;
        let answer =
            self.exchange(method.clone(), path, query, body.clone(), token.as_deref()).await?;
        if answer.status != StatusCode::UNAUTHORIZED || token.is_none() {
            return answer.accepted();
        }
        let renewed = self.renew(token).await?;
        self.exchange(method, path, query, body, Some(&renewed)).await?.accepted()
    }

    /// The token to send; bouncers have none.
    async fn token(&self) -> Result<Option<String>, ClientError> {
        match self.settings.credentials {
            Credentials::ApiKey(_) | Credentials::BouncerCertificate => Ok(None),
            Credentials::Password { .. } | Credentials::MachineCertificate => {
                let mut token = self.token.lock().await;
                // Held while logging in: whoever comes meanwhile waits for the same token.
                if token.is_none() {
                    *token = Some(self.fetch_token().await?);
                }
                Ok(token.clone())
            }
        }
    }

    /// A token other than the `refused` one, which another call may have fetched by now.
    async fn renew(&self, refused: Option<String>) -> Result<String, ClientError> {
        let mut token = self.token.lock().await;
        if let Some(current) = token.as_ref().filter(|_| *token != refused) {
            return Ok(current.clone());
        }
        *token = None;
        let fresh = self.fetch_token().await?;
        *token = Some(fresh.clone());
        Ok(fresh)
    }

    async fn fetch_token(&self) -> Result<String, ClientError> {
        let scenarios = Some(self.settings.scenarios.clone());
        let body = match &self.settings.credentials {
            Credentials::Password { machine, password } => Login {
                machine_id: Some(machine.clone()),
                password: Some(password.clone()),
                scenarios,
            },
            _ => Login { scenarios, ..Login::default() },
        };
        let answer =
            self.exchange(Method::POST, "/v1/watchers/login", &[], json(&body), None).await?;
        let token: Token = answer.accepted()?.json()?;
        Ok(token.token)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<Vec<u8>>,
        token: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: self.settings.url.clone(),
            reason: error::chain(&error.without_url()),
        };
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.base))
            .map_err(|error| ClientError::Settings(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Credentials::ApiKey(key) = &self.settings.credentials {
            let mut value = header::HeaderValue::from_str(key)
                .map_err(|_| ClientError::Settings("the API key is no header value".to_owned()))?;
            value.set_sensitive(true);
            request = request.header("X-Api-Key", value);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json");
            request = match compress(&body) {
                Some(packed) => request.header(header::CONTENT_ENCODING, "gzip").body(packed),
                None => request.body(body),
            };
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(ClientError::Answer("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
}

/// What the server said.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    fn accepted(self) -> Result<Self, ClientError> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> ClientError {
        let message = serde_json::from_slice::<Message>(&self.body).unwrap_or_default().message;
        ClientError::Refused { status: self.status.as_u16(), message }
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Answer(error.to_string()))
    }
}

fn json<T: Serialize + ?Sized>(body: &T) -> Option<Vec<u8>> {
    Some(crate::text::to_json(body))
}

/// The body packed, if it is long enough for that to pay.
fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() <= COMPRESS_ABOVE {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory cannot fail; should it, the body goes as it is.
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
