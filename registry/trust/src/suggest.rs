//! The policy lines that would accept what was found.
//!
//! Whoever is refused should be able to decide, not to guess: the lines are complete and can be
//! pasted. They are suggestions to a person; nothing in this crate applies them.

use std::fmt::Write as _;

use crate::keyless::Facts;
use crate::policy::ACCEPT_UNSIGNED;

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
