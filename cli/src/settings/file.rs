//! The configuration file: keys of `falcoctl.yaml` and of our own, in any case.
//!
//! The file is read into a tree whose keys are lower case; values are asked for by dotted key. A value of a
//! wrong type is refused at once, with its line. A key that nobody knows is reported, never refused: a
//! chart renders whole files verbatim.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::table::{self, Form, Setting};
use super::tree::{Node, Placed};
use super::{
    BasicAuth, IndexSource, SettingsError, host_of, parse_basic_list, parse_index_list, split,
};
use crate::personality::Words;

/// Largest configuration file that is read.
pub(crate) const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// A key without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The key, its file, and that it has no effect.
    pub(crate) text: String,
    /// Whether somebody should look at it.
    pub(crate) missed: bool,
}

/// A configuration file, or nothing.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile {
    path: Option<PathBuf>,
    tree: Node,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self { path: None, tree: Node::Null }
    }
}

impl ConfigFile {
    /// Reads a file that must exist.
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        Self::open(path)?.ok_or_else(|| SettingsError::Missing { path: path.to_owned() })
    }

    /// Reads a file that may be absent.
    pub(super) fn read_if_present(path: &Path) -> Result<Self, SettingsError> {
        Ok(Self::open(path)?.unwrap_or_default())
    }

    /// Reads a file that was named and may be absent; its place is kept.
    pub(super) fn read_or_absent(path: &Path) -> Result<Self, SettingsError> {
        let absent = || Self { path: Some(path.to_owned()), tree: Node::Null };
        Ok(Self::open(path)?.unwrap_or_else(absent))
    }

    fn open(path: &Path) -> Result<Option<Self>, SettingsError> {
        let unreadable =
            |reason: String| SettingsError::Unreadable { path: path.to_owned(), reason };
        match fs::metadata(path) {
            Ok(found) if found.len() > MAX_CONFIG_BYTES => {
                return Err(unreadable(format!(
                    "it has {} bytes, more than {MAX_CONFIG_BYTES}",
                    found.len()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(path, &text).map(Some)
    }

    /// Reads the text of a file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let invalid = |reason: String| SettingsError::Invalid { path: path.to_owned(), reason };
        let tree = if text.trim().is_empty() {
            Node::Null
        } else {
            serde_saphyr::from_str(text).map_err(|error| invalid(first_line(&error)))?
        };
        if !matches!(tree, Node::Null | Node::Map(_)) {
            return Err(invalid("expected a mapping of keys to values".to_owned()));
        }
        let file = Self { path: Some(path.to_owned()), tree };
        file.check()?;
        Ok(file)
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// A scalar by dotted key, and where it is from.
    pub(super) fn scalar(&self, key: &str) -> Option<(String, String)> {
        let found = self.find(key)?;
        Some((found.node.scalar()?, self.origin_at(key, found.line)))
    }

    /// A list by dotted key; a single string is split at `separator`.
    pub(super) fn list(&self, key: &str, separator: char) -> Result<Vec<String>, SettingsError> {
        let Some(found) = self.find(key) else { return Ok(Vec::new()) };
        match &found.node {
            Node::Null => Ok(Vec::new()),
            Node::List(items) => items
                .iter()
                .map(|item| {
                    item.node
                        .scalar()
                        .ok_or_else(|| self.wrong(key, item, &Form::List(separator).expected()))
                })
                .collect(),
            other => match other.scalar() {
                Some(text) => Ok(split(&text, separator)),
                None => Err(self.wrong(key, found, &Form::List(separator).expected())),
            },
        }
    }

    /// The entries of `indexes`, if the key is there.
    pub(super) fn indexes(&self) -> Result<Option<Vec<IndexSource>>, SettingsError> {
        const KEY: &str = "indexes";
        let read = |entry: &Placed| {
            let field = |name| entry.node.get(name).and_then(|field| field.node.scalar());
            match (field("name"), field("url")) {
                (Some(name), Some(url)) => Ok(IndexSource { name, url, added: false }),
                _ => Err(self.wrong(KEY, entry, "entries with `name` and `url`")),
            }
        };
        self.listed(KEY, parse_index_list, read)
    }

    /// The entries of `registry.auth.basic`.
    pub(super) fn basic_auth(&self) -> Result<Vec<BasicAuth>, SettingsError> {
        const KEY: &str = "registry.auth.basic";
        let read = |entry: &Placed| {
            let field = |name| entry.node.get(name).and_then(|field| field.node.scalar());
            match (field("registry"), field("user"), field("password")) {
                (Some(registry), Some(user), Some(password)) => {
                    Ok(BasicAuth { registry: host_of(&registry), user, password })
                }
                // The entry may hold a password, so it is not shown.
                _ => Err(SettingsError::Value {
                    value: field("registry").unwrap_or_else(|| "entry".to_owned()),
                    origin: self.origin_at(KEY, entry.line),
                    expected: "entries with `registry`, `user` and `password`".to_owned(),
                }),
            }
        };
        Ok(self.listed(KEY, parse_basic_list, read)?.unwrap_or_default())
    }

    /// Hosts of a list, whose entries are hosts or have a `registry`.
    pub(super) fn hosts(&self, key: &str) -> Result<Vec<String>, SettingsError> {
        let read = |entry: &Placed| {
            let host = entry.node.scalar();
            let host = host.or_else(|| entry.node.get("registry")?.node.scalar());
            host.ok_or_else(|| self.wrong(key, entry, "entries with `registry`"))
        };
        let parse = |text: &str, _: &str| Ok(split(text, ';'));
        Ok(self.listed(key, parse, read)?.unwrap_or_default())
    }

    /// The entries of a list of mappings, their keys in lower case.
    pub(super) fn entries(&self, key: &str) -> Result<Vec<Value>, SettingsError> {
        let Some(found) = self.find(key) else { return Ok(Vec::new()) };
        match &found.node {
            Node::Null => Ok(Vec::new()),
            Node::List(entries) => Ok(entries.iter().map(|entry| entry.node.to_value()).collect()),
            _ => Err(self.wrong(key, found, "a list")),
        }
    }

    /// The entries of a list of mappings, which may be written as one string as well.
    fn listed<T>(
        &self,
        key: &str,
        parse: impl Fn(&str, &str) -> Result<Vec<T>, SettingsError>,
        read: impl Fn(&Placed) -> Result<T, SettingsError>,
    ) -> Result<Option<Vec<T>>, SettingsError> {
        let Some(found) = self.find(key) else { return Ok(None) };
        match &found.node {
            Node::Null => Ok(None),
            Node::List(entries) => entries.iter().map(read).collect::<Result<_, _>>().map(Some),
            Node::Text(text) => parse(text, &self.origin_at(key, found.line)).map(Some),
            _ => Err(self.wrong(key, found, "a list")),
        }
    }

    /// Keys that have no effect.
    pub(super) fn remarks(&self, words: Words) -> Vec<Remark> {
        let mut remarks = Vec::new();
        self.walk(&mut |key, found| {
            let origin = self.origin_at(key, found.line);
            match table::find(key) {
                Some(setting) if setting.is_idle(words) => {
                    remarks.push(Remark {
                        text: format!("{origin} has no effect here"),
                        missed: false,
                    });
                }
                Some(_) => {}
                None if table::is_section(key) => {}
                None => {
                    let advice = table::similar(key)
                        .map_or_else(String::new, |known| format!("; is `{known}` meant?"));
                    let text = format!("{origin} is not known and has no effect{advice}");
                    remarks.push(Remark { text, missed: true });
                }
            }
        });
        remarks
    }

    /// Refuses values of wrong types.
    fn check(&self) -> Result<(), SettingsError> {
        let mut wrong = None;
        self.walk(&mut |key, found| {
            let expected = match table::find(key) {
                Some(setting) => {
                    (!setting.form.accepts(&found.node)).then(|| setting.form.expected())
                }
                None if table::is_section(key) && found.node.scalar().is_some() => {
                    Some("a mapping of keys to values".to_owned())
                }
                None => None,
            };
            if let Some(expected) = expected
                && wrong.is_none()
            {
                wrong = Some(self.wrong(key, found, &expected));
            }
        });
        wrong.map_or(Ok(()), Err)
    }

    /// Calls for each known key, and for each leaf below none of them.
    fn walk(&self, take: &mut dyn FnMut(&str, &Placed)) {
        if let Node::Map(fields) = &self.tree {
            for (key, value) in fields {
                walk(key, value, take);
            }
        }
    }

    fn find(&self, key: &str) -> Option<&Placed> {
        let mut parts = key.split('.');
        let mut found = self.tree.get(parts.next()?)?;
        for part in parts {
            found = found.node.get(part)?;
        }
        Some(found)
    }

    /// Where the value of a key is from.
    pub(super) fn origin(&self, key: &str) -> String {
        self.origin_at(key, self.find(key).map_or(0, |found| found.line))
    }

    fn origin_at(&self, key: &str, line: u64) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new("eyas.yaml"));
        let key = table::find(key).map_or(key, |setting| setting.key);
        format!("the key `{key}` of `{}` (line {line})", path.display())
    }

    fn wrong(&self, key: &str, found: &Placed, expected: &str) -> SettingsError {
        SettingsError::WrongType {
            found: found.node.kind(),
            origin: self.origin_at(key, found.line),
            expected: expected.to_owned(),
            instead: table::find(key).map(Setting::instead),
        }
    }
}

fn walk(key: &str, found: &Placed, take: &mut dyn FnMut(&str, &Placed)) {
    match &found.node {
        Node::Map(fields) if table::find(key).is_none() && !fields.is_empty() => {
            for (below, value) in fields {
                walk(&format!("{key}.{below}"), value, take);
            }
        }
        _ => take(key, found),
    }
}

/// The first line of an error; the rest repeats the source.
fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
