//! From the policy file as written to the policy as enforced.
//!
//! Every value is checked here, once, and a wrong one is reported at its line and column. Nothing
//! is defaulted to something weaker than what was written.

use std::collections::BTreeSet;

use eyas_artifact::{Digest, Version};
use serde_saphyr::{Location, Spanned};

use super::document::{
    AcceptEntry, AttestationEntry, ConditionEntry, Document, FileV1, IndexEntry, KeyEntry,
    KeylessEntry, RevokedEntry, RootEntry, RuleEntry, VersionOnly,
};
use super::{
    ACCEPT_UNSIGNED, Attestation, Authority, Basis, CASES_REQUIRED, Condition, IndexRule,
    KeySource, Keyless, LogNeed, MAX_POLICY_BYTES, Matcher, Pattern, Policy, Revoked, Rule,
    SystemKeys,
};
use crate::PolicyError;
use crate::key::PublicKey;
use crate::keyless::Claim;
use crate::roots::RootSource;

/// The layout this version writes and reads.
const CURRENT_VERSION: u64 = 1;

impl Policy {
    /// Reads a policy file; `name` is its path, from which relative key files are resolved.
    pub fn parse(yaml: &[u8], name: &str) -> Result<Self, Box<PolicyError>> {
        Self::parse_with(yaml, name, &SystemKeys::beside(name))
    }

    /// Reads a policy whose keys come from `keys`.
    pub fn parse_with(
        yaml: &[u8],
        name: &str,
        keys: &dyn KeySource,
    ) -> Result<Self, Box<PolicyError>> {
        let mut builder = Builder { file: name, keys, roots: Vec::new() };
        match builder.read(yaml)? {
            Document::V1(file) => builder.policy(&file),
        }
    }
}

/// Reads one policy file.
pub(super) struct Builder<'a> {
    pub(super) file: &'a str,
    pub(super) keys: &'a dyn KeySource,
    /// Names of the trusted roots that a signer can be bound to.
    pub(super) roots: Vec<String>,
}

pub(super) type Built<T> = Result<T, Box<PolicyError>>;

