//! Rules files, conditions and output templates, as far as a rule set that could run.

use eyas_rules::{EngineOptions, SourceFile, load};

/// A whole file.
pub fn rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    compile(text.to_owned());
}

/// The condition of a rule.
pub fn condition(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    compile(rule(text, "o"));
}

/// The output of a rule.
pub fn output(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    compile(rule("evt.type = open", text));
}

fn rule(condition: &str, output: &str) -> String {
    // A JSON string is a YAML string.
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    format!(
        "- rule: r\n  desc: d\n  condition: {}\n  output: {}\n  priority: INFO\n",
        quoted(condition),
        quoted(output)
    )
}

fn compile(text: String) {
    let file = SourceFile { name: "fuzz.yaml".to_owned(), text };
    let outcome = load(std::slice::from_ref(&file), &EngineOptions::default());
    for result in &outcome.results {
        let _ = eyas_rules::report::result_text(result);
    }
    for report in &outcome.reports {
        let _ = eyas_rules::report::render(report, std::slice::from_ref(&file), false);
    }
}
