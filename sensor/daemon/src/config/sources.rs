//! Several configuration files as one: `config_files`, and variables of the environment in values.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::check::{self, ConfigError};
use super::foreign::Ignored;
use super::text_of;

/// Files or directories that are read after the main file when it names none.
const DEFAULT_FOLDER: &str = "/etc/eyas/config.d";
/// The key that names them.
const KEY: &str = "config_files";
/// Most files that are read.
const MAX_FILES: usize = 256;

/// Every file and folder that the configuration is read from, for whoever watches them. `named` are the entries of
/// `config_files` where the command line has them.
pub(super) fn places(main: Option<&Path>, named: Option<Value>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = main.into_iter().map(Path::to_path_buf).collect();
    let found = main.and_then(|main| {
        let name = main.display().to_string();
        text_of(main).and_then(|text| check::parse(&name, &text)).ok()
    });
    let named = named.or_else(|| found?.get(KEY).cloned());
    // What is wrong with the entries is said by whoever reads them.
    let named = entries(named, main.is_some()).unwrap_or_default();
    places.extend(named.into_iter().map(|(path, _)| path));
    places
}

/// All files put together.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The whole, to be read.
    pub(super) value: Value,
    /// The same with variables of the environment as they were written, to be shown.
    pub(super) written: Value,
    /// Keys that have no meaning here.
    pub(super) ignored: Vec<Ignored>,
}

/// How one more file changes what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// Lists grow, mappings are merged, everything else is replaced.
    Append,
    /// What is there is replaced, key by key at the top.
    Override,
    /// Only keys that are not there are taken.
    AddOnly,
}

/// Reads the main file, if there is one, and all that come after it, each checked by itself. `named` stands for the
/// main file's `config_files`.
pub(super) fn read(main: Option<&Path>, named: Option<Value>) -> Result<Sources, ConfigError> {
    let empty = || Value::Object(Map::new());
    let mut whole = Sources { value: empty(), written: empty(), ignored: Vec::new() };
    if let Some(path) = main {
        whole = one(path)?;
    }
    let own = whole.value.as_object_mut().and_then(|map| map.remove(KEY));
    let mut count = 0;
    for (path, strategy) in entries(named.or(own), main.is_some())? {
        for file in files(&path)? {
            count += 1;
            if count > MAX_FILES {
                return Err(value(
                    KEY,
                    format!("more than {MAX_FILES} files in `{}`", path.display()),
                ));
            }
            let mut more = one(&file)?;
            if more.value.as_object_mut().and_then(|map| map.remove(KEY)).is_some() {
                let name = file.display().to_string();
                return Err(value(&name, format!("`{KEY}` may stand in the main file only")));
            }
            merge(&mut whole.value, more.value, strategy);
            merge(&mut whole.written, more.written, strategy);
            let known = std::mem::take(&mut whole.ignored);
            more.ignored.retain(|one| !known.contains(one));
            whole.ignored = [known, more.ignored].concat();
        }
    }
    Ok(whole)
}

fn one(path: &Path) -> Result<Sources, ConfigError> {
    let name = path.display().to_string();
    let text = text_of(path)?;
    let written = check::parse(&name, &text)?;
    let mut found = written.clone();
    expand(&mut found, Some(&check::defaults()), &variable);
    let ignored = check::against_defaults(&name, &text, &mut found)?;
    Ok(Sources { value: found, written, ignored })
}

/// A variable of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn value(name: &str, why: String) -> ConfigError {
    ConfigError::Value { name: name.to_owned(), why }
}

/// What `config_files` says: paths, or mappings with `path` and `strategy`.
fn entries(named: Option<Value>, has_main: bool) -> Result<Vec<(PathBuf, Strategy)>, ConfigError> {
    let Some(named) = named else {
        let folder = PathBuf::from(DEFAULT_FOLDER);
        let read = has_main && folder.is_dir();
        return Ok(if read { vec![(folder, Strategy::Append)] } else { Vec::new() });
    };
    let wrong = |found: &Value| {
        value(
            KEY,
            format!("expected a path or a mapping with `path` and `strategy`, found `{found}`"),
        )
    };
    let Value::Array(list) = &named else { return Err(wrong(&named)) };
    let mut entries = Vec::new();
    for entry in list {
        let (path, strategy) = match entry {
            Value::String(path) => (path.as_str(), Strategy::Append),
            Value::Object(map) => {
                let path = map.get("path").and_then(Value::as_str).ok_or_else(|| wrong(entry))?;
                let strategy = match map.get("strategy").and_then(Value::as_str) {
                    None | Some("append") => Strategy::Append,
                    Some("override") => Strategy::Override,
                    Some("add-only") => Strategy::AddOnly,
                    Some(other) => {
                        let why = format!(
                            "`strategy` is `{other}`, expected `append`, `override` or `add-only`"
                        );
                        return Err(value(KEY, why));
                    }
                };
                (path, strategy)
            }
            _ => return Err(wrong(entry)),
        };
        entries.push((PathBuf::from(path), strategy));
    }
    Ok(entries)
}

