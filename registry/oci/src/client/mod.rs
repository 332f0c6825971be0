//! What one does with a registry: resolve, fetch, list, push.
//!
//! Owns the rule that after [`Client::pin`] everything goes by digest. Where a repository is read from
//! is decided by `place`.

mod blob;
mod bucket;
mod document;
mod exchange;
mod local;
mod manifest;
mod pin;
mod ping;
mod place;
mod push;
mod referrers;
mod sink;
mod tags;
mod upload;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use eyas_artifact::{Digest, Reference};
use http::Method;

pub use bucket::Object;
pub use document::Document;
pub use exchange::{Ask, Reply};
pub use manifest::{Fetched, Resolved};
pub use pin::Pinned;
pub use ping::Ping;
pub use referrers::fallback_tag;
pub use sink::{BlobSink, Metered};
pub use upload::{BlobSource, Pushed};

use place::{Place, Remote};

use crate::{
    auth::Scope,
    config::ClientConfig,
    error::OciError,
    layout::Layout,
    transport::{Call, Transport},
};

/// A client of OCI registries. Cloning is cheap and shares connections and tokens.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
    layouts: Arc<Mutex<HashMap<PathBuf, Layout>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", self.config()).finish()
    }
}

impl Client {
    /// A client with these settings. Nothing is opened or read yet: TLS files are read at the first
    /// use of the registry they belong to.
    pub fn new(config: ClientConfig) -> Result<Self, OciError> {
        for registry in config.registries.keys() {
            Reference::new(registry, "any").map_err(|_| OciError::Config {
                value: registry.clone(),
                expected: "registry host with an optional port",
            })?;
        }
        Ok(Self { transport: Arc::new(Transport::new(config)), layouts: Arc::default() })
    }

    /// The settings.
    pub fn config(&self) -> &ClientConfig {
        self.transport.config()
    }

    /// The image layout in a directory, opened once.
    fn layout(&self, directory: &Path) -> Result<Layout, OciError> {
        let mut open = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = open.get(directory) {
            return Ok(layout.clone());
        }
        let layout = Layout::open(directory)?;
        open.insert(directory.to_owned(), layout.clone());
        Ok(layout)
    }

    /// A request about a repository for reading.
    fn reading(
        &self,
        method: Method,
        place: &Remote,
        path: &str,
        what: String,
    ) -> Result<Call, OciError> {
        self.call(method, place, path, Scope::pull(&place.repository), what)
    }

    fn call(
        &self,
        method: Method,
        place: &Remote,
        path: &str,
        scope: Scope,
        what: String,
    ) -> Result<Call, OciError> {
        let path = format!("{}/{path}", place.repository);
        let address = self.transport.address(&place.registry, &path)?;
        Ok(Call::new(method, &place.registry, address, scope, what))
    }
}

/// What the path of a manifest ends in: the digest where there is one, else the tag.
fn key(reference: &Reference) -> String {
    reference.digest().map_or_else(|| reference.tag_or_latest().to_owned(), Digest::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RegistryConfig;

    #[test]
    fn nonsense_in_the_settings_is_refused() {
        let mut config = ClientConfig::default();
        config.registries.insert("https://r.example.org".into(), RegistryConfig::default());
        assert!(matches!(Client::new(config), Err(OciError::Config { .. })));
    }
}
