//! Exchanging a credential for a token at a token service.
//!
//! Owns the two forms of the exchange (GET with a user and password, POST with a refresh token) and
//! the life time of a token. How the request travels is left to whoever implements
//! [`TokenService`].

use std::time::{Duration, Instant};

use http::Method;
use serde::Deserialize;
use url::Url;

use super::{Credential, base64};
use crate::{
    error::OciError,
    secret::{Secret, printable, tame},
};

/// How long a token holds when the service does not say, as the token specification has it.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// A token is not used in its last moments, since it has to travel.
const MARGIN: Duration = Duration::from_secs(5);
/// Life times beyond this are not believed, so that no arithmetic on them can overflow.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// A request to a service that hands out tokens.
pub(crate) struct TokenRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) basic: Option<Secret>,
    /// Media type and content.
    pub(crate) body: Option<(&'static str, Secret)>,
    pub(crate) headers: Vec<(&'static str, Secret)>,
    /// Asked of this machine's surroundings, which answer at once or not at all: no repetition.
    pub(crate) brief: bool,
}

impl TokenRequest {
    pub(crate) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            basic: None,
            body: None,
            headers: Vec::new(),
            brief: false,
        }
    }

    pub(crate) fn post(url: Url, fields: &[(&str, &str)]) -> Self {
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let body = Some(("application/x-www-form-urlencoded", form.into()));
        Self { method: Method::POST, body, ..Self::get(url) }
    }

    pub(crate) fn with_basic(mut self, user: &str, password: &Secret) -> Self {
        self.basic = Some(base64(&format!("{user}:{}", password.expose())).into());
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, Secret::new(value)));
        self
    }

    pub(crate) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn briefly(mut self) -> Self {
        self.brief = true;
        self
    }
}

/// Carries token requests; capped, with time limits, without following redirects.
pub(crate) trait TokenService: Sync {
    /// The body of a successful answer. Any other answer is an error.
    fn ask(&self, request: TokenRequest) -> impl Future<Output = Result<Vec<u8>, OciError>> + Send;

    /// Whether `registry` is itself reached without TLS, so that its token service may be, too.
    fn is_plain(&self, registry: &str) -> bool;
}

/// What to exchange, where.
pub(crate) struct Exchange<'a> {
    pub(crate) registry: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) scopes: Vec<String>,
    pub(crate) credential: &'a Credential,
}

/// A token and until when it holds.
pub(crate) struct Token {
    secret: Secret,
    until: Instant,
}

impl Token {
    pub(crate) fn expose(&self) -> &str {
        self.secret.expose()
    }

    pub(super) fn into_parts(self) -> (Secret, Instant) {
        (self.secret, self.until)
    }

    pub(crate) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }

    /// Reads a token answer: `token` or `access_token`, `expires_in` in seconds.
    pub(crate) fn read(body: &[u8], asked: Instant, what: &str) -> Result<Self, OciError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<serde_json::Number>,
        }
        let malformed =
            |detail: &str| OciError::Malformed { what: what.to_owned(), detail: detail.to_owned() };
        // The parser's own message could quote the token.
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|_| malformed("the token service's answer is not the expected JSON"))?;
        let secret = answer
            .token
            .filter(|t| !t.is_empty())
            .or(answer.access_token.filter(|t| !t.is_empty()))
            .ok_or_else(|| malformed("the token service's answer has no token"))?;
        let life = answer
            .expires_in
            .and_then(|seconds| seconds.as_f64())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(DEFAULT_LIFE)
            .min(LONGEST_LIFE);
        // Short-lived tokens keep at least half their life.
        let until = asked + life.saturating_sub(MARGIN.min(life / 2));
        Ok(Self { secret: secret.into(), until })
    }
}

/// Gets a token.
pub(crate) async fn fetch(
    service: &impl TokenService,
    exchange: &Exchange<'_>,
) -> Result<Token, OciError> {
    let realm = realm(service, exchange)?;
    let what = printable(&realm);
    let request = match exchange.credential {
        Credential::Identity(refresh) => post(realm, exchange, refresh),
        Credential::Basic { user, password } => {
            get(realm, exchange, Some(user)).with_basic(user, password)
        }
        Credential::Anonymous | Credential::Bearer(_) => get(realm, exchange, None),
    };
    let asked = Instant::now();
    let body = service.ask(request).await.map_err(|error| explain(error, exchange))?;
    Token::read(&body, asked, &what)
}

