//! What a syntax mistake says: what was found, what was expected, what was probably meant.
use super::ast::{Operator, Transform};
use super::parser::Parser;
use super::{SyntaxCode, SyntaxError};
use crate::report::nearest;

/// Longest piece of the found text that a message repeats, in characters.
const FOUND_LENGTH: usize = 24;

impl Parser<'_> {
    /// A mistake at the cursor.
    pub(super) fn error(&self, code: SyntaxCode, message: impl Into<String>) -> SyntaxError {
        SyntaxError { code, message: message.into(), offset: self.lexer.at(), hint: None }
    }

    /// Something else stands at the cursor.
    pub(super) fn expected(&self, what: &str) -> SyntaxError {
        let found = self.found();
        self.error(SyntaxCode::Expected, format!("expected {what}, found {found}"))
            .with_hint(foreign(self.lexer.rest()))
    }

    /// `and` or `or` runs into the next word.
    pub(super) fn run_on(&self, word: &str) -> SyntaxError {
        let found = self.found();
        let message = format!("expected a blank or `(` after `{word}`, found {found}");
        self.error(SyntaxCode::MissingBlank, message)
    }

    /// A left side without an operator that exists.
    pub(super) fn no_operator(&self) -> SyntaxError {
        let word = word(self.lexer.rest());
        let run_on = Operator::ALL
            .iter()
            .map(|op| op.as_str())
            .filter(|op| op.len() > 2 && word.starts_with(op))
            .max_by_key(|op| op.len());
        if let Some(op) = run_on {
            return self.error(
                SyntaxCode::MissingBlank,
                format!("expected a blank after `{op}`, found {}", self.found()),
            );
        }
        let error = self.expected("an operator");
        match nearest(word, Operator::ALL.iter().map(|op| op.as_str())) {
            Some(op) if error.hint.is_none() => {
                error.with_hint(Some(format!("did you mean `{op}`?")))
            }
            _ => error,
        }
    }

    /// The condition is complete, but the text goes on.
    pub(super) fn leftover(&self) -> SyntaxError {
        let rest = self.lexer.rest();
        let message = format!("expected `and`, `or` or the end, found {}", self.found());
        let error = self.error(SyntaxCode::Leftover, message);
        if rest.starts_with('(') {
            let names = Transform::CALLS.map(Transform::as_str).join("`, `");
            return error.with_hint(Some(format!("the transformers are `{names}`")));
        }
        let bracketed = rest.starts_with('[');
        let hint = bracketed.then(|| "no blank may stand before `[`".to_owned());
        error.with_hint(hint.or_else(|| foreign(rest)))
    }

    fn found(&self) -> String {
        let rest = self.lexer.rest();
        let Some(first) = rest.chars().next() else { return "the end".to_owned() };
        let word = word(rest);
        if word.is_empty() {
            return format!("`{}`", first.escape_debug());
        }
        let shown: String = word.chars().take(FOUND_LENGTH).collect();
        let cut = if shown.len() < word.len() { "…" } else { "" };
        format!("`{}{cut}`", shown.escape_debug())
    }
}

impl SyntaxError {
    fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// The word at the start of a text: up to a blank or something that groups.
fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '[' | ']' | '"' | '\''));
    &text[..end.unwrap_or(text.len())]
}

/// Signs and capitals of other languages.
fn foreign(rest: &str) -> Option<String> {
    let meant = match word(rest) {
        "&&" | "&" => "and",
        "||" | "|" => "or",
        "=~" | "~" => "regex",
        word if word.starts_with('!') && !word.starts_with("!=") => "not",
        word if is_keyword(&word.to_ascii_lowercase()) && !is_keyword(word) => {
            return Some(format!(
                "words of the language are lower case: `{}`",
                word.to_ascii_lowercase()
            ));
        }
        word if word.starts_with('#') => {
            return Some("conditions have no comments".to_owned());
        }
        _ => return None,
    };
    Some(format!("write `{meant}`"))
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "and" | "or" | "not") || Operator::ALL.iter().any(|op| op.as_str() == word)
}