/// A file stands for itself, a directory for the `.yaml` and `.yml` files in it, by name. What is
/// not there is passed over: a package or a chart may or may not put something in it.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(ConfigError::Read { why: format!("`{}`: {error}", path.display()) });
        }
    };
    let is_yaml = |path: &PathBuf| {
        path.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml")
    };
    let mut found: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_yaml).collect();
    found.sort();
    Ok(found)
}

fn merge(whole: &mut Value, more: Value, strategy: Strategy) {
    let (Value::Object(there), Value::Object(new)) = (&mut *whole, more) else { return };
    for (key, value) in new {
        let Some(old) = there.get_mut(&key) else {
            there.insert(key, value);
            continue;
        };
        match (strategy, old, value) {
            (Strategy::AddOnly, ..) => {}
            (Strategy::Append, Value::Array(old), Value::Array(mut more)) => old.append(&mut more),
            (Strategy::Append, old @ Value::Object(_), more @ Value::Object(_)) => {
                merge(old, more, strategy);
            }
            (_, old, value) => *old = value,
        }
    }
}

/// Replaces `${NAME}` in every text by the variable's value, by nothing where there is none; `$${NAME}` stands for
/// `${NAME}`. A text that was nothing but a variable is read again where no text is meant, so that numbers and truth
/// values may come from the environment.
fn expand(value: &mut Value, default: Option<&Value>, variable: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) if text.contains("${") => {
            let whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
            let expanded = expanded(text, variable);
            let is_text = default.is_none_or(|default| default.is_string() || default.is_null());
            *value = if whole && (!is_text || expanded.is_empty()) {
                serde_saphyr::from_str(&expanded).unwrap_or(Value::String(expanded))
            } else {
                Value::String(expanded)
            };
        }
        Value::Array(list) => list.iter_mut().for_each(|one| expand(one, None, variable)),
        Value::Object(map) => {
            for (key, value) in map {
                expand(value, default.and_then(|default| default.get(key)), variable);
            }
        }
        _ => {}
    }
}

/// Makes a configuration read back as itself: variables of the environment stay what was written, everything else that
/// looks like one is told from it.
pub(super) fn show(value: &mut Value, written: Option<&Value>) {
    show_with(value, written, &variable);
}

fn show_with(
    value: &mut Value,
    written: Option<&Value>,
    variable: &dyn Fn(&str) -> Option<String>,
) {
    if let Some(Value::String(reference)) =
        written.filter(|_| !value.is_array() && !value.is_object())
        && reference.contains("${")
        && expanded(reference, variable) == plain(value)
    {
        *value = Value::String(reference.clone());
        return;
    }
    match value {
        Value::String(text) => *text = escaped(text),
        Value::Array(list) => {
            for (at, one) in list.iter_mut().enumerate() {
                show_with(one, written.and_then(|written| written.get(at)), variable);
            }
        }
        Value::Object(map) => {
            for (key, one) in map {
                show_with(one, written.and_then(|written| written.get(key)), variable);
            }
        }
        _ => {}
    }
}

/// A value as a text that would have been read as it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text that [`expanded`] makes into this one.
fn escaped(text: &str) -> String {
    with_references(text, |out, before, reference| {
        out.push_str(before);
        out.push('$');
        out.push_str(reference);
    })
}

fn expanded(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    with_references(text, |out, before, reference| {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str(reference);
        } else {
            out.push_str(before);
            let name = reference.trim_start_matches("${").trim_end_matches('}');
            out.push_str(&variable(name).unwrap_or_default());
        }
    })
}

