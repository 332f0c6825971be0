//! Settings of single registries: the list `registries`, and who we are to them by `registry.auth`.
//!
//! Owns the form of these keys. What they mean to a connection is owned by `eyas-oci`.

use std::path::PathBuf;

use eyas_oci::{
    ClientCertificate, ClientCredentials, Cloud, Location, Mirror, RegistryConfig, Secret, Timeouts,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Settings, SettingsError, fields, host_of, split};

/// What the prefix of a place says that it is a directory in OCI image-layout form.
pub(crate) const LAYOUT_PREFIX: &str = "oci-layout:";
/// File beside the configuration with OAuth2 clients, in falcoctl's form.
const CLIENTS_FILE: &str = "clientcredentials.json";
/// File beside the configuration that remembers which registries get the identity of a cloud.
const CLOUDS_FILE: &str = "cloudregistries.json";

/// An entry of `registries`. Keys are in lower case by then.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
struct Entry {
    registry: String,
    plainhttp: Option<bool>,
    insecure: Option<bool>,
    #[serde(default)]
    cafiles: Vec<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    proxy: Option<String>,
    #[serde(default)]
    mirrors: Vec<MirrorEntry>,
    #[serde(default)]
    mirrorsonly: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MirrorEntry {
    Whole(String),
    Part(PartEntry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartEntry {
    #[serde(default)]
    from: String,
    to: String,
}

/// What a registry is told, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneRegistry {
    pub(crate) host: String,
    pub(crate) plain_http: Option<bool>,
    pub(crate) insecure: Option<bool>,
    pub(crate) rest: RegistryConfig,
}

/// Credentials of the configuration beside users and passwords.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Identities {
    pub(crate) clients: Vec<(String, ClientCredentials)>,
    pub(crate) clouds: Vec<(String, Cloud)>,
}

/// What the environment says for `registry auth basic`.
#[derive(Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) from_stdin: bool,
}

impl Settings {
    /// The list `registries`.
    pub(crate) fn registries(&self) -> Result<Vec<OneRegistry>, SettingsError> {
        const KEY: &str = "registries";
        let entries = self.file.entries(KEY)?;
        entries.into_iter().map(|entry| one(entry, &self.file.origin(KEY))).collect()
    }

    /// The lists `registry.auth.oauth`, `gcp`, `aws` and `azure`.
    pub(crate) fn identities(&self) -> Result<Identities, SettingsError> {
        const OAUTH: &str = "registry.auth.oauth";
        let clients = if let Some((text, origin)) = self.environment.key(OAUTH) {
            split(&text, ';').iter().map(|part| client_of_list(part, &origin)).collect()
        } else {
            let origin = self.file.origin(OAUTH);
            let entries = self.file.entries(OAUTH)?;
            entries.into_iter().map(|entry| client_of_entry(entry, &origin)).collect()
        };
        let clients: Result<Vec<_>, SettingsError> = clients;
        let mut clouds = Vec::new();
        for cloud in [Cloud::Google, Cloud::Aws, Cloud::Azure] {
            let key = format!("registry.auth.{cloud}");
            let hosts = match self.environment.key(&key) {
                Some((text, _)) => split(&text, ';'),
                None => self.file.hosts(&key)?,
            };
            clouds.extend(hosts.into_iter().map(|host| (host_of(&host), cloud)));
        }
        Ok(Identities { clients: clients?, clouds })
    }

    /// How long to wait for what: `registry.timeouts.connect`, `answer`, `stall` and `total`.
    pub(crate) fn timeouts(&self) -> Result<Timeouts, SettingsError> {
        let mut timeouts = Timeouts::default();
        for (name, value) in [
            ("connect", &mut timeouts.connect),
            ("answer", &mut timeouts.answer),
            ("stall", &mut timeouts.stall),
            ("total", &mut timeouts.total),
        ] {
            if let Some((text, origin)) = self.scalar(&format!("registry.timeouts.{name}")) {
                *value = crate::args::parse_interval(&text).map_err(|said| {
                    let expected = said.strip_prefix("expected ").unwrap_or(&said).to_owned();
                    SettingsError::Value { value: text, origin, expected }
                })?;
            }
        }
        Ok(timeouts)
    }

    /// Where OAuth2 clients are kept.
    pub(crate) fn clients_file(&self) -> Option<PathBuf> {
        Some(self.book_dir()?.join(CLIENTS_FILE))
    }

