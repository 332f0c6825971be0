//! Who we are to a registry: credentials, and the tokens they are exchanged for.
//!
//! Owns credentials and tokens in memory, and writes a credential only when told to by `login`. The
//! order of sources is: what the configuration says for the registry, the Docker credential file with
//! its helpers, the file of OAuth2 clients, the identity that a cloud gives us, then nobody. A failing
//! source is an error: nothing falls back to an anonymous request.

mod challenge;
mod clients;
mod cloud;
mod credential_file;
mod docker;
mod login;
mod oauth;
mod program;
mod source;
mod token;
mod variables;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::HeaderValue;

pub(crate) use challenge::{Challenge, strongest};
pub use cloud::Cloud;
pub(crate) use cloud::{Asking, aws, google, secure};
pub use docker::{credential_in, docker_config_path};
pub use login::Kept;
pub use oauth::ClientCredentials;
pub(crate) use source::Found;
pub use source::{Configured, CredentialSources};
pub(crate) use token::{TokenRequest, TokenService};
pub use variables::Variables;

use crate::{error::OciError, secret::Secret};
use token::{Exchange, Token};

/// What a registry may be told about us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nobody.
    Anonymous,
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, good for asking a token service.
    Identity(Secret),
    /// A token to send as it is.
    Bearer(Secret),
}

/// What a request wants to do, in the words of the token specification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    /// The repository the request is about; others are only mounted from.
    repository: Option<String>,
    words: BTreeSet<String>,
}

impl Scope {
    /// Nothing of its own: what the other side names when it asks for a token.
    pub(crate) fn none() -> Self {
        Self { repository: None, words: BTreeSet::new() }
    }

    pub(crate) fn pull(repository: &str) -> Self {
        Self::of(repository, "pull")
    }

    pub(crate) fn push(repository: &str) -> Self {
        Self::of(repository, "pull,push")
    }

    fn of(repository: &str, actions: &str) -> Self {
        let words = BTreeSet::from([format!("repository:{repository}:{actions}")]);
        Self { repository: Some(repository.to_owned()), words }
    }

    pub(crate) fn and_pull(mut self, repository: &str) -> Self {
        self.words.insert(format!("repository:{repository}:pull"));
        self
    }

    /// What to ask a token service for: what the registry named, and beside it what we want of other
    /// repositories.
    fn asked(&self, named: Option<&str>) -> Vec<String> {
        let Some(named) = named else { return self.words.iter().cloned().collect() };
        let mut all: Vec<String> =
            named.split(' ').filter(|s| !s.is_empty()).map(Into::into).collect();
        let known = |all: &[String], scope: &str| {
            let of = |s: &str| s.rsplit_once(':').map(|(resource, _)| resource.to_owned());
            all.iter().any(|s| of(s) == of(scope))
        };
        for scope in &self.words {
            if !known(&all, scope) {
                all.push(scope.clone());
            }
        }
        all
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self.words.iter().map(String::as_str).collect();
        f.write_str(&all.join(" "))
    }
}

/// Values by key, each filled in under its own lock.
type Slots<K, T> = Mutex<HashMap<K, Arc<tokio::sync::Mutex<Option<T>>>>>;

/// Answers challenges, remembers the answers for as long as they hold.
///
/// Each slot has its own lock, which is held while a token is fetched: whoever wants the same token
/// waits for it instead of fetching another.
pub(crate) struct Authenticator {
    sources: CredentialSources,
    challenges: Mutex<HashMap<String, Challenge>>,
    /// The part of the Docker file's namespace that a repository belongs to.
    namespaces: Mutex<HashMap<(String, String), Option<String>>>,
    /// By registry, or by the namespace at it that has an entry of its own.
    credentials: Slots<String, Found>,
    tokens: Slots<(String, Scope), Token>,
}

