//! Conditions as one graph in which every distinct part exists once.

use std::collections::{HashMap, HashSet};

use super::Matcher;
use super::membership::{self, Group, Member, Subject};
use super::search::{self, Search, Searched};
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
    /// Its place among comparisons that are answered by one look-up.
    pub(crate) member: Option<Member>,
    /// Its place among comparisons that are answered by one search.
    pub(crate) searched: Option<Searched>,
    /// Where the value of the left side is kept for others that need it.
    pub(crate) slot: Option<u32>,
}

/// Answers a comparison of `evt.type` from the event code alone, where that is enough.
#[derive(Debug)]
pub(crate) struct TypeCodes {
    named: IdSet,
    negated: bool,
    /// Codes whose name is the table's and not carried in the event.
    known: IdSet,
}

impl Test {
    /// A comparison without any of the ways to answer it faster.
    pub(crate) fn alone(test: &IrTest) -> Self {
        Self {
            left: test.left.clone(),
            compare: test.compare.clone(),
            matcher: Matcher::new(&test.compare),
            codes: None,
            member: None,
            searched: None,
            slot: None,
        }
    }
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
    searches: Vec<Search>,
    slots: usize,
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

    /// Adds the parts of a group; one that occurs twice is dropped. What only asks for the event's
    /// code comes first, as no order can be told from the answer; the rest stays as written, since
    /// authors put first what rarely holds.
    fn add_all(&mut self, parts: &[Ir]) -> Box<[NodeId]> {
        let mut ids = Vec::with_capacity(parts.len());
        let mut known = HashSet::with_capacity(parts.len());
        for part in parts {
            let id = self.add(part);
            if known.insert(id) {
                ids.push(id);
            }
        }
        ids.sort_by_key(|id| !self.asks_for_code(*id));
        ids.into()
    }

    fn asks_for_code(&self, id: NodeId) -> bool {
        match self.node(id) {
            Node::Test(place) => self.tests[*place as usize].codes.is_some(),
            _ => false,
        }
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
        self.tests.push(Test { codes: type_codes(test), ..Test::alone(test) });
        self.known_tests.insert(test.clone(), place);
        place
    }

    /// Prepares for evaluation and forgets what is only needed to add more. To be called once, after
    /// the last condition.
    pub fn seal(&mut self) {
        self.groups = membership::group(&mut self.tests);
        self.searches = search::searches(&mut self.tests);
        self.keep_values();
        self.known_nodes = HashMap::new();
        self.known_tests = HashMap::new();
    }

    /// A value that has to be put together and is looked at in more than one way is made once per
    /// event and kept. Others are borrowed, which is cheaper than to look them up.
    fn keep_values(&mut self) {
        let mut uses: HashMap<Source, u32> = HashMap::new();
        let alone = |test: &&mut Test| test.member.is_none() && test.searched.is_none();
        for test in self.tests.iter_mut().filter(alone) {
            if let Left::Value(source) = &test.left {
                *uses.entry(source.clone()).or_default() += 1;
            }
        }
        for group in &self.groups {
            if let Subject::Value(source) = &group.subject {
                *uses.entry(source.clone()).or_default() += 1;
            }
        }
        for search in &self.searches {
            *uses.entry(search.source.clone()).or_default() += 1;
        }
        uses.retain(|source, count| *count > 1 && matches!(source, Source::Call(..)));
        let mut slots: HashMap<Source, u32> = HashMap::new();
        let mut slot = |source: &Source| {
            uses.contains_key(source).then(|| {
                let next = slots.len() as u32;
                *slots.entry(source.clone()).or_insert(next)
            })
        };
        for test in self.tests.iter_mut().filter(alone) {
            if let Left::Value(source) = &test.left {
                test.slot = slot(source);
            }
        }
        for group in &mut self.groups {
            if let Subject::Value(source) = &group.subject {
                group.slot = slot(source);
            }
        }
        for search in &mut self.searches {
            search.slot = slot(&search.source);
        }
        self.slots = slots.len();
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

    /// Number of values that are kept for the rest of an event.
    pub(crate) fn slot_count(&self) -> usize {
        self.slots
    }

    /// Number of searches, and of the words with their answers.
    pub(crate) fn search_counts(&self) -> (usize, usize) {
        let words = self.searches.last().map_or(0, |last| last.first_word + last.words);
        (self.searches.len(), words as usize)
    }

    pub(crate) fn search(&self, number: u32) -> &Search {
        &self.searches[number as usize]
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
    fn the_code_is_asked_for_first_and_dear_values_looked_at_twice_are_kept() {
        let (mut graph, roots) = graph(&[
            "toupper(fd.name) regex 'a.*b' and (toupper(fd.name) glob a* or proc.name = x) and evt.type = open",
        ]);
        let Node::And(parts) = graph.node(roots[0]).clone() else { unreachable!() };
        let order: Vec<_> = parts
            .iter()
            .map(|part| match graph.node(*part) {
                Node::Test(place) => *place,
                _ => u32::MAX,
            })
            .collect();
        assert_eq!(order, [3, 0, u32::MAX]);
        graph.seal();
        assert_eq!(graph.slot_count(), 1);
        assert_eq!(graph.test(0).slot, graph.test(1).slot);
        assert_eq!((graph.test(2).slot, graph.test(3).slot), (None, None));
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
