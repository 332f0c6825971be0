//! The Docker credential file, `config.json`.
//!
//! Owns reading it and choosing the entry for a registry. The file is read again for every look-up,
//! so that a login takes effect in a running process.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use base64::Engine as _;
use serde::Deserialize;

use super::{Credential, program::Helpers};
use crate::{error::OciError, secret::Secret};

/// Largest credential file read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The name under which Docker's own hub is filed.
const HUB: &str = "https://index.docker.io/v1/";
/// User name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Where the credential file is: in `$DOCKER_CONFIG`, else in `$HOME/.docker`.
pub fn docker_config_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(directory.join("config.json"))
}

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity: Option<String>,
    #[serde(rename = "registrytoken")]
    bearer: Option<String>,
}

/// Looks a registry up: its own helper, then the store for all, then the file itself.
pub(super) async fn find(
    path: &Path,
    registry: &str,
    helpers: &Helpers,
) -> Result<Credential, OciError> {
    let fail = |detail: String| OciError::Credentials { registry: registry.to_owned(), detail };
    let Some(file) = read(path).map_err(fail)? else { return Ok(Credential::Anonymous) };
    let own = file.helpers.as_ref().and_then(|helpers| {
        names(registry).into_iter().find_map(|name| helpers.get(&name).cloned())
    });
    if let Some(program) = own.or_else(|| file.store.clone()).filter(|name| !name.is_empty()) {
        let server = if is_hub(registry) { HUB } else { registry };
        let answer = helpers.get(&program, server).await.map_err(fail)?;
        if let Some((user, secret)) = answer {
            return Ok(if user == TOKEN_USER {
                Credential::Identity(secret)
            } else {
                Credential::Basic { user, password: secret }
            });
        }
    }
    let auths = file.auths.unwrap_or_default();
    match names(registry).into_iter().find_map(|name| auths.get(&name).cloned()) {
        Some(entry) => entry.credential().map_err(|detail| fail(in_file(path, &detail))),
        None => Ok(Credential::Anonymous),
    }
}

/// The spellings under which a registry may be filed.
fn names(registry: &str) -> Vec<String> {
    let mut names = Vec::new();
    if is_hub(registry) {
        names.push(HUB.to_owned());
        names.push("docker.io".to_owned());
    }
    for scheme in ["", "https://", "http://"] {
        for tail in ["", "/", "/v1/", "/v2/"] {
            names.push(format!("{scheme}{registry}{tail}"));
        }
    }
    names
}

fn is_hub(registry: &str) -> bool {
    matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

fn in_file(path: &Path, detail: &str) -> String {
    format!("`{}`: {detail}", path.display())
}

/// The file's content; `None` where there is none.
fn read(path: &Path) -> Result<Option<File>, String> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(in_file(path, &error.to_string())),
    };
    if found.len() > MAX_FILE_BYTES {
        return Err(in_file(path, &format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| in_file(path, &error.to_string()))?;
    // The parser's message may quote what it stumbled over; its place is enough.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        in_file(path, &format!("no valid JSON at line {}, column {}", error.line(), error.column()))
    })
}

impl Entry {
    fn credential(self) -> Result<Credential, String> {
        let filled = |value: Option<String>| value.filter(|text| !text.is_empty());
        if let Some(token) = filled(self.bearer) {
            return Ok(Credential::Bearer(token.into()));
        }
        if let Some(token) = filled(self.identity) {
            return Ok(Credential::Identity(token.into()));
        }
        if let Some(auth) = filled(self.auth) {
            let (user, password) = decode(&auth)
                .ok_or("`auth` is not the base64 form of a user, a colon and a password")?;
            return Ok(Credential::Basic { user, password });
        }
        match (filled(self.username), filled(self.password)) {
            (Some(user), Some(password)) => {
                Ok(Credential::Basic { user, password: password.into() })
            }
            _ => Ok(Credential::Anonymous),
        }
    }
}

fn decode(auth: &str) -> Option<(String, Secret)> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Secret::new(password.trim_end_matches('\0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn look(json: &str, registry: &str) -> Result<Credential, OciError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        find(&path, registry, &Helpers::default()).await
    }

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic { user: user.into(), password: Secret::new(password) }
    }

    #[test]
    fn the_path_follows_docker() {
        let path = |pairs: &[(&str, &str)]| {
            docker_config_path(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(path(&[("HOME", "/h")]), Some("/h/.docker/config.json".into()));
        assert_eq!(path(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]), Some("/d/config.json".into()));
        assert_eq!(path(&[("DOCKER_CONFIG", ""), ("HOME", "")]), None);
    }

    #[tokio::test]
    async fn entries_are_found_under_their_spellings() {
        // "me:p:w" in base64.
        for key in
            ["r.example.org:5000", "https://r.example.org:5000", "https://r.example.org:5000/v1/"]
        {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"bWU6cDp3"}}}}}}"#);
            assert_eq!(look(&json, "r.example.org:5000").await.unwrap(), basic("me", "p:w"));
            assert_eq!(look(&json, "r.example.org").await.unwrap(), Credential::Anonymous);
        }
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"username":"a","password":"b"}}}"#;
        assert_eq!(look(hub, "docker.io").await.unwrap(), basic("a", "b"));
    }

    #[tokio::test]
    async fn tokens_win_over_passwords() {
        let json = r#"{"auths":{"r":{"auth":"bWU6cHc=","identitytoken":"id"}}}"#;
        assert_eq!(look(json, "r").await.unwrap(), Credential::Identity(Secret::new("id")));
        let json = r#"{"auths":{"r":{"identitytoken":"id","registrytoken":"tok"}}}"#;
        assert_eq!(look(json, "r").await.unwrap(), Credential::Bearer(Secret::new("tok")));
    }

    #[tokio::test]
    async fn nothing_known_is_anonymous() {
        for json in ["{}", r#"{"auths":null}"#, r#"{"auths":{"r":{}}}"#, r#"{"credsStore":""}"#] {
            assert_eq!(look(json, "r").await.unwrap(), Credential::Anonymous, "{json}");
        }
        let absent = Path::new("/nonexistent/config.json");
        assert_eq!(find(absent, "r", &Helpers::default()).await.unwrap(), Credential::Anonymous);
    }

    #[tokio::test]
    async fn a_broken_file_is_an_error_that_shows_no_secret() {
        for json in [r#"{"auths":{"r":{"auth":"s3cret!"}}}"#, r#"{"auths": "s3cret"}"#, "s3cret"] {
            let error = look(json, "r").await.unwrap_err();
            assert!(matches!(error, OciError::Credentials { .. }), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_huge_file_is_refused() {
        let error = look(&" ".repeat(MAX_FILE_BYTES as usize + 1), "r").await.unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
        let fits = format!("{{}}{}", " ".repeat(MAX_FILE_BYTES as usize - 2));
        assert_eq!(look(&fits, "r").await.unwrap(), Credential::Anonymous);
    }
}
