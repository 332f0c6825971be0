//! Questions about the language, one JSON object each, and their answers: what `eyas rules eval`
//! speaks, line by line.
//!
//! Owns the form of questions and answers. Every question has exactly one answer, whatever it is:
//! what is no question is answered with an error like a condition that does not parse. What an
//! answer says comes from the other modules.
mod bundle;
mod condition;
mod refusal;
mod template;

use serde_json::{Map, Value};

use refusal::Refusal;

/// Answers one kind of question.
type Answering = fn(&Map<String, Value>) -> Result<Value, Refusal>;

/// Longest question, in bytes. Whoever reads questions from a stream should not collect more.
pub const LONGEST_QUESTION: usize = 64 * 1024 * 1024;

/// Code of an answer to what is no question.
pub const NO_QUESTION: &str = "question";

/// Answers one question, the text of one JSON object.
pub fn answer(question: &[u8]) -> Value {
    answered(question).unwrap_or_else(Refusal::into_answer)
}

/// The answer to something that could not be asked, such as a line that is too long.
pub fn refuse(message: &str) -> Value {
    Refusal::question(message.to_owned(), 0).into_answer()
}

fn answered(question: &[u8]) -> Result<Value, Refusal> {
    if question.len() > LONGEST_QUESTION {
        return Err(Refusal::question(too_long(), LONGEST_QUESTION));
    }
    let parsed: Value = serde_json::from_slice(question).map_err(|error| {
        let message = format!("expected a JSON object, found none: {error}");
        Refusal::question(message, error.column().saturating_sub(1))
    })?;
    let Value::Object(question) = parsed else {
        return Err(Refusal::question("expected a JSON object".to_owned(), 0));
    };
    let kinds: [(&str, Answering); 4] = [
        ("grammar", condition::grammar),
        ("condition", condition::condition),
        ("format", template::format),
        ("rules", bundle::rules),
    ];
    let mut asked = kinds.iter().filter(|(key, _)| question.contains_key(*key));
    match (asked.next(), asked.next()) {
        (Some((_, answer)), None) => answer(&question),
        (Some((one, _)), Some((other, _))) => {
            let message = format!("expected one question, found both `{one}` and `{other}`");
            Err(Refusal::question(message, 0))
        }
        (None, _) => {
            let expected = "expected one of `grammar`, `condition`, `format` and `rules`";
            let found: Vec<&str> = question.keys().map(String::as_str).collect();
            let message = match found.as_slice() {
                [] => format!("{expected}, found nothing"),
                found => format!("{expected}, found `{}`", found.join("`, `")),
            };
            Err(Refusal::question(message, 0))
        }
    }
}

/// What is said of a question longer than [`LONGEST_QUESTION`].
pub fn too_long() -> String {
    format!("a question has at most {LONGEST_QUESTION} bytes")
}

/// A text of the question.
fn text<'q>(question: &'q Map<String, Value>, key: &str) -> Result<&'q str, Refusal> {
    let value = question.get(key).unwrap_or(&Value::Null);
    value
        .as_str()
        .ok_or_else(|| Refusal::question(format!("`{key}` is a text, found {}", words(value)), 0))
}

/// An optional text of the question.
fn optional<'q>(question: &'q Map<String, Value>, key: &str) -> Result<Option<&'q str>, Refusal> {
    match question.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(question, key).map(Some),
    }
}

