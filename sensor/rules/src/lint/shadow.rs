//! Rules that an earlier rule hides.
use std::collections::HashMap;

use crate::collect::Collection;
use crate::load::CompiledRule;
use crate::syntax::ast::Expr;
use crate::syntax::canonical;

/// Pairs of an earlier and a later rule where every event that matches the later one matches the
/// earlier one: all that the earlier one demands, the later one demands, too.
///
/// An earlier rule is only looked at by rules that share the rarest of its demands.
pub(super) fn shadowed<'r>(
    collection: &Collection,
    rules: &'r [CompiledRule],
) -> Vec<(&'r CompiledRule, &'r CompiledRule)> {
    let running: Vec<&CompiledRule> = rules.iter().filter(|rule| rule.enabled).collect();
    let (demands, uses) = demands(&running);
    let source = |rule: &CompiledRule| &collection.rules[rule.rule].source;
    let mut by_rarest: Vec<Vec<usize>> = vec![Vec::new(); uses.len()];
    let mut pairs = Vec::new();
    for (n, later) in running.iter().enumerate() {
        let hides = |m: &usize| {
            source(running[*m]) == source(later) && is_subset(&demands[*m], &demands[n])
        };
        let shared = demands[n].iter().flat_map(|demand| &by_rarest[*demand as usize]);
        if let Some(m) = shared.copied().filter(hides).min() {
            pairs.push((running[m], *later));
        }
        if let Some(rarest) = demands[n].iter().min_by_key(|demand| uses[**demand as usize]) {
            by_rarest[*rarest as usize].push(n);
        }
    }
    pairs
}

/// What each condition demands, by number and sorted, and how many conditions demand it.
fn demands(rules: &[&CompiledRule]) -> (Vec<Vec<u32>>, Vec<u32>) {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut uses: Vec<u32> = Vec::new();
    let mut all = Vec::with_capacity(rules.len());
    for rule in rules {
        let mut of_one = Vec::new();
        add_parts(&rule.tree, &mut |part| {
            let next = numbers.len() as u32;
            of_one.push(*numbers.entry(canonical(part)).or_insert(next));
        });
        of_one.sort_unstable();
        of_one.dedup();
        uses.resize(numbers.len(), 0);
        for demand in &of_one {
            uses[*demand as usize] += 1;
        }
        all.push(of_one);
    }
    (all, uses)
}

/// The parts of a condition joined by `and`.
fn add_parts(tree: &Expr, add: &mut impl FnMut(&Expr)) {
    match tree {
        Expr::And(all) => all.iter().for_each(|part| add_parts(part, add)),
        other => add(other),
    }
}

/// Whether all of `some` is in `all`; both are sorted.
fn is_subset(some: &[u32], all: &[u32]) -> bool {
    let mut rest = all.iter();
    some.len() <= all.len() && some.iter().all(|one| rest.by_ref().any(|other| other == one))
}
