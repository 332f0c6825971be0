//! Refreshing a root from a TUF repository of our own on loopback: what is taken over, what is
//! refused, and that a refusal leaves the last good root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use eyas_artifact::Digest;
use eyas_trust::{Policy, RootKeeper, RootRepository, SigningKey, Verifier};
use jiff::Timestamp;
use serde_json::{Value, json};

const NOW: &str = "2026-03-01T00:00:00Z";
const LATER: &str = "2026-03-05T00:00:00Z";
const EXPIRES: &str = "2026-04-01T00:00:00Z";

/// A TUF repository with one key for all roles, served over plain HTTP.
struct Tuf {
    key: SigningKey,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    address: SocketAddr,
}

impl Tuf {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let served = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &served);
            }
        });
        Self { key: SigningKey::generate().unwrap(), files, address }
    }

    fn repository(&self) -> RootRepository {
        RootRepository::new("corp", &format!("http://{}/", self.address), &self.root())
    }

    fn root(&self) -> Vec<u8> {
        let role = json!({ "keyids": ["k"], "threshold": 1 });
        self.signed(&json!({
            "_type": "root",
            "spec_version": "1.0.0",
            "version": 1,
            "expires": "2999-01-01T00:00:00Z",
            "consistent_snapshot": false,
            "keys": { "k": {
                "keytype": "ecdsa",
                "scheme": "ecdsa-sha2-nistp256",
                "keyval": { "public": self.key.public_pem() },
            }},
            "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role },
        }))
    }

    /// Puts `trusted_root` up as version `version` of everything.
    fn publish(&self, trusted_root: &str, version: u64, expires: &str) {
        let common = |kind: &str| json!({ "_type": kind, "spec_version": "1.0.0", "version": version, "expires": expires });
        let mut targets = common("targets");
        targets["targets"] = json!({ "trusted_root.json": pinned(trusted_root.as_bytes()) });
        let targets = self.signed(&targets);
        let mut snapshot = common("snapshot");
        snapshot["meta"] = json!({ "targets.json": described(&targets, version) });
        let snapshot = self.signed(&snapshot);
        let mut timestamp = common("timestamp");
        timestamp["meta"] = json!({ "snapshot.json": described(&snapshot, version) });
        let timestamp = self.signed(&timestamp);
        let mut files = self.files.lock().unwrap();
        files.insert("/targets.json".into(), targets);
        files.insert("/snapshot.json".into(), snapshot);
        files.insert("/timestamp.json".into(), timestamp);
        files.insert("/targets/trusted_root.json".into(), trusted_root.as_bytes().to_vec());
    }

    fn put(&self, path: &str, content: &[u8]) {
        self.files.lock().unwrap().insert(path.into(), content.to_vec());
    }

    fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path).unwrap();
    }

    fn signed(&self, signed: &Value) -> Vec<u8> {
        let signature = self.key.sign(canonical(signed).as_bytes()).unwrap();
        let signatures = json!([{ "keyid": "k", "sig": hex::encode(signature) }]);
        json!({ "signed": signed, "signatures": signatures }).to_string().into_bytes()
    }
}