impl Authenticator {
    pub(crate) fn new(sources: CredentialSources) -> Self {
        Self {
            sources,
            challenges: Mutex::default(),
            namespaces: Mutex::default(),
            credentials: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// Whether a registry has asked for a credential.
    pub(crate) fn knows(&self, registry: &str) -> bool {
        lock(&self.challenges).contains_key(registry)
    }

    /// The header for a request, as far as earlier answers of the registry tell what it wants.
    pub(crate) async fn header(
        &self,
        service: &impl TokenService,
        registry: &str,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>, OciError> {
        let challenge = lock(&self.challenges).get(registry).cloned();
        match challenge {
            Some(challenge) => {
                self.answer(service, registry, scope, &challenge, None).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// The header that answers `challenge`. `rejected` is what has just been refused, so that it is
    /// not sent again.
    pub(crate) async fn answer(
        &self,
        service: &impl TokenService,
        registry: &str,
        scope: &Scope,
        challenge: &Challenge,
        rejected: Option<&HeaderValue>,
    ) -> Result<HeaderValue, OciError> {
        lock(&self.challenges).insert(registry.to_owned(), challenge.clone());
        let credential = self.credential(service, registry, scope, challenge, rejected).await?;
        match (challenge, &credential) {
            (_, Credential::Bearer(secret)) => header_value("Bearer", secret.expose(), registry),
            (Challenge::Basic, Credential::Basic { user, password }) => {
                header_value("Basic", &base64(&format!("{user}:{}", password.expose())), registry)
            }
            (Challenge::Basic, Credential::Identity(_)) => Err(refused(
                registry,
                "the registry wants a user and a password, but only an identity token is known",
            )),
            (Challenge::Basic, Credential::Anonymous) => {
                Err(refused(registry, "the registry wants a user and a password, none is known"))
            }
            (Challenge::Bearer { realm, service: name, scope: named, .. }, _) => {
                let exchange = Exchange {
                    registry,
                    realm,
                    service: name.as_deref(),
                    scopes: scope.asked(named.as_deref()),
                    credential: &credential,
                };
                self.token(service, &exchange, scope, rejected).await
            }
        }
    }

    async fn token(
        &self,
        service: &impl TokenService,
        exchange: &Exchange<'_>,
        scope: &Scope,
        rejected: Option<&HeaderValue>,
    ) -> Result<HeaderValue, OciError> {
        let key = (exchange.registry.to_owned(), scope.clone());
        let slot = Arc::clone(lock(&self.tokens).entry(key).or_default());
        let mut slot = slot.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| token.is_fresh()) {
            let header = header_value("Bearer", token.expose(), exchange.registry)?;
            if rejected != Some(&header) {
                return Ok(header);
            }
        }
        *slot = None;
        let token = token::fetch(service, exchange).await?;
        let header = header_value("Bearer", token.expose(), exchange.registry)?;
        *slot = Some(token);
        Ok(header)
    }

    /// The credential for a registry, looked up once; again when it ran out, and when what it led to
    /// was refused, since helpers hand out passwords that expire.
    async fn credential(
        &self,
        service: &impl TokenService,
        registry: &str,
        scope: &Scope,
        challenge: &Challenge,
        rejected: Option<&HeaderValue>,
    ) -> Result<Credential, OciError> {
        let namespace = self.namespace(registry, scope, rejected.is_some())?;
        let key = namespace.clone().unwrap_or_else(|| registry.to_owned());
        let slot = Arc::clone(lock(&self.credentials).entry(key).or_default());
        let mut slot = slot.lock().await;
        if rejected.is_none()
            && let Some(known) = slot.as_ref().filter(|known| known.is_fresh())
        {
            return Ok(known.credential.clone());
        }
        let found = self.sources.find(service, registry, namespace.as_deref()).await?;
        let credential = found.credential.clone();
        let before = slot.replace(found);
        let same = rejected.is_some() && before.is_some_and(|known| known.credential == credential);
        let as_is = *challenge == Challenge::Basic || matches!(credential, Credential::Bearer(_));
        if same && as_is {
            return Err(refused(registry, "the registry does not accept the credentials"));
        }
        Ok(credential)
    }

    /// The namespace at the registry with an entry of its own, looked up once.
    fn namespace(
        &self,
        registry: &str,
        scope: &Scope,
        anew: bool,
    ) -> Result<Option<String>, OciError> {
        let Some(repository) = &scope.repository else { return Ok(None) };
        let key = (registry.to_owned(), repository.clone());
        let mut known = lock(&self.namespaces);
        if let Some(found) = known.get(&key).filter(|_| !anew) {
            return Ok(found.clone());
        }
        let found = self.sources.namespace(registry, repository)?;
        known.insert(key, found.clone());
        Ok(found)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing is computed under these locks that could leave the maps half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(registry: &str, detail: &str) -> OciError {
    OciError::Unauthorized { what: registry.to_owned(), detail: detail.to_owned() }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn header_value(scheme: &str, value: &str, registry: &str) -> Result<HeaderValue, OciError> {
    let mut header =
        HeaderValue::from_str(&format!("{scheme} {value}")).map_err(|_| OciError::Credentials {
            registry: registry.to_owned(),
            detail: "the token has characters that no header may have".to_owned(),
        })?;
    header.set_sensitive(true);
    Ok(header)
}
