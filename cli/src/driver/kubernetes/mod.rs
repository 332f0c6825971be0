//! The Kubernetes API, as far as one config map needs it.
//!
//! Who we are comes from a kubeconfig file or from the service account of the pod. Certificates and
//! keys that stand in a kubeconfig go to the TLS stack through files in memory, so that none is
//! written to a disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyas_oci::{Ask, Client, ClientCertificate, ClientConfig, Reply, Secret, Verification};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Where a pod finds its service account.
pub(crate) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Largest file about the cluster that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Largest config map that is taken; the API itself allows less.
const MAX_CONFIG_MAP_BYTES: u64 = 4 * 1024 * 1024;

/// A cluster, and who we are to it.
pub(crate) struct Cluster {
    server: Url,
    token: Option<Secret>,
    ca_files: Vec<PathBuf>,
    client_certificate: Option<ClientCertificate>,
    insecure: bool,
    /// Files in memory that the paths above name.
    held: Vec<File>,
}

/// What is wrong with the way to a cluster; the text names file and key.
pub(crate) type Problem = String;

#[derive(Deserialize)]
struct KubeConfig {
    #[serde(rename = "current-context", default)]
    current: String,
    #[serde(default)]
    clusters: Vec<Named>,
    #[serde(default)]
    contexts: Vec<Named>,
    #[serde(default)]
    users: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(flatten)]
    content: Value,
}