fn answer(mut stream: TcpStream, files: &Mutex<BTreeMap<String, Vec<u8>>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else { return };
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match files.lock().unwrap().get(path) {
        Some(body) => ("200 OK", body.clone()),
        None => ("404 Not Found", Vec::new()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn pinned(bytes: &[u8]) -> Value {
    json!({ "length": bytes.len(), "hashes": { "sha256": Digest::sha256(bytes).hex() } })
}

fn described(bytes: &[u8], version: u64) -> Value {
    let mut entry = pinned(bytes);
    entry["version"] = version.into();
    entry
}

/// Canonical JSON as TUF signs it: sorted keys, and no escapes but for quote and backslash.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Any root will do; the number makes two of them differ.
fn trusted_root(number: u32) -> String {
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [], "ctlogs": [], "certificateAuthorities": [], "timestampAuthorities": [],
        "number": number,
    })
    .to_string()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_refreshed_root_is_kept_and_says_its_age() {
    let (tuf, folder) = (Tuf::start(), tempfile::tempdir().unwrap());
    tuf.publish(&trusted_root(1), 1, EXPIRES);
    let (keeper, repository) = (RootKeeper::new(folder.path().join("roots")), tuf.repository());
    assert!(keeper.kept(&repository).await.unwrap().is_none());
    let fresh = keeper.refresh_at(&repository, time(NOW)).await.unwrap();
    assert_eq!(fresh.age_seconds(time(NOW)), 0);
    let kept = keeper.kept(&repository).await.unwrap().unwrap();
    assert_eq!(kept.refreshed_at, time(NOW));
    assert_eq!(kept.age_seconds(time(LATER)), 4 * 86_400);
    let public = Policy::refuse_all().with_root(&kept.source);
    assert_eq!(public.roots()[0].name(), "the public sigstore instance", "corp is not named");
    std::fs::write(folder.path().join("corp.json"), trusted_root(0)).unwrap();
    let yaml = "version: 1\ntrusted-roots: [{file: corp.json}]\n";
    let file = folder.path().join("trust.yaml");
    let policy = Policy::parse(yaml.as_bytes(), file.to_str().unwrap()).unwrap();
    assert_eq!(policy.roots()[0].name(), "corp.json");
    let policy = policy.with_root(&kept.source);
    assert_eq!((policy.roots().len(), policy.roots()[0].name()), (1, "corp"));
    Verifier::new(policy).unwrap();
}

#[tokio::test]
async fn a_look_at_what_is_new_keeps_nothing() {
    const FAR: &str = "2999-01-01T00:00:00Z";
    let (tuf, folder) = (Tuf::start(), tempfile::tempdir().unwrap());
    tuf.publish(&trusted_root(1), 1, FAR);
    let (keeper, repository) = (RootKeeper::new(folder.path().join("roots")), tuf.repository());
    keeper.preview(&repository).await.unwrap();
    assert!(!folder.path().join("roots").exists(), "nothing was there, nothing is");
    keeper.refresh_at(&repository, time(NOW)).await.unwrap();
    tuf.publish(&trusted_root(2), 2, FAR);
    let before = keeper.kept(&repository).await.unwrap().unwrap();
    let seen = keeper.preview(&repository).await.unwrap();
    assert!(seen.refreshed_at > before.refreshed_at);
    let after = keeper.kept(&repository).await.unwrap().unwrap();
    assert_eq!(after.refreshed_at, before.refreshed_at);
    // What is known stays known to it: an older repository is refused as by a refresh.
    keeper.refresh_at(&repository, time(NOW)).await.unwrap();
    tuf.publish(&trusted_root(1), 1, FAR);
    assert!(keeper.preview(&repository).await.is_err());
}

#[tokio::test]
async fn only_one_copy_is_left_behind() {
    let (tuf, folder) = (Tuf::start(), tempfile::tempdir().unwrap());
    let (keeper, repository) = (RootKeeper::new(folder.path()), tuf.repository());
    for version in 1..4 {
        tuf.publish(&trusted_root(1), version, EXPIRES);
        keeper.refresh_at(&repository, time(NOW)).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a pointer and a copy");
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_last_good_root() {
    let (tuf, folder) = (Tuf::start(), tempfile::tempdir().unwrap());
    tuf.publish(&trusted_root(1), 5, EXPIRES);
    let (keeper, repository) = (RootKeeper::new(folder.path()), tuf.repository());
    keeper.refresh_at(&repository, time(NOW)).await.unwrap();

    let refused = async |what: &str| {
        let error = keeper.refresh_at(&repository, time(LATER)).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("trusted root `corp`"), "{what}: {error}");
        let kept = keeper.kept(&repository).await.unwrap().unwrap();
        assert_eq!(kept.refreshed_at, time(NOW), "{what}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "{what}");
    };
    tuf.publish(&trusted_root(2), 4, EXPIRES);
    refused("an older version").await;
    tuf.publish(&trusted_root(2), 6, NOW);
    refused("an expired one").await;
    tuf.publish(&trusted_root(2), 6, EXPIRES);
    tuf.put("/targets/trusted_root.json", trusted_root(3).as_bytes());
    refused("another target than the signed one").await;
    tuf.publish(&trusted_root(2), 6, EXPIRES);
    tuf.remove("/snapshot.json");
    refused("half a repository").await;
    let stranger = Tuf::start();
    stranger.publish(&trusted_root(2), 6, EXPIRES);
    let theirs = stranger.files.lock().unwrap().clone();
    *tuf.files.lock().unwrap() = theirs;
    refused("another key").await;
    tuf.publish(&trusted_root(2), 6, EXPIRES);
    let fresh = keeper.refresh_at(&repository, time(LATER)).await.unwrap();
    assert_eq!(fresh.refreshed_at, time(LATER));
}

#[tokio::test]
async fn a_clock_that_was_set_back_brings_back_nothing_that_had_ended() {
    let (tuf, folder) = (Tuf::start(), tempfile::tempdir().unwrap());
    tuf.publish(&trusted_root(1), 1, EXPIRES);
    let (keeper, repository) = (RootKeeper::new(folder.path()), tuf.repository());
    keeper.refresh_at(&repository, time(LATER)).await.unwrap();
    tuf.publish(&trusted_root(2), 2, "2026-03-03T00:00:00Z");
    assert!(keeper.refresh_at(&repository, time(NOW)).await.is_err(), "it had ended by then");
    tuf.publish(&trusted_root(2), 2, EXPIRES);
    let fresh = keeper.refresh_at(&repository, time(NOW)).await.unwrap();
    assert_eq!(fresh.refreshed_at, time(LATER), "time does not go back");
}

#[tokio::test]
async fn a_copy_that_was_changed_on_disk_is_refused() {
    let (tuf, folder) = (Tuf::start(), tempfile::tempdir().unwrap());
    tuf.publish(&trusted_root(1), 1, EXPIRES);
    let (keeper, repository) = (RootKeeper::new(folder.path()), tuf.repository());
    keeper.refresh_at(&repository, time(NOW)).await.unwrap();
    let copy = std::fs::read_dir(folder.path()).unwrap().flatten();
    let copy = copy.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let target = copy.join("targets").join("trusted_root.json");
    assert!(target.exists(), "{}", target.display());
    std::fs::write(&target, trusted_root(9)).unwrap();
    assert!(keeper.kept(&repository).await.is_err());

    let pointer = folder.path().join("corp.json");
    for text in ["{}", r#"{"directory":"../x","refreshed_at":"2026-03-01T00:00:00Z"}"#] {
        std::fs::write(&pointer, text).unwrap();
        let error = keeper.kept(&repository).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("corp.json"), "{error}");
    }
}

#[tokio::test]
async fn a_name_stays_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["../corp", "a/b", "", ".."] {
        let repository = RootRepository::new(name, "http://127.0.0.1:1/", b"{}");
        let error = RootKeeper::new(folder.path()).refresh(&repository).await.unwrap_err();
        assert!(error.to_string().contains("without `/`"), "{error}");
    }
}

#[test]
fn the_public_repository_is_built_in() {
    assert_eq!(RootRepository::public_good().name(), "public-good");
}