    /// Where it is kept which registries get the identity of a cloud.
    pub(crate) fn clouds_file(&self) -> Option<PathBuf> {
        Some(self.book_dir()?.join(CLOUDS_FILE))
    }

    /// What the environment says for `registry auth basic`.
    pub(crate) fn login(&self) -> Result<Login, SettingsError> {
        let text = |key: &str| self.environment.key(&format!("registry.auth.basic.{key}"));
        Ok(Login {
            user: text("username").map(|(user, _)| user),
            password: text("password").map(|(password, _)| password),
            from_stdin: text("password_stdin").map(super::parse_bool).transpose()?.unwrap_or(false),
        })
    }
}

fn one(entry: Value, origin: &str) -> Result<OneRegistry, SettingsError> {
    let shown = entry.get("registry").and_then(Value::as_str).unwrap_or("an entry").to_owned();
    let wrong = |expected: String| SettingsError::Value {
        value: shown.clone(),
        origin: origin.to_owned(),
        expected,
    };
    let entry: Entry = serde_json::from_value(entry).map_err(|error| {
        wrong(format!("an entry with `registry` and the documented keys, found: {error}"))
    })?;
    let client_certificate = match (entry.certificate, entry.key) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        _ => return Err(wrong("`certificate` and `key` together".to_owned())),
    };
    let mirrors: Result<Vec<Mirror>, String> = entry.mirrors.into_iter().map(mirror).collect();
    Ok(OneRegistry {
        host: host_of(&entry.registry),
        plain_http: entry.plainhttp,
        insecure: entry.insecure,
        rest: RegistryConfig {
            ca_files: entry.cafiles,
            client_certificate,
            proxy: entry.proxy,
            mirrors: mirrors.map_err(wrong)?,
            mirrors_only: entry.mirrorsonly,
            ..RegistryConfig::default()
        },
    })
}

/// `HOST[:PORT][/PATH]` or `oci-layout:DIR`, for all repositories or for those that begin with `from`.
fn mirror(entry: MirrorEntry) -> Result<Mirror, String> {
    let PartEntry { from, to } = match entry {
        // A whole path is put before the repository's own.
        MirrorEntry::Whole(to) if to.contains('/') && !to.starts_with(LAYOUT_PREFIX) => {
            PartEntry { from: String::new(), to: format!("{}/", to.trim_end_matches('/')) }
        }
        MirrorEntry::Whole(to) => PartEntry { from: String::new(), to },
        MirrorEntry::Part(part) => part,
    };
    if let Some(directory) = to.strip_prefix(LAYOUT_PREFIX) {
        if directory.is_empty() {
            return Err(format!("`{LAYOUT_PREFIX}DIR` as a mirror"));
        }
        let location = Location::Layout(directory.into());
        return Ok(Mirror { prefix: from.clone(), replacement: from, location });
    }
    let (host, path) = to.split_once('/').unwrap_or((&to, ""));
    // Without a path of its own a mirror has the same names.
    let replacement = if to.contains('/') { path.to_owned() } else { from.clone() };
    if eyas_artifact::Reference::new(host, "any").is_err() {
        return Err(format!(
            "`HOST[:PORT][/PATH]` or `{LAYOUT_PREFIX}DIR` as a mirror, found `{to}`"
        ));
    }
    Ok(Mirror { prefix: from, replacement, location: Location::Registry(host.to_owned()) })
}

/// `registry,clientID,clientSecret,tokenURL`; the secret is never repeated in an error.
fn client_of_list(part: &str, origin: &str) -> Result<(String, ClientCredentials), SettingsError> {
    let Some([registry, id, secret, token_url]) = fields::<4>(part) else {
        return Err(SettingsError::Value {
            value: part.split(',').next().unwrap_or_default().to_owned(),
            origin: origin.to_owned(),
            expected: "`registry,clientID,clientSecret,tokenURL` separated by `;`".to_owned(),
        });
    };
    let secret = Secret::new(secret);
    Ok((host_of(&registry), ClientCredentials { id, secret, token_url, scopes: Vec::new() }))
}

#[derive(Deserialize)]
struct ClientEntry {
    registry: String,
    clientid: String,
    clientsecret: String,
    tokenurl: String,
    #[serde(default)]
    scopes: Vec<String>,
}

