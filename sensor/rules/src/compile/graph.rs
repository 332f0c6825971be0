//! Conditions as one graph in which every distinct part exists once.

use std::collections::HashMap;

use super::Matcher;
use super::membership::{self, Group, Member};
use crate::check::{Compare, Ir, Left, Source, Test as IrTest};
use crate::fields::{Argument, FieldId};
use crate::index::{IdSet, schema};
use crate::syntax::ast::Operator;

/// Place of a part in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) u32);

/// A part of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// All hold.
    And(Box<[NodeId]>),
    /// At least one holds.
    Or(Box<[NodeId]>),
    /// Does not hold.
    Not(NodeId),
    /// The comparison at this place.
    Test(u32),
}

/// One comparison, ready to run.
#[derive(Debug)]
pub(crate) struct Test {
    /// Where the values come from.
    pub(crate) left: Left,
    /// How to compare.
    pub(crate) compare: Compare,
    /// The right side, prepared; `None` when it is no constant.
    pub(crate) matcher: Option<Matcher>,
    /// For comparisons of the event's type by name: the answer by event code.
    pub(crate) codes: Option<TypeCodes>,
    /// Its place among comparisons that are answered together.
    pub(crate) member: Option<Member>,
}

/// Answers a comparison of `evt.type` from the event code alone, where that is enough.
#[derive(Debug)]
pub(crate) struct TypeCodes {
    named: IdSet,
    negated: bool,
    /// Codes whose name is the table's and not carried in the event.
    known: IdSet,
}

impl TypeCodes {
    /// The answer, unless the event's name has to be looked at.
    pub(crate) fn answer(&self, code: u16) -> Option<bool> {
        self.known.contains(code).then(|| self.named.contains(code) != self.negated)
    }
}

/// Parts of conditions, each distinct one stored once.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Parts used by more than one other: their answer is kept for the rest of the event.
    shared: Vec<bool>,
    tests: Vec<Test>,
    groups: Vec<Group>,
    known_nodes: HashMap<Node, NodeId>,
    known_tests: HashMap<IrTest, u32>,
}

impl Graph {
    /// Adds a condition and gives the part that stands for the whole of it.
    pub fn add(&mut self, ir: &Ir) -> NodeId {
        let node = match ir {
            Ir::And(parts) => match self.add_all(parts) {
                single if single.len() == 1 => return single[0],
                parts => Node::And(parts),
            },
            Ir::Or(parts) => match self.add_all(parts) {
                single if single.len() == 1 => return single[0],
                parts => Node::Or(parts),
            },
            Ir::Not(inner) => {
                let inner = self.add(inner);
                if let Node::Not(twice) = self.node(inner) {
                    return *twice;
                }
                Node::Not(inner)
            }
            Ir::Test(test) => Node::Test(self.add_test(test)),
        };
        self.intern(node)
    }

    /// Adds the parts of a group; one that occurs twice is dropped.
    fn add_all(&mut self, parts: &[Ir]) -> Box<[NodeId]> {
        let mut ids = Vec::with_capacity(parts.len());
        for part in parts {
            let id = self.add(part);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.into()
    }

    fn intern(&mut self, node: Node) -> NodeId {
        if let Some(known) = self.known_nodes.get(&node) {
            self.shared[known.0 as usize] = true;
            return *known;
        }
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node.clone());
        self.shared.push(false);
        self.known_nodes.insert(node, id);
        id
    }

    fn add_test(&mut self, test: &IrTest) -> u32 {
        if let Some(known) = self.known_tests.get(test) {
            return *known;
        }
        let place = self.tests.len() as u32;
        self.tests.push(Test {
            left: test.left.clone(),
            compare: test.compare.clone(),
            matcher: Matcher::new(&test.compare),
            codes: type_codes(test),
            member: None,
        });
        self.known_tests.insert(test.clone(), place);
        place
    }

    /// Prepares for evaluation and forgets what is only needed to add more. To be called once, after
    /// the last condition.
    pub fn seal(&mut self) {
        self.groups = membership::group(&mut self.tests);
        self.known_nodes = HashMap::new();
        self.known_tests = HashMap::new();
    }

    /// Number of distinct parts.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds no condition.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Number of distinct comparisons.
    pub fn test_count(&self) -> usize {
        self.tests.len()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn is_shared(&self, id: NodeId) -> bool {
        self.shared[id.0 as usize]
    }

    /// Number of groups of comparisons that are answered together.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn group(&self, member: Member) -> &Group {
        &self.groups[member.group as usize]
    }

    pub(crate) fn test(&self, place: u32) -> &Test {
        &self.tests[place as usize]
    }
}

/// The event codes that answer a comparison of the event's type by name.
fn type_codes(test: &IrTest) -> Option<TypeCodes> {
    let Left::Value(Source::Field(FieldId::EvtType, Argument::None)) = &test.left else {
        return None;
    };
    let (negated, constants) = match &test.compare {
        Compare::One(Operator::Eq, constant) => (false, std::slice::from_ref(constant)),
        Compare::One(Operator::Ne, constant) => (true, std::slice::from_ref(constant)),
        Compare::Set(Operator::In | Operator::Intersects, constants) => (false, &constants[..]),
        _ => return None,
    };
    let mut named = IdSet::EMPTY;
    for constant in constants {
        named = named.union(schema::own_codes(super::matcher::text_of(constant)?));
    }
    Some(TypeCodes { named, negated, known: schema::named_codes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Scope, check};
    use crate::syntax::{Limits, parse};

    fn graph(conditions: &[&str]) -> (Graph, Vec<NodeId>) {
        let mut graph = Graph::default();
        let statics = crate::fields::StaticFields::new();
        let scope = Scope { source: "syscall", statics: &statics };
        let roots = conditions
            .iter()
            .map(|text| {
                let expr = parse(text, Limits::filter()).unwrap();
                graph.add(&check(&expr, scope).unwrap().ir)
            })
            .collect();
        (graph, roots)
    }

    #[test]
    fn equal_parts_of_different_conditions_are_one() {
        let (graph, roots) = graph(&[
            "evt.type = open and proc.name = a",
            "evt.type = open and proc.name == a",
            "evt.type = open and proc.name = b",
        ]);
        assert_eq!(roots[0], roots[1]);
        assert_ne!(roots[0], roots[2]);
        assert_eq!(graph.test_count(), 3);
        assert!(graph.is_shared(roots[0]) && !graph.is_shared(roots[2]));
    }

    #[test]
    fn what_says_nothing_is_folded() {
        let (graph, roots) =
            graph(&["not not proc.name = a", "proc.name = a and proc.name = a", "proc.name = a"]);
        assert!(roots.iter().all(|root| *root == roots[0]));
        assert_eq!(graph.test_count(), 1);
    }

    #[test]
    fn the_type_is_answered_by_code_where_the_table_names_it() {
        let (graph, _) = graph(&["evt.type in (open, add_key)", "evt.type != open"]);
        let codes = |place| graph.test(place).codes.as_ref().unwrap();
        assert_eq!(codes(0).answer(3), Some(true));
        assert_eq!(codes(0).answer(5), Some(false));
        assert_eq!(codes(0).answer(1), None, "the generic event carries its name");
        assert_eq!(codes(1).answer(3), Some(false));
        assert_eq!(codes(1).answer(crate::index::ASYNC_EVENT), None);
        assert_eq!(codes(1).answer(u16::MAX), None);
    }
}
