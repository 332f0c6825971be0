//! Plain directories for programs that know nothing of generations, such as Falco itself.
//!
//! Owns which directory takes which kind of artifact, and what may become of a file in the way that
//! no artifact owns. How a directory is written is the store's business.

mod keep;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eyas_artifact::Kind;

pub(crate) use keep::Flat;

/// The plain directories that are kept at the active generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlatTargets {
    /// Where files of rules go.
    pub rulesfiles: Option<PathBuf>,
    /// Where plugins go.
    pub plugins: Option<PathBuf>,
    /// Where assets go.
    pub assets: Option<PathBuf>,
    /// What becomes of files in the way.
    pub foreign: ForeignPolicy,
    /// References that an older tool's state says it installed here: their plugins and assets may
    /// be replaced although nothing says which files they brought.
    pub installed_before: BTreeSet<String>,
}

/// What becomes of a file in the way that no artifact owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForeignPolicy {
    /// It is replaced if it is of the same kind: a list of rules by a file of rules, a shared object
    /// by a plugin. Anything else, such as a configuration, is refused.
    #[default]
    SameKind,
    /// It is taken over and replaced, whatever it is.
    Adopt,
}

impl FlatTargets {
    /// Where artifacts of a kind go, if they go anywhere.
    pub fn directory(&self, kind: Kind) -> Option<&Path> {
        match kind {
            Kind::Rulesfile => self.rulesfiles.as_deref(),
            Kind::Plugin => self.plugins.as_deref(),
            Kind::Asset => self.assets.as_deref(),
            Kind::Probe => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_directory_and_probes_have_none() {
        let targets = FlatTargets {
            rulesfiles: Some("/r".into()),
            plugins: Some("/p".into()),
            assets: Some("/a".into()),
            ..FlatTargets::default()
        };
        let of = |kind| targets.directory(kind).map(Path::to_owned);
        assert_eq!(of(Kind::Rulesfile), Some("/r".into()));
        assert_eq!(of(Kind::Plugin), Some("/p".into()));
        assert_eq!(of(Kind::Asset), Some("/a".into()));
        assert_eq!(of(Kind::Probe), None);
    }
}
