//! The `override` key and its older form `append: true`.
use super::reader::{Reader, Refused};
use crate::report::{Code, LoadCode};
use crate::source::Node;

/// A key that items can change later, and how.
pub(super) struct Overridable {
    pub(super) key: &'static str,
    pub(super) append: bool,
    pub(super) replace: bool,
}

impl Overridable {
    pub(super) const fn both(key: &'static str) -> Self {
        Self { key, append: true, replace: true }
    }

    pub(super) const fn replace(key: &'static str) -> Self {
        Self { key, append: false, replace: true }
    }
}

/// How an item changes one that exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It does not: it defines.
    Define,
    /// `append: true`.
    AppendFlag,
    /// `override`, with the keys to append and those to replace.
    Override { append: Vec<&'static str>, replace: Vec<&'static str> },
}

/// What an item says about how it changes another.
pub(super) fn change(
    reader: &mut Reader<'_>,
    item: &Node,
    allowed: &[Overridable],
) -> Result<Change, Refused> {
    let flag = reader.boolean(item, "append")?.unwrap_or_default();
    if flag && let Some(node) = item.get("append") {
        reader.warning(
            Code::Append,
            LoadCode::DeprecatedItem,
            node.place,
            "`append: true` is deprecated".to_owned(),
        );
        let keys = allowed.iter().filter(|o| o.append && item.get(o.key).is_some());
        let entries: Vec<String> = keys.map(|o| format!("{}: append", o.key)).collect();
        reader.hint(
            (!entries.is_empty()).then(|| format!("write `override: {{{}}}`", entries.join(", "))),
        );
    }
    let Some(node) = item.get("override").filter(|n| n.entries().is_some_and(|e| !e.is_empty()))
    else {
        return Ok(if flag { Change::AppendFlag } else { Change::Define });
    };
    reader.within("overrides", "", node, |reader| {
        if flag {
            let message = "`override` and `append: true` exclude each other".to_owned();
            return Err(reader.error(
                Code::Override,
                LoadCode::ErrYamlValidate,
                node.place,
                message,
            ));
        }
        overrides(reader, item, node, allowed)
    })
}

fn overrides(
    reader: &mut Reader<'_>,
    item: &Node,
    node: &Node,
    allowed: &[Overridable],
) -> Result<Change, Refused> {
    let (mut append, mut replace) = (Vec::new(), Vec::new());
    for (name, how) in node.entries().unwrap_or_default() {
        let key = name.text().unwrap_or_default();
        let Some(rule) = allowed.iter().find(|o| o.key == key) else {
            let message = format!("`{key}` cannot be overridden");
            let refused =
                reader.error(Code::Override, LoadCode::ErrYamlValidate, name.place, message);
            let keys: Vec<&str> = allowed.iter().map(|o| o.key).collect();
            reader.hint(Some(format!("these can: `{}`", keys.join("`, `"))));
            return Err(refused);
        };
        match how.text() {
            Some("append") if rule.append => append.push(rule.key),
            Some("replace") if rule.replace => replace.push(rule.key),
            _ => {
                let expected = if rule.append { "`append` or `replace`" } else { "`replace`" };
                return Err(reader.wrong_type(&format!("override of `{key}`"), expected, how));
            }
        }
        if item.get(key).is_none() {
            let message = format!("`{key}` is overridden, but the item does not give it");
            return Err(reader.error(
                Code::Override,
                LoadCode::ErrYamlValidate,
                name.place,
                message,
            ));
        }
    }
    for given in allowed.iter().filter(|o| item.get(o.key).is_some()) {
        if !append.contains(&given.key) && !replace.contains(&given.key) {
            let message = format!("`{}` is given, but `override` does not name it", given.key);
            let refused =
                reader.error(Code::Override, LoadCode::ErrYamlValidate, node.place, message);
            reader
                .hint(Some(format!("add `{}: replace` to `override`, or drop the key", given.key)));
            return Err(refused);
        }
    }
    Ok(Change::Override { append, replace })
}
