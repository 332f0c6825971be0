//! The file with OAuth2 client credentials, `clientcredentials.json`: a map from registry to client.
//!
//! Owns its format, which falcoctl reads and writes as well; fields of it that are not used here are
//! kept.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{credential_file, oauth::ClientCredentials};

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "ClientID")]
    id: String,
    #[serde(rename = "ClientSecret")]
    secret: String,
    #[serde(rename = "TokenURL")]
    token_url: String,
    #[serde(default, rename = "Scopes")]
    scopes: Option<Vec<String>>,
}

/// The client for a registry, if the file has one. An absent file has none.
pub(super) fn find(path: &Path, registry: &str) -> Result<Option<ClientCredentials>, String> {
    let Some(mut file) = credential_file::read(path)? else { return Ok(None) };
    let Some(entry) = file.remove(registry) else { return Ok(None) };
    // The parser's message could quote the secret.
    let entry: Entry = serde_json::from_value(entry).map_err(|_| {
        format!(
            "`{}`: the entry of `{registry}` lacks one of ClientID, ClientSecret and TokenURL",
            path.display()
        )
    })?;
    Ok(Some(ClientCredentials {
        id: entry.id,
        secret: entry.secret.into(),
        token_url: entry.token_url,
        scopes: entry.scopes.unwrap_or_default(),
    }))
}

/// Keeps the client for a registry.
pub(super) fn store(path: &Path, registry: &str, client: &ClientCredentials) -> Result<(), String> {
    credential_file::change(path, |file| {
        let old = file.remove(registry);
        let mut entry = match old {
            Some(Value::Object(entry)) => entry,
            _ => Map::from_iter([
                ("EndpointParams".to_owned(), Value::Null),
                ("AuthStyle".to_owned(), json!(0)),
            ]),
        };
        entry.insert("ClientID".to_owned(), json!(client.id));
        entry.insert("ClientSecret".to_owned(), json!(client.secret.expose()));
        entry.insert("TokenURL".to_owned(), json!(client.token_url));
        entry.insert("Scopes".to_owned(), json!(client.scopes));
        file.insert(registry.to_owned(), Value::Object(entry));
        Ok(true)
    })
    .map(drop)
}

/// Forgets the client for a registry; false when there was none.
pub(super) fn erase(path: &Path, registry: &str) -> Result<bool, String> {
    credential_file::change(path, |file| Ok(file.remove(registry).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn client() -> ClientCredentials {
        ClientCredentials {
            id: "id1".into(),
            secret: Secret::new("sec"),
            token_url: "https://t.example.org/tok".into(),
            scopes: vec!["a".into(), "b".into()],
        }
    }

    #[test]
    fn what_falcoctl_wrote_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clientcredentials.json");
        let text = r#"{"r:5000":{"ClientID":"id1","ClientSecret":"sec","TokenURL":"https://t.example.org/tok","Scopes":["a","b"],"EndpointParams":null,"AuthStyle":0}}"#;
        std::fs::write(&path, text).unwrap();
        assert_eq!(find(&path, "r:5000").unwrap(), Some(client()));
        assert_eq!(find(&path, "r").unwrap(), None);
        std::fs::write(&path, text.replace(r#"["a","b"]"#, "null")).unwrap();
        assert!(find(&path, "r:5000").unwrap().unwrap().scopes.is_empty());
    }

    #[test]
    fn what_is_written_has_falcoctls_form_and_keeps_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/clientcredentials.json");
        store(&path, "r:5000", &client()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"r:5000": {
            "ClientID": "id1", "ClientSecret": "sec", "TokenURL": "https://t.example.org/tok",
            "Scopes": ["a", "b"], "EndpointParams": null, "AuthStyle": 0,
        }});
        assert_eq!(value, expected);
        store(&path, "other", &client()).unwrap();
        assert!(erase(&path, "r:5000").unwrap());
        assert!(!erase(&path, "r:5000").unwrap());
        assert_eq!(find(&path, "other").unwrap(), Some(client()));
    }

    #[test]
    fn a_broken_entry_shows_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clientcredentials.json");
        for text in [r#"{"r":{"ClientID":"a","ClientSecret":["s3cret"]}}"#, "s3cret", "[]"] {
            std::fs::write(&path, text).unwrap();
            let said = find(&path, "r").unwrap_err();
            assert!(said.contains("clientcredentials.json") && !said.contains("s3cret"), "{said}");
        }
        assert_eq!(find(&directory.path().join("absent"), "r").unwrap(), None);
    }
}
