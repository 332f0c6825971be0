//! What the policy in force says of what was accepted before, from the record of it alone.
//!
//! Owns the comparison of recorded signers, makers of statements, digest and version with the rule that
//! decides about the reference today. Nothing is asked of anybody, and no command is run: a key management
//! service that does not answer must not stand in the way of a rollback. A key that cannot be read, and
//! whose fingerprint the policy does not name, is given the benefit of the doubt, which is said.
//! What was not recorded cannot be compared: the claims of a certificate and the root it chains to, whether
//! a log had the signature, the conditions on a statement. Age is not looked at: it bounds what can be
//! replayed to a host, and this was fresh when it came.

use std::collections::BTreeSet;

use eyas_artifact::{Digest, Entry, Reference, SignerRecord, Version};
use serde_saphyr::Spanned;

use super::build::{Builder, Built};
use super::document::{AcceptEntry, Document, KeyEntry, RuleEntry};
use super::revocations::Revocations;
use super::{KeySource, Matcher, Pattern};
use crate::key::PublicKey;
use crate::{PolicyError, threshold};

/// A policy, as far as it can be held against what was recorded. The default has nothing against anything.
#[derive(Debug, Clone, Default)]
pub struct Recheck {
    origin: String,
    revocations: Revocations,
    /// None where nothing is held to rules.
    rules: Option<Vec<RecordedRule>>,
    /// Whether an index may have accepted what no rule is about.
    silence_is_no_refusal: bool,
}

/// What a policy says of something that was accepted before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It would be accepted, as far as the record tells.
    Accepted,
    /// It may be: a key that the policy names cannot be read. Says which.
    Doubted(String),
    /// It would not be. Says why.
    NotAccepted(String),
    /// Something of it is revoked. Says what, with the reason.
    Revoked(String),
}

#[derive(Debug, Clone)]
struct RecordedRule {
    pattern: Pattern,
    /// `file:line`.
    place: String,
    wanted: Wanted,
    digests: Option<BTreeSet<Digest>>,
    minimum_version: Option<Version>,
    /// Predicate types, and whose statements count.
    attestations: Vec<(String, Vec<Author>)>,
}

#[derive(Debug, Clone)]
enum Wanted {
    Nothing,
    Listed,
    Signers { accept: Vec<Author>, threshold: usize },
}

/// Someone whose signature counts, as far as records tell.
#[derive(Debug, Clone)]
enum Author {
    Key(Digest),
    /// A key that cannot be read, and why.
    Unread(String),
    Keyless {
        issuer: Matcher,
        identity: Matcher,
    },
}

impl Recheck {
    /// Reads a policy file; keys that are not pinned come from `keys`, where they can be had.
    pub fn parse(yaml: &[u8], name: &str, keys: &dyn KeySource) -> Result<Self, Box<PolicyError>> {
        let builder = Builder { file: name, keys, roots: Vec::new() };
        let Document::V1(file) = builder.read(yaml)?;
        let rules = file.rules.iter().map(|entry| builder.recorded_rule(&entry.value));
        let rules = rules.collect::<Built<Vec<_>>>()?;
        let thresholds = rules.iter().map(|rule| (rule.pattern.clone(), rule.threshold()));
        let honoured = |said: &Spanned<String>| said.value == "honoured";
        Ok(Self {
            origin: name.to_owned(),
            revocations: Revocations {
                revoked: builder.revoked(&file.revoked)?,
                thresholds: thresholds.collect(),
            },
            rules: Some(rules),
            silence_is_no_refusal: file
                .indexes
                .iter()
                .any(|entry| entry.value.signatures.as_ref().is_some_and(honoured)),
        })
    }

    /// The same where something else than a rule may have accepted what no rule is about.
    #[must_use]
    pub fn with_others_accepting(self, others: bool) -> Self {
        Self { silence_is_no_refusal: self.silence_is_no_refusal || others, ..self }
    }