impl Cluster {
    /// The cluster of a pod: its address is in the environment, who we are in `account`.
    pub(crate) fn of_pod(
        account: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let need = |name: &str| {
            variable(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                format!("this is no pod of a cluster: the variable `{name}` is not set")
            })
        };
        let host = need("KUBERNETES_SERVICE_HOST")?;
        let port = need("KUBERNETES_SERVICE_PORT")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let token = read(&account.join("token"))?.trim().to_owned();
        Ok(Self {
            server: address(&format!("https://{host}:{port}"), "the environment")?,
            token: Some(Secret::new(token)),
            ca_files: vec![account.join("ca.crt")],
            client_certificate: None,
            insecure: false,
            held: Vec::new(),
        })
    }

    /// The current cluster of a kubeconfig file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Problem> {
        let shown = path.display();
        let config: KubeConfig = serde_saphyr::from_str(&read(path)?).map_err(|error| {
            let said = error.to_string();
            format!("`{shown}` is no kubeconfig: {}", said.lines().next().unwrap_or_default())
        })?;
        let pick = |list: &[Named], name: &str, kind: &str| {
            let found = list.iter().find(|entry| entry.name == name);
            found
                .map(|entry| entry.content[kind].clone())
                .ok_or_else(|| format!("`{shown}` has no {kind} `{name}`"))
        };
        let context = pick(&config.contexts, &config.current, "context")?;
        let name = |kind: &str| context[kind].as_str().unwrap_or_default().to_owned();
        let cluster = pick(&config.clusters, &name("cluster"), "cluster")?;
        let user = pick(&config.users, &name("user"), "user")?;
        let server = cluster["server"].as_str().unwrap_or_default();
        let mut made = Self {
            server: address(server, &format!("`{shown}`"))?,
            token: None,
            ca_files: Vec::new(),
            client_certificate: None,
            insecure: cluster["insecure-skip-tls-verify"].as_bool().unwrap_or(false),
            held: Vec::new(),
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        made.ca_files.extend(made_file(&cluster, "certificate-authority", folder, &mut made.held)?);
        let certificate = made_file(&user, "client-certificate", folder, &mut made.held)?;
        let key = made_file(&user, "client-key", folder, &mut made.held)?;
        if let (Some(certificate), Some(key)) = (certificate, key) {
            made.client_certificate = Some(ClientCertificate { certificate, key });
        }
        made.token = match (user["token"].as_str(), user["tokenFile"].as_str()) {
            (Some(token), _) => Some(Secret::new(token)),
            (None, Some(file)) => Some(Secret::new(read(&folder.join(file))?.trim())),
            (None, None) => None,
        };
        if made.token.is_none() && made.client_certificate.is_none() {
            return Err(format!(
                "the user of `{shown}` has neither a token nor a client certificate; login programs are not run here"
            ));
        }
        Ok(made)
    }

    /// The settings of a client for this cluster.
    fn client(&self) -> Result<Client, Problem> {
        let mut config = ClientConfig::default();
        config.default_registry.ca_files.clone_from(&self.ca_files);
        config.default_registry.client_certificate.clone_from(&self.client_certificate);
        if self.server.scheme() == "http" {
            config.default_registry.scheme = eyas_oci::Scheme::PlainHttp;
            config.default_registry.ca_files.clear();
        }
        if self.insecure {
            config.default_registry.verification = Verification::AcceptAnyCertificate;
        }
        Client::new(config).map_err(|error| error.to_string())
    }

    /// One entry of a config map.
    pub(crate) async fn entry(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> Result<String, Problem> {
        let reply = self.exchange(namespace, name, None).await?;
        let map: Value = serde_json::from_slice(&reply.body)
            .map_err(|_| format!("`{}` did not answer with a config map", self.server))?;
        map["data"][key].as_str().map(str::to_owned).ok_or_else(|| {
            format!("config map `{name}` in namespace `{namespace}` has no entry `{key}`")
        })
    }

    /// Changes one entry of a config map.
    pub(crate) async fn change(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
        text: &str,
    ) -> Result<(), Problem> {
        let patch = serde_json::json!({"data": {key: text}}).to_string();
        self.exchange(namespace, name, Some(patch)).await.map(|_| ())
    }

    async fn exchange(
        &self,
        namespace: &str,
        name: &str,
        patch: Option<String>,
    ) -> Result<Reply, Problem> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| format!("`{}` is no address of a cluster", self.server))?
            .pop_if_empty()
            .extend(["api", "v1", "namespaces", namespace, "configmaps", name]);
        let mut ask = Ask::get(url);
        ask.headers.push(("Accept".to_owned(), Secret::new("application/json")));
        if let Some(token) = &self.token {
            let bearer = Secret::new(format!("Bearer {}", token.expose()));
            ask.headers.push(("Authorization".to_owned(), bearer));
        }
        let changing = patch.is_some();
        ask.patch = patch.map(|text| ("application/merge-patch+json", text.into_bytes()));
        let reply = self
            .client()?
            .ask(&ask, MAX_CONFIG_MAP_BYTES)
            .await
            .map_err(|error| error.to_string())?;
        let what = format!("config map `{name}` in namespace `{namespace}`");
        match reply.status {
            200..=299 => Ok(reply),
            403 => {
                let verb = if changing { "patch" } else { "get" };
                Err(format!(
                    "the cluster does not let us {verb} {what}; give the service account a role that does"
                ))
            }
            404 => Err(format!("there is no {what}")),
            409 => Err(format!("{what} was changed by somebody else at the same time")),
            status => Err(format!("the cluster answered {status} for {what}")),
        }
    }
}

/// A file that a kubeconfig names (`KEY`) or carries (`KEY-data`).
fn made_file(
    content: &Value,
    key: &str,
    folder: &Path,
    held: &mut Vec<File>,
) -> Result<Option<PathBuf>, Problem> {
    if let Some(data) = content[format!("{key}-data")].as_str() {
        let bytes = STANDARD
            .decode(data.trim())
            .map_err(|_| format!("`{key}-data` of the kubeconfig is not base64"))?;
        let file = in_memory(&bytes).map_err(|error| format!("`{key}-data`: {error}"))?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        held.push(file);
        return Ok(Some(path.into()));
    }
    Ok(content[key].as_str().map(|path| folder.join(path)))
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("kubeconfig", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

fn address(text: &str, origin: &str) -> Result<Url, Problem> {
    let wrong = || format!("`{text}` in {origin} is no address of a cluster");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
}

fn read(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let failed = |error: io::Error| format!("`{shown}` cannot be read: {error}");
    let found = fs::metadata(path).map_err(failed)?;
    if found.len() > MAX_FILE_BYTES {
        return Err(format!("`{shown}` has {} bytes, more than {MAX_FILE_BYTES}", found.len()));
    }
    fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests;
