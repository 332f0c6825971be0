//! Comparisons that are valid but hardly what was meant.

use super::error::CheckWarning;
use crate::fields;
use crate::syntax::ast::{Check, Literal, Operator, Right, Transform};

/// Characters without which a pattern is a plain text.
const META: &[char] = &['.', '+', '*', '?', '^', '$', '(', ')', '[', ']', '{', '}', '\\', '|'];

/// What looks wrong in one comparison, once per value.
pub(super) fn inspect(check: &Check, source: &str, out: &mut Vec<CheckWarning>) {
    let values: &[Literal] = match &check.right {
        Right::Literal(literal) => std::slice::from_ref(literal),
        Right::List(literals) => literals,
        Right::None | Right::Operand(_) => &[],
    };
    for literal in values {
        let Ok(value) = std::str::from_utf8(&literal.value) else { continue };
        if check.op == Operator::Regex && is_plain(value) {
            out.push(CheckWarning::PlainRegex { pattern: value.to_owned(), span: literal.span });
        }
        let bare: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if fields::exists(&bare, source) {
            out.push(CheckWarning::FieldAsText { value: bare, span: literal.span });
        } else if looks_like_call(&bare) {
            out.push(CheckWarning::TransformAsText { value: bare, span: literal.span });
        }
    }
}

/// Whether nothing but anchors and wildcards at the ends makes the pattern more than a text.
fn is_plain(pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    let wild = [".*", ".+", ".?"];
    let pattern = wild.iter().find_map(|wild| pattern.strip_prefix(wild)).unwrap_or(pattern);
    let pattern = wild.iter().find_map(|wild| pattern.strip_suffix(wild)).unwrap_or(pattern);
    !pattern.contains(META)
}

fn looks_like_call(value: &str) -> bool {
    let Some((name, rest)) = value.split_once('(') else { return false };
    rest.ends_with(')')
        && (name == Transform::Val.as_str()
            || Transform::CALLS.iter().any(|call| call.as_str() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_without_metacharacters() {
        for plain in
            ["syscall", "^syscall", "syscall$", ".*syscall", ".+syscall.+", "^.?syscall.?$"]
        {
            assert!(is_plain(plain), "{plain}");
        }
        for pattern in ["s.*l", "a|b", "a+", "[ab]", "\\.", "..*a"] {
            assert!(!is_plain(pattern), "{pattern}");
        }
    }

    #[test]
    fn calls_by_known_names_only() {
        assert!(looks_like_call("tolower(evt.plugininfo)") && looks_like_call("val(proc.name)"));
        assert!(
            !looks_like_call("lower(x)") && !looks_like_call("tolower(x") && !looks_like_call("x")
        );
    }
}
