//! Items of all files in one collection: definitions, appends, replaces, order.
//!
//! Owns the meaning of the keys of a rules file and the rules of merging. Conditions stay text
//! here; what list names, macros and exceptions in them stand for is `expand`'s business.
mod change;
mod exceptions;
mod item;
mod listmacro;
mod overrides;
mod reader;
mod rule;
mod schema;
mod text;
mod version;

use std::collections::{HashMap, HashSet};

pub use item::{
    DEFAULT_SOURCE, Exception, ExceptionValue, Header, List, Macro, OneOrMany, Priority, Rule,
    UnknownPriority,
};
pub use rule::RULE_LIMIT;
pub use schema::schema_violations;
pub use text::Text;
pub use version::{Plugin, PluginRequirement, Requirement, leading_version, unsatisfied};

use reader::{Reader, Refused};

use crate::fields::StaticFields;
use crate::report::{Code, LoadCode, Report, nearest};
use crate::source::{Node, SourceFile};

/// The engine version that rules files can ask for.
pub const ENGINE_VERSION: semver::Version = semver::Version::new(0, 63, 0);

/// Keys that decide an item's kind, in the order in which they are looked for.
const KINDS: [&str; 5] =
    ["required_engine_version", "required_plugin_versions", "list", "macro", "rule"];

/// All items of the files collected so far.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// In order of index.
    pub lists: Vec<List>,
    /// In order of index.
    pub macros: Vec<Macro>,
    /// In order of index.
    pub rules: Vec<Rule>,
    /// In order of appearance.
    pub plugins: Vec<PluginRequirement>,
    /// The highest engine version asked for.
    pub engine: Option<semver::Version>,
    /// Names whose definition was refused: that they are missing is not worth another report.
    pub refused: HashSet<String>,
    names: Names,
    position: u32,
    sources: Vec<String>,
    statics: StaticFields,
}

#[derive(Debug, Clone, Default)]
struct Names {
    lists: HashMap<String, usize>,
    macros: HashMap<String, usize>,
    rules: HashMap<String, usize>,
}

impl Collection {
    /// An empty collection of an engine that knows these event sources and constants.
    pub fn new(sources: &[String], statics: StaticFields) -> Self {
        Self { sources: sources.to_vec(), statics, ..Self::default() }
    }

    /// The list of a name.
    pub fn list(&self, name: &str) -> Option<&List> {
        self.names.lists.get(name).map(|&n| &self.lists[n])
    }

    /// The macro of a name.
    pub fn macro_(&self, name: &str) -> Option<&Macro> {
        self.names.macros.get(name).map(|&n| &self.macros[n])
    }

    /// The rule of a name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.names.rules.get(name).map(|&n| &self.rules[n])
    }

    /// Adds the documents of a file. An item that is refused changes nothing.
    pub fn add(&mut self, file: &SourceFile, documents: &[Node]) -> Vec<Report> {
        let mut reader = Reader::new(file);
        for document in documents {
            reader.within("rules content", "", document, |reader| self.document(reader, document));
        }
        reader.reports
    }

    fn document(&mut self, reader: &mut Reader<'_>, document: &Node) {
        if document.is_null() {
            return;
        }
        let Some(items) = document.items() else {
            let message =
                format!("a rules file must be a sequence of items, found {}", document.kind_name());
            reader.error(Code::Structure, LoadCode::ErrYamlValidate, document.place, message);
            reader.hint(Some("begin each item with `- `".to_owned()));
            return;
        };
        for item in items.iter().filter(|item| !item.is_null()) {
            reader.within("rules content item", "", item, |reader| {
                if self.item(reader, item) == Err(Refused) {
                    self.remember_refused(item);
                }
            });
        }
    }

    fn item(&mut self, reader: &mut Reader<'_>, item: &Node) -> Result<(), Refused> {
        if item.entries().is_none() {
            let message = format!("an item must be a mapping, found {}", item.kind_name());
            return Err(reader.error(
                Code::Structure,
                LoadCode::ErrYamlValidate,
                item.place,
                message,
            ));
        }
        match KINDS.into_iter().find(|kind| item.get(kind).is_some()) {
            Some("required_engine_version") => self.engine_version(reader, item),
            Some("required_plugin_versions") => self.plugin_versions(reader, item),
            Some("list") => self.list_item(reader, item),
            Some("macro") => self.macro_item(reader, item),
            Some("rule") => self.rule_item(reader, item),
            _ => {
                unknown_item(reader, item);
                Ok(())
            }
        }
    }

    fn remember_refused(&mut self, item: &Node) {
        let names = ["list", "macro", "rule"].into_iter().filter_map(|key| item.get(key)?.text());
        self.refused.extend(names.map(str::to_owned));
    }

    fn next_position(&mut self) -> u32 {
        self.position += 1;
        self.position
    }
}

fn unknown_item(reader: &mut Reader<'_>, item: &Node) {
    let first = item.entries().and_then(<[_]>::first).and_then(|(key, _)| key.text());
    let message = match first {
        Some(key) => format!("an item that begins with `{key}` is ignored"),
        None => "an item of no known kind is ignored".to_owned(),
    };
    reader.warning(Code::UnknownItem, LoadCode::UnknownItem, reader::head(item), message);
    let meant = first.and_then(|first| nearest(first, KINDS));
    reader.hint(Some(match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("an item is one of `{}`", KINDS.join("`, `")),
    }));
}
