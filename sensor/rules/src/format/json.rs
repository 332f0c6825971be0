//! Values as they stand in `output_fields`.

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::text;
use crate::fields::{Facts, FieldArg, FieldId, Print, Value};

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
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(item)?;
                }
                sequence.end()
            }
        }
    }
}

/// The time fields that are nanoseconds since the epoch in JSON, whatever they are as text.
pub(super) fn is_clock(field: FieldId) -> bool {
    matches!(
        field,
        FieldId::EvtTime
            | FieldId::EvtTimeS
            | FieldId::EvtTimeIso8601
            | FieldId::EvtDatetime
            | FieldId::EvtDatetimeS
    )
}

/// The time of the event as JSON.
pub(super) fn clock(facts: &dyn Facts) -> FieldJson {
    match facts.value(FieldId::EvtRawtime, FieldArg::None) {
        Some(Value::Uint(time)) => FieldJson::Uint(time),
        _ => FieldJson::Null,
    }
}

/// A value as JSON; `print` is the field's print format.
pub(super) fn json(value: &Value<'_>, print: Print, base64: bool) -> FieldJson {
    match value {
        Value::Int(_) | Value::Uint(_) if print == Print::Hex => {
            let mut out = Vec::new();
            text::write(&mut out, value, print, base64);
            FieldJson::Text(out)
        }
        Value::Int(number) => FieldJson::Int(*number),
        Value::Uint(number) => FieldJson::Uint(*number),
        Value::Bool(truth) => FieldJson::Bool(*truth),
        Value::Double(number) => FieldJson::Double(*number),
        Value::Text(text) => FieldJson::Text(text.to_vec()),
        Value::Bytes(_) | Value::Ip(_) => {
            let mut out = Vec::new();
            text::write(&mut out, value, print, base64);
            FieldJson::Text(out)
        }
        Value::List(items) => {
            FieldJson::List(items.iter().map(|item| json(item, print, base64)).collect())
        }
    }
}
