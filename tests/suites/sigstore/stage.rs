//! A registry, a host, a sigstore instance, and a policy that trusts it.

use std::fs;

use eyas_artifact::{Digest, media};
use eyas_tests::sigstore::forge::{IDENTITY, ISSUER};
use eyas_tests::sigstore::{Claims, Sigstore};
use eyas_tests::{Finished, Registry, Site, marker_rule};
use serde_json::{Value, json};

/// What every test here starts from.
pub(crate) struct Stage {
    pub(crate) sigstore: Sigstore,
    pub(crate) registry: Registry,
    pub(crate) site: Site,
}

impl Stage {
    /// On the embedded registry.
    pub(crate) fn new() -> Self {
        Self::on(Registry::embedded())
    }

    /// On a registry of the test's choice.
    pub(crate) fn on(registry: Registry) -> Self {
        let (sigstore, site) = (Sigstore::start(), Site::new());
        fs::write(site.path("root.json"), sigstore.trusted_root().to_string()).expect("root");
        let stage = Self { sigstore, registry, site };
        stage.accept(&format!("keyless: {{issuer: '{ISSUER}', identity: '{IDENTITY}'}}"));
        stage
    }

    /// Writes a policy for this registry with one kind of signer.
    pub(crate) fn accept(&self, accept: &str) {
        self.rules(&format!(
            "  - match: '{}/**'\n    accept:\n      - {accept}\n",
            self.registry.host()
        ));
    }

    /// Writes a policy with these rules.
    pub(crate) fn rules(&self, rules: &str) {
        let roots = "trusted-roots: [{file: root.json}]";
        self.site.write_policy(&format!("version: 1\n{roots}\nrules:\n{rules}"));
    }

    /// Writes a token of an identity to a file and gives its name.
    pub(crate) fn token(&self, claims: &Claims<'_>) -> &'static str {
        fs::write(self.site.path("token"), self.sigstore.token(claims)).expect("token");
        "token"
    }

    /// Pushes one version of `team/demo-rules`, unsigned, with its version as tag.
    pub(crate) fn push(&self, version: &str) -> String {
        self.push_to("team/demo-rules", version)
    }

    /// Pushes to any repository.
    pub(crate) fn push_to(&self, repository: &str, version: &str) -> String {
        let file = self.site.path("pushed.yaml");
        fs::write(&file, marker_rule(&format!("Rule {version}"), "/eyas/test")).expect("rules");
        let reference = self.registry.reference(&format!("{repository}:{version}"));
        let arguments = ["registry", "push", &reference, "--type", "rulesfile", "--version"];
        let more = [version, "pushed.yaml", "--plain-http", "--name", "demo-rules"];
        self.site.run(&[&arguments[..], &more[..]].concat()).expect_code(0);
        reference
    }

    /// The descriptor of what a reference names.
    pub(crate) fn descriptor(&self, reference: &str) -> Value {
        let show = ["artifact", "manifest", reference, "--plain-http", "--output", "json"];
        let manifest = self.site.run(&show);
        let bytes = manifest.expect_code(0).stdout.as_bytes();
        json!({
            "mediaType": media::OCI_MANIFEST,
            "digest": Digest::sha256(bytes).to_string(),
            "size": bytes.len(),
        })
    }

    /// Signs a reference as an identity.
    pub(crate) fn sign(&self, reference: &str, claims: &Claims<'_>, more: &[&str]) -> Finished {
        let (url, token) = (self.sigstore.url(), self.token(claims));
        let sign = ["sign", reference, "--keyless", "--plain-http", "--identity-token", token];
        let services = ["--fulcio-url", &url, "--rekor-url", &url, "--trusted-root", "root.json"];
        self.site.run(&[&sign[..], &services[..], more].concat())
    }
}

/// The signer that the policy accepts.
pub(crate) fn honest() -> Claims<'static> {
    Claims::new(ISSUER, IDENTITY)
}
