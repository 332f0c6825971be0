//! HTTP to registries: connections, authentication, redirects, repetition, limits.
//!
//! Owns one connection pool per registry, built at first use, since a host may have settings of its
//! own and since TLS must not be set up where none is spoken. What the requests mean is left to
//! `client`.

mod answer;
mod call;
mod failure;
mod pace;
mod retry;
mod tls;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{
    HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, USER_AGENT},
};
use reqwest::Response;
use url::Url;

pub(crate) use answer::{Answer, media_type, next_page};
pub(crate) use call::{Body, Call, Fill};
pub(crate) use failure::Failure;
pub(crate) use pace::Pace;
pub use pace::SLOWEST_BYTES_PER_SECOND;
pub use retry::RetryPolicy;

use crate::{
    auth::{Authenticator, TokenRequest, TokenService, strongest},
    config::{ClientConfig, MAX_REDIRECTS, Notice, Scheme, Timeouts},
    error::OciError,
    secret::printable,
};

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// How long this machine's surroundings (a cloud's metadata service) may take.
const BRIEF: Duration = Duration::from_secs(3);
/// Host that serves what is filed under `docker.io`.
const HUB_API: &str = "registry-1.docker.io";

/// Connections to registries, shared by all operations of a client.
pub(crate) struct Transport {
    config: ClientConfig,
    pools: Mutex<HashMap<String, reqwest::Client>>,
    authenticator: Authenticator,
}

impl Transport {
    pub(crate) fn new(config: ClientConfig) -> Self {
        let authenticator = Authenticator::new(config.credentials.clone());
        Self { config, pools: Mutex::default(), authenticator }
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The address `/v2/<path>` at a registry.
    pub(crate) fn address(&self, registry: &str, path: &str) -> Result<Url, OciError> {
        let scheme = match self.config.registry(registry).scheme {
            Scheme::Https => "https",
            Scheme::PlainHttp => "http",
        };
        let host = if registry == "docker.io" { HUB_API } else { registry };
        Url::parse(&format!("{scheme}://{host}/v2/{path}")).map_err(|_| OciError::Config {
            value: registry.to_owned(),
            expected: "registry host with an optional port",
        })
    }

    /// Whether a registry has asked who we are.
    pub(crate) fn was_challenged(&self, registry: &str) -> bool {
        self.authenticator.knows(registry)
    }

    /// Sends a request, repeating it where that may help; gives the answer with its body unread.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, OciError> {
        let mut attempt = 0;
        loop {
            match self.once(call).await {
                Ok(response) => return Ok(response),
                Err(failure) => self.pause(&call.what, &mut attempt, failure).await?,
            }
        }
    }

    /// Sends a request and reads a body of at most `limit` bytes, repeating both where that may
    /// help.
    pub(crate) async fn read(&self, call: &Call, limit: u64) -> Result<Answer, OciError> {
        let mut attempt = 0;
        loop {
            let outcome = match self.once(call).await {
                Ok(response) => {
                    Answer::read(response, limit, &self.config.timeouts, &call.what).await
                }
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.pause(&call.what, &mut attempt, failure).await?,
            }
        }
    }

