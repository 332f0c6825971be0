//! Facts written by hand: field text → JSON value. For trying a condition out and for tests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::str::FromStr;

use eyas_abi::schema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{
    Argument, FIELDS, Facts, FieldArg, FieldId, FieldType, Flags, SocketEnds, Value, resolve,
};
use crate::check::Class;
use crate::index::schema as schema_types;
use crate::report::nearest;

/// Event sources whose fields together are all there are.
const EVENT_SOURCES: &[&str] = &["syscall", "k8s_audit"];

/// Stands for an address where only a port was given.
const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Code of an event whose type was not given.
const UNKNOWN_EVENT: u16 = u16::MAX;

/// One event as a table of field values.
///
/// A field that is absent or `null` is unset. Text is a JSON string or `{"hex": "…"}`, numbers,
/// truths and lists are themselves, addresses are strings. Ancestors are given by level
/// (`proc.aname[1]` is the parent), without a gap.
#[derive(Clone, Debug)]
pub struct GivenFacts {
    values: BTreeMap<(FieldId, OwnedArg), Value<'static>>,
    code: u16,
}

/// An argument that sorts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum OwnedArg {
    None,
    Index(u32),
    Key(Vec<u8>),
}

/// Why a table of values is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// The key is not a field.
    #[error("unknown field `{0}`")]
    Field(String),
    /// The value does not have the field's type.
    #[error("`{value}` is not a value of `{field}`, which is {expected}")]
    Value {
        /// The field as written.
        field: String,
        /// The value as JSON.
        value: String,
        /// The field's type.
        expected: &'static str,
    },
}

impl GivenError {
    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Field(name) => {
                let meant = nearest(name, FIELDS.iter().map(|field| field.name))?;
                Some(format!("did you mean `{meant}`?"))
            }
            Self::Value { .. } => None,
        }
    }
}

/// Names of the parents and theirs, nearest first: a short way to give `proc.aname[1]` and on.
const ANCESTORS: &str = "_ancestors_comm";

impl GivenFacts {
    /// Facts from an object of field texts and values. A key that begins with `_` is a remark;
    /// only `_ancestors_comm`, names of the ancestors from the parent upwards, means something.
    pub fn of(given: &serde_json::Map<String, Json>) -> Result<Self, GivenError> {
        let ancestors = given.get(ANCESTORS).and_then(Json::as_array);
        let levels: Vec<(String, &Json)> = (1..)
            .zip(ancestors.into_iter().flatten())
            .map(|(level, name)| (format!("proc.aname[{level}]"), name))
            .collect();
        let fields = given.iter().filter(|(key, _)| !key.starts_with('_'));
        let fields = fields.map(|(key, value)| (key.as_str(), value));
        Self::new(levels.iter().map(|(key, value)| (key.as_str(), *value)).chain(fields))
    }

