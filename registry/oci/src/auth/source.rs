//! Where credentials come from, and in which order.
//!
//! Owns the list of sources. The Docker file and its helpers are read by `docker` and `program`, the
//! file of OAuth2 clients by `clients`; what a cloud knows of us is asked by `cloud`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    ClientCredentials, Cloud, Credential, Variables, clients, cloud, docker, docker_config_path,
    oauth, program::Helpers, token::TokenService,
};
use crate::{error::OciError, secret::Secret};

/// Sources of credentials, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct CredentialSources {
    /// Credentials from our own configuration, by registry. They win.
    pub configured: BTreeMap<String, Configured>,
    /// The Docker credential file; `None` for not using one. A file that is absent is no error.
    pub docker_config: Option<PathBuf>,
    /// The file with OAuth2 clients; `None` for not using one. A file that is absent is no error.
    pub client_credentials: Option<PathBuf>,
    /// Registries that a cloud's own identity is used for, beside those that belong to it.
    pub clouds: BTreeMap<String, Cloud>,
    /// The file that lists further ones, as logging in does; `None` for not using one.
    pub cloud_registries: Option<PathBuf>,
    /// Where credential helpers are looked for; `None` for `PATH`.
    pub helper_directory: Option<PathBuf>,
    /// How long a credential helper may take. Default 30 s.
    pub helper_timeout: Duration,
    /// What the environment says of our identity at a cloud.
    pub environment: Variables,
}

impl Default for CredentialSources {
    fn default() -> Self {
        Self {
            configured: BTreeMap::new(),
            docker_config: docker_config_path(|name| std::env::var_os(name)),
            client_credentials: None,
            clouds: BTreeMap::new(),
            cloud_registries: None,
            helper_directory: None,
            helper_timeout: Duration::from_secs(30),
            environment: Variables::of_process(),
        }
    }
}

/// A credential given in our own configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Configured {
    /// User and password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token for the registry's token service.
    Identity(Secret),
    /// A token to send as it is.
    Bearer(Secret),
    /// A client that is exchanged for an access token.
    Client(ClientCredentials),
}

/// A credential, and until when it is worth using.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) credential: Credential,
    pub(crate) until: Option<Instant>,
}

impl Found {
    pub(crate) fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

impl From<Credential> for Found {
    fn from(credential: Credential) -> Self {
        Self { credential, until: None }
    }
}

impl CredentialSources {
    pub(super) fn helpers(&self) -> Helpers {
        Helpers { directory: self.helper_directory.clone(), limit: self.helper_timeout }
    }

    /// The key of a namespace that has an entry of its own in the Docker file.
    pub(super) fn namespace(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<String>, OciError> {
        let own = self.configured.contains_key(registry);
        match self.docker_config.as_ref().filter(|_| !own) {
            Some(path) => docker::namespace(path, registry, repository),
            None => Ok(None),
        }
    }

    /// The credential for `registry`, or for `namespace` at it, or [`Credential::Anonymous`] when no
    /// source has one.
    pub(crate) async fn find(
        &self,
        service: &impl TokenService,
        registry: &str,
        namespace: Option<&str>,
    ) -> Result<Found, OciError> {
        match self.configured.get(registry) {
            Some(Configured::Basic { user, password }) => {
                let (user, password) = (user.clone(), password.clone());
                return Ok(Credential::Basic { user, password }.into());
            }
            Some(Configured::Identity(secret)) => {
                return Ok(Credential::Identity(secret.clone()).into());
            }
            Some(Configured::Bearer(secret)) => {
                return Ok(Credential::Bearer(secret.clone()).into());
            }
            Some(Configured::Client(client)) => {
                return oauth::fetch(service, registry, client).await;
            }
            None => {}
        }
        if let Some(path) = &self.docker_config {
            let found = docker::find(path, registry, namespace, &self.helpers()).await?;
            if found != Credential::Anonymous {
                return Ok(found.into());
            }
        }
        if let Some(path) = &self.client_credentials {
            let client = clients::find(path, registry).map_err(|detail| OciError::Credentials {
                registry: registry.to_owned(),
                detail,
            })?;
            if let Some(client) = client {
                return oauth::fetch(service, registry, &client).await;
            }
        }
        let listed = match self.clouds.get(registry) {
            Some(cloud) => Some(*cloud),
            None => self.remembered(registry)?,
        };
        cloud::find(service, &self.environment, registry, listed).await
    }
}
