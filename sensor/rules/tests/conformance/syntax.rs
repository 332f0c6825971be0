//! Kinds that need the grammar alone.
use eyas_rules::syntax::{Limits, canonical, parse, readable, unquote};

use crate::cases::{Case, Outcome};

pub(crate) fn parse_case(case: &Case) -> Outcome {
    let input = case.text("input");
    let parsed = parse(input, Limits::filter());
    if let Ok(expr) = &parsed {
        let text = readable(expr);
        let again = parse(&text, Limits::filter());
        if again.as_ref().map(canonical) != Ok(canonical(expr)) {
            return Outcome::Failed(format!("`{text}` reads back as {again:?}"));
        }
    }
    let about = parsed.as_ref().map_or_else(ToString::to_string, canonical);
    let expected = case.expected()["ok"].as_bool().unwrap_or_default();
    Outcome::same(&expected, &parsed.is_ok(), &about)
}

pub(crate) fn unescape_case(case: &Case) -> Outcome {
    let found = unquote(case.text("input")).ok().map(|bytes| hex(&bytes));
    let expected = case.expected()["hex"].as_str().map(str::to_owned);
    Outcome::same(&expected, &found, case.text("input"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
