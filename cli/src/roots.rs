//! Trusted roots on disk: files that the policy names, TUF repositories to refresh them from, and the copies that a
//! refresh brought.
//!
//! Everything is in `roots/` beside the configuration file: `NAME.json` for the policy, `tuf/NAME.repository.json`
//! for where it comes from, and the keeper's own files in `tuf/`.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use eyas_ops::OpsError;
use eyas_trust::{KeptRoot, MAX_ROOT_BYTES, RootKeeper, RootRepository};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::settings::Settings;
use crate::wiring;

/// The root that every policy trusts unless it says otherwise.
const PUBLIC_GOOD: &str = "public-good";
const REPOSITORY_SUFFIX: &str = ".repository.json";
/// Longest name of a root.
const MAX_NAME_BYTES: usize = 64;

/// The folder of trusted roots.
pub(crate) struct RootBook {
    folder: PathBuf,
}

/// Where a root comes from.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repository {
    url: String,
    /// The first `root.json`, as text.
    root: String,
}

impl RootBook {
    /// The folder beside the configuration; it is made when something is kept in it.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self { folder: settings.config_dir()?.join("roots") })
    }

    fn tuf(&self) -> PathBuf {
        self.folder.join("tuf")
    }

    fn keeper(&self) -> RootKeeper {
        RootKeeper::new(self.tuf())
    }

    /// Names of all roots that can be refreshed.
    pub(crate) fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = vec![PUBLIC_GOOD.to_owned()];
        let folder = self.tuf();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(wiring::storage("read", &folder, &error).into()),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            names.extend(name.strip_suffix(REPOSITORY_SUFFIX).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn repository(&self, name: &str) -> anyhow::Result<Option<RootRepository>> {
        if name == PUBLIC_GOOD {
            return Ok(Some(RootRepository::public_good()));
        }
        let path = self.tuf().join(format!("{name}{REPOSITORY_SUFFIX}"));
        match fs::metadata(&path) {
            Ok(found) if found.len() > 2 * MAX_ROOT_BYTES as u64 => {
                let message = format!("`{}` has {} bytes", path.display(), found.len());
                return Err(Failure::usage(message).into());
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wiring::storage("read", &path, &error).into()),
        }
        let bytes = fs::read(&path).map_err(|error| wiring::storage("read", &path, &error))?;
        let repository: Repository = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::usage(format!("`{}` cannot be used: {error}", path.display()))
        })?;
        Ok(Some(RootRepository::new(name, &repository.url, repository.root.as_bytes())))
    }

    /// What the last good refresh brought.
    pub(crate) async fn kept(&self, name: &str) -> anyhow::Result<Option<KeptRoot>> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let Some(repository) = self.repository(name)? else { return Ok(None) };
        Ok(self.keeper().kept(&repository).await.map_err(OpsError::from)?)
    }

    /// Asks for the current root; on failure what is kept stays.
    pub(crate) async fn refresh(&self, name: &str) -> anyhow::Result<KeptRoot> {
        Ok(self.keeper().refresh(&self.known(name)?).await.map_err(OpsError::from)?)
    }

    /// What a refresh would bring; what is kept stays.
    pub(crate) async fn preview(&self, name: &str) -> anyhow::Result<KeptRoot> {
        Ok(self.keeper().preview(&self.known(name)?).await.map_err(OpsError::from)?)
    }

    /// The repository of a root that can be refreshed.
    fn known(&self, name: &str) -> anyhow::Result<RootRepository> {
        check_name(name)?;
        self.repository(name)?.ok_or_else(|| {
            let message = format!("no TUF repository is known for the trusted root `{name}`");
            let hint = "add one with `eyas trust add --name NAME --tuf-url URL --tuf-root FILE`";
            Failure::usage(message).with_hint(hint).into()
        })
    }

    /// The root that a repository distributes, as text; nothing of it is remembered.
    pub(crate) async fn look(&self, name: &str, url: &str, root: &[u8]) -> anyhow::Result<String> {
        check_name(name)?;
        let repository = RootRepository::new(name, url, root);
        let found = self.keeper().preview(&repository).await.map_err(OpsError::from)?;
        Ok(found.source.to_json().map_err(OpsError::from)?)
    }

    /// Fetches a root from a repository for the first time and remembers where it is from; gives it as text.
    pub(crate) async fn subscribe(
        &self,
        name: &str,
        url: &str,
        root: &[u8],
    ) -> anyhow::Result<String> {
        check_name(name)?;
        let repository = RootRepository::new(name, url, root);
        let kept = self.keeper().refresh(&repository).await.map_err(OpsError::from)?;
        let root = String::from_utf8_lossy(root).into_owned();
        let remembered = serde_json::to_vec(&Repository { url: url.to_owned(), root })?;
        eyas_ops::replace_file(
            &self.tuf().join(format!("{name}{REPOSITORY_SUFFIX}")),
            &remembered,
        )?;
        Ok(kept.source.to_json().map_err(OpsError::from)?)
    }

    /// The file in which a root is kept for a policy to name.
    pub(crate) fn place(&self, name: &str) -> anyhow::Result<PathBuf> {
        check_name(name)?;
        let folder = fs::canonicalize(&self.folder)
            .or_else(|_| std::path::absolute(&self.folder))
            .map_err(|error| wiring::storage("find", &self.folder, &error))?;
        Ok(folder.join(format!("{name}.json")))
    }

    /// Keeps a root as a file that a policy can name.
    pub(crate) fn keep(&self, name: &str, json: &str) -> anyhow::Result<()> {
        let (path, folder) = (self.place(name)?, &self.folder);
        fs::create_dir_all(folder).map_err(|error| wiring::storage("make", folder, &error))?;
        Ok(eyas_ops::replace_file(&path, json.as_bytes())?)
    }
}

/// A name becomes a file name.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && !name.is_empty() && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    Err(Failure::usage(format!("`{name}` cannot be the name of a trusted root"))
        .with_hint("use up to 64 letters, digits, `-` and `_`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_the_folder() {
        for good in ["corp", "public-good", "A_1"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", "a/b", "a.b", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name(&"x".repeat(MAX_NAME_BYTES)).is_ok());
        assert!(check_name(&"x".repeat(MAX_NAME_BYTES + 1)).is_err());
    }
}