    /// One try: the answer when its status is one the call expects.
    pub(crate) async fn once(&self, call: &Call) -> Result<Response, Failure> {
        let known = self.authenticator.header(self, &call.registry, &call.scope).await?;
        let mut response = self.follow(call, known.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(challenge) = strongest(response.headers())
        {
            let header = self
                .authenticator
                .answer(self, &call.registry, &call.scope, &challenge, known.as_ref())
                .await?;
            drain(response, self.config.timeouts.stall).await;
            response = self.follow(call, Some(&header)).await?;
        }
        if response.status().is_success() || call.expected.contains(&response.status()) {
            return Ok(response);
        }
        Err(Failure::status(response, &call.what, &self.config.timeouts).await)
    }

    /// Waits before the next try, or gives the failure back when there will be none.
    pub(crate) async fn pause(
        &self,
        what: &str,
        attempt: &mut u32,
        failure: Failure,
    ) -> Result<(), OciError> {
        let wait = failure
            .can_repeat
            .then(|| self.config.retry.wait(*attempt, failure.retry_after))
            .flatten();
        let Some(wait) = wait else { return Err(failure.error) };
        let reason = failure.error.to_string();
        self.config.listener.tell(Notice::Retry { what: what.to_owned(), reason, wait });
        *attempt += 1;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Sends a request and follows redirects of reading ones. `Authorization` goes to the registry
    /// alone, and no step leads from TLS to none.
    async fn follow(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Failure> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let own = url.origin() == call.url.origin();
            let response = self.hop(call, &url, authorization.filter(|_| own)).await?;
            let status = response.status();
            if call.stays || !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            url = redirect_target(call, &url, &response)?;
            drain(response, self.config.timeouts.stall).await;
        }
        Err(refused(call, &url, "more than 5 redirects").into())
    }

    async fn hop(
        &self,
        call: &Call,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Failure> {
        let pool = self.pool(if url.origin() == call.url.origin() {
            &call.registry
        } else {
            authority(url)
        })?;
        let mut request =
            pool.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        request = request.header(USER_AGENT, &self.config.user_agent);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let (body, fill) = call.body.open().await?;
        if let Some((length, body)) = body {
            request = request.header(CONTENT_LENGTH, length).body(body);
        } else if matches!(call.method, Method::POST | Method::PUT) {
            request = request.header(CONTENT_LENGTH, 0);
        }
        let patience = self.config.timeouts.connect + self.config.timeouts.answer;
        let sent = std::pin::pin!(request.send());
        call::attended(sent, &fill, patience, &call.what).await
    }

    /// The connections to one registry.
    fn pool(&self, registry: &str) -> Result<reqwest::Client, OciError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(registry) {
            return Ok(pool.clone());
        }
        let pool = self.build(registry)?;
        pools.insert(registry.to_owned(), pool.clone());
        Ok(pool)
    }

    fn build(&self, registry: &str) -> Result<reqwest::Client, OciError> {
        let settings = self.config.registry(registry);
        let fail = |detail: String| OciError::Tls { registry: registry.to_owned(), detail };
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.config.timeouts.connect)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(tls::settings(registry, settings, &self.config.listener)?);
        if is_near(registry) || !self.config.proxy_from_environment {
            builder = builder.no_proxy();
        }
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| OciError::Config {
                // The address may carry a password.
                value: format!("the proxy of {registry}"),
                expected: "address of a proxy",
            })?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|error| fail(failure::innermost(&error)))
    }
}

impl TokenService for Arc<Transport> {
    fn ask(&self, request: TokenRequest) -> impl Future<Output = Result<Vec<u8>, OciError>> + Send {
        self.as_ref().ask(request)
    }

    fn is_plain(&self, registry: &str) -> bool {
        self.as_ref().is_plain(registry)
    }
}

impl TokenService for Transport {
    async fn ask(&self, request: TokenRequest) -> Result<Vec<u8>, OciError> {
        let what = printable(&request.url);
        let mut attempt = 0;
        loop {
            let failure = match self.ask_once(&request, &what).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            if request.brief {
                return Err(failure.error);
            }
            self.pause(&what, &mut attempt, failure).await?;
        }
    }

    fn is_plain(&self, registry: &str) -> bool {
        self.config.registry(registry).scheme == Scheme::PlainHttp
    }
}

impl Transport {
    async fn ask_once(&self, request: &TokenRequest, what: &str) -> Result<Vec<u8>, Failure> {
        let pool = self.pool(authority(&request.url))?;
        let mut builder = pool.request(request.method.clone(), request.url.clone());
        if let Some((media_type, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *media_type).body(body.expose().to_owned());
        }
        builder = builder.header(USER_AGENT, &self.config.user_agent);
        if let Some(basic) = &request.basic {
            builder = builder.header(AUTHORIZATION, format!("Basic {}", basic.expose()));
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value.expose());
        }
        let Timeouts { connect, answer, .. } = self.config.timeouts;
        let patience = if request.brief { BRIEF.min(connect + answer) } else { connect + answer };
        let sent = std::pin::pin!(builder.send());
        let response = call::attended(sent, &Fill::default(), patience, what).await?;
        let timeouts = &self.config.timeouts;
        if response.status().is_success() {
            let limit = self.config.limits.token_bytes;
            return Ok(Answer::read(response, limit, timeouts, what).await?.body);
        }
        Err(Failure::status(response, what, timeouts).await)
    }
}

