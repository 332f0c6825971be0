//! Signatures across tools and through a real registry: what we sign cosign accepts, what cosign
//! signs we accept, and neither accepts what it should not.
//!
//! Needs Debian's `docker-registry` (or `DOCKER_REGISTRY`) and, for the second half, `COSIGN`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says aloud what it skips"
)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use eyas_artifact::{Descriptor, Digest, Manifest, Platform, Reference, media};
use eyas_oci::{BlobSource, Client, ClientConfig, Scheme};
use eyas_trust::{
    Form, KeySource, MAX_CANDIDATES, Policy, Signer, SigningKey, TrustError, Verifier, attest,
    classic_tag, sign,
};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";
const RULE_TESTS: &str = "https://eyas.example/rule-tests/v1";

/// A registry of our own on a free loopback port.
struct Registry {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Registry {
    fn start() -> Option<Self> {
        let program = std::env::var("DOCKER_REGISTRY")
            .unwrap_or_else(|_| "/usr/bin/docker-registry".to_owned());
        if !Path::new(&program).exists() {
            eprintln!("SKIPPED: no registry at `{program}`, set DOCKER_REGISTRY");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let data = folder.path().join("data");
        let settings = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: \
             {{filesystem: {{rootdirectory: '{}'}}}}\nhttp: {{addr: '{address}'}}\n",
            data.display()
        );
        let file = folder.path().join("registry.yml");
        std::fs::write(&file, settings).unwrap();
        let child = Command::new(&program)
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { child, address, folder })
    }

    /// Pushes an artifact with this content and gives its reference by digest.
    async fn push(&self, repository: &str, content: &[u8]) -> Reference {
        let client = client();
        let tagged: Reference = format!("{}/{repository}:1", self.address).parse().unwrap();
        let mut parts = Vec::new();
        for (media_type, bytes) in
            [(media::RULESFILE_CONFIG, &b"{}"[..]), (media::RULESFILE_LAYER, content)]
        {
            let part = Descriptor::of(media_type, bytes);
            let source = BlobSource::Bytes(bytes.to_vec().into());
            client.push_blob(&tagged, &part, &source, None).await.unwrap();
            parts.push(part);
        }
        let layer = parts.pop().unwrap();
        let bytes = Manifest::new(parts.pop().unwrap(), vec![layer]).to_vec().unwrap();
        let digest = client.push_manifest(&tagged, &bytes, media::OCI_MANIFEST).await.unwrap();
        tagged.with_digest(digest)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client() -> Client {
    let mut config = ClientConfig::default();
    config.default_registry.scheme = Scheme::PlainHttp;
    Client::new(config).unwrap()
}

struct OneKey(String);

impl KeySource for OneKey {
    fn file(&self, _: &str) -> Result<String, String> {
        Ok(self.0.clone())
    }
    fn env(&self, name: &str) -> Result<String, String> {
        Err(name.to_owned())
    }
}

fn verifier(public_pem: &str, more: &str) -> Verifier {
    let yaml = format!(
        "version: 1\nrules:\n  - match: '**'\n    accept: [{{key: {{file: k.pub}}}}]\n{more}"
    );
    let keys = OneKey(public_pem.to_owned());
    Verifier::new(Policy::parse_with(yaml.as_bytes(), "trust.yaml", &keys).unwrap()).unwrap()
}

async fn check(verifier: &Verifier, at: &Reference) -> Result<eyas_trust::Decision, TrustError> {
    verifier.check(&client(), at, at.digest().unwrap()).await
}

struct Cosign<'a> {
    program: String,
    registry: &'a Registry,
}

impl<'a> Cosign<'a> {
    fn find(registry: &'a Registry) -> Option<Self> {
        let program = std::env::var("COSIGN").unwrap_or_else(|_| "cosign".to_owned());
        let found = Command::new(&program).arg("version").output();
        if found.is_err() {
            eprintln!("SKIPPED: `{program}` does not run, set COSIGN");
            return None;
        }
        Some(Self { program, registry })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .current_dir(self.registry.folder.path())
            .env("HOME", self.registry.folder.path())
            .env("COSIGN_PASSWORD", PASSWORD)
            .output()
            .unwrap()
    }

