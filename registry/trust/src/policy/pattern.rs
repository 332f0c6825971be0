//! Which references a rule is about.
//!
//! A pattern is matched against `registry/repository`, segment by segment, and always as a whole:
//! a rule for a parent path says nothing about what is below it unless it ends in `/**`. `*`
//! stands for any run of characters within one segment, `**` for any number of whole segments.

/// A parsed pattern over `registry/repository`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    source: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// Literal pieces between the `*`; one piece means no wildcard.
    Pieces(Vec<String>),
}

/// Longest pattern that is read; longer than any registry and repository together.
pub const MAX_PATTERN_BYTES: usize = 512;

impl Pattern {
    /// Parses a pattern; the error says what is wrong with it.
    pub fn parse(source: &str) -> Result<Self, String> {
        if source.is_empty() {
            return Err("an empty pattern matches nothing".into());
        }
        if source.len() > MAX_PATTERN_BYTES {
            return Err(format!(
                "the pattern has {} bytes, the limit is {MAX_PATTERN_BYTES}",
                source.len()
            ));
        }
        if source.contains("://") {
            return Err(format!("`{source}` has a scheme, expected `registry/repository`"));
        }
        let mut segments = source.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        // A host is the same however it is spelt; a repository has no capitals, and a rule that can
        // never match would leave what it is about to the rules after it.
        let (registry, repository) = source.split_once('/').unwrap_or((source, ""));
        if repository.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(format!(
                "`{source}` can match nothing: repositories are in lower case, expected `{registry}/{}`",
                repository.to_ascii_lowercase()
            ));
        }
        if let Some(host) = segments.first_mut() {
            *host = segment(&registry.to_ascii_lowercase())?;
        }
        if segments.len() == 1 && segments.first() != Some(&Segment::Any) {
            return Err(format!(
                "`{source}` names no repository, expected `registry/repository` or `registry/**`"
            ));
        }
        Ok(Self { source: source.to_owned(), segments })
    }

    /// Matches everything.
    pub fn everything() -> Self {
        Self { source: "**".into(), segments: vec![Segment::Any] }
    }

    /// Matches exactly one `registry/repository`, whatever characters it has.
    pub fn exactly(repository: &str) -> Self {
        let literal = |text: &str| Segment::Pieces(vec![text.to_owned()]);
        Self {
            source: repository.to_owned(),
            segments: repository.split('/').map(literal).collect(),
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the whole of `repository` (`registry/repository`) is matched.
    pub fn matches(&self, repository: &str) -> bool {
        let path: Vec<&str> = repository.split('/').collect();
        match_segments(&self.segments, &path)
    }
}

fn segment(text: &str) -> Result<Segment, String> {
    if text == "**" {
        return Ok(Segment::Any);
    }
    if text.is_empty() {
        return Err("the pattern has an empty segment between two `/`".into());
    }
    if text.contains("**") {
        return Err(format!("`{text}`: `**` stands for whole segments only"));
    }
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return Err(format!("`{text}`: `{bad}` cannot be part of a registry or repository"));
    }
    Ok(Segment::Pieces(text.split('*').map(str::to_owned).collect()))
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '*' | '[' | ']')
}

