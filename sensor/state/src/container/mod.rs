//! Containers: what a control group claims, and what a runtime says of it.
//!
//! Pure. Claims come with events; what is true of them is found out by whoever may read files and
//! ask sockets, and comes in through [`Containers`].

mod cgroup;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use cgroup::{Claim, Engine};

use crate::host::{Group, User};

/// Users and groups that a container's own files name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Users by id.
    pub users: HashMap<u32, User>,
    /// Groups by id.
    pub groups: HashMap<u32, Group>,
}

/// One mount of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host, or name of the volume.
    pub source: String,
    /// Path in the container.
    pub dest: String,
    /// Options as the runtime has them.
    pub mode: String,
    /// Whether it may be written to.
    pub rdwr: bool,
    /// Propagation, such as `rprivate`.
    pub propagation: String,
}

/// The Kubernetes pod around a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Unique id.
    pub uid: String,
    /// Id of the sandbox.
    pub sandbox_id: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Address, if known.
    pub ip: String,
}

/// What is known of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Id as the runtime has it.
    pub full_id: String,
    /// Name.
    pub name: String,
    /// Kind of runtime, as `container.type` has it.
    pub kind: &'static str,
    /// Reference of the image as it was asked for.
    pub image: String,
    /// Id of the image.
    pub image_id: String,
    /// Digest of the image in its registry.
    pub image_digest: String,
    /// Whether it is privileged; `None` when not known.
    pub privileged: Option<bool>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Primary address.
    pub ip: String,
    /// Shares the host's process ids.
    pub host_pid: Option<bool>,
    /// Shares the host's network.
    pub host_network: Option<bool>,
    /// Shares the host's interprocess communication.
    pub host_ipc: Option<bool>,
    /// The pod, if it is one's.
    pub pod: Option<Pod>,
    /// Users and groups; `None` when nobody has looked.
    pub accounts: Option<Arc<Accounts>>,
}

impl Container {
    /// First twelve characters of the id, which is how people know it.
    pub fn id(&self) -> &str {
        short(&self.full_id)
    }

    /// The image without tag and digest.
    pub fn repository(&self) -> &str {
        let name = self.image.split('@').next().unwrap_or_default();
        match name.rsplit_once(':') {
            // A colon before a slash belongs to a port.
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        }
    }

    /// The image's tag.
    pub fn tag(&self) -> &str {
        let name = self.image.split('@').next().unwrap_or_default();
        name.rsplit_once(':')
            .map(|(_, tag)| tag)
            .filter(|tag| !tag.contains('/'))
            .unwrap_or_default()
    }
}

/// First twelve characters.
pub fn short(id: &str) -> &str {
    id.char_indices().nth(12).map_or(id, |(at, _)| id.get(..at).unwrap_or(id))
}

/// A process that makes a claim. It may be gone before anybody looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// Inode number of its mount namespace; 0 when not known.
    pub mount_namespace: u32,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is a container.
    Container(Arc<Container>),
    /// It is none.
    Host,
}

/// What is known of claims.
#[derive(Debug, Clone, Default)]
pub struct Containers {
    /// Verdicts.
    pub known: HashMap<Claim, Verdict>,
}

/// Where a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// On the host.
    Host,
    /// In a container.
    Container(&'a Container),
    /// Nobody has looked yet.
    Unknown(&'a Claim),
}

impl Containers {
    /// Where a process with this claim is.
    pub fn place<'a>(&'a self, claim: Option<&'a Claim>) -> Place<'a> {
        let Some(claim) = claim else { return Place::Host };
        match self.known.get(claim) {
            Some(Verdict::Container(container)) => Place::Container(container),
            Some(Verdict::Host) => Place::Host,
            None => Place::Unknown(claim),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_taken_apart_as_registries_name_them() {
        for (image, repository, tag) in [
            ("nginx", "nginx", ""),
            ("nginx:1.25", "nginx", "1.25"),
            ("localhost:5000/a/b", "localhost:5000/a/b", ""),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b", "v1"),
            ("quay.io/a/b:v1@sha256:00", "quay.io/a/b", "v1"),
            ("quay.io/a/b@sha256:00", "quay.io/a/b", ""),
            ("", "", ""),
        ] {
            let container = Container { image: image.into(), ..Container::default() };
            assert_eq!((container.repository(), container.tag()), (repository, tag), "{image}");
        }
    }

    #[test]
    fn ids_are_cut_as_people_know_them() {
        assert_eq!(short("3ad7b26ded6d8e7b23da"), "3ad7b26ded6d");
        assert_eq!(short("web"), "web");
    }
}
