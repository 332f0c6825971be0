//! One rule in full: what it comes to, when it is tried, what that costs.
use std::collections::BTreeSet;

use serde::Serialize;

use super::tree::Parts;
use crate::check::{Compare, Constant, Ir, Left, Source, Test};
use crate::fields::{self, FieldType};
use crate::index::{ASYNC_EVENT, IdSet, event_names, rule_codes, schema};
use crate::load::{CompiledRule, LoadOutcome};
use crate::report::nearest;
use crate::syntax::ast::Operator;
use crate::syntax::pretty;

/// Width of conditions laid out for reading, in characters.
const WIDTH: usize = 100;

/// What there is to say about a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its event source.
    pub source: String,
    /// Its priority.
    pub priority: &'static str,
    /// Whether it runs.
    pub enabled: bool,
    /// Sorted.
    pub tags: Vec<String>,
    /// The condition as written, after appends, with what exceptions add; macros by name.
    pub written: String,
    /// The condition with all names replaced, laid out over lines.
    pub expanded: String,
    /// Macros in it, also indirectly.
    pub macros: Vec<String>,
    /// Names of its exceptions.
    pub exceptions: Vec<String>,
    /// Names of the events it is tried on; nothing if it is tried on all of them.
    pub event_types: Option<Vec<&'static str>>,
    /// What it looks at.
    pub fields: Vec<ExplainedField>,
    /// The output with all that settings add.
    pub output: String,
    /// What trying it costs.
    pub cost: Cost,
}

/// A field of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedField {
    /// As written, with its argument.
    pub field: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub ty: &'static str,
    /// From the field table.
    pub description: &'static str,
}

/// An estimate to compare rules by. One unit is about one comparison of two short texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cost {
    /// Comparisons in the condition.
    pub comparisons: usize,
    /// Units if every comparison is made.
    pub most: usize,
    /// Units if each part ends at its first comparison: the usual case, for an event that does not
    /// match.
    pub least: usize,
    /// Event codes it is tried on.
    pub event_codes: usize,
    /// Event codes there are.
    pub of_event_codes: usize,
}

/// Explains a rule that compiles.
pub fn explain(outcome: &LoadOutcome, name: &str) -> Option<Explanation> {
    let compiled = outcome.rules.iter().find(|rule| rule_name(outcome, rule) == name)?;
    let rule = &outcome.collection.rules[compiled.rule];
    let codes = rule_codes(&compiled.tree, &rule.source).unwrap_or(compiled.codes);
    Some(Explanation {
        name: name.to_owned(),
        description: rule.desc.trim().to_owned(),
        source: rule.source.clone(),
        priority: rule.priority.as_str(),
        enabled: compiled.enabled,
        tags: rule.tags.iter().cloned().collect(),
        written: pretty(&compiled.written, WIDTH),
        expanded: pretty(&compiled.tree, WIDTH),
        macros: compiled.macros.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        exceptions: rule.exceptions.iter().map(|exception| exception.name.clone()).collect(),
        event_types: event_types(codes),
        fields: explained(compiled),
        output: compiled.output.text().to_owned(),
        cost: cost(&compiled.ir, codes),
    })
}

/// The name of the rule that was probably meant by one that does not exist.
pub fn nearest_rule<'o>(outcome: &'o LoadOutcome, name: &str) -> Option<&'o str> {
    nearest(name, outcome.rules.iter().map(|rule| rule_name(outcome, rule)))
}

fn rule_name<'o>(outcome: &'o LoadOutcome, rule: &CompiledRule) -> &'o str {
    &outcome.collection.rules[rule.rule].header.name
}

/// Meta events come with every rule and say nothing of this one.
fn event_types(mut codes: IdSet) -> Option<Vec<&'static str>> {
    if codes == schema::all_codes() {
        return None;
    }
    codes = codes.difference([ASYNC_EVENT].into_iter().collect());
    Some(event_names(&codes))
}

fn explained(compiled: &CompiledRule) -> Vec<ExplainedField> {
    let known = |written: &String| {
        let mut name = written.split('[').next().unwrap_or_default();
        loop {
            if let Some(id) = fields::find(name) {
                return Some((id.field().ty, id.field().description));
            }
            name = name.rsplit_once('.')?.0;
        }
    };
    Parts::of(&compiled.tree)
        .fields
        .into_iter()
        .map(|field| {
            let (ty, description) = known(&field).unwrap_or((FieldType::Charbuf, "a constant"));
            ExplainedField { ty: ty.name(), description, field }
        })
        .collect()
}

