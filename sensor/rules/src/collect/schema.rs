//! The documented schema of a rules file. It is stricter than the loader, and a violation never
//! fails a load: it only shows in the validation result.
use crate::source::{Kind, Node};

const TEXT_KEYS: [&str; 7] = ["rule", "macro", "list", "condition", "output", "desc", "source"];
const BOOLEAN_KEYS: [&str; 5] =
    ["append", "enabled", "warn_evttypes", "skip-if-unknown-filter", "capture"];
const PRIORITIES: [&str; 9] = [
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "INFORMATIONAL",
    "DEBUG",
];
const OVERRIDABLE: [&str; 12] = [
    "append",
    "capture",
    "capture_duration",
    "condition",
    "desc",
    "enabled",
    "exceptions",
    "items",
    "output",
    "priority",
    "tags",
    "warn_evttypes",
];

/// Where the documents of a file do not follow the schema, one line each.
pub fn schema_violations(documents: &[Node]) -> Vec<String> {
    let mut schema = Schema { violations: Vec::new() };
    for document in documents.iter().filter(|document| !document.is_null()) {
        schema.sequence(document, "<root>", Schema::item);
    }
    schema.violations
}

struct Schema {
    violations: Vec<String>,
}

impl Schema {
    fn fail(&mut self, path: &str, why: &str) {
        self.violations.push(format!("failed for {path}: {why}"));
    }

    fn sequence(&mut self, node: &Node, path: &str, each: fn(&mut Self, &Node, &str)) {
        let Some(items) = node.items() else {
            return self.fail(path, &format!("expected a sequence, found {}", node.kind_name()));
        };
        for (n, item) in items.iter().enumerate() {
            each(self, item, &format!("{path}[{n}]"));
        }
    }

    fn mapping(&mut self, node: &Node, path: &str, each: impl Fn(&mut Self, &str, &Node, &str)) {
        let Some(entries) = node.entries() else {
            return self.fail(path, &format!("expected a mapping, found {}", node.kind_name()));
        };
        for (key, value) in entries {
            let key = key.text().unwrap_or_default();
            each(self, key, value, &format!("{path}[{key}]"));
        }
    }

    fn item(&mut self, node: &Node, path: &str) {
        self.mapping(node, path, |schema, key, value, path| match key {
            "required_engine_version" => schema.text(value, path),
            "required_plugin_versions" => schema.sequence(value, path, Self::plugin),
            "items" | "tags" => schema.sequence(value, path, Self::text),
            "priority" if value.text().is_some_and(|text| PRIORITIES.contains(&text)) => {}
            "priority" => schema.fail(path, "not one of the priorities in capitals"),
            "capture_duration" if is_integer(value) => {}
            "capture_duration" => schema.fail(path, "expected an integer"),
            "exceptions" => schema.sequence(value, path, Self::exception),
            "override" => schema.overrides(value, path),
            key if TEXT_KEYS.contains(&key) => schema.text(value, path),
            key if BOOLEAN_KEYS.contains(&key) => schema.boolean(value, path),
            _ => schema.fail(path, "unknown key"),
        });
    }

    fn exception(&mut self, node: &Node, path: &str) {
        self.mapping(node, path, |schema, key, value, path| match key {
            "name" => schema.text(value, path),
            "fields" | "comps" | "values" => {}
            _ => schema.fail(path, "unknown key"),
        });
        self.needs(node, path, &["name"]);
    }

    fn plugin(&mut self, node: &Node, path: &str) {
        self.mapping(node, path, |schema, key, value, path| match key {
            "name" | "version" => schema.text(value, path),
            "alternatives" => schema.sequence(value, path, Self::plugin),
            _ => schema.fail(path, "unknown key"),
        });
        self.needs(node, path, &["name", "version"]);
    }

    fn overrides(&mut self, node: &Node, path: &str) {
        self.mapping(node, path, |schema, key, value, path| {
            if !OVERRIDABLE.contains(&key) && key != "skip-if-unknown-filter" {
                schema.fail(path, "unknown key");
            }
            if !matches!(value.text(), Some("append" | "replace")) {
                schema.fail(path, "expected `append` or `replace`");
            }
        });
        if node.entries().is_some_and(<[_]>::is_empty) {
            self.fail(path, "expected at least one key");
        }
    }

    fn needs(&mut self, node: &Node, path: &str, keys: &[&str]) {
        for key in keys {
            if node.entries().is_some() && node.get(key).is_none() {
                self.fail(path, &format!("key `{key}` is missing"));
            }
        }
    }

    /// Any scalar will do: YAML does not tell a text from a number.
    fn text(&mut self, node: &Node, path: &str) {
        if node.text().is_none() {
            self.fail(path, &format!("expected a text, found {}", node.kind_name()));
        }
    }

    fn boolean(&mut self, node: &Node, path: &str) {
        if !matches!(node.text(), Some("true" | "false")) {
            self.fail(path, "expected `true` or `false`");
        }
    }
}

fn is_integer(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.text.parse::<i64>().is_ok())
}
