//! The policy lines that would accept what was found.
//!
//! Whoever is refused should be able to decide, not to guess: the lines are complete and can be
//! pasted. They are suggestions to a person; nothing in this crate applies them.

use std::fmt::Write as _;

use crate::PolicyError;
use crate::keyless::Facts;
use crate::policy::{ACCEPT_UNSIGNED, KeySource, SystemKeys};

/// The rule that accepts `repository` without a signature.
pub(crate) fn unsigned(repository: &str) -> String {
    format!("  - match: {}\n    insecure: {ACCEPT_UNSIGNED}\n", scalar(repository))
}

/// The rule that accepts what was proven about `repository`.
pub(crate) fn rule(repository: &str, observed: &[Facts], by_key: bool) -> Option<String> {
    if observed.is_empty() && !by_key {
        return None;
    }
    let mut lines = format!("  - match: {}\n    accept:\n", scalar(repository));
    let mut seen = Vec::new();
    for facts in observed {
        let signer = (&facts.issuer, &facts.identity);
        if seen.contains(&signer) {
            continue;
        }
        seen.push(signer);
        // Writing to a string cannot fail.
        let _ = write!(
            lines,
            "      - keyless:\n          issuer: {}\n          identity: {}\n",
            scalar(&facts.issuer),
            scalar(&facts.identity)
        );
    }
    if by_key {
        lines.push_str("      - key: {file: PUBLIC-KEY-OF-THE-SIGNER.pub}\n");
    }
    Some(lines)
}

/// What is to be added to a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addition {
    /// Accept a key.
    Key {
        /// References that the rule is about.
        pattern: String,
        /// File of the public key, relative to the policy or absolute.
        file: String,
        /// Its fingerprint, which is pinned.
        fingerprint: String,
    },
    /// Accept an identity.
    Identity {
        /// References that the rule is about.
        pattern: String,
        /// The identity, compared as a whole.
        identity: String,
        /// Its issuer, compared as a whole.
        issuer: String,
    },
    /// Trust a root.
    Root {
        /// Its file.
        file: String,
        /// What the file has, or will have: the policy is tried before the file is written.
        json: String,
    },
}

/// Files of the policy as they will be.
struct Planned<'a> {
    keys: SystemKeys,
    addition: &'a Addition,
}

impl KeySource for Planned<'_> {
    fn file(&self, name: &str) -> Result<String, String> {
        match self.addition {
            Addition::Root { file, json } if file == name => Ok(json.clone()),
            _ => self.keys.file(name),
        }
    }

    fn env(&self, name: &str) -> Result<String, String> {
        self.keys.env(name)
    }

    fn command(&self, argv: &[String]) -> Result<String, String> {
        self.keys.command(argv)
    }
}

impl Addition {
    /// The list that it belongs to, and its lines.
    fn lines(&self) -> (&'static str, String) {
        match self {
            Self::Key { pattern, file, fingerprint } => (
                "rules",
                format!(
                    "  - match: {}\n    accept:\n      - key:\n          file: {}\n          \
                     fingerprint: {}\n",
                    scalar(pattern),
                    scalar(file),
                    scalar(fingerprint)
                ),
            ),
            Self::Identity { pattern, identity, issuer } => (
                "rules",
                format!(
                    "  - match: {}\n    accept:\n      - keyless:\n          issuer: {}\n          \
                     identity: {}\n",
                    scalar(pattern),
                    scalar(issuer),
                    scalar(identity)
                ),
            ),
            Self::Root { file, .. } => ("trusted-roots", format!("  - file: {}\n", scalar(file))),
        }
    }
}

