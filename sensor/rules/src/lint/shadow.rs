//! Rules that an earlier rule hides.
use std::collections::BTreeSet;

use crate::collect::Collection;
use crate::load::CompiledRule;
use crate::syntax::ast::Expr;
use crate::syntax::canonical;

/// Pairs of an earlier and a later rule where every event that matches the later one matches the
/// earlier one: all that the earlier one demands, the later one demands, too.
pub(super) fn shadowed<'r>(
    collection: &Collection,
    rules: &'r [CompiledRule],
) -> Vec<(&'r CompiledRule, &'r CompiledRule)> {
    let running: Vec<&CompiledRule> = rules.iter().filter(|rule| rule.enabled).collect();
    let parts: Vec<BTreeSet<String>> = running.iter().map(|rule| parts(&rule.tree)).collect();
    let source = |rule: &CompiledRule| &collection.rules[rule.rule].source;
    let mut pairs = Vec::new();
    for (n, later) in running.iter().enumerate() {
        let hides =
            |m: &usize| source(running[*m]) == source(later) && parts[*m].is_subset(&parts[n]);
        if let Some(m) = (0..n).find(hides) {
            pairs.push((running[m], *later));
        }
    }
    pairs
}

/// What a condition demands: its parts joined by `and`, as canonical texts.
fn parts(tree: &Expr) -> BTreeSet<String> {
    match tree {
        Expr::And(all) => all.iter().flat_map(parts).collect(),
        other => std::iter::once(canonical(other)).collect(),
    }
}
