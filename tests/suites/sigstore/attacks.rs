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
    /// Rules of the policy; `HOST` and `REPO` stand for registry and repository. The honest signer is accepted when
    /// absent.
    rules: Option<String>,
    /// More of the policy, outside of the rules; `DIGEST` stands for what is attacked.
    #[serde(default)]
    policy: String,
    /// Whether the trusted root is replaced by another instance's before the install.
    #[serde(default)]
    other_root: bool,
    /// Texts of the refusal.
    refused: Vec<String>,
}

/// One signature that is attached.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Attached {
    /// How it is made.
    #[serde(default)]
    recipe: Recipe,
    /// What it signs: `this`, `honest` (the version before) or `nothing`.
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
        let pusher = Pusher::new(&self.registry.host(), &repository);

        let honest = self.publish(&site, &repository, "1.0.0");
        pusher.attach(
            &honest,
            &self.sigstore.parts().forge(&Recipe::default(), &digest(&honest), None),
        );
        self.policy(&site, &repository, &Case { rules: None, ..empty() }, &honest);
        let first = self.registry.reference(&format!("{repository}:1.0.0"));
        site.install(&[&first]).expect_code(0);
        let before = site.snapshot();

        let target = self.publish(&site, &repository, "1.1.0");
        for attached in &case.attached {
            let signed = match attached.signs.as_str() {
                "honest" => digest(&honest),
                "nothing" => Digest::sha256(b"nothing"),
                _ => digest(&target),
            };
            for _ in 0..attached.times {
                let key = attached.recipe.key.as_deref().map(|key| {
                    let pem = fs::read_to_string(site.path(key)).expect("a key");
                    Key::from_pem(&pem)
                });
                let forged = self.sigstore.parts().forge(&attached.recipe, &signed, key);
                pusher.attach(&target, &forged);
            }
        }
        self.policy(&site, &repository, &case, &target);
        if case.other_root {
            let other = Sigstore::start().trusted_root().to_string();
            fs::write(site.path("root.json"), other).expect("root");
        }
        let second = self.registry.reference(&format!("{repository}:1.1.0"));
        let finished = site.install(&[&second]);
        if finished.code() != VERIFICATION {
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

    /// Pushes a version, unsigned; gives its descriptor.
    fn publish(&self, site: &Site, repository: &str, version: &str) -> Value {
        let file = format!("rules-{version}.yaml");
        let rules = marker_rule(&format!("Rule {version}"), "/eyas/test");
        fs::write(site.path(&file), rules).expect("rules");
        let reference = self.registry.reference(&format!("{repository}:{version}"));
        let push = ["registry", "push", &reference, &file, "--type", "rulesfile"];
        let more = ["--version", version, "--name", "demo-rules", "--plain-http"];
        site.run(&[&push[..], &more[..]].concat()).expect_code(0);
        let show = ["artifact", "manifest", &reference, "--plain-http", "--output", "json"];
        let manifest = site.run(&show);
        let bytes = manifest.expect_code(0).stdout.as_bytes();
        let digest = Digest::sha256(bytes);
        json!({
            "mediaType": eyas_artifact::media::OCI_MANIFEST,
            "digest": digest.to_string(),
            "size": bytes.len(),
        })
    }

    fn policy(&self, site: &Site, repository: &str, case: &Case, target: &Value) {
        let accepted = format!(
            "  - match: HOST/REPO\n    accept: [{{keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}}}]\n"
        );
        let rules = case.rules.as_deref().unwrap_or(&accepted);
        let text = format!(
            "version: 1\ntrusted-roots: [{{file: root.json}}]\n{}rules:\n{rules}",
            case.policy
        );
        let digest = target["digest"].as_str().expect("a digest");
        let text = text.replace("HOST", &self.registry.host()).replace("REPO", repository);
        site.write_policy(&text.replace("DIGEST", digest));
    }
}

fn empty() -> Case {
    Case {
        about: String::new(),
        attached: Vec::new(),
        rules: None,
        policy: String::new(),
        other_root: false,
        refused: Vec::new(),
    }
}

fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().expect("a digest").parse().expect("a digest")
}
