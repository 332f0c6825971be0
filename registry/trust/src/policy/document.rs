//! The policy file as it is written, before any of it is believed.
//!
//! Owns the names of the keys. Whatever is not named here is an error with its place, so that a
//! misspelt restriction cannot silently be no restriction.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// Reads nothing but the version, so that a newer file is called newer and not misspelt.
#[derive(Deserialize)]
pub(super) struct VersionOnly {
    pub(super) version: Option<Spanned<u64>>,
}

/// Every layout of the file that has ever been released.
pub(super) enum Document {
    V1(FileV1),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileV1 {
    #[expect(
        dead_code,
        reason = "read by VersionOnly; named here because unknown keys are refused"
    )]
    version: u64,
    #[serde(default)]
    pub(super) trusted_roots: Vec<Spanned<RootEntry>>,
    #[serde(default)]
    pub(super) revoked: Vec<Spanned<RevokedEntry>>,
    #[serde(default)]
    pub(super) rules: Vec<Spanned<RuleEntry>>,
    #[serde(default)]
    pub(super) indexes: Vec<Spanned<IndexEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct IndexEntry {
    pub(super) index: Spanned<String>,
    #[serde(default)]
    pub(super) accept: Vec<Spanned<AcceptEntry>>,
    pub(super) threshold: Option<Spanned<usize>>,
    pub(super) insecure: Option<Spanned<String>>,
    pub(super) maximum_age: Option<Spanned<String>>,
    pub(super) signatures: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RootEntry {
    pub(super) embedded: Option<Spanned<String>>,
    pub(super) file: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RevokedEntry {
    pub(super) digest: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) identity: Option<Spanned<String>>,
    pub(super) reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RuleEntry {
    #[serde(rename = "match")]
    pub(super) pattern: Spanned<String>,
    #[serde(default)]
    pub(super) accept: Vec<Spanned<AcceptEntry>>,
    pub(super) threshold: Option<Spanned<usize>>,
    pub(super) insecure: Option<Spanned<String>>,
    pub(super) digests: Option<Vec<Spanned<String>>>,
    pub(super) maximum_age: Option<Spanned<String>>,
    pub(super) minimum_version: Option<Spanned<String>>,
    pub(super) rule_cases: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) attestations: Vec<Spanned<AttestationEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AcceptEntry {
    pub(super) key: Option<KeyEntry>,
    pub(super) keyless: Option<KeylessEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct KeyEntry {
    pub(super) file: Option<Spanned<String>>,
    pub(super) env: Option<Spanned<String>>,
    pub(super) inline: Option<Spanned<String>>,
    pub(super) command: Option<Spanned<Vec<String>>>,
    pub(super) fingerprint: Option<Spanned<String>>,
    pub(super) transparency_log: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct KeylessEntry {
    pub(super) issuer: Option<Spanned<String>>,
    pub(super) issuer_regexp: Option<Spanned<String>>,
    pub(super) identity: Option<Spanned<String>>,
    pub(super) identity_regexp: Option<Spanned<String>>,
    pub(super) root: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) claims: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AttestationEntry {
    pub(super) predicate_type: Spanned<String>,
    #[serde(default)]
    pub(super) accept: Vec<Spanned<AcceptEntry>>,
    #[serde(default, rename = "where")]
    pub(super) conditions: Vec<Spanned<ConditionEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ConditionEntry {
    pub(super) path: Spanned<String>,
    pub(super) equals: Option<Spanned<String>>,
    pub(super) regexp: Option<Spanned<String>>,
}