/// A text anew: `put` is given each `${…}` in it, with what stands before it since the last one.
fn with_references(text: &str, put: impl Fn(&mut String, &str, &str)) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find('}') else { break };
        let (reference, after) = from.split_at(end + 1);
        put(&mut out, before, reference);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("8765".to_owned()),
            "ON" => Some("true".to_owned()),
            "NAME" => Some("a: b".to_owned()),
            _ => None,
        }
    }

    fn of_environment(text: &str, default: &Value) -> Value {
        let mut value = json!(text);
        expand(&mut value, Some(default), &known);
        value
    }

    #[test]
    fn variables_are_replaced_and_keep_their_kind() {
        assert_eq!(of_environment("${PORT}", &json!(1)), json!(8765));
        assert_eq!(of_environment("${PORT}", &json!("tag")), json!("8765"));
        assert_eq!(of_environment("${PORT}", &json!(null)), json!("8765"));
        assert_eq!(of_environment("${NO}", &json!(null)), json!(null));
        assert_eq!(of_environment("${ON}", &json!(false)), json!(true));
        let text = |text| of_environment(text, &json!(""));
        assert_eq!(text("http://host:${PORT}/x"), json!("http://host:8765/x"));
        assert_eq!(text("${NO}/${PORT}"), json!("/8765"));
        assert_eq!(text("$${PORT}"), json!("${PORT}"));
        assert_eq!(text("a ${PORT"), json!("a ${PORT"));
        assert_eq!(text("%proc.name $5"), json!("%proc.name $5"));
    }

    #[test]
    fn what_is_shown_reads_back_and_shows_no_variable() {
        let written = json!({"port": "${PORT}", "url": "http://${NAME}@h", "list": ["${ON}", "x"]});
        let whole =
            json!({"port": 8765, "url": "http://a: b@h", "list": ["true", "x"], "more": "${PORT}"});
        let mut shown = whole.clone();
        show_with(&mut shown, Some(&written), &known);
        let expected = json!({"port": "${PORT}", "url": "http://${NAME}@h", "list": ["${ON}", "x"], "more": "$${PORT}"});
        assert_eq!(shown, expected);
        let default = json!({"port": 1, "url": null, "list": [], "more": ""});
        expand(&mut shown, Some(&default), &known);
        assert_eq!(shown, whole);
        // Overridden since it was written.
        let mut other = json!({"port": 80});
        show_with(&mut other, Some(&written), &known);
        assert_eq!(other, json!({"port": 80}));
    }

    proptest::proptest! {
        #[test]
        fn every_text_reads_back(text in "[a${}]{0,12}") {
            proptest::prop_assert_eq!(expanded(&escaped(&text), &known), text);
        }
    }

    #[test]
    fn each_strategy_merges_in_its_way() {
        let merged = |strategy| {
            let mut whole = json!({"a": 1, "list": [1], "map": {"x": 1, "y": 1}});
            merge(&mut whole, json!({"a": 2, "b": 2, "list": [2], "map": {"y": 2}}), strategy);
            whole
        };
        let appended = json!({"a": 2, "b": 2, "list": [1, 2], "map": {"x": 1, "y": 2}});
        assert_eq!(merged(Strategy::Append), appended);
        let replaced = json!({"a": 2, "b": 2, "list": [2], "map": {"y": 2}});
        assert_eq!(merged(Strategy::Override), replaced);
        let added = json!({"a": 1, "b": 2, "list": [1], "map": {"x": 1, "y": 1}});
        assert_eq!(merged(Strategy::AddOnly), added);
    }

    #[test]
    fn files_are_read_in_order_and_each_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("config.d");
        std::fs::create_dir(&folder).unwrap();
        let main = dir.path().join("eyasd.yaml");
        let missing = dir.path().join("missing");
        let text = format!(
            "rules_files: [/a]\nconfig_files:\n  - {}\n  - path: {}\n    strategy: add-only\n",
            missing.display(),
            folder.display()
        );
        std::fs::write(&main, text).unwrap();
        std::fs::write(folder.join("2.yaml"), "priority: error\nwebserver: {threadiness: 1}\n")
            .unwrap();
        std::fs::write(folder.join("1.yml"), "priority: notice\nrules_files: [/b]\n").unwrap();
        std::fs::write(folder.join("README"), "no: yaml: at: all").unwrap();
        let whole = read(Some(&main), None).unwrap();
        assert_eq!(whole.value["priority"], "notice");
        assert_eq!(whole.value["rules_files"], json!(["/a"]));
        assert_eq!(whole.ignored.len(), 1);
        assert_eq!(whole.ignored[0].key, "webserver.threadiness");
        std::fs::write(folder.join("3.yaml"), "prority: error\n").unwrap();
        let error = read(Some(&main), None).unwrap_err().to_string();
        assert!(error.contains("3.yaml:1:1: unknown key `prority`"), "{error}");
        std::fs::write(folder.join("3.yaml"), "config_files: [/x]\n").unwrap();
        let error = read(Some(&main), None).unwrap_err().to_string();
        assert!(error.contains("may stand in the main file only"), "{error}");
    }

    #[test]
    fn entries_that_are_none_are_refused() {
        for (text, said) in [
            (json!("x"), "expected a path"),
            (json!([1]), "expected a path"),
            (json!([{"strategy": "append"}]), "expected a path"),
            (json!([{"path": "/x", "strategy": "mix"}]), "`strategy` is `mix`"),
        ] {
            let error = entries(Some(text), true).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