    /// Facts from pairs of field text (`proc.aname[2]`, `evt.arg.flags`) and value.
    pub fn new<'a>(
        given: impl IntoIterator<Item = (&'a str, &'a Json)>,
    ) -> Result<Self, GivenError> {
        let mut facts = Self { values: BTreeMap::new(), code: UNKNOWN_EVENT };
        for (field, value) in given {
            facts.insert(field, value)?;
        }
        facts.derive();
        Ok(facts)
    }

    fn insert(&mut self, field: &str, json: &Json) -> Result<(), GivenError> {
        let (name, argument) = match field.split_once('[') {
            Some((name, rest)) => {
                let inside =
                    rest.strip_suffix(']').ok_or_else(|| GivenError::Field(field.to_owned()))?;
                let bare = inside.strip_prefix('"').and_then(|inside| inside.strip_suffix('"'));
                (name, Some(bare.unwrap_or(inside).as_bytes()))
            }
            None => (field, None),
        };
        let resolved = EVENT_SOURCES
            .iter()
            .find_map(|source| resolve(name, argument, source).ok())
            .ok_or_else(|| GivenError::Field(field.to_owned()))?;
        if json.is_null() {
            return Ok(());
        }
        let row = resolved.id.field();
        let unindexed = resolved.argument == Argument::None;
        let list =
            unindexed && (row.flags.has(Flags::LIST) || json.is_array() && has_several(row.id));
        let ty = match (row.ty, &resolved.argument) {
            (FieldType::Dyn, Argument::Key(name)) => parameter_type(name),
            (ty, _) => ty,
        };
        let value = convert(ty, list, json).ok_or_else(|| GivenError::Value {
            field: field.to_owned(),
            value: json.to_string(),
            expected: row.ty.name(),
        })?;
        self.values.insert((resolved.id, OwnedArg::from(resolved.argument.as_arg())), value);
        Ok(())
    }

    fn plain(&self, field: FieldId) -> Option<&Value<'static>> {
        self.values.get(&(field, OwnedArg::None))
    }

    /// The event code follows from the type; without interfaces no address is local.
    fn derive(&mut self) {
        if let Some(Value::Text(name)) = self.values.get(&(FieldId::EvtType, OwnedArg::None)) {
            let name = String::from_utf8_lossy(name);
            let exit = schema::by_name(&name).map(|event| event.code).max();
            let call = || schema::syscalls_by_name(&name).map(|call| call.event).next();
            self.code = exit.or_else(call).unwrap_or(UNKNOWN_EVENT);
        }
        for (to, from) in [
            (FieldId::FdCip, FieldId::FdCnet),
            (FieldId::FdSip, FieldId::FdSnet),
            (FieldId::FdRip, FieldId::FdRnet),
            (FieldId::FdLip, FieldId::FdLnet),
            (FieldId::FdRip, FieldId::FdCip),
            (FieldId::FdLip, FieldId::FdSip),
            (FieldId::FdRport, FieldId::FdCport),
            (FieldId::FdLport, FieldId::FdSport),
        ] {
            if let Some(value) = self.values.get(&(from, OwnedArg::None)).cloned() {
                self.values.entry((to, OwnedArg::None)).or_insert(value);
            }
        }
    }

    /// `evt.arg.NAME` given as `evt.arg[N]`, and the other way round.
    fn parameter(&self, arg: FieldArg<'_>) -> Option<&Value<'static>> {
        let event = schema::by_code(self.code)?;
        let other = match arg {
            FieldArg::Key(name) => {
                OwnedArg::Index(event.param(std::str::from_utf8(name).ok()?)?.0 as u32)
            }
            FieldArg::Index(index) => {
                OwnedArg::Key(event.params.get(index as usize)?.name.as_bytes().to_vec())
            }
            FieldArg::None => return None,
        };
        self.values.get(&(FieldId::EvtArg, other))
    }
}

impl Facts for GivenFacts {
    fn event_code(&self) -> u16 {
        self.code
    }

    fn value<'a>(&'a self, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
        let found = self
            .values
            .get(&(field, OwnedArg::from(arg)))
            .or_else(|| if field == FieldId::EvtArg { self.parameter(arg) } else { None });
        match (found, field, arg) {
            (Some(found), ..) => Some(borrow(found)),
            (None, FieldId::EvtTypeIs, FieldArg::Key(name)) => {
                let Some(Value::Text(is)) = self.plain(FieldId::EvtType) else { return None };
                Some(Value::Uint(u64::from(**is == *name)))
            }
            _ => None,
        }
    }

    /// Both ends may be given by themselves, or as `fd.ip`, `fd.net`, `fd.port` or `fd.proto`.
    fn socket_ends(&self) -> SocketEnds {
        let of = |several: [FieldId; 2], single: [FieldId; 2]| -> Vec<&Value<'static>> {
            let listed = several.iter().filter_map(|field| self.plain(*field)).flat_map(each);
            let found: Vec<_> = listed.collect();
            if found.is_empty() {
                return single.iter().filter_map(|field| self.plain(*field)).collect();
            }
            found
        };
        let addresses = of([FieldId::FdIp, FieldId::FdNet], [FieldId::FdCip, FieldId::FdSip]);
        let ports = of([FieldId::FdPort, FieldId::FdProto], [FieldId::FdCport, FieldId::FdSport]);
        let end = |n: usize| {
            let address = match addresses.get(n) {
                Some(Value::Ip(address)) => Some(*address),
                _ => None,
            };
            let port = ports.get(n).and_then(|port| port.as_integer()).map(|port| port as u16);
            (address.is_some() || port.is_some())
                .then(|| SocketAddr::new(address.unwrap_or(UNSPECIFIED), port.unwrap_or_default()))
        };
        match (end(0), end(1)) {
            (Some(one), Some(other)) => SocketEnds::Two(one, other),
            (Some(one), None) | (None, Some(one)) => SocketEnds::One(one),
            (None, None) if self.plain(FieldId::FdType).is_some() => SocketEnds::NotIp,
            (None, None) => SocketEnds::Unknown,
        }
    }

    /// Ancestors may be given one by one or, from the parent upwards, as a list.
    fn ancestors(
        &self,
        field: FieldId,
        key: FieldArg<'_>,
        visit: &mut dyn FnMut(Value<'_>) -> ControlFlow<()>,
    ) {
        if let Some(given) = self.values.get(&(field, OwnedArg::from(key))) {
            for value in each(given) {
                if visit(borrow(value)).is_break() {
                    return;
                }
            }
            return;
        }
        if key == FieldArg::None {
            let levels = (1..).map(|level| self.values.get(&(field, OwnedArg::Index(level))));
            for value in levels.map_while(|value| value) {
                if visit(borrow(value)).is_break() {
                    return;
                }
            }
        }
    }
}