fn cost(ir: &Ir, codes: IdSet) -> Cost {
    let (comparisons, most, least) = of_node(ir);
    let (event_codes, of_event_codes) = (codes.len(), schema::all_codes().len());
    Cost { comparisons, most, least, event_codes, of_event_codes }
}

/// Comparisons, all units, units of the shortest way to an answer.
fn of_node(ir: &Ir) -> (usize, usize, usize) {
    match ir {
        Ir::And(parts) | Ir::Or(parts) => {
            let each: Vec<_> = parts.iter().map(of_node).collect();
            let sum = |pick: fn(&(usize, usize, usize)) -> usize| each.iter().map(pick).sum();
            (sum(|one| one.0), sum(|one| one.1), each.first().map_or(0, |one| one.2))
        }
        Ir::Not(inner) => of_node(inner),
        Ir::Test(test) => {
            let units = test_units(test);
            (1, units, units)
        }
    }
}

fn test_units(test: &Test) -> usize {
    let reach = match &test.left {
        Left::Value(source) => source_units(source),
        // Four or so ancestors are usual.
        Left::Ancestors { .. } => 4,
        Left::EndAddresses | Left::EndPorts | Left::Name { .. } => 2,
        Left::Around(_) => 1,
    };
    reach + compare_units(&test.compare)
}

fn source_units(source: &Source) -> usize {
    match source {
        Source::Constant(_) => 0,
        Source::Field(..) => 1,
        Source::List(items) => items.iter().map(source_units).sum(),
        // A call copies what it changes.
        Source::Call(_, args, _) => 2 + args.iter().map(source_units).sum::<usize>(),
    }
}

fn compare_units(compare: &Compare) -> usize {
    match compare {
        Compare::Exists => 0,
        Compare::One(op, Constant::Bytes(_) | Constant::Pattern(_)) => operator_units(*op),
        Compare::Many(op, _, constants) => operator_units(*op) * constants.len().max(1),
        Compare::Set(Operator::PMatch, _) => 4,
        // Of a set one look-up, however large it is.
        Compare::One(..) | Compare::Set(..) => 1,
        Compare::Source(op, source) => operator_units(*op) + source_units(source),
    }
}

fn operator_units(op: Operator) -> usize {
    match op {
        Operator::Regex => 20,
        Operator::Glob | Operator::IGlob => 6,
        Operator::IContains => 5,
        Operator::Contains | Operator::BContains | Operator::PMatch => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineOptions, SourceFile, load};

    fn explained(condition: &str) -> Explanation {
        let text = format!(
            "- macro: m\n  condition: (evt.type = open)\n- rule: reader\n  desc: d\n  output: o\n  \
             priority: INFO\n  condition: {condition}\n"
        );
        let file = SourceFile { name: "f".to_owned(), text };
        let outcome = load(&[file], &EngineOptions::default());
        assert_eq!(nearest_rule(&outcome, "raeder"), Some("reader"));
        assert_eq!(explain(&outcome, "x"), None);
        explain(&outcome, "reader").unwrap()
    }

    #[test]
    fn a_rule_is_told_in_full() {
        let found = explained("m and proc.name in (a, b) and proc.aname[2] = c");
        assert_eq!(
            found.expanded,
            "evt.type = open\nand proc.name in (a, b)\nand proc.aname[2] = c"
        );
        assert_eq!(found.macros, ["m"]);
        assert_eq!(found.event_types, Some(vec!["open"]));
        let fields: Vec<&str> = found.fields.iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["evt.type", "proc.aname[2]", "proc.name"]);
        assert!(found.fields.iter().all(|field| !field.description.is_empty()));
    }

    #[test]
    fn dear_operators_cost_more_and_long_lists_do_not() {
        let cost = |condition: &str| explained(condition).cost;
        assert!(cost("m and proc.name regex 'a.*b'").most > cost("m and proc.name = a").most);
        assert_eq!(cost("m and proc.name in (a)").most, cost("m and proc.name in (a, b, c)").most);
        let all = cost("m or proc.name = a");
        assert_eq!((all.comparisons, all.event_codes), (2, all.of_event_codes));
        assert!(all.least < all.most);
    }
}
