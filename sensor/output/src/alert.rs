//! What is to be told: a rule's match, or something about the sensor itself.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeSeq, Serializer};

/// A rule's match, rendered, not yet laid out as a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Time of the event, nanoseconds since the epoch.
    pub time_ns: u64,
    /// The rule's name.
    pub rule: Arc<str>,
    /// Name of the priority as alerts spell it: `Emergency` … `Informational`, `Debug`.
    pub priority: &'static str,
    /// Event source, `syscall`.
    pub source: Arc<str>,
    /// The rule's tags.
    pub tags: Arc<[String]>,
    /// The rule's output with its fields filled in.
    pub message: String,
    /// The fields named in the output, as written there, and their values.
    pub fields: Vec<(String, FieldJson)>,
}

/// Something the sensor says about itself, such as that it lost events.
#[derive(Debug, Clone, PartialEq)]
pub struct Internal {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// `Falco internal: syscall event drop` and its kin: receivers know them by these names.
    pub rule: Arc<str>,
    /// Name of the priority as alerts spell it.
    pub priority: &'static str,
    /// One sentence.
    pub message: String,
    /// Details.
    pub fields: Vec<(String, FieldJson)>,
}

/// A field's value in `output_fields`.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldJson {
    /// Unset.
    Null,
    /// True or false.
    Bool(bool),
    /// Signed integers.
    Int(i64),
    /// Unsigned integers, times, ports.
    Uint(u64),
    /// Floating point; what is no finite number is null.
    Double(f64),
    /// Text; bytes that are not UTF-8 become U+FFFD.
    Text(Vec<u8>),
    /// Several.
    List(Vec<FieldJson>),
}

impl Serialize for FieldJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Double(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(&String::from_utf8_lossy(text)),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
        }
    }
}

impl From<&str> for FieldJson {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<u64> for FieldJson {
    fn from(number: u64) -> Self {
        Self::Uint(number)
    }
}
