//! Where a repository is: at a registry, or in an image layout directory that stands for one.
//!
//! Owns the order of places that are asked when reading (mirrors, then the registry itself).

use std::{collections::VecDeque, path::Path};

use eyas_artifact::Reference;

use super::{Client, local::Local};
use crate::{
    config::{Listener, Location, Mirror, Notice},
    error::OciError,
};

/// A place to read from or write to.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Registry(Remote),
    Layout(Local),
}

/// A repository at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) registry: String,
    pub(super) repository: String,
}

impl Place {
    /// What to call it in messages.
    fn name(&self) -> String {
        match self {
            Self::Registry(remote) => format!("{}/{}", remote.registry, remote.repository),
            Self::Layout(local) => local.to_string(),
        }
    }
}

/// The places for one operation; what fails at one goes on at the next.
pub(super) struct Places {
    pub(super) current: Place,
    rest: VecDeque<Place>,
    listener: Listener,
}

impl Places {
    /// Goes to the next place, or gives the error back when this was the last.
    pub(super) fn advance(&mut self, error: OciError) -> Result<(), OciError> {
        // A place that is there and lies is no reason to look elsewhere but to stop, and where storing
        // failed another place will not help.
        if !is_elsewhere(&error) {
            return Err(error);
        }
        let Some(next) = self.rest.pop_front() else { return Err(error) };
        let (mirror, reason) = (self.current.name(), error.to_string());
        self.listener.tell(Notice::MirrorSkipped { mirror, reason });
        self.current = next;
        Ok(())
    }
}

/// Whether another place may have what this one has not, or does not hand out.
fn is_elsewhere(error: &OciError) -> bool {
    match error {
        OciError::NotFound { .. }
        | OciError::Unauthorized { .. }
        | OciError::Forbidden { .. }
        | OciError::RateLimited { .. }
        | OciError::Network { .. }
        | OciError::Stalled { .. }
        | OciError::TooSlow { .. }
        | OciError::Io { .. } => true,
        OciError::Server { status, .. } => *status >= 500,
        _ => false,
    }
}

impl Client {
    /// Where to read a reference, in order.
    pub(super) fn places(&self, reference: &Reference) -> Result<Places, OciError> {
        let repository = reference.repository();
        let listener = self.config().listener.clone();
        let settings = self.config().registry(reference.registry());
        let (mut rest, mut unusable) = (VecDeque::new(), None);
        for mirror in &settings.mirrors {
            let Some(repository) = mirrored(mirror, repository) else { continue };
            match self.place(&mirror.location, repository) {
                Ok(place) => rest.push_back(place),
                // A directory that is not there, such as a medium that is not mounted.
                Err(error) => {
                    listener.tell(Notice::MirrorSkipped {
                        mirror: mirror.location.to_string(),
                        reason: error.to_string(),
                    });
                    unusable = Some(error);
                }
            }
        }
        let mirrored = !rest.is_empty() || unusable.is_some();
        if !(settings.mirrors_only && mirrored) {
            rest.push_back(self.origin(reference)?);
        }
        let none = || OciError::NotFound { what: reference.to_string() };
        let current = rest.pop_front().ok_or_else(|| unusable.unwrap_or_else(none))?;
        Ok(Places { current, rest, listener })
    }

    /// The registry itself, or the directory that stands for it.
    pub(super) fn origin(&self, reference: &Reference) -> Result<Place, OciError> {
        let repository = reference.repository().to_owned();
        let named = crate::layout::layout_of_host(reference.registry());
        let configured = &self.config().registry(reference.registry()).layout;
        match named.as_ref().or(configured.as_ref()) {
            Some(directory) => self.local(directory, repository),
            None => Ok(Place::Registry(Remote {
                registry: reference.registry().to_owned(),
                repository,
            })),
        }
    }

    fn place(&self, location: &Location, repository: String) -> Result<Place, OciError> {
        match location {
            Location::Registry(registry) => {
                Ok(Place::Registry(Remote { registry: registry.clone(), repository }))
            }
            Location::Layout(directory) => self.local(directory, repository),
        }
    }

    fn local(&self, directory: &Path, repository: String) -> Result<Place, OciError> {
        Ok(Place::Layout(Local::new(self.layout(directory)?, repository)))
    }
}

/// The name of a repository at a mirror; `None` where the mirror is not for it.
fn mirrored(mirror: &Mirror, repository: &str) -> Option<String> {
    let rest = repository.strip_prefix(&mirror.prefix)?;
    let name = format!("{}{rest}", mirror.replacement);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientConfig, RegistryConfig};

    #[test]
    fn mirrors_come_first_with_their_names() {
        let mirror = |prefix: &str, replacement: &str, location: Location| Mirror {
            prefix: prefix.into(),
            replacement: replacement.into(),
            location,
        };
        let mut config = ClientConfig::default();
        let mirrors = vec![
            mirror("team/", "cache/team/", Location::Registry("m1:5000".into())),
            mirror("", "", Location::Layout("/nonexistent".into())),
            mirror("other/", "", Location::Registry("m2".into())),
        ];
        config
            .registries
            .insert("r.example.org".into(), RegistryConfig { mirrors, ..Default::default() });
        let client = Client::new(config).unwrap();
        let mut places = client.places(&"r.example.org/team/rules:1".parse().unwrap()).unwrap();
        assert_eq!(places.current.name(), "m1:5000/cache/team/rules");
        let error = || OciError::NotFound { what: "x".into() };
        places.advance(error()).unwrap();
        assert_eq!(places.current.name(), "r.example.org/team/rules");
        assert!(places.advance(error()).is_err());
    }
}
