//! Attacks, each described in a folder of `attacks/`: what is attached to an artifact, and at which step it is refused.
//!
//! The driver publishes an honest version and installs it, so that the same machinery is seen to accept. Then it
//! publishes the next version unsigned, attaches what the case says, installs with the real program, and expects a
//! refusal that names the step and leaves the store as it was.

use std::fs;
use std::path::Path;

use eyas_artifact::Digest;
use eyas_tests::sigstore::forge::{IDENTITY, ISSUER, Recipe};
use eyas_tests::sigstore::{Key, Pusher, Sigstore};
use eyas_tests::{Registry, Site, marker_rule, workspace_root};
use serde::Deserialize;
use serde_json::{Value, json};

/// Least number of attacks that have to be there.
const MIN_ATTACKS: usize = 60;
const VERIFICATION: i32 = 5;

/// One attack as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    /// What the attacker does, in one line.
    about: String,
    /// What is attached.
    #[serde(default)]
    attached: Vec<Attached>,
    /// Rules of the policy; `HOST` and `REPO` stand for registry and repository, `FINGERPRINT` for the key `signer`.
    /// The honest signer is accepted when absent.
    rules: Option<String>,
    /// More of the policy, outside of the rules; `DIGEST` stands for what is attacked, `LAYER` for its layer.
    #[serde(default)]
    policy: String,
    /// Whether the trusted root is replaced by another instance's before the install.
    #[serde(default)]
    other_root: bool,
    /// What else the attacker does.
    act: Option<Act>,
    /// Version of what is attacked with.
    #[serde(default = "next")]
    version: String,
    /// Tag under which it is published and asked for; the version when absent.
    tag: Option<String>,
    /// How the program ends.
    #[serde(default = "verification")]
    code: i32,
    /// Texts of the refusal.
    refused: Vec<String>,
}

/// What an attacker does beside attaching signatures.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Act {
    /// Publishes in a repository of its own, `REPO-other`, under the name of the honest artifact.
    Elsewhere,
    /// Puts an index of platforms before the artifact. Signatures are attached to it.
    Index,
    /// The same with the signatures attached to the artifact behind it.
    IndexOverSigned,
    /// The same with what is behind it asked for by its digest.
    ChildOfIndex,
    /// Attaches all signatures in one document.
    OneReferrer,
    /// Replaces the file of the accepted key.
    SwapKeyFile,
}

/// One signature that is attached.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Attached {
    /// How it is made.
    #[serde(default)]
    recipe: Recipe,
    /// What it signs: `this`, the `index` before it, `honest` (the version before) or `nothing`.
    #[serde(default = "this")]
    signs: String,
    /// How many of it.
    #[serde(default = "one")]
    times: usize,
}

fn this() -> String {
    "this".into()
}

fn one() -> usize {
    1
}

fn next() -> String {
    "1.1.0".into()
}

fn verification() -> i32 {
    VERIFICATION
}

/// What all cases share.
struct Ground {
    sigstore: Sigstore,
    registry: Registry,
}

