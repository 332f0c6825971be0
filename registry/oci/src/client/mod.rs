//! What one does with a registry: resolve, fetch, list, push.
//!
//! Owns the order of places that are asked for a reference (mirrors, then the registry itself) and
//! the rule that after [`Client::pin`] everything goes by digest.

mod blob;
mod document;
mod manifest;
mod pin;
mod push;
mod referrers;
mod sink;
mod tags;
mod upload;

use std::{collections::VecDeque, fmt, sync::Arc};

use eyas_artifact::{Digest, Reference};
use http::Method;

pub use manifest::{Fetched, Resolved};
pub use pin::Pinned;
pub use referrers::fallback_tag;
pub use sink::{BlobSink, Metered};
pub use upload::{BlobSource, Pushed};

use crate::{
    auth::Scope,
    config::{ClientConfig, Listener, Mirror, MirrorLocation, Notice},
    error::OciError,
    transport::{Call, Transport},
};

/// A client of OCI registries. Cloning is cheap and shares connections and tokens.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
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
        Ok(Self { transport: Arc::new(Transport::new(config)) })
    }

    /// The settings.
    pub fn config(&self) -> &ClientConfig {
        self.transport.config()
    }

    /// Where to read a reference, in order.
    fn places(&self, reference: &Reference) -> Places {
        let origin = Place::origin(reference);
        let mirrors = &self.config().registry(reference.registry()).mirrors;
        let mut rest: VecDeque<Place> =
            mirrors.iter().filter_map(|mirror| mirrored(mirror, reference.repository())).collect();
        let listener = self.config().listener.clone();
        rest.push_back(origin.clone());
        let current = rest.pop_front().unwrap_or(origin);
        Places { current, rest, listener }
    }

    /// A request about a repository for reading.
    fn reading(
        &self,
        method: Method,
        place: &Place,
        path: &str,
        what: String,
    ) -> Result<Call, OciError> {
        self.call(method, place, path, Scope::pull(&place.repository), what)
    }

    fn call(
        &self,
        method: Method,
        place: &Place,
        path: &str,
        scope: Scope,
        what: String,
    ) -> Result<Call, OciError> {
        let path = format!("{}/{path}", place.repository);
        let address = self.transport.address(&place.registry, &path)?;
        Ok(Call::new(method, &place.registry, address, scope, what))
    }
}

/// A repository at a registry, or at a mirror of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    registry: String,
    repository: String,
}

impl Place {
    fn origin(reference: &Reference) -> Self {
        Self {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
        }
    }
}

/// The places for one operation; what fails at one goes on at the next.
struct Places {
    current: Place,
    rest: VecDeque<Place>,
    listener: Listener,
}

impl Places {
    /// Goes to the next place, or gives the error back when this was the last.
    fn advance(&mut self, error: OciError) -> Result<(), OciError> {
        // Storing failed, not fetching: another place will not help.
        if matches!(error, OciError::Sink { .. }) {
            return Err(error);
        }
        let Some(next) = self.rest.pop_front() else { return Err(error) };
        let mirror = format!("{}/{}", self.current.registry, self.current.repository);
        self.listener.tell(Notice::MirrorSkipped { mirror, reason: error.to_string() });
        self.current = next;
        Ok(())
    }
}

fn mirrored(mirror: &Mirror, repository: &str) -> Option<Place> {
    let rest = repository.strip_prefix(&mirror.prefix)?;
    match &mirror.location {
        MirrorLocation::Registry(registry) => Some(Place {
            registry: registry.clone(),
            repository: format!("{}{rest}", mirror.replacement),
        }),
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
    fn mirrors_come_first_with_their_names() {
        let mirror = |prefix: &str, replacement: &str, host: &str| Mirror {
            prefix: prefix.into(),
            replacement: replacement.into(),
            location: MirrorLocation::Registry(host.into()),
        };
        let mut config = ClientConfig::default();
        let mirrors = vec![mirror("team/", "cache/team/", "m1:5000"), mirror("other/", "", "m2")];
        config
            .registries
            .insert("r.example.org".into(), RegistryConfig { mirrors, ..Default::default() });
        let client = Client::new(config).unwrap();
        let mut places = client.places(&"r.example.org/team/rules:1".parse().unwrap());
        let place = |registry: &str, repository: &str| Place {
            registry: registry.into(),
            repository: repository.into(),
        };
        assert_eq!(places.current, place("m1:5000", "cache/team/rules"));
        places.advance(OciError::NotFound { what: "x".into() }).unwrap();
        assert_eq!(places.current, place("r.example.org", "team/rules"));
        assert!(places.advance(OciError::NotFound { what: "x".into() }).is_err());
    }

    #[test]
    fn nonsense_in_the_settings_is_refused() {
        let mut config = ClientConfig::default();
        config.registries.insert("https://r.example.org".into(), RegistryConfig::default());
        assert!(matches!(Client::new(config), Err(OciError::Config { .. })));
    }
}