/// Adds to a policy file in front of what its list has, leaving every other line as it is; gives the new text and
/// the lines that were added. The result is a policy, or nothing is given.
pub fn add_rule(
    text: &str,
    name: &str,
    addition: &Addition,
) -> Result<(String, String), Box<PolicyError>> {
    let (list, lines) = addition.lines();
    let text = if text.trim().is_empty() { "version: 1\nrules: []\n" } else { text };
    let mut added = String::new();
    let mut done = false;
    for line in text.lines() {
        let bare = line.split('#').next().unwrap_or_default().trim_end();
        let empty = bare == format!("{list}: []");
        if !done && (empty || bare == format!("{list}:")) {
            done = true;
            let kept = if empty { line.replacen(" []", "", 1) } else { line.to_owned() };
            let _ = write!(added, "{kept}\n{lines}");
        } else {
            let _ = writeln!(added, "{line}");
        }
    }
    if !done {
        // A policy that names no root trusts the public one, and still does with another one.
        let public = if list == "trusted-roots" { "  - embedded: public-good\n" } else { "" };
        let _ = write!(added, "{list}:\n{lines}{public}");
    }
    let keys = Planned { keys: SystemKeys::beside(name), addition };
    crate::Policy::parse_with(added.as_bytes(), name, &keys)?;
    Ok((added, lines))
}

/// A YAML scalar that cannot become anything else: what a certificate says is not ours to trust.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_' | '@');
    let safe_start = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if safe_start && text.contains(['.', '/', '@']) && text.chars().all(plain) {
        return text.to_owned();
    }
    // JSON strings are YAML scalars.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn suggested_lines_are_a_policy() {
        for repository in ["r.example/x", "127.0.0.1:5000/a/b", "[::1]:5000/x"] {
            let yaml = format!("version: 1\nrules:\n{}", unsigned(repository));
            let policy = Policy::parse(yaml.as_bytes(), "t.yaml").unwrap();
            let asked = format!("{repository}:1").parse().unwrap();
            assert!(policy.rule_for(&asked).unwrap().accepts_unsigned(), "{yaml}");
        }
    }

    #[test]
    fn a_rule_is_added_in_front_and_the_rest_stays() {
        let rule = Addition::Identity {
            pattern: "r.example/x".into(),
            identity: "https://ci.example/x".into(),
            issuer: "https://issuer.example".into(),
        };
        let before = "# ours\nversion: 1\nrules: # in order\n  - match: r.example/**\n    insecure: accept unsigned\n";
        let (after, lines) = add_rule(before, "t.yaml", &rule).unwrap();
        assert!(
            after.starts_with("# ours\nversion: 1\nrules: # in order\n  - match: r.example/x\n")
        );
        assert!(after.ends_with("insecure: accept unsigned\n") && after.contains(&lines));
        let (fresh, _) = add_rule("", "t.yaml", &rule).unwrap();
        let policy = Policy::parse(fresh.as_bytes(), "t.yaml").unwrap();
        assert_eq!(policy.rules().len(), 1);
        let error = add_rule(&after, "t.yaml", &rule).unwrap_err();
        assert!(error.to_string().contains("already has the rule"), "{error}");
    }

    #[test]
    fn another_root_does_not_replace_the_public_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("corp.json");
        let json = crate::RootSource::PublicGood.to_json().unwrap();
        let root = Addition::Root { file: file.display().to_string(), json: json.clone() };
        let (after, _) = add_rule("version: 1\n", "t.yaml", &root).unwrap();
        std::fs::write(&file, json).unwrap();
        assert_eq!(Policy::parse(after.as_bytes(), "t.yaml").unwrap().roots().len(), 2);
        let (again, _) = add_rule(&after, "t.yaml", &root).unwrap();
        assert_eq!(Policy::parse(again.as_bytes(), "t.yaml").unwrap().roots().len(), 3);
    }

    #[test]
    fn nothing_found_suggests_no_signer() {
        assert_eq!(rule("r.example/x", &[], false), None);
        assert!(rule("r.example/x", &[], true).unwrap().contains("- key: {file:"));
    }

    #[test]
    fn hostile_names_stay_scalars() {
        for text in
            ["a: b", "x\n    insecure: accept unsigned", "#c", "- d", "1e3", "null", "\u{1b}[31m"]
        {
            let yaml = format!("name: {}\n", scalar(text));
            let read: std::collections::BTreeMap<String, String> =
                serde_saphyr::from_str(&yaml).unwrap();
            assert_eq!(read["name"], text);
            assert_eq!(yaml.lines().count(), 1);
        }
    }
}
