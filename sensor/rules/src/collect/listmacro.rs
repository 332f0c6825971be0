//! List and macro items.
use super::item::{Header, List, Macro};
use super::overrides::{Change, Overridable, change};
use super::reader::{Reader, Refused, head};
use super::{Collection, Text};
use crate::report::{Code, LoadCode};
use crate::source::Node;
use crate::syntax::{is_bare_text, is_identifier};

const LIST_KEYS: [&str; 4] = ["list", "items", "append", "override"];
const LIST_OVERRIDES: [Overridable; 1] = [Overridable::both("items")];
const MACRO_KEYS: [&str; 4] = ["macro", "condition", "append", "override"];
const MACRO_OVERRIDES: [Overridable; 1] = [Overridable::both("condition")];

impl Collection {
    pub(super) fn list_item(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
    ) -> Result<(), Refused> {
        let name = reader.required(item, "list")?.as_str().to_owned();
        reader.within("list", &name, item, |reader| {
            reader.keys(item, &LIST_KEYS);
            if !is_bare_text(&name) {
                let message =
                    format!("list name `{name}` has blanks, quotes, `=`, `,` or parentheses");
                reader.warning(Code::ListName, LoadCode::InvalidListName, head(item), message);
            }
            let Some(items) = reader.texts(item, "items")? else {
                return Err(reader.required(item, "items").err().unwrap_or(Refused));
            };
            if is_append(&change(reader, item, &LIST_OVERRIDES)?) {
                return self.append_list(reader, item, &name, items);
            }
            self.define_list(item, name.clone(), items);
            Ok(())
        })
    }

    fn append_list(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
        items: Vec<Text>,
    ) -> Result<(), Refused> {
        let Some(&known) = self.names.lists.get(name) else {
            return Err(self.not_defined(reader, item, "list", name));
        };
        let position = self.next_position();
        let list = &mut self.lists[known];
        list.items.extend(items);
        list.header.visibility = position;
        Ok(())
    }

    fn define_list(&mut self, item: &Node, name: String, items: Vec<Text>) {
        let position = self.next_position();
        if let Some(&known) = self.names.lists.get(&name) {
            let list = &mut self.lists[known];
            list.items = items;
            list.header.redefine(position, item);
            return;
        }
        self.names.lists.insert(name.clone(), self.lists.len());
        self.lists.push(List { header: Header::new(name, position, item), items });
    }

    pub(super) fn macro_item(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
    ) -> Result<(), Refused> {
        let name = reader.required(item, "macro")?.as_str().to_owned();
        reader.within("macro", &name, item, |reader| {
            reader.keys(item, &MACRO_KEYS);
            if !is_identifier(&name) {
                let message = format!("macro name `{name}` is not letters, digits and `_` only");
                reader.warning(Code::MacroName, LoadCode::InvalidMacroName, head(item), message);
            }
            let condition = reader.required(item, "condition")?;
            if is_append(&change(reader, item, &MACRO_OVERRIDES)?) {
                return self.append_macro(reader, item, &name, &condition);
            }
            self.define_macro(item, name.clone(), condition);
            Ok(())
        })
    }

    fn append_macro(
        &mut self,
        reader: &mut Reader<'_>,
        item: &Node,
        name: &str,
        condition: &Text,
    ) -> Result<(), Refused> {
        let Some(&known) = self.names.macros.get(name) else {
            return Err(self.not_defined(reader, item, "macro", name));
        };
        let position = self.next_position();
        let known = &mut self.macros[known];
        known.condition.append(condition);
        known.header.visibility = position;
        Ok(())
    }

    fn define_macro(&mut self, item: &Node, name: String, condition: Text) {
        let position = self.next_position();
        if let Some(&known) = self.names.macros.get(&name) {
            let known = &mut self.macros[known];
            known.condition = condition;
            known.header.redefine(position, item);
            return;
        }
        self.names.macros.insert(name.clone(), self.macros.len());
        self.macros.push(Macro { header: Header::new(name, position, item), condition });
    }
}

fn is_append(change: &Change) -> bool {
    match change {
        Change::Define => false,
        Change::AppendFlag => true,
        Change::Override { append, .. } => !append.is_empty(),
    }
}

impl Header {
    pub(super) fn new(name: String, position: u32, item: &Node) -> Self {
        Self { name, index: position, visibility: position, place: item.place }
    }

    /// A full definition of something that exists: it keeps its place in the order.
    pub(super) fn redefine(&mut self, position: u32, item: &Node) {
        self.visibility = position;
        self.place = item.place;
    }
}

impl Text {
    /// Adds another text after one space.
    pub(super) fn append(&mut self, other: &Self) {
        self.push_str(" ");
        self.push(other);
    }
}