/// Where a redirect leads, if we may and can go there.
fn redirect_target(call: &Call, from: &Url, response: &Response) -> Result<Url, OciError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return Err(refused(call, from, "it says not where to"));
    };
    let Ok(target) = from.join(location) else {
        return Err(refused(call, from, "its target is no address"));
    };
    if call.method != Method::GET && call.method != Method::HEAD {
        return Err(refused(call, &target, "only reading follows redirects"));
    }
    match (from.scheme(), target.scheme()) {
        ("https", "http") => Err(refused(call, &target, "it leads from https to http")),
        (_, "http" | "https") => Ok(target),
        _ => Err(refused(call, &target, "it leads away from HTTP")),
    }
}

fn refused(call: &Call, target: &Url, reason: &'static str) -> OciError {
    OciError::Redirect { what: call.what.clone(), target: printable(target), reason }
}

/// `host` or `host:port` of an address, as it would stand in a reference.
pub(crate) fn authority(url: &Url) -> &str {
    let authority = url.authority();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(registry: &str) -> bool {
    match host(registry) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a host is this machine or its cloud's metadata service: neither is behind a proxy, and
/// both may be spoken to without TLS.
pub(crate) fn is_near(registry: &str) -> bool {
    let metadata = match host(registry) {
        Some(url::Host::Domain(name)) => name == "metadata.google.internal",
        Some(url::Host::Ipv4(address)) => address.is_link_local(),
        Some(url::Host::Ipv6(address)) => METADATA_V6.contains(&address),
        None => false,
    };
    metadata || is_loopback(registry)
}

/// Metadata services that are reached by IPv6: of a virtual machine, of containers.
const METADATA_V6: [std::net::Ipv6Addr; 2] = [
    std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
];

fn host(registry: &str) -> Option<url::Host> {
    Url::parse(&format!("http://{registry}/")).ok()?.host().map(|host| host.to_owned())
}

/// Reads what little there is left of an answer, so that its connection can be used again. What does not
/// end within `patience` is not worth a connection.
async fn drain(mut response: Response, patience: Duration) {
    const ENOUGH: usize = 64 * 1024;
    let rest = async {
        let mut seen = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            seen += chunk.len();
            if seen > ENOUGH {
                return;
            }
        }
    };
    // Whether it came to its end makes no difference to what is done next.
    let _ = tokio::time::timeout(patience, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_name_and_number() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org", "10.0.0.1:5000", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
        for host in ["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "[::1]:1"] {
            assert!(is_near(host), "{host}");
        }
        for host in ["metadata.google.internal.example.org", "169.255.0.1", "[fd00::1]"] {
            assert!(!is_near(host), "{host}");
        }
    }

    #[test]
    fn addresses_follow_the_registrys_settings() {
        let mut config = ClientConfig::default();
        config.registries.entry("localhost:5000".into()).or_default().scheme = Scheme::PlainHttp;
        let transport = Transport::new(config);
        let address = |registry| transport.address(registry, "a/tags/list").unwrap().to_string();
        assert_eq!(address("localhost:5000"), "http://localhost:5000/v2/a/tags/list");
        assert_eq!(address("r.example.org"), "https://r.example.org/v2/a/tags/list");
        assert_eq!(address("docker.io"), "https://registry-1.docker.io/v2/a/tags/list");
    }

    #[test]
    fn the_authority_has_no_user() {
        let url = Url::parse("https://me:pw@r.example.org:8443/x").unwrap();
        assert_eq!(authority(&url), "r.example.org:8443");
    }
}
