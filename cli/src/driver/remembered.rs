//! The choice of a driver, remembered in the configuration file of who calls the program `falcoctl`.
//!
//! Owns the key `driver` of that file, as the command always did, and nothing else in it: what people wrote stays as
//! they wrote it, and a key with their comments in it is left to them.

use serde_json::{Value, json};

/// The line above the key.
const MARK: &str = "# Written by `driver config`, which replaces it.";
/// How the key begins.
const KEY: &str = "driver:";

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered<'a> {
    /// The kind that was chosen.
    pub(crate) kind: &'a str,
    /// Name of the driver.
    pub(crate) name: &'a str,
    /// Where built drivers are.
    pub(crate) repositories: &'a [String],
    /// Its version.
    pub(crate) version: &'a str,
    /// Root directory of the host.
    pub(crate) host_root: &'a str,
}

impl Remembered<'_> {
    fn block(&self) -> String {
        // JSON is YAML, and quotes whatever needs it.
        let values = [
            ("type", json!([self.kind])),
            ("name", json!(self.name)),
            ("repos", json!(self.repositories)),
            ("version", json!(self.version)),
            ("hostRoot", json!(self.host_root)),
        ];
        let lines = values.iter().map(|(key, value)| format!("  {key}: {value}\n"));
        format!("{MARK}\n{KEY}\n{}", lines.collect::<String>())
    }

    /// The text of a configuration that remembers this; none where the key is not ours to change, or cannot be put.
    pub(crate) fn within(&self, text: &str) -> Option<String> {
        let before = without_key(text)?;
        let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        let whole = format!("{before}{gap}{}", self.block());
        let tree: Value = serde_saphyr::from_str(&whole).ok()?;
        (tree["driver"]["type"][0] == self.kind).then_some(whole)
    }
}

/// The text without the key; none where somebody has written comments or another form into it.
fn without_key(text: &str) -> Option<String> {
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if line.trim_end() == MARK {
            continue;
        }
        if !line.starts_with(KEY) {
            kept.push_str(line);
            continue;
        }
        if line.trim_end() != KEY {
            return None;
        }
        // The key is followed by everything that is indented below it, or is an item of its list.
        while let Some(below) = lines.next_if(|line| line.starts_with([' ', '-'])) {
            if below.contains('#') {
                return None;
            }
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str) -> Remembered<'_> {
        let (name, version, host_root) = ("falco", "1.0.0+driver", "/");
        Remembered { kind, name, repositories: &[], version, host_root }
    }

    #[test]
    fn it_is_added_and_replaced_and_everything_else_stays() {
        let text = "# mine\nindexes: [] # none\nartifact:\n  follow:\n    every: 6h";
        let first = of("kmod").within(text).expect("added");
        assert!(first.starts_with(text), "{first}");
        let tree: Value = serde_saphyr::from_str(&first).expect("valid");
        assert_eq!(tree["driver"]["type"][0], "kmod");
        assert_eq!(tree["driver"]["version"], "1.0.0+driver");
        let more = format!("{first}registry:\n  plainHttp: true\n");
        let second = of("modern_ebpf").within(&more).expect("replaced");
        assert_eq!(second.matches("driver:").count(), 1, "{second}");
        assert!(second.contains("plainHttp") && !second.contains("[\"kmod\"]"), "{second}");
        assert_eq!(of("modern_ebpf").within(&second), Some(second));
        assert!(of("kmod").within("").is_some());
    }

    #[test]
    fn the_key_is_replaced_wherever_it_stands() {
        let text = "driver:\n    type:\n        - kmod\n    hostroot: /\nindexes: []\n";
        let whole = of("modern_ebpf").within(text).expect("replaced");
        assert!(whole.starts_with("indexes: []\n"), "{whole}");
        assert_eq!(whole.matches("driver:").count(), 1, "{whole}");
    }

    #[test]
    fn what_somebody_wrote_with_care_stays() {
        for text in [
            "driver:\n  # for the old hosts\n  type: kmod\n",
            "driver: {type: [kmod]}\n",
            "{indexes: []}\n",
            "- list\n",
            "a: [\n",
        ] {
            assert_eq!(of("modern_ebpf").within(text), None, "{text}");
        }
    }
}