#[test]
fn every_attack_is_refused_at_its_step_and_changes_nothing() {
    let folder = workspace_root().join("tests/suites/sigstore/attacks");
    let mut names: Vec<_> =
        fs::read_dir(folder).expect("attacks").flatten().map(|entry| entry.path()).collect();
    names.sort();
    assert!(names.len() >= MIN_ATTACKS, "found {} attacks", names.len());
    let ground = Ground { sigstore: Sigstore::start(), registry: Registry::embedded() };
    let mut failures = Vec::new();
    for path in names {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if let Err(why) = ground.attack(&name, &path) {
            failures.push(format!("{name}: {why}"));
        }
    }
    assert!(failures.is_empty(), "{} attacks:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn a_statement_that_is_entered_by_its_hash_counts_when_nothing_is_wrong_with_it() {
    let folder = workspace_root().join("tests/suites/sigstore/attacks");
    let ground = Ground { sigstore: Sigstore::start(), registry: Registry::embedded() };
    for name in ["hashed-statement-broken-signature", "hashed-statement-by-key-forged-log"] {
        let text = fs::read_to_string(folder.join(name).join("case.yaml")).expect("a case");
        let mut case: Case = serde_saphyr::from_str(&text).expect("a case");
        case.attached.iter_mut().for_each(|attached| attached.recipe.faults.clear());
        let site = Site::new();
        let root = ground.sigstore.trusted_root().to_string();
        fs::write(site.path("root.json"), root).expect("root");
        let repository = format!("honest/{name}");
        let honest = ground.publish(&site, &repository, "1.0.0", "1.0.0");
        let asked = ground.prepare(&site, &repository, &case, &honest);
        site.install(&[&asked]).expect_code(0);
    }
}

impl Ground {
    fn attack(&self, name: &str, path: &Path) -> Result<(), String> {
        let text = fs::read_to_string(path.join("case.yaml")).map_err(|error| error.to_string())?;
        let case: Case = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
        if case.about.is_empty() || case.refused.is_empty() {
            return Err("the case says nothing".into());
        }
        let repository = format!("attacks/{name}");
        let site = Site::new();
        site.keygen("stranger");
        let root = self.sigstore.trusted_root().to_string();
        fs::write(site.path("root.json"), root).expect("root");

        let honest = self.publish(&site, &repository, "1.0.0", "1.0.0");
        let pusher = Pusher::new(&self.registry.host(), &repository);
        let honestly = self.sigstore.parts().forge(&Recipe::default(), &digest(&honest), None);
        pusher.attach(&honest, &honestly);
        let accepted = policy_text(None, "", &repository, "", &self.registry.host());
        site.write_policy(&accepted);
        site.install(&[&self.registry.reference(&format!("{repository}:1.0.0"))]).expect_code(0);
        let before = site.snapshot();

        let asked = self.prepare(&site, &repository, &case, &honest);
        let finished = site.install(&[&asked]);
        if finished.code() != case.code {
            return Err(format!("ended with {}:\n{}", finished.code(), finished.stderr));
        }
        for text in &case.refused {
            if !finished.stderr.contains(text.as_str()) {
                return Err(format!("the refusal lacks `{text}`:\n{}", finished.stderr));
            }
        }
        if site.snapshot() != before {
            return Err("the store changed".into());
        }
        Ok(())
    }

    /// Does what the case says; gives the reference to ask for.
    fn prepare(&self, site: &Site, repository: &str, case: &Case, honest: &Value) -> String {
        let place = match case.act {
            Some(Act::Elsewhere) => format!("{repository}-other"),
            _ => repository.to_owned(),
        };
        let tag = case.tag.as_deref().unwrap_or(&case.version);
        let artifact = self.publish(site, &place, &case.version, tag);
        let pusher = Pusher::new(&self.registry.host(), &place);
        let mut asked = self.registry.reference(&format!("{place}:{tag}"));
        let mut index = artifact.clone();
        if let Some(Act::Index | Act::IndexOverSigned | Act::ChildOfIndex) = case.act {
            index = put_before(&pusher, tag, &artifact);
        }
        let mut subject = &index;
        match case.act {
            Some(Act::IndexOverSigned) => subject = &artifact,
            Some(Act::ChildOfIndex) => {
                asked = self.registry.reference(&format!("{place}@{}", digest(&artifact)));
            }
            _ => {}
        }
        let mut forged = Vec::new();
        for attached in &case.attached {
            let signed = match attached.signs.as_str() {
                "honest" => digest(honest),
                "index" => digest(&index),
                "nothing" => Digest::sha256(b"nothing"),
                _ => digest(&artifact),
            };
            for _ in 0..attached.times {
                let key = attached.recipe.key.as_deref().map(|key| {
                    let pem = fs::read_to_string(site.path(key)).expect("a key");
                    Key::from_pem(&pem)
                });
                forged.push(self.sigstore.parts().forge(&attached.recipe, &signed, key));
            }
        }
        if case.act == Some(Act::OneReferrer) {
            pusher.attach_together(subject, &forged);
        } else {
            for signature in &forged {
                pusher.attach(subject, signature);
            }
        }
        let target = digest(&artifact).to_string();
        let host = self.registry.host();
        let policy = policy_text(case.rules.as_deref(), &case.policy, repository, &target, &host);
        let key = Key::from_pem(&fs::read_to_string(site.path("signer")).expect("a key"));
        let print = Digest::sha256(key.spki()).to_string();
        let layer = artifact["layer"].as_str().unwrap_or_default();
        site.write_policy(&policy.replace("FINGERPRINT", &print).replace("LAYER", layer));
        if case.act == Some(Act::SwapKeyFile) {
            fs::copy(site.path("stranger.pub"), site.path("signer.pub")).expect("swapped");
        }
        if case.other_root {
            let other = Sigstore::start().trusted_root().to_string();
            fs::write(site.path("root.json"), other).expect("root");
        }
        asked
    }

    /// Pushes a version, unsigned; gives its descriptor, with the digest of its layer.
    fn publish(&self, site: &Site, repository: &str, version: &str, tag: &str) -> Value {
        let file = format!("rules-{version}.yaml");
        let rules = marker_rule(&format!("Rule {version} as {tag}"), "/eyas/test");
        fs::write(site.path(&file), rules).expect("rules");
        let reference = self.registry.reference(&format!("{repository}:{tag}"));
        let push = ["registry", "push", &reference, &file, "--type", "rulesfile"];
        let more = ["--version", version, "--name", "demo-rules", "--plain-http"];
        site.run(&[&push[..], &more[..]].concat()).expect_code(0);
        let show = ["artifact", "manifest", &reference, "--plain-http", "--output", "json"];
        let manifest = site.run(&show);
        let bytes = manifest.expect_code(0).stdout.as_bytes();
        let read: Value = serde_json::from_slice(bytes).expect("a manifest");
        json!({
            "mediaType": eyas_artifact::media::OCI_MANIFEST,
            "digest": Digest::sha256(bytes).to_string(),
            "size": bytes.len(),
            "layer": read["layers"][0]["digest"],
        })
    }
}

/// Lets a tag name an index of platforms that lists one manifest for all of them; gives its descriptor.
fn put_before(pusher: &Pusher, tag: &str, manifest: &Value) -> Value {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": eyas_artifact::media::OCI_INDEX,
        "manifests": [{
            "mediaType": manifest["mediaType"],
            "digest": manifest["digest"],
            "size": manifest["size"],
        }],
    });
    let bytes = index.to_string().into_bytes();
    let media_type = eyas_artifact::media::OCI_INDEX;
    let digest = pusher.manifest_bytes(Some(tag), media_type, &bytes);
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
}

/// The policy of a case; without rules of its own the honest signer is accepted.
fn policy_text(
    rules: Option<&str>,
    more: &str,
    repository: &str,
    target: &str,
    host: &str,
) -> String {
    let accepted = format!(
        "  - match: HOST/REPO\n    accept: [{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}]\n"
    );
    let rules = rules.unwrap_or(&accepted);
    let text = format!("version: 1\ntrusted-roots: [{{file: root.json}}]\n{more}rules:\n{rules}");
    text.replace("HOST", host).replace("REPO", repository).replace("DIGEST", target)
}

fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().expect("a digest").parse().expect("a digest")
}
