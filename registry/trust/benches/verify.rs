//! What a decision costs: signatures of both forms, by key and as an identity, and a flood of rubbish.
//!
//! Allocations are counted. What is decided about is a digest: the artifact itself is never read, so nothing here can
//! grow with it. `scripts/bench` has the time, the requests and the memory that verification adds to whole installs.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "../tests/simulated/mod.rs"]
mod simulated;

use divan::{AllocProfiler, Bencher, black_box};
use eyas_artifact::{Digest, Reference};
use eyas_trust::sign::document;
use eyas_trust::{Candidate, Evidence, KeySource, MAX_CANDIDATES, Policy, SigningKey, Verifier};
use jiff::Timestamp;
use simulated::{IDENTITY, ISSUER, Instance, REPOSITORY, from_bundle, from_classic, key};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The trusted root under one name, the accepted key under the other.
struct Files {
    root: String,
    key: String,
}

impl KeySource for Files {
    fn file(&self, name: &str) -> Result<String, String> {
        Ok(if name == "root.json" { self.root.clone() } else { self.key.clone() })
    }
    fn env(&self, name: &str) -> Result<String, String> {
        Err(name.to_owned())
    }
}

/// What all decisions here are about.
struct Ground {
    instance: Instance,
    signer: SigningKey,
    verifier: Verifier,
    asked: Reference,
    digest: Digest,
}

impl Ground {
    fn new() -> Self {
        let (instance, signer) = (Instance::new(), key());
        let yaml = format!(
            "version: 1\ntrusted-roots: [{{file: root.json}}]\nrules:\n  - match: {REPOSITORY}\n    accept:\n      - \
             keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}\n      - key: {{file: signer.pub}}\n"
        );
        let files = Files { root: instance.trusted_root(), key: signer.public_pem() };
        let policy = Policy::parse_with(yaml.as_bytes(), "trust.yaml", &files).unwrap();
        let verifier = Verifier::new(policy).unwrap();
        let (asked, digest) = (format!("{REPOSITORY}:1").parse().unwrap(), Digest::sha256("x"));
        Self { instance, signer, verifier, asked, digest }
    }

    fn candidate(&self, form: &str) -> Candidate {
        let recipe = self.instance.recipe();
        match form {
            "bundle by identity" => from_bundle(&self.instance.bundle(&self.digest, &recipe)),
            "classic by identity" => from_classic(self.instance.classic(&self.digest, &recipe)),
            "bundle by key" => {
                let signed = document::bundle(&self.signer, &self.digest, Timestamp::now());
                Candidate::bundle("a referrer", signed.unwrap().json)
            }
            _ => {
                let now = Timestamp::now();
                let signed =
                    document::classic(&self.signer, REPOSITORY, &self.digest, now).unwrap();
                let name = "dev.cosignproject.cosign/signature".to_owned();
                from_classic((signed.payload, [(name, signed.signature)].into()))
            }
        }
    }
}

#[divan::bench(args = ["bundle by identity", "classic by identity", "bundle by key", "classic by key"])]
fn accept(bencher: Bencher<'_, '_>, form: &str) {
    let ground = Ground::new();
    let evidence = Evidence { candidates: vec![ground.candidate(form)], left_out: 0 };
    bencher.bench_local(|| {
        ground.verifier.decide(&ground.asked, &ground.digest, black_box(&evidence)).unwrap()
    });
}

#[divan::bench]
fn refuse_a_flood(bencher: Bencher<'_, '_>) {
    let ground = Ground::new();
    let recipe = ground.instance.recipe();
    let other = ground.instance.bundle(&Digest::sha256("another"), &recipe);
    let candidates = vec![from_bundle(&other); MAX_CANDIDATES];
    let evidence = Evidence { candidates, left_out: 0 };
    bencher.bench_local(|| {
        ground.verifier.decide(&ground.asked, &ground.digest, black_box(&evidence)).unwrap_err()
    });
}

#[divan::bench]
fn prepare_the_public_root(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Verifier::new(Policy::refuse_all()).unwrap());
}
