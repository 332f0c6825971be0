//! The Docker credential file, `config.json`.
//!
//! Owns its format and the choice of the entry for a registry. The file is read again for every
//! look-up, so that a login takes effect in a running process. How it is replaced is left to
//! `credential_file`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Credential,
    credential_file::{self, in_file},
    program::Helpers,
};
use crate::{error::OciError, secret::Secret};

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

/// Looks a registry up: an entry for `namespace` of it, its own helper, the store for all, then the
/// file itself.
pub(super) async fn find(
    path: &Path,
    registry: &str,
    namespace: Option<&str>,
    helpers: &Helpers,
) -> Result<Credential, OciError> {
    let fail = |detail: String| OciError::Credentials { registry: registry.to_owned(), detail };
    let Some(file) = read(path).map_err(fail)? else { return Ok(Credential::Anonymous) };
    let auths = file.auths.as_ref();
    let entry = |name: &str| auths.and_then(|auths| auths.get(name).cloned());
    let of = |entry: Entry| entry.credential().map_err(|detail| fail(in_file(path, &detail)));
    if let Some(entry) = namespace.and_then(entry) {
        return of(entry);
    }
    if let Some(program) = file.helper(registry) {
        let answer = helpers.get(&program, server(registry)).await.map_err(fail)?;
        if let Some((user, secret)) = answer {
            return Ok(if user == TOKEN_USER {
                Credential::Identity(secret)
            } else {
                Credential::Basic { user, password: secret }
            });
        }
    }
    file.listed(registry).map_err(|detail| fail(in_file(path, &detail)))
}

/// The longest key of the file that is a part of a registry, `host/path`, and has `repository` in it.
pub(super) fn namespace(
    path: &Path,
    registry: &str,
    repository: &str,
) -> Result<Option<String>, OciError> {
    let fail = |detail: String| OciError::Credentials { registry: registry.to_owned(), detail };
    let Some(file) = read(path).map_err(fail)? else { return Ok(None) };
    let within = |key: &str| {
        let Some(rest) = key.strip_prefix(registry).and_then(|rest| rest.strip_prefix('/')) else {
            return false;
        };
        let part = repository.strip_prefix(rest);
        // `host/v1/` and `host/v2/` are spellings of the whole registry.
        !rest.is_empty() && part.is_some_and(|after| after.is_empty() || after.starts_with('/'))
    };
    let keys = file.auths.into_iter().flat_map(BTreeMap::into_keys);
    Ok(keys.filter(|key| within(key)).max_by_key(String::len))
}

/// Keeps a credential for a registry: with its helper or the store for all where the file names one,
/// else in the file. Gives the name of the helper, if one has it now.
pub(super) async fn store(
    path: &Path,
    registry: &str,
    credential: &Credential,
    helpers: &Helpers,
) -> Result<Option<String>, String> {
    let helper = keeper(path, registry)?;
    let entry = if let Some(program) = &helper {
        let (user, secret) = match credential {
            Credential::Basic { user, password } => (user.as_str(), password),
            Credential::Identity(token) => (TOKEN_USER, token),
            Credential::Anonymous | Credential::Bearer(_) => {
                return Err("a helper keeps passwords and identity tokens only".to_owned());
            }
        };
        helpers.store(program, server(registry), user, secret).await?;
        // An empty entry tells that the helper has it, and replaces a secret in the file.
        json!({})
    } else {
        plain_entry(credential)
    };
    credential_file::change(path, |file| {
        let auths = auths(path, file)?;
        for name in names(registry) {
            auths.remove(&name);
        }
        auths.insert(server(registry).to_owned(), entry);
        Ok(true)
    })?;
    Ok(helper)
}

/// The helper with which something would be kept for a registry; none when it is the file.
pub(super) fn keeper(path: &Path, registry: &str) -> Result<Option<String>, String> {
    Ok(read(path)?.and_then(|file| file.helper(registry)))
}

/// Whether something is kept for a registry, with its helper or in the file.
pub(super) async fn holds(path: &Path, registry: &str, helpers: &Helpers) -> Result<bool, String> {
    let Some(file) = read(path)? else { return Ok(false) };
    if let Some(program) = file.helper(registry)
        && helpers.get(&program, server(registry)).await?.is_some()
    {
        return Ok(true);
    }
    let entries = credential_file::read(path)?.unwrap_or_default();
    let auths = entries.get("auths").and_then(Value::as_object);
    Ok(auths.is_some_and(|auths| names(registry).iter().any(|name| auths.contains_key(name))))
}

/// Forgets what is kept for a registry, with its helper and in the file; false when nothing was.
pub(super) async fn erase(path: &Path, registry: &str, helpers: &Helpers) -> Result<bool, String> {
    let Some(file) = read(path)? else { return Ok(false) };
    let mut erased = false;
    if let Some(program) = file.helper(registry)
        && helpers.get(&program, server(registry)).await?.is_some()
    {
        erased = helpers.erase(&program, server(registry)).await?;
    }
    let in_file = credential_file::change(path, |file| {
        if !file.contains_key("auths") {
            return Ok(false);
        }
        let auths = auths(path, file)?;
        let before = auths.len();
        for name in names(registry) {
            auths.remove(&name);
        }
        Ok(auths.len() != before)
    })?;
    Ok(erased || in_file)
}

