//! Settings that came with `falcoctl`: directories for an engine, and the one for state.
//!
//! Each command has a section of its own in the configuration (`artifact.install`, `artifact.follow`).

use std::path::{Path, PathBuf};

use eyas_artifact::Kind;

use super::Settings;
use crate::args::FlatArgs;

/// Directories for another engine; none means that only the store is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FlatDirectories {
    pub(crate) rulesfiles: Option<PathBuf>,
    pub(crate) plugins: Option<PathBuf>,
    pub(crate) assets: Option<PathBuf>,
    /// Default directories that cannot be written here, so that nothing of their kind can be installed.
    pub(crate) unusable: Vec<(Kind, PathBuf)>,
}

impl Settings {
    /// The directories for another engine.
    pub(crate) fn flat(&self, args: &FlatArgs) -> FlatDirectories {
        let defaults = self.character().flat;
        let mut unusable = Vec::new();
        let mut directory = |asked: Option<PathBuf>, kind: Kind, default: Option<&str>| {
            asked.or_else(|| {
                let default = PathBuf::from(default?);
                if can_be_written(&default) {
                    return Some(default);
                }
                unusable.push((kind, default));
                None
            })
        };
        let asked = self.asked_in(args, &[self.section]);
        // The key of the other section is what always counted for `install`.
        let assets = asked.assets.or_else(|| self.section_path("follow", "assetsDir"));
        FlatDirectories {
            rulesfiles: directory(asked.rulesfiles, Kind::Rulesfile, defaults.rulesfiles),
            plugins: directory(asked.plugins, Kind::Plugin, defaults.plugins),
            assets: directory(assets, Kind::Asset, defaults.assets),
            unusable,
        }
    }

    /// The directories that flags, variables or the file name, whichever section they are in; for
    /// commands that change what install and follow have brought.
    pub(crate) fn named_flat(&self, args: &FlatArgs) -> FlatDirectories {
        self.asked_in(args, &["install", "follow"])
    }

    fn asked_in(&self, args: &FlatArgs, sections: &[&str]) -> FlatDirectories {
        let asked = |flag: &Option<PathBuf>, name: &str| {
            flag.clone()
                .or_else(|| sections.iter().find_map(|section| self.section_path(section, name)))
        };
        FlatDirectories {
            rulesfiles: asked(&args.rulesfiles_dir, "rulesfilesDir"),
            plugins: asked(&args.plugins_dir, "pluginsDir"),
            assets: asked(&args.assets_dir, "assetsDir"),
            unusable: Vec::new(),
        }
    }

    /// The state directory of the section, else of the other one: both are about the same files.
    pub(super) fn state_by_key(&self) -> Option<PathBuf> {
        let key = self.character().state_key?;
        [self.section, "install", "follow"]
            .iter()
            .find_map(|section| self.section_path(section, key))
    }

    fn section_path(&self, section: &str, name: &str) -> Option<PathBuf> {
        self.scalar(&format!("artifact.{section}.{name}")).map(|(text, _)| PathBuf::from(text))
    }
}

/// Whether files can be made in a directory, which may have to be made first.
fn can_be_written(directory: &Path) -> bool {
    let there = directory.ancestors().find(|path| path.exists());
    there.is_some_and(|path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok())
}