impl Builder<'_> {
    pub(super) fn read(&self, yaml: &[u8]) -> Built<Document> {
        let nowhere = Location::UNKNOWN;
        if yaml.len() > MAX_POLICY_BYTES {
            let found = yaml.len();
            return self
                .fail(nowhere, format!("found {found} bytes, the limit is {MAX_POLICY_BYTES}"));
        }
        let Ok(text) = std::str::from_utf8(yaml) else {
            return self.fail(nowhere, "the file is not UTF-8".into());
        };
        let version: VersionOnly = self.parse_yaml(text)?;
        match version.version {
            Some(version) if version.value == CURRENT_VERSION => {
                Ok(Document::V1(self.parse_yaml(text)?))
            }
            Some(version) => Err(self.error_with_hint(
                version.referenced,
                format!("policy version `{}` is not known, expected `1`", version.value),
                "a newer eyas wrote this file, or the number is wrong",
            )),
            None => Err(self.error_with_hint(
                nowhere,
                "the file names no version".into(),
                "start the file with `version: 1`",
            )),
        }
    }

    fn parse_yaml<'de, T: serde::Deserialize<'de>>(&self, text: &'de str) -> Built<T> {
        serde_saphyr::from_str(text).map_err(|error| {
            let at = error.location().unwrap_or(Location::UNKNOWN);
            let message = error.without_snippet().to_string();
            let first = message.lines().next().unwrap_or_default();
            self.error(at, first.trim_start_matches("error: ").to_owned())
        })
    }

    fn policy(&mut self, file: &FileV1) -> Built<Policy> {
        let mut roots =
            file.trusted_roots.iter().map(|root| self.root(root)).collect::<Built<Vec<_>>>()?;
        if roots.is_empty() {
            roots.push(RootSource::PublicGood);
        }
        self.roots = roots.iter().filter_map(RootSource::stem).map(str::to_owned).collect();
        let mut rules: Vec<Rule> = Vec::new();
        for entry in &file.rules {
            let rule = self.rule(entry)?;
            if let Some(earlier) = rules.iter().find(|earlier| earlier.pattern == rule.pattern) {
                return self.fail(
                    entry.value.pattern.referenced,
                    format!(
                        "`{}` already has the rule at {}, which would always decide",
                        rule.pattern.as_str(),
                        earlier.place
                    ),
                );
            }
            rules.push(rule);
        }
        Ok(Policy {
            origin: self.file.to_owned(),
            roots,
            revoked: self.revoked(&file.revoked)?,
            rules,
            indexes: self.indexes(&file.indexes)?,
        })
    }

    fn root(&self, entry: &Spanned<RootEntry>) -> Built<RootSource> {
        match (&entry.value.embedded, &entry.value.file) {
            (Some(name), None) => match name.value.as_str() {
                "public-good" => Ok(RootSource::PublicGood),
                other => self.fail(
                    name.referenced,
                    format!("embedded root `{other}` is not known, expected `public-good`"),
                ),
            },
            (None, Some(file)) => {
                let json = self.keys.file(&file.value);
                let json = json.map_err(|reason| self.error(file.referenced, reason))?;
                RootSource::from_json(&file.value, json)
                    .map_err(|error| self.error(file.referenced, error.to_string()))
            }
            _ => self.fail(entry.referenced, "expected either `embedded` or `file`".into()),
        }
    }

    pub(super) fn revoked(&self, entries: &[Spanned<RevokedEntry>]) -> Built<Revoked> {
        let mut revoked = Revoked::default();
        for Spanned { value, referenced, .. } in entries {
            let reason = value.reason.clone();
            match (&value.digest, &value.key, &value.identity) {
                (Some(digest), None, None) => {
                    revoked.digests.insert(self.digest(digest)?, reason);
                }
                (None, Some(key), None) => {
                    revoked.keys.insert(self.digest(key)?, reason);
                }
                (None, None, Some(identity)) => {
                    revoked.identities.insert(identity.value.clone(), reason);
                }
                _ => {
                    return self.fail(
                        *referenced,
                        "expected exactly one of `digest`, `key` and `identity`".into(),
                    );
                }
            }
        }
        Ok(revoked)
    }

    fn rule(&self, entry: &Spanned<RuleEntry>) -> Built<Rule> {
        let value = &entry.value;
        let at = value.pattern.referenced;
        let pattern =
            Pattern::parse(&value.pattern.value).map_err(|reason| self.error(at, reason))?;
        let place = format!("{}:{}", self.file, at.line());
        let accept = self.authorities(&value.accept)?;
        let digests = value.digests.as_ref().map(|list| {
            list.iter().map(|digest| self.digest(digest)).collect::<Built<BTreeSet<_>>>()
        });
        let digests = digests.transpose()?;
        let basis = if let Some(insecure) = &value.insecure {
            let alone = accept.is_empty() && digests.is_none();
            let bare = value.threshold.is_none()
                && value.maximum_age.is_none()
                && value.attestations.is_empty();
            self.insecure(insecure, alone && bare)?
        } else {
            self.basis(at, accept, value.threshold.as_ref(), digests.is_some())?
        };
        let mut rule = Rule::new(pattern, &place, basis);
        rule.attestations = self.attestations(&rule.basis, &value.attestations)?;
        rule.digests = digests;
        rule.maximum_age_seconds =
            value.maximum_age.as_ref().map(|age| self.age(age)).transpose()?;
        rule.minimum_version =
            value.minimum_version.as_ref().map(|version| self.version(version)).transpose()?;
        rule.needs_cases = self.rule_cases(value.rule_cases.as_ref())?;
        Ok(rule)
    }

    fn rule_cases(&self, said: Option<&Spanned<String>>) -> Built<bool> {
        match said {
            None => Ok(false),
            Some(said) if said.value == CASES_REQUIRED => Ok(true),
            Some(said) => self.fail(
                said.referenced,
                format!("found `{}`, expected `{CASES_REQUIRED}`", said.value),
            ),
        }
    }

    fn basis(
        &self,
        at: Location,
        accept: Vec<Authority>,
        threshold: Option<&Spanned<usize>>,
        listed: bool,
    ) -> Built<Basis> {
        if accept.is_empty() {
            if listed && threshold.is_none() {
                return Ok(Basis::Listed);
            }
            return Err(self.error_with_hint(
                at,
                "the rule says neither whom to accept nor which digests".into(),
                "add `accept:` with a key or a keyless identity, or `insecure: accept unsigned`",
            ));
        }
        if let Some(wanted) = threshold
            && (wanted.value == 0 || wanted.value > accept.len())
        {
            return self.fail(
                wanted.referenced,
                format!("threshold `{}` is not between 1 and {}", wanted.value, accept.len()),
            );
        }
        Ok(Basis::Signed { threshold: threshold.map_or(1, |wanted| wanted.value), accept })
    }

    pub(super) fn insecure(&self, said: &Spanned<String>, bare: bool) -> Built<Basis> {
        if said.value != ACCEPT_UNSIGNED {
            return self.fail(
                said.referenced,
                format!("found `{}`, expected the words `{ACCEPT_UNSIGNED}`", said.value),
            );
        }
        if !bare {
            return self.fail(
                said.referenced,
                "a rule that accepts unsigned artifacts cannot also restrict them".into(),
            );
        }
        Ok(Basis::Unsigned)
    }

    fn indexes(&self, entries: &[Spanned<IndexEntry>]) -> Built<Vec<IndexRule>> {
        let mut rules: Vec<IndexRule> = Vec::new();
        for Spanned { value, .. } in entries {
            let at = value.index.referenced;
            let index = value.index.value.clone();
            if rules.iter().any(|earlier| earlier.index == index) {
                return self.fail(at, format!("index `{index}` has a rule already"));
            }
            let accept = self.authorities(&value.accept)?;
            let basis = if let Some(insecure) = &value.insecure {
                let bare =
                    accept.is_empty() && value.threshold.is_none() && value.maximum_age.is_none();
                self.insecure(insecure, bare)?
            } else {
                self.basis(at, accept, value.threshold.as_ref(), false)?
            };
            let honoured = match &value.signatures {
                None => false,
                Some(said) if said.value == "honoured" => true,
                Some(said) if said.value == "ignored" => false,
                Some(said) => {
                    let message =
                        format!("found `{}`, expected `honoured` or `ignored`", said.value);
                    return self.fail(said.referenced, message);
                }
            };
            let place = format!("{}:{}", self.file, at.line());
            let age = value.maximum_age.as_ref().map(|age| self.age(age)).transpose()?;
            let rule = Rule {
                maximum_age_seconds: age,
                ..Rule::new(Pattern::everything(), &place, basis)
            };
            rules.push(IndexRule { index, rule, honoured });
        }
        Ok(rules)
    }

    fn authorities(&self, entries: &[Spanned<AcceptEntry>]) -> Built<Vec<Authority>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for Spanned { value, referenced, .. } in entries {
            let authority = match (&value.key, &value.keyless) {
                (Some(key), None) => self.key(key, *referenced)?,
                (None, Some(keyless)) => Authority::Keyless(self.keyless(keyless, *referenced)?),
                _ => {
                    return self.fail(*referenced, "expected either `key` or `keyless`".into());
                }
            };
            if let Authority::Key { key, .. } = &authority
                && !seen.insert(*key.fingerprint())
            {
                return self.fail(
                    *referenced,
                    format!("{key} is listed twice, and would count as one signer only"),
                );
            }
            found.push(authority);
        }
        Ok(found)
    }

    /// The text of a key, what to call where it is from, and where that is written.
    pub(super) fn key_text(
        &self,
        entry: &KeyEntry,
        at: Location,
    ) -> Built<(Result<String, String>, String, Location)> {
        let sources = (&entry.file, &entry.env, &entry.inline, &entry.command);
        Ok(match sources {
            (Some(file), None, None, None) => {
                (self.keys.file(&file.value), file.value.clone(), file.referenced)
            }
            (None, Some(env), None, None) => {
                (self.keys.env(&env.value), format!("${}", env.value), env.referenced)
            }
            (None, None, None, Some(command)) => {
                (self.keys.command(&command.value), command.value.join(" "), command.referenced)
            }
            (None, None, Some(inline), None) => (
                Ok(inline.value.clone()),
                format!("{}:{}", self.file, inline.referenced.line()),
                inline.referenced,
            ),
            _ => {
                let wanted = "expected exactly one of `file`, `env`, `inline` and `command`";
                return self.fail(at, wanted.into());
            }
        })
    }

    fn key(&self, entry: &KeyEntry, at: Location) -> Built<Authority> {
        let (text, origin, at) = self.key_text(entry, at)?;
        let text = text.map_err(|reason| self.error(at, reason))?;
        let key = PublicKey::from_pem(&text, &origin)
            .map_err(|error| self.error(at, error.to_string()))?;
        if let Some(pinned) = &entry.fingerprint
            && self.digest(pinned)? != *key.fingerprint()
        {
            let message = format!("found {key} in `{origin}`, expected `{}`", pinned.value);
            return self.fail(pinned.referenced, message);
        }
        let log = match &entry.transparency_log {
            None => LogNeed::NotRequired,
            Some(need) if need.value == "required" => LogNeed::Required,
            Some(need) if need.value == "not-required" => LogNeed::NotRequired,
            Some(need) => {
                return self.fail(
                    need.referenced,
                    format!("found `{}`, expected `required` or `not-required`", need.value),
                );
            }
        };
        Ok(Authority::Key { key, origin, log })
    }

    fn keyless(&self, entry: &KeylessEntry, at: Location) -> Built<Keyless> {
        let issuer =
            self.name("issuer", entry.issuer.as_ref(), entry.issuer_regexp.as_ref(), at)?;
        let identity =
            self.name("identity", entry.identity.as_ref(), entry.identity_regexp.as_ref(), at)?;
        let mut claims = Vec::new();
        for (name, expression) in &entry.claims {
            let claim =
                Claim::parse(name).map_err(|reason| self.error(expression.referenced, reason))?;
            let matcher = Matcher::whole(&expression.value)
                .map_err(|reason| self.error(expression.referenced, reason))?;
            claims.push((claim, matcher));
        }
        let root = entry.root.as_ref().map(|root| self.named_root(root)).transpose()?;
        Ok(Keyless { issuer, identity, root, claims })
    }

    /// The one trusted root of that name: what several are called binds nobody.
    fn named_root(&self, named: &Spanned<String>) -> Built<String> {
        match self.roots.iter().filter(|root| **root == named.value).count() {
            1 => Ok(named.value.clone()),
            0 => self.fail(
                named.referenced,
                format!(
                    "no trusted root is named `{}`, expected one of `{}`",
                    named.value,
                    self.roots.join("`, `")
                ),
            ),
            many => self.fail(
                named.referenced,
                format!("{many} trusted roots are named `{}`, expected one", named.value),
            ),
        }
    }

    pub(super) fn name(
        &self,
        what: &str,
        exact: Option<&Spanned<String>>,
        regexp: Option<&Spanned<String>>,
        at: Location,
    ) -> Built<Matcher> {
        let (built, at) = match (exact, regexp) {
            (Some(text), None) => (Matcher::exact(&text.value), text.referenced),
            (None, Some(text)) => (Matcher::whole(&text.value), text.referenced),
            _ => {
                return self.fail(at, format!("expected either `{what}` or `{what}-regexp`"));
            }
        };
        built.map_err(|reason| self.error(at, reason))
    }

    fn attestations(
        &self,
        basis: &Basis,
        entries: &[Spanned<AttestationEntry>],
    ) -> Built<Vec<Attestation>> {
        let mut found = Vec::new();
        for Spanned { value, referenced, .. } in entries {
            let mut accept = self.authorities(&value.accept)?;
            if accept.is_empty()
                && let Basis::Signed { accept: of_rule, .. } = basis
            {
                accept.clone_from(of_rule);
            }
            if accept.is_empty() {
                return self
                    .fail(*referenced, "nobody is accepted as author: add `accept:`".into());
            }
            let conditions =
                value.conditions.iter().map(|entry| self.condition(entry)).collect::<Built<_>>()?;
            let named = &value.predicate_type;
            let predicate_type = crate::statement::predicate_type(&named.value)
                .map_err(|reason| self.error(named.referenced, reason))?;
            found.push(Attestation { predicate_type, accept, conditions });
        }
        Ok(found)
    }

    fn condition(&self, entry: &Spanned<ConditionEntry>) -> Built<Condition> {
        let ConditionEntry { path, equals, regexp } = &entry.value;
        if !path.value.starts_with('/') {
            return self.fail(
                path.referenced,
                format!("`{}` is not a JSON pointer, expected it to start with `/`", path.value),
            );
        }
        let built = match (equals, regexp) {
            (Some(text), None) => Matcher::exact(&text.value),
            (None, Some(text)) => Matcher::whole(&text.value),
            _ => Err("expected either `equals` or `regexp`".into()),
        };
        let matcher = built.map_err(|reason| self.error(entry.referenced, reason))?;
        Ok(Condition { path: path.value.clone(), matcher })
    }

    pub(super) fn digest(&self, text: &Spanned<String>) -> Built<Digest> {
        let parsed = text.value.parse::<Digest>();
        parsed.map_err(|error| self.error(text.referenced, error.to_string()))
    }

    pub(super) fn version(&self, text: &Spanned<String>) -> Built<Version> {
        let parsed = text.value.parse::<Version>();
        parsed.map_err(|error| self.error(text.referenced, error.to_string()))
    }

    fn age(&self, text: &Spanned<String>) -> Built<i64> {
        let seconds = parse_age(&text.value).ok_or_else(|| {
            let found = format!("found `{}`, expected a number of days or hours", text.value);
            self.error_with_hint(text.referenced, found, "such as `90d` or `12h`")
        })?;
        Ok(seconds)
    }

    pub(super) fn fail<T>(&self, at: Location, message: String) -> Built<T> {
        Err(self.error(at, message))
    }

    #[expect(clippy::unnecessary_box_returns, reason = "every failure here is passed on boxed")]
    pub(super) fn error(&self, at: Location, message: String) -> Box<PolicyError> {
        let (line, column) = (at.line(), at.column());
        Box::new(PolicyError { file: self.file.to_owned(), line, column, message, hint: None })
    }

    #[expect(clippy::unnecessary_box_returns, reason = "every failure here is passed on boxed")]
    fn error_with_hint(&self, at: Location, message: String, hint: &str) -> Box<PolicyError> {
        let mut error = self.error(at, message);
        error.hint = Some(hint.to_owned());
        error
    }
}

fn parse_age(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        _ => return None,
    };
    number.parse::<u32>().ok().filter(|n| *n > 0).map(|n| i64::from(n) * seconds)
}