/// The kind of a JSON value in plain words.
fn words(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(question: &Value) -> Value {
        answer(question.to_string().as_bytes())
    }

    fn code(question: &[u8]) -> String {
        let answer = answer(question);
        assert_eq!(answer["ok"], json!(false), "{answer}");
        assert!(answer["error"]["offset"].is_u64(), "{answer}");
        answer["error"]["code"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_grammar_alone_knows_no_fields() {
        let found = ask(&json!({"grammar": "a.b  =1 and(c)"}));
        assert_eq!(found, json!({"ok": true, "canonical": "(a.b = 1 and c)"}));
        let found = ask(&json!({"grammar": "a.b = 1 andc"}));
        assert_eq!(found["error"]["code"], "syntax-missing-blank");
        assert_eq!(found["error"]["offset"], 11);
    }

    #[test]
    fn a_condition_has_its_event_types() {
        let found = ask(&json!({"condition": "evt.type in (openat, open) and proc.name = cat"}));
        assert_eq!(found["event_types"], json!(["open", "openat"]));
        assert_eq!(ask(&json!({"condition": "proc.name = cat"}))["event_types"], "all");
        assert_eq!(ask(&json!({"condition": "evt.num = 0"}))["event_types"], json!([]));
        assert_eq!(ask(&json!({"condition": "proc.nam = cat"}))["error"]["code"], "unknown-field");
        assert_eq!(ask(&json!({"condition": "a_macro"}))["error"]["code"], "unknown-macro");
    }

    #[test]
    fn a_condition_with_fields_matches_or_not() {
        let matches = |condition: &str, fields: Value| {
            ask(&json!({"condition": condition, "fields": fields}))["match"].clone()
        };
        assert_eq!(matches("proc.name = cat", json!({"proc.name": "cat"})), json!(true));
        assert_eq!(matches("proc.name != cat", json!({"proc.name": null})), json!(false));
        assert_eq!(matches("not proc.name = cat", json!({})), json!(true));
        assert_eq!(matches("fd.types in (file)", json!({"fd.types": []})), json!(true));
        let bytes = json!({"evt.buffer": {"hex": "00ff"}});
        assert_eq!(matches("evt.buffer bcontains FF", bytes), json!(true));
        let above = json!({"proc.name": "x", "_ancestors_comm": ["bash", "init"]});
        assert_eq!(matches("proc.aname = init", above), json!(true));
    }

    #[test]
    fn a_format_is_checked_and_filled_in() {
        assert_eq!(
            ask(&json!({"format": "%proc.name.x"})),
            json!({"ok": true, "fields": ["proc.name"]})
        );
        let found =
            ask(&json!({"format": "a %proc.name %fd.name", "fields": {"proc.name": "cat"}}));
        assert_eq!((&found["ok"], &found["complete"]), (&json!(true), &json!(false)));
        let cut = json!({"format": "%proc.name %fd.name %proc.pid", "mode": "json",
            "fields": {"proc.name": "cat", "proc.pid": 7}});
        assert_eq!(ask(&cut)["output"], r#"{"proc.name":"cat"}"#, "a text that ends at `fd.name`");
        let found = ask(&json!({"format": "*%fd.name %toupper(proc.name)", "mode": "json",
            "fields": {"proc.name": "cat"}}));
        assert_eq!(
            found["output"],
            r#"{"fd.name":null,"proc.name":"cat","toupper(proc.name)":"CAT"}"#
        );
        assert_eq!(ask(&json!({"format": "100% sure"}))["error"]["code"], "output");
    }

    #[test]
    fn rules_are_loaded_in_order() {
        let text = "- macro: m\n  condition: proc.name = a\n- rule: r\n  desc: d\n  condition: m\n  \
                    output: o %proc.name\n  priority: INFO\n  warn_evttypes: false\n";
        let found = ask(&json!({"rules": [text]}));
        assert_eq!(found["ok"], json!(true), "{found}");
        assert_eq!(found["conditions"], json!({"r": "proc.name = a"}));
        assert_eq!(found["outputs"], json!({"r": "o %proc.name"}));
        assert_eq!(found["results"][0]["successful"], json!(true));
        let needs = "- required_plugin_versions: [{name: json, version: 0.1.0}]\n";
        assert_eq!(ask(&json!({"rules": [needs], "plugins": []}))["ok"], json!(false));
        let plugins = json!([{"name": "json", "version": "0.2.0"}]);
        assert_eq!(ask(&json!({"rules": needs, "plugins": plugins}))["ok"], json!(true));
    }

    #[test]
    fn what_is_no_question_is_answered_too() {
        let deep = format!("{{\"grammar\":{}", "[".repeat(100_000));
        for question in [
            &b""[..],
            b" ",
            b"null",
            b"{}",
            b"[1]",
            b"{\"grammar\": 1}",
            b"{\"grammar\": \"a\", \"format\": \"b\"}",
            b"{\"grammar\": \"\xff\"}",
            b"{\"grammar\": \"\\ud800\"}",
            b"{\"condition\": \"proc.name = a\", \"fields\": []}",
            b"{\"condition\": \"proc.name = a\", \"fields\": {\"no.field\": 1}}",
            b"{\"condition\": \"proc.name = a\", \"fields\": {\"proc.pid\": \"x\"}}",
            b"{\"format\": \"x\", \"mode\": \"xml\", \"fields\": {}}",
            b"{\"rules\": 1}",
            b"{\"rules\": [1]}",
            b"{\"rules\": [], \"plugins\": [{}]}",
            b"{\"rules\": [], \"plugins\": [{\"name\": \"a\", \"version\": \"x\"}]}",
            deep.as_bytes(),
        ] {
            assert_eq!(code(question), NO_QUESTION, "{}", String::from_utf8_lossy(question));
        }
        assert_eq!(code(br#"{"grammar": ""}"#), "syntax-empty");
        assert_eq!(refuse("x")["error"]["code"], NO_QUESTION);
    }
}