    /// Where the policy is written, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What the policy says of an installed artifact today.
    pub fn judge(&self, entry: &Entry) -> Judgement {
        if let Some(why) = self.revocations.of(entry) {
            return Judgement::Revoked(why);
        }
        let Some(rules) = &self.rules else { return Judgement::Accepted };
        let Ok(reference) = entry.reference.parse::<Reference>() else {
            return Judgement::NotAccepted(format!("`{}` is no reference", entry.reference));
        };
        let locator = reference.locator();
        match rules.iter().find(|rule| rule.pattern.matches(&locator)) {
            Some(rule) => rule.judge(entry),
            None if self.silence_is_no_refusal => Judgement::Accepted,
            None => Judgement::NotAccepted(format!("no rule is about `{locator}`")),
        }
    }
}

impl RecordedRule {
    /// How many signers the rule asks for. One that asks for nobody lets no revoked signer stand for nobody.
    fn threshold(&self) -> usize {
        match &self.wanted {
            Wanted::Signers { threshold, .. } => (*threshold).max(1),
            Wanted::Nothing | Wanted::Listed => 1,
        }
    }

    fn judge(&self, entry: &Entry) -> Judgement {
        let refused = |why: String| Judgement::NotAccepted(format!("{why}, says {}", self.place));
        if self.digests.as_ref().is_some_and(|listed| !listed.contains(&entry.root_digest)) {
            return refused(format!("its digest `{}` is not listed", entry.root_digest));
        }
        if let Some(minimum) = &self.minimum_version
            && entry.version < *minimum
        {
            return refused(format!("its version is lower than `{minimum}`"));
        }
        let signers: Vec<_> = entry.signer.iter().chain(&entry.other_signers).collect();
        let mut doubts = Vec::new();
        if let Wanted::Signers { accept, threshold } = &self.wanted
            && counted(&signers, accept, Author::surely) < *threshold
        {
            let possible = counted(&signers, accept, Author::maybe);
            if possible < *threshold {
                return refused(too_few(&signers, accept, possible, *threshold));
            }
            doubts.extend(unread(accept));
        }
        for (predicate_type, accept) in &self.attestations {
            let recorded =
                entry.attestations.iter().filter(|one| one.predicate_type == *predicate_type);
            let makers: Vec<_> = recorded.flat_map(|one| &one.signers).collect();
            if counted(&makers, accept, Author::surely) > 0 {
                continue;
            }
            if counted(&makers, accept, Author::maybe) == 0 {
                return refused(format!(
                    "no statement `{predicate_type}` by anybody who is accepted is recorded"
                ));
            }
            doubts.extend(unread(accept));
        }
        if doubts.is_empty() { Judgement::Accepted } else { Judgement::Doubted(doubts.join("; ")) }
    }
}

impl Author {
    fn surely(&self, signer: &SignerRecord) -> bool {
        match self {
            Self::Key(print) => signer.key_fingerprint.as_deref() == Some(&print.to_string()),
            Self::Unread(_) => false,
            Self::Keyless { issuer, identity } => {
                let fits = |matcher: &Matcher, name: Option<&String>| {
                    name.is_some_and(|name| matcher.matches(name))
                };
                fits(issuer, signer.issuer.as_ref()) && fits(identity, signer.identity.as_ref())
            }
        }
    }

    fn maybe(&self, signer: &SignerRecord) -> bool {
        match self {
            Self::Unread(_) => signer.key_fingerprint.is_some(),
            known => known.surely(signer),
        }
    }
}

/// How many different signers fit different authors, as an install counts them.
fn counted(
    signers: &[&SignerRecord],
    accept: &[Author],
    fits: fn(&Author, &SignerRecord) -> bool,
) -> usize {
    let known: Vec<(String, Vec<usize>)> = signers
        .iter()
        .map(|signer| {
            let fitting = accept.iter().enumerate().filter(|(_, author)| fits(author, signer));
            (called(signer), fitting.map(|(at, _)| at).collect())
        })
        .collect();
    let known = known.iter().enumerate();
    threshold::count(known.map(|(at, (name, fitting))| (at, name.as_str(), &fitting[..]))).len()
}

