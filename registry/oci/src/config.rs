//! How to talk to registries: everything a caller may set, with the defaults.
//!
//! Owns settings as values. Reading them from files, flags and the environment is left to the
//! command line; acting on them to `transport` and `auth`.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::{auth::CredentialSources, transport::RetryPolicy};

/// Largest manifest or image index taken, in bytes. Registries have settled on this bound.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// Largest answer of a token service taken, in bytes.
pub const MAX_TOKEN_BYTES: u64 = 64 * 1024;
/// How much of an error answer is read, in bytes; the rest is not worth the wait.
pub const MAX_ERROR_BYTES: u64 = 64 * 1024;
/// Most signatures and attestations of one artifact that are looked at.
pub const MAX_REFERRERS: usize = 64;
/// Most pages of one listing that are followed.
pub const MAX_PAGES: usize = 100;
/// Most redirects of one request that are followed.
pub const MAX_REDIRECTS: usize = 5;

/// Everything that can be set about talking to registries.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Sent as `User-Agent`. Default `eyas/<version>`.
    pub user_agent: String,
    /// Settings of single registries, by `host` or `host:port` as in a reference.
    pub registries: BTreeMap<String, RegistryConfig>,
    /// Settings of all other registries.
    pub default_registry: RegistryConfig,
    /// Where user names, passwords and tokens come from.
    pub credentials: CredentialSources,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How often to ask again.
    pub retry: RetryPolicy,
    /// How much to take.
    pub limits: Limits,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` count. Loopback is never proxied.
    /// Default true.
    pub proxy_from_environment: bool,
    /// Told what happens beside the result.
    pub listener: Listener,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            user_agent: concat!("eyas/", env!("CARGO_PKG_VERSION")).to_owned(),
            registries: BTreeMap::new(),
            default_registry: RegistryConfig::default(),
            credentials: CredentialSources::default(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            proxy_from_environment: true,
            listener: Listener::default(),
        }
    }
}

impl ClientConfig {
    /// The settings that count for `registry`.
    pub fn registry(&self, registry: &str) -> &RegistryConfig {
        self.registries.get(registry).unwrap_or(&self.default_registry)
    }
}

/// How to reach one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryConfig {
    /// With or without TLS. Default `Https`.
    pub scheme: Scheme,
    /// How the certificate is checked.
    pub verification: Verification,
    /// PEM files with certificates to trust beside the system's.
    pub ca_files: Vec<PathBuf>,
    /// What we show when the registry asks who we are.
    pub client_certificate: Option<ClientCertificate>,
    /// Address of a proxy for this registry alone.
    pub proxy: Option<String>,
    /// Places asked before the registry itself when reading, in this order.
    pub mirrors: Vec<Mirror>,
    /// Whether the registry itself is left alone for repositories that a mirror is for, so that
    /// mirrors become rewrites. Default false.
    pub mirrors_only: bool,
    /// An OCI image layout directory that takes the place of the registry, for reading and
    /// writing: nothing goes over the network then.
    pub layout: Option<PathBuf>,
}

/// Transport of one registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// TLS.
    #[default]
    Https,
    /// No TLS: only for loopback and networks where everybody may read along.
    PlainHttp,
}

/// How a registry's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// By chain, name and date.
    #[default]
    Full,
    /// Not at all. Digests still hold for what is pinned; tags and credentials are open to anybody
    /// on the path.
    AcceptAnyCertificate,
}

/// Files of a client certificate, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A place that has copies of a registry's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Only repositories that begin with this are looked for there. Empty for all.
    pub prefix: String,
    /// What takes the place of `prefix` in the repository's name.
    pub replacement: String,
    /// Where the copies are.
    pub location: Location,
}

/// Where copies are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Another registry, `host` or `host:port`; its own settings count for how to reach it.
    Registry(String),
    /// An OCI image layout directory.
    Layout(PathBuf),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(registry) => f.write_str(registry),
            Self::Layout(directory) => write!(f, "{}", directory.display()),
        }
    }
}

/// How long to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included. Default 10 s.
    pub connect: Duration,
    /// For the first byte of an answer. Default 30 s.
    pub answer: Duration,
    /// For the next byte of a body. Default 30 s.
    pub stall: Duration,
    /// For the whole body of a document; content has a second more for each 4 KiB that arrive. So
    /// that what trickles has an end. Default 2 min.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self {
            connect: Duration::from_secs(10),
            answer: half_a_minute,
            stall: half_a_minute,
            total: Duration::from_mins(2),
        }
    }
}

/// How much to take from a registry before calling it hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest or image index. Default [`MAX_MANIFEST_BYTES`].
    pub manifest_bytes: u64,
    /// Bytes of a token answer. Default [`MAX_TOKEN_BYTES`].
    pub token_bytes: u64,
    /// Bytes of one blob. Default 16 GiB.
    pub blob_bytes: u64,
    /// Referrers of one manifest. Default [`MAX_REFERRERS`].
    pub referrers: usize,
    /// Pages of a listing. Default [`MAX_PAGES`].
    pub pages: usize,
    /// Tags of a repository. Default 100 000.
    pub tags: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: MAX_MANIFEST_BYTES,
            token_bytes: MAX_TOKEN_BYTES,
            blob_bytes: 16 * 1024 * 1024 * 1024,
            referrers: MAX_REFERRERS,
            pages: MAX_PAGES,
            tags: 100_000,
        }
    }
}

/// Something worth telling that is not a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A request is repeated.
    Retry {
        /// The reference or address.
        what: String,
        /// Why.
        reason: String,
        /// How long we wait before it.
        wait: Duration,
    },
    /// A blob goes on where it broke off.
    Resumed {
        /// The digest.
        what: String,
        /// Bytes that had arrived.
        offset: u64,
    },
    /// This machine has no trusted certificates of its own; the ones built in are used.
    BundledRoots {
        /// The registry.
        registry: String,
    },
    /// A certificate is not checked because the configuration says so.
    CertificateUnchecked {
        /// The registry.
        registry: String,
    },
    /// A mirror did not have it or did not answer; the next place is asked.
    MirrorSkipped {
        /// The mirror.
        mirror: String,
        /// Why.
        reason: String,
    },
    /// There are more referrers than are looked at.
    ReferrersCut {
        /// The manifest.
        what: String,
        /// How many are looked at.
        limit: usize,
    },
}

/// A function that is told [`Notice`]s.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<dyn Fn(Notice) + Send + Sync>>);

impl Listener {
    /// Calls `function` for each notice, from whichever task it arises in.
    pub fn new(function: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    pub(crate) fn tell(&self, notice: Notice) {
        if let Some(function) = &self.0 {
            function(notice);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener(set)" } else { "Listener(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_its_own_settings_hides_the_default() {
        let mut config = ClientConfig::default();
        config.default_registry.ca_files.push("/ca.pem".into());
        let own = RegistryConfig { scheme: Scheme::PlainHttp, ..RegistryConfig::default() };
        config.registries.insert("localhost:5000".into(), own);
        assert_eq!(config.registry("localhost:5000").scheme, Scheme::PlainHttp);
        assert!(config.registry("localhost:5000").ca_files.is_empty());
        assert_eq!(config.registry("localhost:5001").ca_files.len(), 1);
    }

    #[test]
    fn the_documented_defaults_hold() {
        let config = ClientConfig::default();
        assert_eq!(config.limits.manifest_bytes, 4_194_304);
        assert_eq!(config.limits.token_bytes, 65_536);
        assert_eq!(config.limits.referrers, 64);
        assert!(config.user_agent.starts_with("eyas/"));
        assert_eq!(config.registry("any"), &RegistryConfig::default());
    }
}
