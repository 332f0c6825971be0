//! The shared files of Amazon's tools, `credentials` and `config`: sections with keys and values.
//!
//! Owns their grammar as far as keys and regions go. A profile that gets its keys in a way that is not
//! understood is an error that says so, since going on without it would use another identity.

use std::{collections::BTreeMap, path::PathBuf};

use super::{super::read, keys::Keys};
use crate::{auth::Variables, secret::Secret};

/// The profile in force.
#[derive(Default)]
pub(super) struct Profile {
    name: String,
    values: BTreeMap<String, Secret>,
}

impl Profile {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(Secret::expose).filter(|value| !value.is_empty())
    }

    /// Keys that stand in the profile; `None` where it has none of its own.
    pub(super) fn keys(&self) -> Result<Option<Keys>, String> {
        if let (Some(id), Some(secret)) =
            (self.get("aws_access_key_id"), self.get("aws_secret_access_key"))
        {
            return Ok(Some(Keys {
                id: id.to_owned(),
                secret: Secret::new(secret),
                session: self.get("aws_session_token").map(Secret::new),
                until: None,
            }));
        }
        for other in ["credential_process", "sso_session", "sso_start_url", "source_profile"] {
            if self.get(other).is_some() {
                return Err(format!(
                    "profile `{}` has `{other}`, which is not understood; give keys, a web identity \
                     or a credential helper",
                    self.name
                ));
            }
        }
        Ok(None)
    }
}

/// The profile that the environment names, read from both files. A named profile must exist.
pub(super) fn load(variables: &Variables) -> Result<Profile, String> {
    let named = variables.get("AWS_PROFILE").or_else(|| variables.get("AWS_DEFAULT_PROFILE"));
    let mut profile = Profile { name: named.unwrap_or("default").to_owned(), ..Profile::default() };
    let file = |variable: &str, known: &str| {
        variables.path(variable).or_else(|| variables.at_home(known)).filter(|path| path.is_file())
    };
    let config: Option<PathBuf> = file("AWS_CONFIG_FILE", ".aws/config");
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    let mut found = false;
    // Keys of the credentials file win over those of the configuration.
    for (path, prefix) in [(config, "profile "), (credentials, "")] {
        let Some(path) = path else { continue };
        let text = read(&path)?;
        let title = match profile.name.as_str() {
            "default" => "default".to_owned(),
            name => format!("{prefix}{name}"),
        };
        if let Some(values) = section(text.expose(), &title) {
            found = true;
            profile.values.extend(values);
        }
    }
    match named {
        Some(name) if !found => Err(format!("there is no profile `{name}`")),
        _ => Ok(profile),
    }
}

/// The region of the profile.
pub(crate) fn region(variables: &Variables) -> Result<Option<String>, String> {
    Ok(load(variables)?.get("region").map(str::to_owned))
}

/// The values of one section. Indented lines belong to nested settings and are passed over.
fn section(text: &str, title: &str) -> Option<BTreeMap<String, Secret>> {
    let mut values: Option<BTreeMap<String, Secret>> = None;
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.split_whitespace().eq(title.split_whitespace());
            if inside {
                values.get_or_insert_default();
            }
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && let Some(values) = values.as_mut()
        {
            values.insert(key.trim().to_ascii_lowercase(), Secret::new(value.trim()));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn home(credentials: &str, config: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        home
    }

    #[test]
    fn both_files_make_a_profile() {
        let home = home(
            "[default]\naws_access_key_id = d\naws_secret_access_key=ds\n\n[team]\n\
             aws_access_key_id=t\naws_secret_access_key = t=s\n# x\naws_session_token=tok\n",
            "[default]\nregion = eu-west-1\n[profile team]\nregion=us-east-2\ns3 =\n  region = no\n",
        );
        let at = home.path().to_str().unwrap();
        let plain = load(&variables(&[("HOME", at)])).unwrap();
        assert_eq!(plain.keys().unwrap().unwrap().id, "d");
        assert_eq!(plain.get("region"), Some("eu-west-1"));
        let team = load(&variables(&[("HOME", at), ("AWS_PROFILE", "team")])).unwrap();
        let keys = team.keys().unwrap().unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.expose()), ("t", "t=s"));
        assert_eq!(keys.session, Some(Secret::new("tok")));
        assert_eq!(team.get("region"), Some("us-east-2"));
    }

    #[test]
    fn a_profile_that_is_named_must_be_there_and_understood() {
        let home = home("[a]\ncredential_process = /bin/x\n", "");
        let at = home.path().to_str().unwrap();
        let said = load(&variables(&[("HOME", at), ("AWS_PROFILE", "b")])).err().unwrap();
        assert_eq!(said, "there is no profile `b`");
        let profile = load(&variables(&[("HOME", at), ("AWS_PROFILE", "a")])).unwrap();
        assert!(profile.keys().unwrap_err().contains("credential_process"));
        assert!(load(&variables(&[])).unwrap().keys().unwrap().is_none());
    }
}
