//! A typed tree becomes a program: equal parts shared, values in sets, patterns in searchers.
//!
//! Everything that can be worked out before an event is seen is worked out here; `eval` then only
//! reads. Parts of conditions that mean the same become one node, whichever rule they stand in.

mod bytes;
mod filter;
mod glob;
mod graph;
mod matcher;
mod membership;
mod paths;
mod search;
mod trie;

pub use filter::{FilterError, filter};
pub use graph::{Graph, NodeId};

pub(crate) use bytes::{contains, contains_ignoring_case, ends_with, starts_with};
pub(crate) use glob::Glob;
pub(crate) use graph::{Node, Test};
pub(crate) use matcher::{Matcher, bytes_of, counted, ordered};
pub(crate) use membership::{Group, Member, Subject};
pub(crate) use search::Searched;

use crate::check::{CheckError, CheckWarning, Ir, Scope, check};
use crate::eval::{Scratch, Walk};
use crate::fields::Facts;
use crate::syntax::ast::Expr;

/// One condition, ready to be evaluated by itself. Rules share one graph instead.
#[derive(Debug)]
pub struct Program {
    graph: Graph,
    root: NodeId,
}

impl Program {
    /// Compiles a checked condition.
    pub fn new(ir: &Ir) -> Self {
        let mut graph = Graph::default();
        let root = graph.add(ir);
        graph.seal();
        Self { graph, root }
    }

    /// Whether the condition holds for an event.
    pub fn matches(&self, facts: &dyn Facts, scratch: &mut Scratch) -> bool {
        scratch.begin(&self.graph);
        let mut walk = Walk::new(&self.graph, facts, scratch);
        let answer = walk.holds(self.root);
        walk.end();
        answer
    }
}

/// Checks and compiles a condition whose macros are expanded.
pub fn compile(expr: &Expr, scope: Scope<'_>) -> Result<(Program, Vec<CheckWarning>), CheckError> {
    let checked = check(expr, scope)?;
    Ok((Program::new(&checked.ir), checked.warnings))
}

/// The sealed graph of one condition, for the tests of its parts.
#[cfg(test)]
fn graph_of(condition: &str) -> Graph {
    use crate::syntax::{Limits, parse};
    let statics = crate::fields::StaticFields::new();
    let expr = parse(condition, Limits::filter()).unwrap();
    let scope = Scope { source: "syscall", statics: &statics };
    let mut graph = Graph::default();
    graph.add(&check(&expr, scope).unwrap().ir);
    graph.seal();
    graph
}
