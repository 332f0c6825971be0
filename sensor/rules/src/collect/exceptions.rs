//! Exceptions of rule items: shapes, defaults, operators, fields.
use std::collections::HashSet;

use super::Text;
use super::item::{Exception, ExceptionValue, OneOrMany};
use super::reader::{Reader, Refused, head};
use crate::check::{Scope, operand};
use crate::report::{Code, LoadCode, nearest};
use crate::source::{Kind, Node, Place};
use crate::syntax::ast::{Modifier, Operand, Operator};
use crate::syntax::{Limits, parse_operand};

/// Most exceptions of one rule.
pub(super) const EXCEPTION_LIMIT: usize = 5000;

/// What an exception may say.
const KEYS: [&str; 4] = ["name", "fields", "comps", "values"];
const KEYS_AND_VALUE: [&str; 5] = ["name", "fields", "comps", "values", "value"];

/// What the exceptions of an item are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Define,
    Append,
    Replace,
}

/// An exception as an item gives it.
pub(super) struct GivenException {
    pub(super) name: String,
    pub(super) fields: Option<OneOrMany>,
    pub(super) comps: Option<OneOrMany>,
    pub(super) values: Vec<ExceptionValue>,
    pub(super) place: Place,
}

/// Reads the key `exceptions`, if the item has it.
pub(super) fn read(
    reader: &mut Reader<'_>,
    item: &Node,
    mode: Mode,
) -> Result<Option<Vec<GivenException>>, Refused> {
    let Some(node) = item.get("exceptions") else { return Ok(None) };
    let Some(items) = node.items() else {
        return Err(reader.wrong_type("`exceptions`", "a sequence of mappings", node));
    };
    reader.within("exceptions", "", node, |reader| {
        let mut given: Vec<GivenException> = Vec::with_capacity(items.len());
        let mut names = HashSet::new();
        for item in items {
            let exception = read_one(reader, item, mode)?;
            if !names.insert(exception.name.clone()) {
                let message =
                    format!("exception `{}` is defined twice in this item", exception.name);
                reader.warning(
                    Code::ExceptionTwice,
                    LoadCode::ExceptionNameNotUnique,
                    exception.place,
                    message,
                );
            }
            given.push(exception);
        }
        check_count(reader, node, given.len())?;
        Ok(Some(given))
    })
}

/// A rule may have only so many exceptions.
pub(super) fn check_count(
    reader: &mut Reader<'_>,
    node: &Node,
    count: usize,
) -> Result<(), Refused> {
    if count <= EXCEPTION_LIMIT {
        return Ok(());
    }
    let message = format!("a rule has at most {EXCEPTION_LIMIT} exceptions, found {count}");
    Err(reader.error(Code::TooLarge, LoadCode::ErrValidate, node.place, message))
}

fn read_one(reader: &mut Reader<'_>, item: &Node, mode: Mode) -> Result<GivenException, Refused> {
    if item.entries().is_none() {
        return Err(reader.wrong_type("an exception", "a mapping", item));
    }
    let name = reader.required(item, "name")?.as_str().to_owned();
    reader.within("exception", &name, item, |reader| {
        // `value` without values has a report of its own.
        let misspelt = item.get("values").is_none() && item.get("value").is_some();
        reader.inner_keys(item, if misspelt { &KEYS_AND_VALUE } else { &KEYS });
        let fields = one_or_many(reader, item, "fields")?;
        if fields.is_none() && mode != Mode::Append {
            return Err(reader.required(item, "fields").err().unwrap_or(Refused));
        }
        let comps = one_or_many(reader, item, "comps")?;
        let values = values(reader, item)?;
        if values.is_none() && mode == Mode::Append {
            let message = format!("exception `{name}` is appended without values");
            reader.warning(Code::ExceptionNoValues, LoadCode::AppendNoValues, head(item), message);
            let typo = item.get("value").map(|_| "did you mean `values`?".to_owned());
            reader.hint(typo);
        }
        let values = values.unwrap_or_default();
        Ok(GivenException { name: name.clone(), fields, comps, values, place: head(item) })
    })
}

fn one_or_many(
    reader: &mut Reader<'_>,
    item: &Node,
    key: &str,
) -> Result<Option<OneOrMany>, Refused> {
    let Some(node) = item.get(key).filter(|node| !node.is_null()) else { return Ok(None) };
    match &node.kind {
        Kind::Scalar(_) => Ok(Some(OneOrMany::One(Text::of(node).trimmed()))),
        Kind::Sequence(_) => Ok(reader
            .texts(item, key)?
            .map(|texts| OneOrMany::Many(texts.iter().map(Text::trimmed).collect()))),
        _ => Err(reader.wrong_type(&format!("`{key}`"), "a text or a sequence of texts", node)),
    }
}

fn values(reader: &mut Reader<'_>, item: &Node) -> Result<Option<Vec<ExceptionValue>>, Refused> {
    let Some(node) = item.get("values").filter(|node| !node.is_null()) else { return Ok(None) };
    match node.items() {
        Some(items) => Ok(Some(items.iter().map(value).collect())),
        None => Err(reader.within("exception values", "", node, |reader| {
            reader.wrong_type("`values`", "a sequence", node)
        })),
    }
}