/// Greedy matching with one point to come back to: linear in practice, quadratic at worst, and
/// both sides are short.
fn match_segments(pattern: &[Segment], path: &[&str]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while s < path.len() {
        match (pattern.get(p), path.get(s)) {
            (Some(Segment::Any), _) => {
                retry = Some((p, s));
                p += 1;
            }
            (Some(Segment::Pieces(pieces)), Some(text)) if match_pieces(pieces, text) => {
                p += 1;
                s += 1;
            }
            _ => match retry {
                Some((at, from)) => {
                    retry = Some((at, from + 1));
                    p = at + 1;
                    s = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|segment| *segment == Segment::Any))
}

/// First piece is a prefix, last a suffix, the ones between in order and without overlap.
fn match_pieces(pieces: &[String], text: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return false };
    let Some((last, middle)) = rest.split_last() else { return first == text };
    let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        let Some(at) = left.find(piece.as_str()) else { return false };
        left = left.get(at + piece.len()..).unwrap_or_default();
    }
    left.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, repository: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(repository)
    }

    #[test]
    fn a_pattern_is_about_the_whole_reference() {
        assert!(matches("ghcr.io/org/rules", "ghcr.io/org/rules"));
        assert!(!matches("ghcr.io/org/rules", "ghcr.io/org/rules/evil"));
        assert!(!matches("ghcr.io/org/rules", "ghcr.io/org"));
        assert!(!matches("ghcr.io/org/rules", "evil.example/ghcr.io/org/rules"));
        assert!(!matches("ghcr.io/org/rules", "ghcr.io/org/rules2"));
    }

    #[test]
    fn one_star_stays_within_a_segment() {
        assert!(matches("ghcr.io/org/*", "ghcr.io/org/rules"));
        assert!(!matches("ghcr.io/org/*", "ghcr.io/org/rules/more"));
        assert!(matches("ghcr.io/org/*-rules", "ghcr.io/org/k8s-rules"));
        assert!(!matches("ghcr.io/org/*-rules", "ghcr.io/org/k8s-rules-x"));
        assert!(matches("*.example.com:5000/x", "a.example.com:5000/x"));
        assert!(!matches("*.example.com/x", "example.com/x"));
        assert!(matches("r/a*b*c", "r/a1b2c"));
        assert!(!matches("r/ab*ba", "r/aba"), "pieces do not overlap");
    }

    #[test]
    fn two_stars_span_segments() {
        assert!(matches("ghcr.io/org/**", "ghcr.io/org/a/b/c"));
        assert!(matches("ghcr.io/org/**", "ghcr.io/org"));
        assert!(matches("ghcr.io/**/rules", "ghcr.io/a/b/rules"));
        assert!(!matches("ghcr.io/**/rules", "ghcr.io/a/b/rules/c"));
        assert!(matches("**", "anything.example/at/all"));
        assert!(matches("**/a/**/b", "r/a/a/x/b"));
    }

    #[test]
    fn a_host_is_the_same_however_it_is_spelt() {
        assert!(matches("GHCR.io/org/**", "ghcr.io/org/rules"));
        assert!(matches("*.Example.com:5000/x", "a.example.com:5000/x"));
        assert_eq!(Pattern::parse("GHCR.io/org/x").unwrap().as_str(), "GHCR.io/org/x");
        // Who means another place is told, and not left to the next rule.
        let error = Pattern::parse("ghcr.io/Org/**").unwrap_err();
        assert!(error.contains("lower case") && error.contains("`ghcr.io/org/**`"), "{error}");
    }

    #[test]
    fn exact_patterns_take_no_character_as_a_wildcard() {
        assert!(Pattern::exactly("r.example/a").matches("r.example/a"));
        assert!(!Pattern::exactly("r.example/*").matches("r.example/a"));
    }

    #[test]
    fn what_cannot_match_is_refused() {
        for (bad, why) in [
            ("", "empty pattern"),
            ("ghcr.io", "names no repository"),
            ("https://ghcr.io/x", "scheme"),
            ("ghcr.io//x", "empty segment"),
            ("ghcr.io/x/", "empty segment"),
            ("ghcr.io/a**", "whole segments"),
            ("ghcr.io/a b", "cannot be part"),
            ("ghcr.io/a@sha256", "cannot be part"),
        ] {
            let error = Pattern::parse(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
        let edge = format!("r/{}", "a".repeat(MAX_PATTERN_BYTES - 2));
        assert!(Pattern::parse(&edge).is_ok());
        assert!(Pattern::parse(&format!("{edge}a")).unwrap_err().contains("limit"));
    }
}
