//! What the tests stand on: registries to talk to, and a server that follows a script.

mod debian;
mod script;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub(crate) use debian::DebianRegistry;
pub(crate) use script::{Head, Reply, Script};

use eyas_artifact::{Descriptor, Manifest, Reference, media};
use eyas_oci::{
    BlobSource, Client, ClientConfig, CredentialSources, Listener, Notice, RegistryConfig,
    RetryPolicy, Scheme, Timeouts,
    server::{ServeOptions, serve},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

/// The embedded registry on a free port, until it is dropped.
pub(crate) struct Embedded {
    pub(crate) host: String,
    pub(crate) directory: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Embedded {
    pub(crate) async fn start(options: ServeOptions) -> Self {
        Self::over(tempfile::tempdir().unwrap(), options).await
    }

    pub(crate) async fn over(directory: TempDir, options: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let root = directory.path().to_owned();
        tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            serve(&root, listener, options, stopped).await.unwrap();
        });
        Self { host, directory, _stop: stop }
    }
}

/// Settings for a plain HTTP registry: short waits, no credentials of the machine.
pub(crate) fn config(hosts: &[&str]) -> ClientConfig {
    let mut config = ClientConfig {
        credentials: CredentialSources { docker_config: None, ..CredentialSources::default() },
        retry: RetryPolicy {
            retries: 3,
            first_wait: Duration::from_millis(2),
            ..RetryPolicy::default()
        },
        timeouts: Timeouts {
            connect: Duration::from_millis(300),
            answer: Duration::from_millis(300),
            stall: Duration::from_millis(400),
            total: Duration::from_secs(20),
        },
        proxy_from_environment: false,
        ..ClientConfig::default()
    };
    for host in hosts {
        let settings = RegistryConfig { scheme: Scheme::PlainHttp, ..RegistryConfig::default() };
        config.registries.insert((*host).to_owned(), settings);
    }
    config
}

/// Settings for servers that are only slow because the machine is.
pub(crate) fn patient(hosts: &[&str]) -> ClientConfig {
    ClientConfig { timeouts: Timeouts::default(), ..config(hosts) }
}

pub(crate) fn client(host: &str) -> Client {
    Client::new(patient(&[host])).unwrap()
}

pub(crate) fn reference(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().unwrap()
}

/// Notices that have come.
pub(crate) type Heard = Arc<std::sync::Mutex<Vec<Notice>>>;

/// Collects notices.
pub(crate) fn notices() -> (Listener, Heard) {
    let all = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ours = Arc::clone(&all);
    (Listener::new(move |notice| ours.lock().unwrap().push(notice)), all)
}

/// Pushes a rules file with one layer.
pub(crate) async fn publish(client: &Client, at: &Reference, layer: &[u8]) -> Manifest {
    let config = br#"{"name":"demo","version":"1.0.0"}"#;
    let config_entry = Descriptor::of(media::RULESFILE_CONFIG, config);
    let layer_entry = Descriptor::of(media::RULESFILE_LAYER, layer)
        .with_annotation(media::ANNOTATION_TITLE, "demo.tar.gz");
    let bytes = |content: &[u8]| BlobSource::Bytes(content.to_vec().into());
    client.push_blob(at, &config_entry, &bytes(config), None).await.unwrap();
    client.push_blob(at, &layer_entry, &bytes(layer), None).await.unwrap();
    let manifest = Manifest::new(config_entry, vec![layer_entry]);
    client.push_manifest(at, &manifest.to_vec().unwrap(), media::OCI_MANIFEST).await.unwrap();
    manifest
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