fn called(signer: &SignerRecord) -> String {
    match (&signer.key_fingerprint, &signer.identity, &signer.issuer) {
        (Some(print), _, _) => format!("the key `{print}`"),
        (None, Some(identity), Some(issuer)) => format!("`{identity}`, issued by `{issuer}`"),
        _ => "nobody".to_owned(),
    }
}

fn too_few(signers: &[&SignerRecord], accept: &[Author], found: usize, wanted: usize) -> String {
    let strangers: Vec<String> = signers
        .iter()
        .filter(|signer| !accept.iter().any(|author| author.maybe(signer)))
        .map(|signer| called(signer))
        .collect();
    let who = match &strangers[..] {
        [] => "too few of its signers are recorded".to_owned(),
        [nobody] if nobody == "nobody" => "it was accepted without a signature".to_owned(),
        strangers => format!("its signer {} is not accepted", strangers.join("; ")),
    };
    if wanted > 1 { format!("{who}; {found} of {wanted} signers count") } else { who }
}

fn unread(accept: &[Author]) -> impl Iterator<Item = String> {
    accept.iter().filter_map(|author| match author {
        Author::Unread(why) => Some(why.clone()),
        Author::Key(_) | Author::Keyless { .. } => None,
    })
}

impl Builder<'_> {
    fn recorded_rule(&self, value: &RuleEntry) -> Built<RecordedRule> {
        let at = value.pattern.referenced;
        let pattern =
            Pattern::parse(&value.pattern.value).map_err(|reason| self.error(at, reason))?;
        let digests = value.digests.as_ref().map(|list| {
            list.iter().map(|digest| self.digest(digest)).collect::<Built<BTreeSet<_>>>()
        });
        let digests = digests.transpose()?;
        let accept = self.authors(&value.accept)?;
        let mut attestations = Vec::new();
        for Spanned { value: wanted, .. } in &value.attestations {
            let named = &wanted.predicate_type;
            let predicate_type = crate::statement::predicate_type(&named.value)
                .map_err(|reason| self.error(named.referenced, reason))?;
            let own = self.authors(&wanted.accept)?;
            attestations.push((predicate_type, if own.is_empty() { accept.clone() } else { own }));
        }
        let wanted = match (&value.insecure, accept.is_empty(), &digests) {
            (Some(said), _, _) => self.insecure(said, true).map(|_| Wanted::Nothing)?,
            (None, true, Some(_)) => Wanted::Listed,
            (None, true, None) => {
                let why = "the rule says neither whom to accept nor which digests";
                return self.fail(at, why.into());
            }
            (None, false, _) => {
                let threshold = value.threshold.as_ref().map_or(1, |wanted| wanted.value);
                Wanted::Signers { accept, threshold }
            }
        };
        let minimum_version =
            value.minimum_version.as_ref().map(|version| self.version(version)).transpose()?;
        let place = format!("{}:{}", self.file, at.line());
        Ok(RecordedRule { pattern, place, wanted, digests, minimum_version, attestations })
    }

    fn authors(&self, entries: &[Spanned<AcceptEntry>]) -> Built<Vec<Author>> {
        let author = |Spanned { value, referenced: at, .. }: &Spanned<AcceptEntry>| match (
            &value.key,
            &value.keyless,
        ) {
            (Some(key), None) => self.recorded_key(key, *at),
            (None, Some(named)) => Ok(Author::Keyless {
                issuer: self.name(
                    "issuer",
                    named.issuer.as_ref(),
                    named.issuer_regexp.as_ref(),
                    *at,
                )?,
                identity: self.name(
                    "identity",
                    named.identity.as_ref(),
                    named.identity_regexp.as_ref(),
                    *at,
                )?,
            }),
            _ => self.fail(*at, "expected either `key` or `keyless`".into()),
        };
        entries.iter().map(author).collect()
    }

    /// A key by its fingerprint: the one that is pinned, else that of the text.
    fn recorded_key(&self, entry: &KeyEntry, at: serde_saphyr::Location) -> Built<Author> {
        if let Some(pinned) = &entry.fingerprint {
            return Ok(Author::Key(self.digest(pinned)?));
        }
        let (text, origin, _) = self.key_text(entry, at)?;
        let key = text.and_then(|text| {
            PublicKey::from_pem(&text, &origin).map_err(|error| error.to_string())
        });
        Ok(match key {
            Ok(key) => Author::Key(*key.fingerprint()),
            Err(why) => Author::Unread(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const PRINT: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const OTHER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    struct Nothing;

    impl KeySource for Nothing {
        fn file(&self, name: &str) -> Result<String, String> {
            Err(format!("no `{name}`"))
        }
        fn env(&self, name: &str) -> Result<String, String> {
            Err(format!("no `{name}`"))
        }
    }

    /// What was recorded, with these fields changed or added.
    fn entry(more: &Value) -> Entry {
        let mut entry = json!({
            "name": "demo", "kind": "rulesfile", "reference": "r.example.org/team/demo:1.2.0",
            "version": "1.2.0", "root_digest": PRINT, "manifest_digest": PRINT,
            "config_digest": PRINT, "layer_digest": PRINT, "reason": "asked for", "files": [],
            "signer": {"form": "key", "key_fingerprint": PRINT},
        });
        for (name, value) in more.as_object().unwrap() {
            entry[name] = value.clone();
        }
        serde_json::from_value(entry).unwrap()
    }

    fn judge(rule: &str, entry: &Entry) -> Judgement {
        let policy = format!("version: 1\nrules:\n  - match: r.example.org/team/*\n{rule}");
        Recheck::parse(policy.as_bytes(), "trust.yaml", &Nothing).unwrap().judge(entry)
    }

    fn key(print: &str) -> String {
        format!("{{key: {{file: k.pub, fingerprint: '{print}'}}}}")
    }

    #[track_caller]
    fn refused(rule: &str, more: &Value, why: &str) {
        match judge(rule, &entry(more)) {
            Judgement::NotAccepted(text) => assert!(text.contains(why), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signer_counts_while_the_rule_names_it() {
        let rule = format!("    accept: [{}]\n", key(PRINT));
        assert_eq!(judge(&rule, &entry(&json!({}))), Judgement::Accepted);
        let rule = format!("    accept: [{}]\n", key(OTHER));
        refused(&rule, &json!({}), &format!("the key `{PRINT}` is not accepted"));
        refused(&rule, &json!({}), "trust.yaml:3");
        let keyless = |identity: &str| {
            format!("    accept: [{{keyless: {{issuer: https://i, identity: {identity}}}}}]\n")
        };
        let signer =
            json!({"signer": {"form": "keyless", "identity": "https://x", "issuer": "https://i"}});
        assert_eq!(judge(&keyless("https://x"), &entry(&signer)), Judgement::Accepted);
        refused(&keyless("https://y"), &signer, "`https://x`, issued by `https://i`");
        // A fingerprint is no identity.
        refused(&keyless("https://y"), &json!({}), "the key");
    }

    #[test]
    fn version_digest_and_repository_are_held_to_the_rule() {
        let rule = format!("    accept: [{}]\n", key(PRINT));
        refused(&format!("{rule}    minimum-version: 1.3.0\n"), &json!({}), "lower than `1.3.0`");
        let minimum = format!("{rule}    minimum-version: 1.2.0\n");
        assert_eq!(judge(&minimum, &entry(&json!({}))), Judgement::Accepted);
        refused(&format!("{rule}    digests: ['{OTHER}']\n"), &json!({}), "is not listed");
        let elsewhere = json!({"reference": "r.example.org/team/sub/demo:1.2.0"});
        refused(&rule, &elsewhere, "no rule is about `r.example.org/team/sub/demo`");
    }

    #[test]
    fn what_was_accepted_unsigned_stays_so_only_while_the_policy_says_it() {
        for signer in [Value::Null, json!({"form": "unsigned-accepted"})] {
            let unsigned = json!({ "signer": signer });
            let free = "    insecure: accept unsigned\n";
            assert_eq!(judge(free, &entry(&unsigned)), Judgement::Accepted);
            assert_eq!(judge(free, &entry(&json!({}))), Judgement::Accepted);
            let listed = format!("    digests: ['{PRINT}']\n");
            assert_eq!(judge(&listed, &entry(&unsigned)), Judgement::Accepted);
            match judge(&format!("    accept: [{}]\n", key(PRINT)), &entry(&unsigned)) {
                Judgement::NotAccepted(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_an_older_version_did_not_record_does_not_count() {
        let rule = format!("    accept: [{}, {}]\n    threshold: 2\n", key(PRINT), key(OTHER));
        refused(&rule, &json!({}), "1 of 2 signers count");
        let both = json!({"other_signers": [{"form": "key", "key_fingerprint": OTHER}]});
        assert_eq!(judge(&rule, &entry(&both)), Judgement::Accepted);
        // One signer is no two.
        let twice = json!({"other_signers": [{"form": "key", "key_fingerprint": PRINT}]});
        refused(&rule, &twice, "1 of 2 signers count");
        let rule =
            format!("    accept: [{}]\n    attestations: [{{predicate-type: spdx}}]\n", key(PRINT));
        refused(&rule, &json!({}), "no statement `https://spdx.dev/Document`");
        let made = |print: &str| {
            json!({"attestations": [{"predicate_type": "https://spdx.dev/Document",
                "signers": [{"form": "key", "key_fingerprint": print}]}]})
        };
        assert_eq!(judge(&rule, &entry(&made(PRINT))), Judgement::Accepted);
        refused(&rule, &made(OTHER), "by anybody who is accepted");
    }

    #[test]
    fn a_key_that_cannot_be_read_is_doubted_and_nothing_else_is() {
        let unread = "{key: {file: gone.pub}}";
        let rule = format!("    accept: [{unread}]\n");
        match judge(&rule, &entry(&json!({}))) {
            Judgement::Doubted(why) => assert!(why.contains("gone.pub"), "{why}"),
            other => panic!("{other:?}"),
        }
        let rule = format!("    accept: [{unread}, {}]\n", key(PRINT));
        assert_eq!(judge(&rule, &entry(&json!({}))), Judgement::Accepted);
        let signer =
            json!({"signer": {"form": "keyless", "identity": "https://x", "issuer": "https://i"}});
        refused(&rule, &signer, "`https://x`");
        let command = "    accept: [{key: {command: [kms, release]}}]\n";
        assert!(matches!(judge(command, &entry(&json!({}))), Judgement::Doubted(_)));
    }

    #[test]
    fn an_index_that_may_speak_may_have_accepted_what_no_rule_is_about() {
        let policy = "version: 1\nrules: []\nindexes:\n  - {index: i, insecure: accept unsigned, signatures: SAID}\n";
        let parse = |said: &str| {
            Recheck::parse(policy.replace("SAID", said).as_bytes(), "trust.yaml", &Nothing).unwrap()
        };
        assert!(matches!(parse("ignored").judge(&entry(&json!({}))), Judgement::NotAccepted(_)));
        assert_eq!(parse("honoured").judge(&entry(&json!({}))), Judgement::Accepted);
        let others = parse("ignored").with_others_accepting(true);
        assert_eq!(others.judge(&entry(&json!({}))), Judgement::Accepted);
        assert_eq!(Recheck::default().judge(&entry(&json!({}))), Judgement::Accepted);
    }

    #[test]
    fn a_policy_that_cannot_be_understood_is_an_error() {
        for rule in ["    accept: []\n", "    accept: [{}]\n", "    acept: []\n"] {
            let policy = format!("version: 1\nrules:\n  - match: r.example.org/x\n{rule}");
            assert!(Recheck::parse(policy.as_bytes(), "trust.yaml", &Nothing).is_err(), "{rule}");
        }
    }
}
