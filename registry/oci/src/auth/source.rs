//! Where credentials come from, and in which order.
//!
//! Owns the list of sources. The Docker file and its helpers are read by `docker` and `program`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{Credential, docker, docker_config_path, program::Helpers, token::TokenService};
use crate::{error::OciError, secret::Secret};

/// Sources of credentials.
#[derive(Clone, Debug)]
pub struct CredentialSources {
    /// Credentials from our own configuration, by registry. They win.
    pub configured: BTreeMap<String, Configured>,
    /// The Docker credential file; `None` for not using one. A file that is absent is no error.
    pub docker_config: Option<PathBuf>,
    /// Where credential helpers are looked for; `None` for `PATH`.
    pub helper_directory: Option<PathBuf>,
    /// How long a credential helper may take. Default 30 s.
    pub helper_timeout: Duration,
}

impl Default for CredentialSources {
    fn default() -> Self {
        Self {
            configured: BTreeMap::new(),
            docker_config: docker_config_path(|name| std::env::var_os(name)),
            helper_directory: None,
            helper_timeout: Duration::from_secs(30),
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
}

impl CredentialSources {
    fn helpers(&self) -> Helpers {
        Helpers { directory: self.helper_directory.clone(), limit: self.helper_timeout }
    }

    /// The credential for `registry`, or [`Credential::Anonymous`] when no source has one.
    pub(crate) async fn find(
        &self,
        _service: &impl TokenService,
        registry: &str,
    ) -> Result<Credential, OciError> {
        match self.configured.get(registry) {
            Some(Configured::Basic { user, password }) => {
                Ok(Credential::Basic { user: user.clone(), password: password.clone() })
            }
            Some(Configured::Identity(secret)) => Ok(Credential::Identity(secret.clone())),
            Some(Configured::Bearer(secret)) => Ok(Credential::Bearer(secret.clone())),
            None => match &self.docker_config {
                Some(path) => docker::find(path, registry, &self.helpers()).await,
                None => Ok(Credential::Anonymous),
            },
        }
    }
}
