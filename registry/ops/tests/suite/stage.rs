//! The stage of these tests: a registry in this process, a key, a policy, a store, a sensor.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use eyas_artifact::{Digest, Kind, Name, Version};
use eyas_oci::server::{ServeOptions, serve};
use eyas_oci::{Client, ClientConfig, RetryPolicy, Scheme};
use eyas_ops::{
    Activation, Catalog, Content, Context, Copies, Event, Form, InForce, IndexSource,
    InstallOptions, Listener, Listing, Offer, OpsError, Outcome, Presence, PushRequest, Pushed,
    Sensor, Trust, Unreachable, Verdict,
};
use eyas_store::{CandidateSet, Store, ValidationError};
use eyas_trust::{Policy, Signer, SigningKey};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Everything one test needs.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    pub(crate) host: String,
    pub(crate) client: Client,
    pub(crate) sensor: FakeSensor,
    pub(crate) heard: Heard,
    requests: Arc<Mutex<Vec<String>>>,
    _stop: oneshot::Sender<()>,
}

/// What is pushed by [`Stage::publish`].
pub(crate) struct Bundle<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) content: &'a str,
    pub(crate) signed: bool,
    pub(crate) depends_on: &'a [&'a str],
    pub(crate) requires: &'a [&'a str],
}

impl<'a> Bundle<'a> {
    /// A signed bundle without needs.
    pub(crate) fn new(name: &'a str, version: &'a str) -> Self {
        let content = "- list: x\n  items: []\n";
        Self { name, version, content, signed: true, depends_on: &[], requires: &[] }
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let options = ServeOptions {
            on_request: Some(Arc::new(move |method, path, status| {
                let line = format!("{method} {path} {}", status.as_u16());
                log.lock().expect("the log").push(line);
            })),
            ..ServeOptions::default()
        };
        let (stop, stopped) = oneshot::channel();
        let layout = dir.path().join("registry");
        tokio::spawn(async move {
            let until = async move {
                let _ = stopped.await;
            };
            serve(&layout, listener, options, until).await.expect("served");
        });
        Self {
            dir,
            host,
            client: client(),
            sensor: FakeSensor::default(),
            heard: Heard::default(),
            requests,
            _stop: stop,
        }
        .with_key()
    }

    fn with_key(self) -> Self {
        let key = SigningKey::generate().expect("a key");
        fs::write(self.path("key.pub"), key.public_pem()).expect("written");
        fs::write(self.path("key"), key.to_pem().expect("a private key")).expect("written");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn key(&self) -> SigningKey {
        let text = fs::read_to_string(self.path("key")).expect("read");
        SigningKey::from_pem(&text, None, "key").expect("a key")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.path("store")).expect("a store")
    }

    pub(crate) fn name(&self, rest: &str) -> Name {
        format!("{}/team/{rest}", self.host).parse().expect("a name")
    }

    /// Requests since the last call, as `METHOD path status`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("the log"))
    }

    pub(crate) fn request(&self, bundle: &Bundle<'_>) -> PushRequest {
        let folder = self.path(&format!("{}-{}", bundle.name, bundle.version));
        fs::create_dir_all(&folder).expect("made");
        let file = folder.join("demo.yaml");
        fs::write(&file, bundle.content).expect("written");
        let dependencies = bundle.depends_on.iter().map(|text| eyas_ops::parse_dependency(text));
        let requirements = bundle.requires.iter().map(|text| eyas_ops::parse_requirement(text));
        PushRequest {
            reference: format!("{}/team/{}:latest", self.host, bundle.name)
                .parse()
                .expect("a reference"),
            kind: Kind::Rulesfile,
            name: None,
            version: bundle.version.parse::<Version>().expect("a version"),
            content: Content::Files(vec![file]),
            tags: vec![bundle.version.to_owned()],
            floating_tags: false,
            dependencies: dependencies.map(|read| read.expect("a dependency")).collect(),
            requirements: requirements.map(|read| read.expect("a requirement")).collect(),
            source: None,
            signing: bundle.signed.then(|| (Signer::from(self.key()), vec![Form::Classic])),
        }
    }

    /// Pushes a bundle and lists it in `index.yaml`.
    pub(crate) async fn publish(&self, bundle: &Bundle<'_>) -> Pushed {
        let request = self.request(bundle);
        let pushed = eyas_ops::push(&self.client, &request).await.expect("pushed");
        let listing = Listing {
            name: pushed.name.clone(),
            kind: request.kind,
            reference: pushed.reference.clone(),
            description: None,
            keywords: Vec::new(),
            source: None,
            key: Some(self.path("key.pub")),
        };
        eyas_ops::update_index_file(&self.path("index.yaml"), &listing).expect("listed");
        pushed
    }

    /// A policy that accepts the key of this stage, for this registry.
    pub(crate) fn trust(&self) -> Trust {
        let yaml = format!(
            "version: 1\nrules:\n  - match: \"{}/**\"\n    accept:\n      - key: {{file: key.pub}}\n",
            self.host
        );
        let name = self.path("trust.yaml").display().to_string();
        let policy = Policy::parse(yaml.as_bytes(), &name).expect("a policy");
        Trust::new(policy, false).expect("trust")
    }

    pub(crate) async fn catalog(&self) -> Catalog {
        let path = self.path("index.yaml");
        if !path.exists() {
            return Catalog::default();
        }
        let source = IndexSource::parse("local", &path.display().to_string()).expect("a source");
        Catalog::load(&[source], &Copies::default(), &self.client, &self.heard).await
    }

    /// Runs `work` with everything wired up.
    pub(crate) async fn with<T>(&self, work: impl AsyncFnOnce(&Context<'_>) -> T) -> T {
        let (store, catalog, trust) = (self.store(), self.catalog().await, self.trust());
        let context = Context {
            store: &store,
            client: &self.client,
            catalog: &catalog,
            trust: &trust,
            validate: &judge,
            sensor: &self.sensor,
            listener: &self.heard,
            flat: None,
        };
        work(&context).await
    }

    pub(crate) async fn install(&self, name: Name) -> Result<Outcome, OpsError> {
        self.install_with(name, &InstallOptions::default()).await
    }

    pub(crate) async fn install_with(
        &self,
        name: Name,
        options: &InstallOptions,
    ) -> Result<Outcome, OpsError> {
        self.with(async |context| eyas_ops::install(context, &[name.into()], options).await).await
    }

    /// Names and versions that are active.
    pub(crate) fn active(&self) -> Vec<String> {
        let generation = self.store().current().expect("readable");
        let entries = generation.map(|generation| generation.entries).unwrap_or_default();
        entries.iter().map(|entry| format!("{} {}", entry.name, entry.version)).collect()
    }

    /// Every file of the store with the digest of its content, but for the record of who locked it.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Digest> {
        let mut files = BTreeMap::new();
        collect(&self.path("store"), &mut files);
        files.retain(|path, _| !path.ends_with("lock"));
        files
    }
}

