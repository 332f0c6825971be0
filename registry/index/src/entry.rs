//! One entry of an index: what an artifact is called, where it is and who signs it.
//!
//! Owns the fields and their spelling in `index.yaml`. Whether a signature section is enough to
//! trust anything is decided in `eyas-trust`.

use serde::{Deserialize, Serialize};

/// An artifact as an index lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Unique name, what users type.
    pub name: String,
    /// What the index says it is. For listings only: the layer decides the real kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Host of the registry.
    pub registry: String,
    /// Path in the registry.
    pub repository: String,
    /// One sentence for listings.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Home page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// Words that search looks at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Licence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// Where the content is made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Who signs it with cosign, if anybody.
    #[serde(rename = "signature", skip_serializing_if = "Option::is_none", with = "signature")]
    pub signature: Option<CosignSection>,
    /// Name of the index that this entry came from; not part of the file.
    #[serde(skip)]
    pub index: String,
}

impl Entry {
    /// An entry with what is required, for an index that is being written.
    pub fn new(name: &str, kind: &str, registry: &str, repository: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            description: String::new(),
            home: String::new(),
            keywords: Vec::new(),
            license: String::new(),
            maintainers: Vec::new(),
            sources: Vec::new(),
            signature: None,
            index: String::new(),
        }
    }

    /// `registry/repository`.
    pub fn locator(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

/// A person or group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintainer {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Mail address.
    #[serde(default)]
    pub email: String,
}

/// What a cosign signature of the artifact must look like. Empty strings in the file mean absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CosignSection {
    /// Issuer of the identity, exactly.
    #[serde(rename = "certificate-oidc-issuer", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Issuer of the identity, by regular expression.
    #[serde(rename = "certificate-oidc-issuer-regexp", skip_serializing_if = "Option::is_none")]
    pub issuer_regexp: Option<String>,
    /// Identity, exactly.
    #[serde(rename = "certificate-identity", skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Identity, by regular expression.
    #[serde(rename = "certificate-identity-regexp", skip_serializing_if = "Option::is_none")]
    pub identity_regexp: Option<String>,
    /// Workflow; read for compatibility.
    #[serde(rename = "certificate-github-workflow", skip_serializing_if = "Option::is_none")]
    pub github_workflow: Option<String>,
    /// Reference to a public key: a path, a URL or a key service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the transparency log is not asked.
    #[serde(rename = "ignore-tlog", skip_serializing_if = "std::ops::Not::not")]
    pub ignore_tlog: bool,
}

/// The file nests the section as `signature: {cosign: {…}}`.
mod signature {
    use serde::{Serialize, Serializer};

    use super::CosignSection;

    #[derive(Serialize)]
    struct Outer<'a> {
        cosign: &'a CosignSection,
    }

    #[expect(clippy::ref_option, reason = "the signature is dictated by the derive macro")]
    pub(super) fn serialize<S: Serializer>(
        section: &Option<CosignSection>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        section.as_ref().map(|cosign| Outer { cosign }).serialize(serializer)
    }
}