/// Fields without an index that stand for several values, one after the other.
fn has_several(field: FieldId) -> bool {
    let both_ends = [FieldId::FdIp, FieldId::FdNet, FieldId::FdPort, FieldId::FdProto];
    field.is_of_ancestors() || both_ends.contains(&field)
}

/// The items of a list, or the value itself.
fn each<'v>(value: &'v Value<'static>) -> impl Iterator<Item = &'v Value<'static>> {
    match value {
        Value::List(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    }
    .iter()
}

/// The type of a parameter, as far as rules know it when they are loaded.
fn parameter_type(name: &[u8]) -> FieldType {
    let known = std::str::from_utf8(name).ok().and_then(schema_types::parameter_type);
    match known {
        Some(Class::Unsigned(_) | Class::Time) => FieldType::Uint64,
        Some(Class::Bytes) => FieldType::Bytebuf,
        Some(Class::Ip) => FieldType::Ipaddr,
        _ => FieldType::Dyn,
    }
}

impl From<FieldArg<'_>> for OwnedArg {
    fn from(arg: FieldArg<'_>) -> Self {
        match arg {
            FieldArg::None => Self::None,
            FieldArg::Index(index) => Self::Index(index),
            FieldArg::Key(key) => Self::Key(key.to_vec()),
        }
    }
}

fn borrow<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Text(text) => Value::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        Value::List(items) => Value::List(items.iter().map(borrow).collect()),
        other => other.clone(),
    }
}

fn convert(ty: FieldType, list: bool, json: &Json) -> Option<Value<'static>> {
    if list {
        let items = json.as_array()?;
        return items
            .iter()
            .map(|item| convert(ty, false, item))
            .collect::<Option<_>>()
            .map(Value::List);
    }
    match ty {
        FieldType::Charbuf => bytes(json).map(Value::owned_text),
        FieldType::Bytebuf => bytes(json).map(|bytes| Value::Bytes(Cow::Owned(bytes))),
        FieldType::Bool => written(json).map(Value::Bool),
        FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => written(json).map(Value::Int),
        FieldType::Uint32
        | FieldType::Uint64
        | FieldType::Reltime
        | FieldType::Abstime
        | FieldType::Port => written(json).map(Value::Uint),
        FieldType::Double => written(json).map(Value::Double),
        FieldType::Ipaddr | FieldType::Ipnet => {
            json.as_str()?.parse::<IpAddr>().ok().map(Value::Ip)
        }
        FieldType::Dyn => dynamic(json),
    }
}

fn dynamic(json: &Json) -> Option<Value<'static>> {
    json.as_i64()
        .map(Value::Int)
        .or_else(|| json.as_u64().map(Value::Uint))
        .or_else(|| json.as_bool().map(Value::Bool))
        .or_else(|| bytes(json).map(Value::owned_text))
}

/// A number or truth, or a text of one: it is the same to whoever writes facts by hand.
fn written<T: FromStr + DeserializeOwned>(json: &Json) -> Option<T> {
    match json {
        Json::String(text) => text.parse().ok(),
        other => T::deserialize(other).ok(),
    }
}

