//! Finding the signatures of a digest in its registry.
//!
//! Owns the order and the limits: bundles among the referrers first, then the classic tags, of
//! signatures and of statements, and no request more than what is still missing asks for. What a registry lists is only ever a candidate; one
//! that cannot be read is recorded and passed over, so that rubbish beside a good signature is no
//! denial of service. A registry that fails to answer is an error, never an empty list.

use std::collections::BTreeMap;

use eyas_artifact::{Descriptor, Digest, Manifest, Reference, media};
use eyas_oci::{Client, OciError, Pinned};

use crate::evidence::{Candidate, Content, MAX_BUNDLE_BYTES, MAX_CANDIDATES};
use crate::statement::MAX_PAYLOAD_BYTES;
use crate::verifier::{Evidence, Verifier};
use crate::{Decision, TrustError, Verified};

/// Most bytes of signatures that are fetched for one digest.
pub const MAX_EVIDENCE_BYTES: u64 = 16 * 1024 * 1024;
/// How the media types of all versions of bundles begin.
const BUNDLE_FAMILY: &str = "application/vnd.dev.sigstore.bundle";

/// The tag under which classic signatures of a digest are stored.
pub fn classic_tag(digest: &Digest) -> String {
    Tagged::Signatures.tag(digest)
}

/// What is stored under a tag that spells a digest.
#[derive(Debug, Clone, Copy)]
enum Tagged {
    Signatures,
    Statements,
}

impl Tagged {
    fn tag(self, digest: &Digest) -> String {
        let ending = match self {
            Self::Signatures => "sig",
            Self::Statements => "att",
        };
        format!("{}-{}.{ending}", digest.algorithm(), digest.hex())
    }

    /// One of them, in words.
    fn one(self) -> &'static str {
        match self {
            Self::Signatures => "signature",
            Self::Statements => "statement",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Signatures => media::COSIGN_SIMPLE_SIGNING,
            Self::Statements => media::DSSE_ENVELOPE,
        }
    }

    /// Most bytes of one.
    fn limit(self) -> u64 {
        match self {
            Self::Signatures => MAX_PAYLOAD_BYTES,
            Self::Statements => MAX_BUNDLE_BYTES,
        }
    }

    fn content(self, bytes: Vec<u8>, annotations: BTreeMap<String, String>) -> Content {
        match self {
            Self::Signatures => Content::Classic { payload: bytes, annotations },
            Self::Statements => Content::ClassicStatement { envelope: bytes, annotations },
        }
    }
}

impl Verifier {
    /// Verifies what was pinned, by the policy for the reference that was asked for.
    pub async fn verify(
        &self,
        client: &Client,
        pinned: Pinned,
    ) -> Result<Verified<Pinned>, TrustError> {
        // A platform's manifest or a layer can be revoked alone; a list of revoked digests need not
        // know which lists of platforms they are in.
        let parts = [pinned.manifest_digest(), &pinned.config().digest, &pinned.layer().digest];
        for part in parts {
            self.hold_to_revocations(&pinned.asked().locator(), part)?;
        }
        let decision = self.check(client, pinned.asked(), pinned.root_digest()).await?;
        let accepted_by = self.fingerprint(pinned.asked());
        Ok(Verified::new(pinned, decision, accepted_by))
    }

    /// Decides about a digest without anything being installed.
    pub async fn check(
        &self,
        client: &Client,
        asked: &Reference,
        digest: &Digest,
    ) -> Result<Decision, TrustError> {
        let mut search = Search {
            verifier: self,
            client,
            asked,
            digest,
            found: Evidence::default(),
            bytes_left: MAX_EVIDENCE_BYTES,
        };
        if self.needs_evidence(asked) {
            if let Some(decision) = search.bundles().await? {
                return Ok(decision);
            }
            if !search.lacks_statements_only() {
                search.tagged(Tagged::Signatures).await?;
            }
            if search.lacks_statements_only() {
                search.tagged(Tagged::Statements).await?;
            }
        }
        self.decide(asked, digest, &search.found)
    }
}

struct Search<'a> {
    verifier: &'a Verifier,
    client: &'a Client,
    asked: &'a Reference,
    digest: &'a Digest,
    found: Evidence,
    bytes_left: u64,
}

