//! The case file as data.
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One case: `kind` says how to read the rest.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) json: Value,
}

impl Case {
    /// A text of the case, empty if absent.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    /// What the established engine answers.
    pub(crate) fn expected(&self) -> &Value {
        &self.json["expected"]
    }
}

/// How a case went.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// Nothing runs this kind.
    NoRunner,
}

impl Outcome {
    /// Passed if both are the same.
    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
        expected: &T,
        found: &T,
        about: &str,
    ) -> Self {
        if expected == found {
            return Self::Passed;
        }
        Self::Failed(format!("expected {expected:?}, found {found:?}: {about}"))
    }
}

/// The folder of shared inputs.
pub(crate) fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("EYAS_SHARED").map_or(beside, PathBuf::from)
}

/// All cases, or why there are none.
pub(crate) fn load() -> Result<Vec<Case>, String> {
    let path = shared().join("conformance/rule-language-cases.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Err(format!("no conformance cases at `{}`; set EYAS_SHARED", path.display()));
    };
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let cases = json["cases"].as_array().cloned().unwrap_or_default();
    assert!(!cases.is_empty(), "`{}` has no cases", path.display());
    Ok(cases
        .iter()
        .map(|json| Case {
            id: json["id"].as_str().unwrap_or_default().to_owned(),
            kind: json["kind"].as_str().unwrap_or_default().to_owned(),
            json: json.clone(),
        })
        .collect())
}