/// A string, a number as it is written, or any bytes as `{"hex": "…"}`.
fn bytes(json: &Json) -> Option<Vec<u8>> {
    if let Some(text) = json.as_str() {
        return Some(text.as_bytes().to_vec());
    }
    if json.is_number() {
        return Some(json.to_string().into_bytes());
    }
    let digits = json.get("hex")?.as_str()?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    digits
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(given: &Json) -> Result<GivenFacts, GivenError> {
        let map = given.as_object().unwrap();
        GivenFacts::new(map.iter().map(|(field, value)| (field.as_str(), value)))
    }

    #[test]
    fn values_by_type() {
        let facts = facts(&json!({
            "evt.type": "openat", "proc.pid": 7, "fd.sip": "::1", "proc.name": {"hex": "61ff"},
            "fd.types": ["file"], "fd.name": null, "evt.is_io": true, "thread.cpu": 1.5,
        }))
        .unwrap();
        let get = |field| facts.value(field, FieldArg::None);
        assert_eq!(facts.event_code(), 307);
        assert_eq!(get(FieldId::ProcPid), Some(Value::Int(7)));
        assert_eq!(get(FieldId::ProcName), Some(Value::text(b"a\xff")));
        assert_eq!(get(FieldId::FdTypes), Some(Value::List(vec![Value::text("file")])));
        assert_eq!(get(FieldId::FdLip), get(FieldId::FdSip));
        assert_eq!(get(FieldId::FdName), None);
    }

    #[test]
    fn parameters_by_name_and_by_place() {
        let facts = facts(&json!({"evt.type": "getcwd", "evt.arg[1]": "/x"})).unwrap();
        let by_name = facts.value(FieldId::EvtArg, FieldArg::Key(b"path"));
        assert_eq!(by_name, Some(Value::text("/x")));
        assert_eq!(facts.value(FieldId::EvtArg, FieldArg::Key(b"res")), None);
    }

    #[test]
    fn several_values_of_one_field() {
        let names = |given: &Json| {
            let facts = facts(given).unwrap();
            let mut names = Vec::new();
            facts.ancestors(FieldId::ProcAname, FieldArg::None, &mut |value| {
                names.push(String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned());
                ControlFlow::Continue(())
            });
            names
        };
        assert_eq!(names(&json!({"proc.aname": ["sh", "init"]})), ["sh", "init"]);
        assert_eq!(names(&json!({"proc.aname": "sh"})), ["sh"]);
        assert_eq!(names(&json!({"proc.aname[1]": "sh", "proc.aname[3]": "init"})), ["sh"]);
        let ends = |given: &Json| facts(given).unwrap().socket_ends();
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(ends(&json!({"fd.ip": "::1", "fd.port": 5})), SocketEnds::One(end("[::1]:5")));
        assert_eq!(
            ends(&json!({"fd.net": ["1.1.1.1", "2.2.2.2"], "fd.cport": 3, "fd.sport": 4})),
            SocketEnds::Two(end("1.1.1.1:3"), end("2.2.2.2:4"))
        );
        assert_eq!(ends(&json!({"fd.sport": 443})), SocketEnds::One(end("0.0.0.0:443")));
        assert_eq!(ends(&json!({"fd.type": "file"})), SocketEnds::NotIp);
    }

    #[test]
    fn numbers_and_truths_may_be_texts() {
        let facts = facts(&json!({
            "proc.pid": "-7", "evt.is_io": "true", "fd.sport": "443", "thread.cpu": 2,
            "evt.rawarg.uid": 4_294_967_295_u32, "evt.rawarg.res": -2, "evt.type": "open",
            "fd.snet": "10.0.0.1",
        }))
        .unwrap();
        let get = |field| facts.value(field, FieldArg::None);
        assert_eq!(get(FieldId::ProcPid), Some(Value::Int(-7)));
        assert_eq!(get(FieldId::EvtIsIo), Some(Value::Bool(true)));
        assert_eq!(get(FieldId::FdSport), Some(Value::Uint(443)));
        assert_eq!(get(FieldId::ThreadCpu), Some(Value::Double(2.0)));
        assert_eq!(get(FieldId::FdSip), Some(Value::Ip("10.0.0.1".parse().unwrap())));
        let raw = |name: &'static [u8]| facts.value(FieldId::EvtRawarg, FieldArg::Key(name));
        assert_eq!(raw(b"uid"), Some(Value::Uint(4_294_967_295)));
        assert_eq!(raw(b"res"), Some(Value::Int(-2)));
        let is = |name: &'static [u8]| facts.value(FieldId::EvtTypeIs, FieldArg::Key(name));
        assert_eq!((is(b"open"), is(b"close")), (Some(Value::Uint(1)), Some(Value::Uint(0))));
    }

    #[test]
    fn wrong_tables_are_refused() {
        let unknown = facts(&json!({"proc.nme": "x"})).unwrap_err();
        assert_eq!(unknown.to_string(), "unknown field `proc.nme`");
        let wrong = facts(&json!({"proc.pid": "x"})).unwrap_err();
        assert_eq!(wrong.to_string(), "`\"x\"` is not a value of `proc.pid`, which is int64");
    }
}