impl Search<'_> {
    /// Looks at the referrers; the decision if they settle the matter.
    async fn bundles(&mut self) -> Result<Option<Decision>, TrustError> {
        let listed = self.client.referrers(self.asked, self.digest, None).await?;
        // The client stops listing at its limit; there may be one more.
        let cut = listed.len() >= self.client.config().limits.referrers;
        self.found.left_out += usize::from(cut);
        for entry in listed.into_iter().filter(may_be_bundle) {
            if self.found.candidates.len() >= MAX_CANDIDATES {
                self.found.left_out += 1;
                continue;
            }
            let origin = format!("referrer `{}`", entry.digest);
            if let Err(error) = self.referrer(&entry, &origin).await {
                self.pass_over(origin, error)?;
            }
            // Deciding again for every candidate would be quadratic under a flood.
            let count = self.found.candidates.len();
            if count.is_power_of_two()
                && let Some(decision) = self.settled()
            {
                return Ok(Some(decision));
            }
        }
        Ok(self.settled())
    }

    /// Takes the bundles of one referrer: usually one, but its author says how many.
    async fn referrer(&mut self, entry: &Descriptor, origin: &str) -> Result<(), OciError> {
        let manifest = match entry.embedded() {
            Some(bytes) => read(&bytes, &entry.digest.to_string())?,
            None => self.manifest(&self.asked.with_digest(entry.digest)).await?,
        };
        for layer in manifest.layers.iter().filter(|layer| is_bundle(&layer.media_type)) {
            if self.found.candidates.len() >= MAX_CANDIDATES {
                self.found.left_out += 1;
                continue;
            }
            let json = self.blob(layer, MAX_BUNDLE_BYTES).await?;
            self.found.candidates.push(Candidate::bundle(origin, json));
        }
        Ok(())
    }

    /// Takes what is stored under a tag of the classic form.
    async fn tagged(&mut self, what: Tagged) -> Result<(), TrustError> {
        let tag = what.tag(self.digest);
        let origin = format!("tag `{tag}`");
        let reference = self.asked.with_tag(&tag).map_err(|error| TrustError::Build {
            what: "name of the classic signature",
            reason: error.to_string(),
        })?;
        let manifest = match self.manifest(&reference).await {
            Ok(manifest) => manifest,
            Err(OciError::NotFound { .. }) => return Ok(()),
            Err(error) => return self.pass_over(origin, error),
        };
        let wanted = |layer: &&Descriptor| layer.media_type == what.media_type();
        for (at, layer) in manifest.layers.iter().filter(wanted).enumerate() {
            if self.found.candidates.len() >= MAX_CANDIDATES {
                self.found.left_out += 1;
                continue;
            }
            let origin = format!("{} {} of {origin}", what.one(), at + 1);
            match self.blob(layer, what.limit()).await {
                Ok(bytes) => {
                    let content = what.content(bytes, layer.annotations.clone());
                    self.found.candidates.push(Candidate { origin, content });
                }
                Err(error) => self.pass_over(origin, error)?,
            }
        }
        Ok(())
    }

    async fn manifest(&self, reference: &Reference) -> Result<Manifest, OciError> {
        let fetched = self.client.manifest(reference).await?;
        read(&fetched.bytes, &reference.to_string())
    }

    async fn blob(&mut self, layer: &Descriptor, limit: u64) -> Result<Vec<u8>, OciError> {
        let limit = limit.min(self.bytes_left);
        let bytes = self.client.blob_bytes(self.asked, layer, limit).await?;
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }

    /// The decision, if what was found so far is enough.
    fn settled(&self) -> Option<Decision> {
        self.verifier.decide(self.asked, self.digest, &self.found).ok()
    }

    /// Whether signatures are there, and a statement that the rule requires is not.
    fn lacks_statements_only(&self) -> bool {
        let decided = self.verifier.decide(self.asked, self.digest, &self.found);
        matches!(decided, Err(TrustError::Refused(refusal)) if !refusal.unmet.is_empty())
    }

    /// What somebody put there may be rubbish; what the registry or the network does is an error.
    fn pass_over(&mut self, origin: String, error: OciError) -> Result<(), TrustError> {
        match error {
            OciError::NotFound { .. }
            | OciError::DigestMismatch { .. }
            | OciError::SizeMismatch { .. }
            | OciError::TooLarge { .. }
            | OciError::Malformed { .. }
            | OciError::Unsupported { .. } => {
                self.found.candidates.push(Candidate::unreadable(origin, error.to_string()));
                Ok(())
            }
            error => Err(error.into()),
        }
    }
}

fn read(bytes: &[u8], what: &str) -> Result<Manifest, OciError> {
    Manifest::from_slice(bytes)
        .map_err(|error| OciError::Malformed { what: what.to_owned(), detail: error.to_string() })
}

/// Lists that are kept by tag often name the wrong type or none, so only what is surely something
/// else is left out.
fn may_be_bundle(entry: &Descriptor) -> bool {
    match entry.artifact_type.as_deref() {
        None | Some("" | media::OCI_EMPTY | media::OCI_CONFIG) => true,
        Some(artifact_type) => is_bundle(artifact_type),
    }
}

fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with(BUNDLE_FAMILY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_tag_is_the_digest_spelt_as_a_tag() {
        let digest = Digest::sha256(b"x");
        let tag = classic_tag(&digest);
        assert_eq!(tag, format!("sha256-{}.sig", digest.hex()));
        assert_eq!(Tagged::Statements.tag(&digest), format!("sha256-{}.att", digest.hex()));
        let reference: Reference = "r.example/x".parse().unwrap();
        assert!(reference.with_tag(&tag).is_ok());
    }

    #[test]
    fn only_what_is_surely_something_else_is_left_out() {
        let typed = |artifact_type: Option<&str>| {
            let mut entry = Descriptor::of(media::OCI_MANIFEST, b"{}");
            entry.artifact_type = artifact_type.map(str::to_owned);
            may_be_bundle(&entry)
        };
        assert!(typed(None) && typed(Some("")) && typed(Some(media::OCI_EMPTY)));
        assert!(typed(Some(media::SIGSTORE_BUNDLE)));
        assert!(typed(Some("application/vnd.dev.sigstore.bundle+json;version=0.1")));
        assert!(!typed(Some("application/spdx+json")));
    }
}
