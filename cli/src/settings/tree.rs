//! A configuration file as a tree: each value with its line, mappings by key in lower case.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_saphyr::Spanned;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) node: Node,
    /// One-based; 0 when the parser does not say.
    pub(super) line: u64,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Switch(bool),
    /// As it would be written.
    Number(String),
    Text(String),
    List(Vec<Placed>),
    Map(BTreeMap<String, Placed>),
}

impl Node {
    /// What it is, for an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Switch(_) => "a switch",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// A value that is one word, as text.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            Self::Switch(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The same without lines.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Switch(value) => Value::Bool(*value),
            Self::Number(text) | Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(|item| item.node.to_value()).collect(),
            Self::Map(fields) => fields
                .iter()
                .map(|(key, field)| (key.clone(), field.node.to_value()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// The field of a mapping.
    pub(super) fn get(&self, field: &str) -> Option<&Placed> {
        match self {
            Self::Map(fields) => fields.get(&field.to_ascii_lowercase()),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Switch(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            list.push(placed(item));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = placed(entries.next_value::<Spanned<Node>>()?);
            if map.insert(key.to_ascii_lowercase(), value).is_some() {
                return Err(de::Error::custom(format!("key `{key}` is there twice")));
            }
        }
        Ok(Node::Map(map))
    }
}

fn placed(item: Spanned<Node>) -> Placed {
    let line = item.referenced.line();
    Placed { node: item.value, line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        serde_saphyr::from_str(text).expect("YAML")
    }

    #[test]
    fn each_value_has_its_line() {
        let tree = read("A:\n  b: 1\n  c:\n  - x\n  - y: true\n");
        let a = tree.get("a").expect("there");
        assert_eq!(a.node.get("B").expect("there").line, 2);
        let Some(Placed { node: Node::List(items), .. }) = a.node.get("c") else {
            panic!("{tree:?}")
        };
        assert_eq!((items[0].line, items[1].line), (4, 5));
        assert_eq!(items[1].node.get("y").expect("there").node, Node::Switch(true));
    }

    #[test]
    fn a_word_stays_as_it_was_written() {
        let tree = read("a: '1.10'\nb: 7\nc: ~\nd: no\n");
        let scalar = |key| tree.get(key).expect("there").node.scalar();
        assert_eq!(scalar("a").as_deref(), Some("1.10"));
        assert_eq!(scalar("b").as_deref(), Some("7"));
        assert_eq!(scalar("c"), None);
    }

    #[test]
    fn a_key_in_two_spellings_is_there_twice() {
        let said = serde_saphyr::from_str::<Node>("aB: 1\nAb: 2\n").expect_err("twice").to_string();
        assert!(said.contains("`Ab` is there twice"), "{said}");
    }
}