    fn verify(&self, key: &str, at: &Reference, more: &[&str]) -> bool {
        let at = at.to_string();
        let mut arguments =
            vec!["verify", "--key", key, "--insecure-ignore-tlog=true", "--allow-http-registry"];
        arguments.extend(more);
        arguments.push(&at);
        self.run(&arguments).status.success()
    }

    fn sign(&self, at: &Reference, more: &[&str]) {
        let at = at.to_string();
        let mut arguments = vec!["sign", "--key", "cosign.key", "--tlog-upload=false"];
        arguments.extend(["--use-signing-config=false", "--allow-http-registry", "-y"]);
        arguments.extend(more);
        arguments.push(&at);
        let output = self.run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes `cosign.key` and gives the text of `cosign.pub`.
    fn make_key(&self) -> String {
        assert!(self.run(&["generate-key-pair"]).status.success());
        std::fs::read_to_string(self.registry.folder.path().join("cosign.pub")).unwrap()
    }
}

const CLASSIC_ONLY: &[&str] = &["--new-bundle-format=false"];

#[tokio::test]
async fn what_we_store_we_find() {
    let Some(registry) = Registry::start() else { return };
    let key = SigningKey::generate().unwrap();
    let stranger = SigningKey::generate().unwrap();
    for (form, repository) in [(Form::Classic, "ours/classic"), (Form::Bundle, "ours/bundle")] {
        let at = registry.push(repository, b"rules").await;
        let trusting = verifier(&key.public_pem(), "");
        let error = check(&trusting, &at).await.unwrap_err();
        assert!(matches!(error, TrustError::Unsigned { .. }), "{error}");

        let stored = sign(&client(), &at, &Signer::from(key.clone()), form).await.unwrap();
        assert_eq!(Some(&stored.subject), at.digest());
        let decision = check(&trusting, &at).await.unwrap();
        assert_eq!(decision.signed_at(), Some(stored.signed_at.as_str()));
        let error = check(&verifier(&stranger.public_pem(), ""), &at).await.unwrap_err();
        assert!(error.to_string().contains("failed at signature"), "{error}");

        let other = registry.push(repository, b"other rules").await;
        assert!(check(&trusting, &other).await.is_err(), "a signature is for one digest");
    }
}

#[tokio::test]
async fn a_pinned_artifact_becomes_a_verified_one() {
    let Some(registry) = Registry::start() else { return };
    let key = SigningKey::generate().unwrap();
    let at = registry.push("ours/pinned", b"rules").await;
    sign(&client(), &at, &Signer::from(key.clone()), Form::Bundle).await.unwrap();
    let tag: Reference = format!("{}/ours/pinned:1", registry.address).parse().unwrap();
    let pinned = client().pin(&tag, &Platform::host()).await.unwrap();
    let verified = verifier(&key.public_pem(), "").verify(&client(), pinned).await.unwrap();
    assert_eq!(Some(verified.get().root_digest()), at.digest());
    assert_eq!(verified.signer().unwrap().form, "key");
    assert!(verified.signed_at().is_some());
}

#[tokio::test]
async fn signing_again_replaces_our_own_classic_signature_only() {
    let Some(registry) = Registry::start() else { return };
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let at = registry.push("ours/again", b"rules").await;
    for key in [&key, &other, &key] {
        sign(&client(), &at, &Signer::from(key.clone()), Form::Classic).await.unwrap();
    }
    let tag = at.with_tag(&classic_tag(at.digest().unwrap())).unwrap();
    let stored = Manifest::from_slice(&client().manifest(&tag).await.unwrap().bytes).unwrap();
    assert_eq!(stored.layers.len(), 2);
    for key in [&key, &other] {
        assert!(check(&verifier(&key.public_pem(), ""), &at).await.is_ok());
    }
}

#[tokio::test]
async fn a_signature_copied_to_another_digest_is_refused() {
    let Some(registry) = Registry::start() else { return };
    let key = SigningKey::generate().unwrap();
    let good = registry.push("ours/copied", b"good").await;
    let evil = registry.push("ours/copied", b"evil").await;
    sign(&client(), &good, &Signer::from(key.clone()), Form::Classic).await.unwrap();
    let stored = client()
        .manifest(&good.with_tag(&classic_tag(good.digest().unwrap())).unwrap())
        .await
        .unwrap();
    let tag = evil.with_tag(&classic_tag(evil.digest().unwrap())).unwrap();
    client().push_manifest(&tag, &stored.bytes, &stored.media_type).await.unwrap();
    let error = check(&verifier(&key.public_pem(), ""), &evil).await.unwrap_err();
    assert!(error.to_string().contains("failed at binding"), "{error}");
}

#[tokio::test]
async fn rubbish_beside_a_signature_is_passed_over() {
    let Some(registry) = Registry::start() else { return };
    let key = SigningKey::generate().unwrap();
    let at = registry.push("ours/rubbish", b"rules").await;
    attach_rubbish(&at, 3).await;
    sign(&client(), &at, &Signer::from(key.clone()), Form::Classic).await.unwrap();
    let decision = check(&verifier(&key.public_pem(), ""), &at).await.unwrap();
    assert_eq!(decision.explanation().attempts.len(), 4);
}

#[tokio::test]
async fn a_flood_of_referrers_is_named() {
    let Some(registry) = Registry::start() else { return };
    let key = SigningKey::generate().unwrap();
    let at = registry.push("ours/flood", b"rules").await;
    attach_rubbish(&at, MAX_CANDIDATES + 1).await;
    let error = check(&verifier(&key.public_pem(), ""), &at).await.unwrap_err();
    assert!(
        matches!(error, TrustError::TooManyCandidates { limit: MAX_CANDIDATES, .. }),
        "{error}"
    );
}

/// Attaches bundles that are none.
async fn attach_rubbish(at: &Reference, count: usize) {
    let subject = client().manifest(at).await.unwrap();
    let subject = Descriptor::of(media::OCI_MANIFEST, &subject.bytes);
    for number in 0..count {
        let mut parts = Vec::new();
        for (media_type, bytes) in [
            (media::OCI_EMPTY, b"{}".to_vec()),
            (media::SIGSTORE_BUNDLE, format!("{{\"rubbish\":{number}}}").into_bytes()),
        ] {
            let part = Descriptor::of(media_type, &bytes);
            client().push_blob(at, &part, &BlobSource::Bytes(bytes.into()), None).await.unwrap();
            parts.push(part);
        }
        let layer = parts.pop().unwrap();
        let mut manifest = Manifest::new(parts.pop().unwrap(), vec![layer]);
        manifest.artifact_type = Some(media::SIGSTORE_BUNDLE.to_owned());
        manifest.subject = Some(subject.clone());
        client().push_referrer(at, &manifest.to_vec().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn only_digests_are_signed() {
    let key = SigningKey::generate().unwrap();
    let tag: Reference = "127.0.0.1:1/x:1".parse().unwrap();
    let error = sign(&client(), &tag, &Signer::from(key.clone()), Form::Bundle).await.unwrap_err();
    assert!(matches!(error, TrustError::NotPinned { .. }), "{error}");
}

#[tokio::test]
async fn nothing_is_signed_that_is_not_there() {
    let Some(registry) = Registry::start() else { return };
    let key = SigningKey::generate().unwrap();
    let absent = registry.push("ours/absent", b"x").await.with_digest(Digest::sha256(b"absent"));
    assert!(sign(&client(), &absent, &Signer::from(key.clone()), Form::Bundle).await.is_err());
}

#[tokio::test]
async fn cosign_accepts_what_we_sign() {
    let Some(registry) = Registry::start() else { return };
    let Some(cosign) = Cosign::find(&registry) else { return };
    let key = SigningKey::generate().unwrap();
    registry.file("ours.pub", &key.public_pem());
    registry.file("stranger.pub", &SigningKey::generate().unwrap().public_pem());
    for (form, repository, more) in [
        (Form::Classic, "to-cosign/classic", CLASSIC_ONLY),
        (Form::Bundle, "to-cosign/bundle", &[]),
    ] {
        let at = registry.push(repository, b"rules").await;
        assert!(!cosign.verify("ours.pub", &at, more), "nothing is signed yet");
        sign(&client(), &at, &Signer::from(key.clone()), form).await.unwrap();
        assert!(cosign.verify("ours.pub", &at, more), "{form:?}");
        assert!(!cosign.verify("stranger.pub", &at, more), "{form:?}");
    }
}

#[tokio::test]
async fn we_accept_what_cosign_signs() {
    let Some(registry) = Registry::start() else { return };
    let Some(cosign) = Cosign::find(&registry) else { return };
    let public = cosign.make_key();
    let stranger = SigningKey::generate().unwrap().public_pem();
    for (repository, more) in [("by-cosign/classic", CLASSIC_ONLY), ("by-cosign/bundle", &[])] {
        let at = registry.push(repository, b"rules").await;
        cosign.sign(&at, more);
        let decision = check(&verifier(&public, ""), &at).await.unwrap();
        assert_eq!(decision.signed_at(), None, "cosign says no time on its own");
        assert!(check(&verifier(&stranger, ""), &at).await.is_err());
        let timed = registry.push(repository, b"timed").await;
        let mut with_time = more.to_vec();
        with_time.extend(["-a", "vnd.eyas.signed-at=2026-01-02T03:04:05Z"]);
        cosign.sign(&timed, &with_time);
        let decision = check(&verifier(&public, ""), &timed).await.unwrap();
        assert_eq!(decision.signed_at(), Some("2026-01-02T03:04:05Z"));
    }
}

#[tokio::test]
async fn protected_keys_work_both_ways() {
    let Some(registry) = Registry::start() else { return };
    let Some(cosign) = Cosign::find(&registry) else { return };
    let public = cosign.make_key();
    let protected = std::fs::read_to_string(registry.folder.path().join("cosign.key")).unwrap();
    let theirs = SigningKey::from_pem(&protected, Some(PASSWORD), "cosign.key").unwrap();
    assert_eq!(theirs.public_pem().trim(), public.trim());

    let ours = SigningKey::generate().unwrap();
    registry.file("cosign.key", &ours.to_encrypted_pem(PASSWORD).unwrap());
    let at = registry.push("keys/ours", b"rules").await;
    cosign.sign(&at, &[]);
    assert!(check(&verifier(&ours.public_pem(), ""), &at).await.is_ok());
}

#[tokio::test]
async fn statements_work_both_ways() {
    let Some(registry) = Registry::start() else { return };
    let Some(cosign) = Cosign::find(&registry) else { return };
    let wanted = format!(
        "    attestations:\n      - predicate-type: {RULE_TESTS}\n        \
         where: [{{path: /result, equals: passed}}]\n"
    );
    let public = cosign.make_key();
    registry.file("predicate.json", r#"{"result":"passed"}"#);
    let at = registry.push("statements/theirs", b"rules").await;
    cosign.sign(&at, &[]);
    assert!(check(&verifier(&public, &wanted), &at).await.is_err(), "not attested yet");
    let reference = at.to_string();
    let output = cosign.run(&[
        "attest",
        "--key",
        "cosign.key",
        "--type",
        RULE_TESTS,
        "--predicate",
        "predicate.json",
        "--tlog-upload=false",
        "--use-signing-config=false",
        "--allow-http-registry",
        "-y",
        &reference,
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let decision = check(&verifier(&public, &wanted), &at).await;
    assert!(decision.is_ok(), "{}", decision.unwrap_err());

    let key = SigningKey::generate().unwrap();
    registry.file("ours.pub", &key.public_pem());
    let at = registry.push("statements/ours", b"rules").await;
    let predicate = serde_json::json!({ "result": "passed" });
    attest(&client(), &at, &Signer::from(key.clone()), RULE_TESTS, predicate).await.unwrap();
    let reference = at.to_string();
    let verify = |key: &str| {
        let arguments = ["verify-attestation", "--key", key, "--type", RULE_TESTS];
        let flags = ["--insecure-ignore-tlog=true", "--allow-http-registry", &reference];
        cosign.run(&[&arguments[..], &flags[..]].concat()).status.success()
    };
    assert!(verify("ours.pub") && !verify("cosign.pub"));
}