/// The entries of the file, to be changed.
fn auths<'a>(
    path: &Path,
    file: &'a mut Map<String, Value>,
) -> Result<&'a mut Map<String, Value>, String> {
    let auths = file.entry("auths").or_insert(Value::Null);
    if auths.is_null() {
        *auths = Value::Object(Map::new());
    }
    auths.as_object_mut().ok_or_else(|| in_file(path, "`auths` is no object"))
}

fn plain_entry(credential: &Credential) -> Value {
    match credential {
        Credential::Anonymous => json!({}),
        Credential::Basic { user, password } => {
            json!({ "auth": super::base64(&format!("{user}:{}", password.expose())) })
        }
        Credential::Identity(token) => json!({ "identitytoken": token.expose() }),
        Credential::Bearer(token) => json!({ "registrytoken": token.expose() }),
    }
}

/// The name a registry goes by with helpers and for new entries.
fn server(registry: &str) -> &str {
    if is_hub(registry) { HUB } else { registry }
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

/// The file's content; `None` where there is none.
fn read(path: &Path) -> Result<Option<File>, String> {
    let Some(bytes) = credential_file::bytes(path)? else { return Ok(None) };
    if bytes.trim_ascii().is_empty() {
        return Ok(Some(File::default()));
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| credential_file::not_json(path, &error))
}

impl File {
    /// The helper for a registry: its own, else the one for all.
    fn helper(&self, registry: &str) -> Option<String> {
        let own = self.helpers.as_ref().and_then(|helpers| {
            names(registry).into_iter().find_map(|name| helpers.get(&name).cloned())
        });
        own.or_else(|| self.store.clone()).filter(|name| !name.is_empty())
    }
}

/// What the bytes of a credential file say about `registry`, asking no helper. For the fuzzer.
#[doc(hidden)]
pub fn credential_in(bytes: &[u8], registry: &str) -> Result<Credential, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| {
        format!("no valid JSON at line {}, column {}", error.line(), error.column())
    })?;
    file.listed(registry)
}

impl File {
    /// The entry for a registry.
    fn listed(&self, registry: &str) -> Result<Credential, String> {
        let entry = |name: &String| self.auths.as_ref()?.get(name).cloned();
        match names(registry).iter().find_map(entry) {
            Some(entry) => entry.credential(),
            None => Ok(Credential::Anonymous),
        }
    }
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
        find(&path, registry, None, &Helpers::default()).await
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
        let found = find(absent, "r", None, &Helpers::default()).await.unwrap();
        assert_eq!(found, Credential::Anonymous);
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
        const MAX: usize = credential_file::MAX_FILE_BYTES as usize;
        let error = look(&" ".repeat(MAX + 1), "r").await.unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
        let fits = format!("{{}}{}", " ".repeat(MAX - 2));
        assert_eq!(look(&fits, "r").await.unwrap(), Credential::Anonymous);
    }

    #[tokio::test]
    async fn an_entry_for_a_part_of_a_registry_wins_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        // "me:pw", "team:pw", "deep:pw" in base64.
        let text = r#"{"auths":{"r":{"auth":"bWU6cHc="},"r/team":{"auth":"dGVhbTpwdw=="},
            "r/team/deep":{"auth":"ZGVlcDpwdw=="},"r/":{"auth":"bWU6cHc="}}}"#;
        std::fs::write(&path, text).unwrap();
        for (repository, user) in
            [("team/rules", "team"), ("team", "team"), ("team/deep/x", "deep"), ("teams/x", "me")]
        {
            let key = namespace(&path, "r", repository).unwrap();
            let found = find(&path, "r", key.as_deref(), &Helpers::default()).await.unwrap();
            assert_eq!(found, basic(user, "pw"), "{repository}: {key:?}");
        }
        assert_eq!(namespace(&path, "other", "team/x").unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_kept_is_found_and_everything_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let before = r#"{"auths":{"https://r/v1/":{"auth":"b2xkOm9sZA=="},"o":{"auth":"bWU6cHc="}},
            "HttpHeaders":{"X-A":"b"},"detachKeys":"ctrl-z"}"#;
        std::fs::write(&path, before).unwrap();
        let helpers = Helpers::default();
        for credential in [basic("new", "p:w"), Credential::Identity(Secret::new("id"))] {
            assert_eq!(store(&path, "r", &credential, &helpers).await.unwrap(), None);
            assert_eq!(find(&path, "r", None, &helpers).await.unwrap(), credential);
        }
        assert_eq!(find(&path, "o", None, &helpers).await.unwrap(), basic("me", "pw"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("ctrl-z") && text.contains("X-A"), "{text}");
        assert!(!text.contains("b2xk"), "the old spelling is gone: {text}");
        assert!(erase(&path, "r", &helpers).await.unwrap());
        assert!(!erase(&path, "r", &helpers).await.unwrap());
        assert_eq!(find(&path, "r", None, &helpers).await.unwrap(), Credential::Anonymous);
        assert!(!erase(&directory.path().join("absent"), "r", &helpers).await.unwrap());
    }

    #[tokio::test]
    async fn the_hub_is_filed_under_its_own_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        store(&path, "docker.io", &basic("a", "b"), &Helpers::default()).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("https://index.docker.io/v1/"), "{text}");
        let found = find(&path, "docker.io", None, &Helpers::default()).await.unwrap();
        assert_eq!(found, basic("a", "b"));
    }
}
