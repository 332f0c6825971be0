//! How a name in a certificate is compared with what the policy says.
//!
//! A name is either the same or matches an expression as a whole. An unanchored expression for
//! `https://github.com/org/` would also accept `https://evil.example/?https://github.com/org/`,
//! so there is no way to write one here.

use regex::{Regex, RegexBuilder};

/// Compiled size an expression may have; far above any list of workflow names.
const MAX_PROGRAM_BYTES: usize = 256 * 1024;

/// Exact text or an anchored expression.
#[derive(Debug, Clone)]
pub struct Matcher {
    source: String,
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    Exact,
    Whole(Regex),
    Prefix(Regex),
}

impl Matcher {
    /// The same text, byte for byte.
    pub fn exact(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty name matches nothing".into());
        }
        Ok(Self { source: text.to_owned(), how: How::Exact })
    }

    /// An expression that must match the whole name.
    pub fn whole(expression: &str) -> Result<Self, String> {
        let regex = compile(expression, &format!("^(?:{expression})$"))?;
        Ok(Self { source: expression.to_owned(), how: How::Whole(regex) })
    }

    /// An expression that must match from the start of the name and may leave a rest: what index
    /// files in use mean by `https://github.com/org/`.
    pub fn prefix(expression: &str) -> Result<Self, String> {
        let regex = compile(expression, &format!("^(?:{expression})"))?;
        Ok(Self { source: expression.to_owned(), how: How::Prefix(regex) })
    }

    /// Whether `name` is accepted.
    pub fn matches(&self, name: &str) -> bool {
        match &self.how {
            How::Exact => self.source == name,
            How::Whole(regex) | How::Prefix(regex) => regex.is_match(name),
        }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.how {
            How::Exact => write!(f, "`{}`", self.source),
            How::Whole(_) => write!(f, "the expression `{}`", self.source),
            How::Prefix(_) => write!(f, "a name that starts with `{}`", self.source),
        }
    }
}

/// `expression` is compiled on its own first, so that `a)|(b` cannot close the group that anchors
/// it, then `anchored` is.
fn compile(expression: &str, anchored: &str) -> Result<Regex, String> {
    if expression.is_empty() {
        return Err("an empty expression matches everything".into());
    }
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(MAX_PROGRAM_BYTES)
            .build()
            .map_err(|error| format!("`{expression}` is not a usable expression: {error}"))
    };
    build(expression)?;
    build(anchored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_is_exact() {
        let matcher = Matcher::exact("a.b").unwrap();
        assert!(matcher.matches("a.b"));
        assert!(!matcher.matches("axb") && !matcher.matches("a.b ") && !matcher.matches("A.b"));
    }

    #[test]
    fn expressions_cover_the_whole_name() {
        let matcher = Matcher::whole("https://github.com/org/.*").unwrap();
        assert!(matcher.matches("https://github.com/org/repo/.github/workflows/x.yml@refs/tags/1"));
        assert!(!matcher.matches("https://evil.example/?https://github.com/org/x"));
        let matcher = Matcher::whole("a|b").unwrap();
        assert!(matcher.matches("a") && matcher.matches("b"));
        assert!(!matcher.matches("ax") && !matcher.matches("xb"), "both branches are anchored");
    }

    #[test]
    fn a_new_line_does_not_end_the_name() {
        let matcher = Matcher::whole("good").unwrap();
        assert!(!matcher.matches("good\nevil") && !matcher.matches("good\n"));
    }

    #[test]
    fn prefixes_are_anchored_at_the_start() {
        let matcher = Matcher::prefix("https://github.com/org/").unwrap();
        assert!(matcher.matches("https://github.com/org/repo"));
        assert!(!matcher.matches("https://evil.example/https://github.com/org/repo"));
        let matcher = Matcher::prefix("x|y").unwrap();
        assert!(!matcher.matches("ay"));
    }

    #[test]
    fn what_would_break_the_anchor_is_refused() {
        assert!(Matcher::whole("a)|(?:.*").is_err());
        assert!(Matcher::whole("").is_err() && Matcher::prefix("").is_err());
        assert!(Matcher::exact("").is_err());
        assert!(Matcher::whole("(").unwrap_err().contains("`(`"));
    }

    #[test]
    fn huge_expressions_are_refused() {
        assert!(Matcher::whole(r"\w{200}{200}").is_err());
    }

    #[test]
    fn flags_inside_an_expression_stay_inside() {
        let matcher =
            Matcher::whole("(?x) a # comment").unwrap_or_else(|_| Matcher::exact("a").unwrap());
        assert!(!matcher.matches("ab"));
    }
}