fn client() -> Client {
    let mut config = ClientConfig::default();
    config.default_registry.scheme = Scheme::PlainHttp;
    config.credentials.docker_config = None;
    config.retry = RetryPolicy::never();
    Client::new(config).expect("a client")
}

fn collect(folder: &Path, into: &mut BTreeMap<PathBuf, Digest>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            collect(&path, into);
        } else {
            let content = fs::read_link(&path)
                .map(|target| target.display().to_string().into_bytes())
                .or_else(|_| fs::read(&path))
                .unwrap_or_default();
            into.insert(path, Digest::sha256(content));
        }
    }
}

/// Refuses every set in which some file says `broken`.
fn judge(candidate: &CandidateSet<'_>) -> Result<(), ValidationError> {
    for file in candidate.files(Kind::Rulesfile) {
        let bytes = file.read(1024).map_err(|error| ValidationError::new(error.to_string()))?;
        if String::from_utf8_lossy(&bytes).contains("broken") {
            return Err(ValidationError::new(format!("`{}` is broken", file.label)));
        }
    }
    Ok(())
}

/// A sensor that says what it was told to say, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct FakeSensor {
    pub(crate) absent: Mutex<bool>,
    pub(crate) unreachable: Mutex<bool>,
    pub(crate) verdicts: Mutex<VecDeque<Verdict>>,
    pub(crate) seen: Mutex<Vec<Activation>>,
    pub(crate) runs: Mutex<Option<Activation>>,
}

impl FakeSensor {
    pub(crate) fn will_say(&self, verdict: Verdict) {
        self.verdicts.lock().expect("verdicts").push_back(verdict);
    }

    pub(crate) fn generations(&self) -> Vec<u64> {
        self.seen.lock().expect("seen").iter().map(|told| told.generation).collect()
    }
}

impl Sensor for FakeSensor {
    fn presence(&self) -> Result<Presence, Unreachable> {
        if *self.unreachable.lock().expect("unreachable") {
            return Err(Unreachable { message: "`x.sock` is a file".to_owned(), hint: None });
        }
        if *self.absent.lock().expect("absent") {
            return Ok(Presence::Absent("nobody on `x.sock`".to_owned()));
        }
        Ok(Presence::Running(self.default_offer()))
    }

    fn reload(&self, activation: &Activation) -> Result<Verdict, Unreachable> {
        self.seen.lock().expect("seen").push(activation.clone());
        let next = self.verdicts.lock().expect("verdicts").pop_front();
        let verdict = next.unwrap_or_else(|| Verdict::Accepted(vec!["it runs".to_owned()]));
        if matches!(verdict, Verdict::Accepted(_)) {
            *self.runs.lock().expect("runs") = Some(activation.clone());
        }
        Ok(verdict)
    }

    fn in_force(&self) -> Result<Option<InForce>, Unreachable> {
        let runs = self.runs.lock().expect("runs").clone();
        Ok(Some(InForce {
            generation: runs.as_ref().map(|runs| runs.generation),
            lock_digest: runs.map(|runs| runs.lock_digest),
        }))
    }

    fn default_offer(&self) -> Offer {
        let versions = BTreeMap::from([("engine_version_semver".to_owned(), "0.63.0".to_owned())]);
        Offer { versions, plugins: vec!["container".to_owned()], unknown: false }
    }
}

/// Keeps what was told, as text.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn all(&self) -> String {
        self.0.lock().expect("heard").join("\n")
    }
}

impl Listener for Heard {
    fn tell(&self, event: &Event<'_>) {
        self.0.lock().expect("heard").push(format!("{event:?}"));
    }
}