/// Checks where the registry sends our credentials: to an address, and never from TLS to none.
fn realm(service: &impl TokenService, exchange: &Exchange<'_>) -> Result<Url, OciError> {
    let shown = tame(exchange.realm, 200);
    let url = Url::parse(exchange.realm).ok().filter(Url::has_host).ok_or_else(|| {
        OciError::Malformed {
            what: exchange.registry.to_owned(),
            detail: format!("the token service `{shown}` is no address"),
        }
    })?;
    let allowed = match url.scheme() {
        "https" => true,
        "http" => service.is_plain(exchange.registry),
        _ => false,
    };
    if allowed {
        return Ok(url);
    }
    Err(OciError::Unauthorized {
        what: exchange.registry.to_owned(),
        detail: format!("the token service `{}` is not reached by https", printable(&url)),
    })
}

fn get(mut realm: Url, exchange: &Exchange<'_>, account: Option<&str>) -> TokenRequest {
    {
        let mut query = realm.query_pairs_mut();
        if let Some(service) = exchange.service {
            query.append_pair("service", service);
        }
        for scope in &exchange.scopes {
            query.append_pair("scope", scope);
        }
        if let Some(account) = account {
            query.append_pair("account", account);
        }
    }
    TokenRequest::get(realm)
}

fn post(realm: Url, exchange: &Exchange<'_>, refresh: &Secret) -> TokenRequest {
    let scope = exchange.scopes.join(" ");
    let mut form = vec![
        ("grant_type", "refresh_token"),
        ("client_id", "eyas"),
        ("refresh_token", refresh.expose()),
        ("scope", &scope),
    ];
    if let Some(service) = exchange.service {
        form.push(("service", service));
    }
    TokenRequest::post(realm, &form)
}

/// A refusal by the token service, told as a refusal of the registry with the scope that was asked.
fn explain(error: OciError, exchange: &Exchange<'_>) -> OciError {
    let scopes = exchange.scopes.join(" ");
    match error {
        OciError::Unauthorized { what, detail } | OciError::Forbidden { what, detail } => {
            let who = match exchange.credential {
                Credential::Anonymous => "without credentials ",
                _ => "",
            };
            OciError::Unauthorized {
                what: exchange.registry.to_owned(),
                detail: format!("`{what}` gives no token {who}for `{scopes}`: {detail}"),
            }
        }
        OciError::NotFound { what } => OciError::Unauthorized {
            what: exchange.registry.to_owned(),
            detail: format!("there is no token service at `{what}`"),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(json: &str) -> Duration {
        let asked = Instant::now();
        Token::read(json.as_bytes(), asked, "t").unwrap().until - asked
    }

    #[test]
    fn the_life_time_is_read_with_a_margin() {
        assert_eq!(life(r#"{"token":"a","expires_in":300}"#), Duration::from_secs(295));
        assert_eq!(life(r#"{"token":"a","expires_in":4}"#), Duration::from_secs(2));
        assert_eq!(life(r#"{"token":"a"}"#), Duration::from_secs(55));
        assert_eq!(life(r#"{"token":"a","expires_in":0}"#), Duration::ZERO);
        assert_eq!(life(r#"{"token":"a","expires_in":-3}"#), Duration::from_secs(55));
        assert_eq!(life(r#"{"token":"a","expires_in":1e300}"#), Duration::from_secs(55));
        assert_eq!(life(r#"{"token":"a","expires_in":99999999}"#), Duration::from_secs(86_395));
    }

    #[test]
    fn either_name_of_the_token_will_do() {
        let read = |json: &str| Token::read(json.as_bytes(), Instant::now(), "t");
        assert_eq!(read(r#"{"access_token":"b"}"#).unwrap().expose(), "b");
        assert_eq!(read(r#"{"token":"","access_token":"b"}"#).unwrap().expose(), "b");
        assert!(read("{}").is_err());
    }

    #[test]
    fn a_broken_answer_is_not_quoted() {
        let error = Token::read(br#"{"token": "s3cret" oops"#, Instant::now(), "t").err().unwrap();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