fn client_of_entry(
    entry: Value,
    origin: &str,
) -> Result<(String, ClientCredentials), SettingsError> {
    let shown = entry.get("registry").and_then(Value::as_str).unwrap_or("entry").to_owned();
    // The parser's message could quote the secret.
    let entry: ClientEntry = serde_json::from_value(entry).map_err(|_| SettingsError::Value {
        value: shown,
        origin: origin.to_owned(),
        expected: "entries with `registry`, `clientID`, `clientSecret` and `tokenURL`".to_owned(),
    })?;
    let client = ClientCredentials {
        id: entry.clientid,
        secret: entry.clientsecret.into(),
        token_url: entry.tokenurl,
        scopes: entry.scopes,
    };
    Ok((host_of(&entry.registry), client))
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings_of;
    use super::*;

    fn read(text: &str) -> Result<Vec<OneRegistry>, SettingsError> {
        settings_of(text, &[]).registries()
    }

    #[test]
    fn each_registry_has_settings_of_its_own() {
        let found = read(
            "registries:\n  - registry: r.example.org:5000\n    plainHttp: true\n    caFiles: [/ca.pem]\n    certificate: /own.pem\n    key: /own.key\n    proxy: http://proxy:3128\n    mirrorsOnly: true\n    mirrors:\n      - m1:5000\n      - m2/cache\n      - {from: team/, to: m3/other/}\n      - oci-layout:/srv/mirror\n",
        )
        .unwrap();
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((one.host.as_str(), one.plain_http), ("r.example.org:5000", Some(true)));
        assert_eq!(one.rest.ca_files, [PathBuf::from("/ca.pem")]);
        assert!(one.rest.client_certificate.is_some() && one.rest.mirrors_only);
        let mirror = |prefix: &str, replacement: &str, location| Mirror {
            prefix: prefix.into(),
            replacement: replacement.into(),
            location,
        };
        let at = |host: &str| Location::Registry(host.to_owned());
        let expected = [
            mirror("", "", at("m1:5000")),
            mirror("", "cache/", at("m2")),
            mirror("team/", "other/", at("m3")),
            mirror("", "", Location::Layout("/srv/mirror".into())),
        ];
        assert_eq!(one.rest.mirrors, expected);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, word) in [
            ("registries: [{registry: r, verify: no}]", "verify"),
            ("registries: [{registry: r, certificate: /x}]", "together"),
            ("registries: [{registry: r, mirrors: ['http://m']}]", "http://m"),
            ("registries: [{registry: r, mirrors: ['oci-layout:']}]", "oci-layout:DIR"),
            ("registries: [{plainHttp: true}]", "registry"),
        ] {
            let said = read(text).unwrap_err().to_string();
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn waits_are_durations() {
        let found =
            settings_of("registry: {timeouts: {stall: 2s, total: 3s}}", &[]).timeouts().unwrap();
        assert_eq!((found.stall.as_secs(), found.total.as_secs()), (2, 3));
        assert_eq!(found.connect, Timeouts::default().connect);
        let said = settings_of("registry: {timeouts: {answer: soon}}", &[]).timeouts().unwrap_err();
        assert!(said.to_string().contains("registry.timeouts.answer"), "{said}");
    }

    #[test]
    fn identities_come_from_the_file_or_the_environment() {
        let text = "registry:\n  auth:\n    gcp: [{registry: g.example.org}]\n    aws: [a.example.org]\n    oauth:\n      - {registry: o.example.org, clientID: id, clientSecret: s3cret, tokenURL: 'https://t'}\n";
        let found = settings_of(text, &[]).identities().unwrap();
        let clouds = [("g.example.org", Cloud::Google), ("a.example.org", Cloud::Aws)];
        assert_eq!(found.clouds, clouds.map(|(host, cloud)| (host.to_owned(), cloud)));
        assert_eq!(found.clients[0].1.token_url, "https://t");
        let variables = [
            ("FALCOCTL_REGISTRY_AUTH_GCP", "x;y"),
            ("FALCOCTL_REGISTRY_AUTH_OAUTH", "o,id,secret,https://t"),
        ];
        let found = settings_of("", &variables).identities().unwrap();
        assert_eq!((found.clouds.len(), found.clients.len()), (2, 1));
        let variables = [("FALCOCTL_REGISTRY_AUTH_OAUTH", "o,s3cret")];
        let said = settings_of("", &variables).identities().unwrap_err().to_string();
        assert!(said.contains("clientID") && !said.contains("s3cret"), "{said}");
        let text = "registry: {auth: {oauth: [{registry: o, clientSecret: [s3cret]}]}}";
        let said = settings_of(text, &[]).identities().unwrap_err().to_string();
        assert!(!said.contains("s3cret"), "{said}");
    }
}
