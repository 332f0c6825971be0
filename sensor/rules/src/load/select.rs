//! Which rules run: selections by name and tag, after all files.
use crate::collect::Rule;

/// Switches some rules on or off. With both a pattern and a tag, both apply, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// On, or off.
    pub enable: bool,
    /// Rules whose whole name matches; `*` stands for any text.
    pub rule: Option<String>,
    /// Rules that have this tag.
    pub tag: Option<String>,
}

impl Selection {
    /// Whether the selection says anything about a rule.
    pub fn concerns(&self, rule: &Rule) -> bool {
        let by_name = self.rule.as_ref().is_some_and(|p| wildcard_match(p, &rule.header.name));
        by_name || self.tag.as_ref().is_some_and(|tag| rule.tags.contains(tag))
    }
}

/// Whether a rule runs, of what the file says and the selections, the last of which wins.
pub fn is_enabled(rule: &Rule, selections: &[Selection]) -> bool {
    let last = selections.iter().rev().find(|selection| selection.concerns(rule));
    last.map_or(rule.enabled, |selection| selection.enable)
}

/// Whether a pattern with `*` for any text matches the whole of a name.
pub fn wildcard_match(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        // The first place is the best one for every piece but the last, which stands at the end.
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// The name of a rule in metrics: other characters than letters, digits, `_` and `:` become `_`,
/// and runs of `_` one.
pub fn metric_name(rule: &str) -> String {
    let mut out = String::with_capacity(rule.len());
    for c in rule.chars() {
        let c = if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    if out.ends_with('_') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name) in
            [("*", ""), ("a*", "a"), ("*ab*abc", "ababc"), ("a**c", "abc"), ("", ""), ("a*a", "aa")]
        {
            assert!(wildcard_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*a", "a"), ("a", "A"), ("", "a"), ("a*", "ba"), ("a?", "ab")] {
            assert!(!wildcard_match(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn metric_names_are_squeezed() {
        assert_eq!(metric_name("A (b): c)"), "A_b_:_c");
        assert_eq!(metric_name("é"), "");
        assert_eq!(metric_name("a__b"), "a_b");
    }
}
