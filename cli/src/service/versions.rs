//! What another engine says it can take: a `/versions` document, from an address or a file.
//!
//! It is read again each time something new is about to be installed, so that an engine that was
//! upgraded meanwhile is judged by what it is. It is never waited for beyond its time limit and never
//! holds up a start: without an answer the last one counts, and before the first what is built in.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eyas_oci::Client;
use eyas_ops::Offer;
use serde_json::{Map, Value};
use url::Url;

/// Largest document that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Where the document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// At an address.
    Address(Url),
    /// In a file.
    File(PathBuf),
}

impl Place {
    /// An `http` or `https` address, a `file` address or a path.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self::Address(url)),
            Ok(url) if url.scheme() == "file" => url
                .to_file_path()
                .map(Self::File)
                .map_err(|()| "expected `file://` and an absolute path".to_owned()),
            // `host:port/path` reads as an address of the scheme `host`.
            Ok(url) if text.contains("://") || url.cannot_be_a_base() => {
                Err("expected an `http://` or `https://` address, or the path of a file".to_owned())
            }
            _ if text.is_empty() => Err("expected an address or the path of a file".to_owned()),
            _ => Ok(Self::File(text.into())),
        }
    }
}

/// The document of one place, as it was last read.
#[derive(Debug)]
pub(crate) struct Versions {
    place: Place,
    limit: Duration,
    last: Mutex<Option<Offer>>,
}

impl Versions {
    /// The document at `place`; reading it may take so long.
    pub(crate) fn new(place: Place, limit: Duration) -> Self {
        Self { place, limit, last: Mutex::default() }
    }

    /// Reads it again. Gives the offer to go by, if there is one, and what to say when that is not
    /// what was just read.
    pub(crate) async fn read(&self, client: &Client) -> (Option<Offer>, Option<String>) {
        match self.fetch(client).await {
            Ok(offer) => {
                *self.last() = Some(offer.clone());
                (Some(offer), None)
            }
            Err(why) => {
                let last = self.last().clone();
                let by = if last.is_some() { "the last answer" } else { "what is built in" };
                let place = match &self.place {
                    Place::Address(url) => url.to_string(),
                    Place::File(path) => path.display().to_string(),
                };
                let said = format!(
                    "no versions from `{place}`: {why}; requirements are held against {by}"
                );
                (last, Some(said))
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Offer>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, client: &Client) -> Result<Offer, String> {
        let bytes = match &self.place {
            Place::File(path) => read_file(path)?,
            Place::Address(url) => {
                tokio::time::timeout(self.limit, client.document(url, MAX_BYTES))
                    .await
                    .map_err(|_| format!("no answer within {} ms", self.limit.as_millis()))?
                    .map_err(|error| error.to_string())?
            }
        };
        parse(&bytes)
    }
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, String> {
    let meta = fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if meta.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, more than {MAX_BYTES}", meta.len()));
    }
    fs::read(path).map_err(|error| error.to_string())
}

/// Every text or number of the document is a version by its name.
fn parse(bytes: &[u8]) -> Result<Offer, String> {
    let document: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| format!("not a JSON object: {error}"))?;
    let mut versions = BTreeMap::new();
    for (name, value) in document {
        match value {
            Value::String(text) => versions.insert(name, text),
            Value::Number(number) => versions.insert(name, number.to_string()),
            _ => None,
        };
    }
    if versions.is_empty() {
        return Err("expected versions such as `engine_version_semver`, found none".to_owned());
    }
    Ok(Offer { versions, ..Offer::default() })
}

#[cfg(test)]
mod tests {
    use eyas_oci::ClientConfig;

    use super::*;

    #[test]
    fn addresses_and_paths_are_told_apart() {
        let address = |text: &str| matches!(Place::parse(text), Ok(Place::Address(_)));
        assert!(address("http://localhost:8765/versions") && address("https://h/v"));
        for path in ["/run/versions.json", "versions.json", "file:///run/versions.json"] {
            assert!(matches!(Place::parse(path), Ok(Place::File(_))), "{path}");
        }
        for text in ["", "localhost:8765/versions", "ftp://h/v"] {
            assert!(Place::parse(text).is_err_and(|said| said.contains("expected")), "{text}");
        }
    }

    #[test]
    fn a_document_is_versions_by_name() {
        let offer =
            parse(br#"{"engine_version":"43","engine_version_semver":"0.43.0","n":7,"x":[]}"#);
        let versions = offer.expect("an offer").versions;
        assert_eq!(versions["engine_version_semver"], "0.43.0");
        assert_eq!(versions["n"], "7");
        assert!(!versions.contains_key("x"));
        for text in ["", "[]", "{}", "null", "{\"a\":[]}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn without_an_answer_the_last_one_counts() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("versions.json");
        let client = Client::new(ClientConfig::default()).expect("a client");
        let versions = Versions::new(Place::File(path.clone()), Duration::from_secs(1));
        let (offer, said) = versions.read(&client).await;
        assert!(offer.is_none() && said.is_some_and(|said| said.contains("built in")));
        fs::write(&path, r#"{"engine_version":"1"}"#).expect("written");
        let (offer, said) = versions.read(&client).await;
        assert!(offer.is_some() && said.is_none());
        fs::write(&path, "x".repeat(MAX_BYTES as usize + 1)).expect("written");
        let (offer, said) = versions.read(&client).await;
        assert!(offer.is_some() && said.is_some_and(|said| said.contains("the last answer")));
    }
}