fn value(node: &Node) -> ExceptionValue {
    match &node.kind {
        Kind::Scalar(_) => ExceptionValue::Text(Text::of(node)),
        Kind::Sequence(items) => {
            ExceptionValue::Sequence(items.iter().map(value).collect(), node.place)
        }
        Kind::Null | Kind::Mapping(_) => ExceptionValue::Other(node.place),
    }
}

impl GivenException {
    /// Fills defaults and checks lengths and operators; with a source also that the fields exist.
    pub(super) fn complete(
        self,
        reader: &mut Reader<'_>,
        scope: Option<Scope<'_>>,
    ) -> Result<Exception, Refused> {
        let Self { name, fields, comps, values, place } = self;
        let Some(fields) = fields else {
            let message = format!("exception `{name}` has no `fields`");
            return Err(reader.error(Code::MissingKey, LoadCode::ErrYamlValidate, place, message));
        };
        let comps = match (&fields, comps) {
            (OneOrMany::One(_), None) => OneOrMany::One(Text::generated("in")),
            (OneOrMany::Many(fields), None) => {
                OneOrMany::Many(vec![Text::generated("="); fields.len()])
            }
            (_, Some(comps)) => comps,
        };
        let exception = Exception { name, fields, comps, values, place };
        exception.check_shape().map_err(|(message, hint)| {
            let refused = reader.error(Code::Exception, LoadCode::ErrValidate, place, message);
            reader.hint(hint);
            refused
        })?;
        if let Some(scope) = scope {
            check_fields(reader, &exception, scope)?;
        }
        Ok(exception)
    }
}

impl Exception {
    fn check_shape(&self) -> Result<(), (String, Option<String>)> {
        let name = &self.name;
        match (&self.fields, &self.comps) {
            (OneOrMany::One(_), OneOrMany::One(comp)) => check_single(name, comp.as_str()),
            (OneOrMany::Many(fields), OneOrMany::Many(comps)) if fields.len() == comps.len() => {
                comps.iter().try_for_each(|comp| check_many(name, comp.as_str()))
            }
            (OneOrMany::Many(fields), OneOrMany::Many(comps)) => {
                let (fields, comps) = (fields.len(), comps.len());
                Err((format!("exception `{name}` has {fields} fields but {comps} comps"), None))
            }
            _ => Err((
                format!(
                    "exception `{name}`: fields and comps must both be texts or both sequences"
                ),
                None,
            )),
        }
    }
}

fn check_single(name: &str, comp: &str) -> Result<(), (String, Option<String>)> {
    let list = Operator::ALL.iter().any(|op| op.takes_list() && op.as_str() == comp);
    if list || is_modified(comp) {
        return Ok(());
    }
    Err((
        format!("exception `{name}`: `{comp}` does not compare one field with a list"),
        Some(
            "use `in`, `pmatch`, `intersects`, or a modifier, as in `startswith anyof`".to_owned(),
        ),
    ))
}

fn check_many(name: &str, comp: &str) -> Result<(), (String, Option<String>)> {
    let plain = comp == "==" || Operator::ALL.iter().any(|op| op.as_str() == comp);
    if plain || is_modified(comp) {
        return Ok(());
    }
    let names = Operator::ALL.iter().map(|op| op.as_str());
    let hint = nearest(comp, names).map(|meant| format!("did you mean `{meant}`?"));
    Err((format!("exception `{name}`: `{comp}` is not a comparison operator"), hint))
}

/// A text operator and a modifier, with exactly one space between.
pub(crate) fn is_modified(comp: &str) -> bool {
    let Some((operator, modifier)) = comp.split_once(' ') else { return false };
    let text = operator == "=="
        || Operator::ALL.iter().any(|op| op.takes_text() && op.as_str() == operator);
    text && Modifier::ALL.iter().any(|m| m.as_str() == modifier)
}

fn check_fields(
    reader: &mut Reader<'_>,
    exception: &Exception,
    scope: Scope<'_>,
) -> Result<(), Refused> {
    for field in exception.fields.texts() {
        let known = parse_operand(field.as_str(), Limits::filter())
            .map_err(|error| (error.message.clone(), error.hint.clone()))
            .and_then(|operand| resolve(&operand, scope));
        if let Err((reason, hint)) = known {
            let message = format!(
                "exception `{}`: `{}` is not a field: {reason}",
                exception.name,
                field.as_str()
            );
            let refused =
                reader.error(Code::UnknownField, LoadCode::ErrValidate, exception.place, message);
            reader.hint(hint);
            return Err(refused);
        }
    }
    Ok(())
}

/// Whether the fields in an operand exist.
fn resolve(written: &Operand, scope: Scope<'_>) -> Result<(), (String, Option<String>)> {
    match operand(written, scope) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.to_string(), error.hint())),
    }
}

impl Text {
    /// A text that nobody wrote.
    pub(crate) fn generated(text: &str) -> Self {
        let mut out = Self::default();
        out.push_str(text);
        out
    }
}
