//! Macro names in a tree become the macros' trees.
use std::collections::{HashMap, HashSet};

use super::{TOTAL_TREE_LIMIT, TREE_DEPTH, TREE_LIMIT, TooLarge};
use crate::syntax::ast::{Expr, MacroRef};

/// A macro that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// No macro of this name.
    #[error("undefined macro `{}`", .0.name)]
    Unknown(MacroRef),
    /// A macro of this name exists, but is defined after the last change of the one that uses it.
    #[error("macro `{}` is defined after macro `{owner}`, which uses it", .used.name)]
    Later {
        /// The use.
        used: MacroRef,
        /// The macro that uses it.
        owner: String,
    },
    /// The macro is part of itself.
    #[error("macro `{}` refers to itself", .0.name)]
    Loop(MacroRef),
    /// The tree becomes too large.
    #[error("{0}")]
    TooLarge(TooLarge),
}

impl MacroError {
    /// The use of a macro that is wrong.
    pub fn used(&self) -> Option<&MacroRef> {
        match self {
            Self::Unknown(used) | Self::Loop(used) | Self::Later { used, .. } => Some(used),
            Self::TooLarge(_) => None,
        }
    }
}

/// A macro as a tree, and what it can see.
struct Parsed {
    index: u32,
    visibility: u32,
    /// Nothing if the text does not parse, which is reported elsewhere.
    tree: Option<Expr>,
    /// Groups and comparisons, depth, after expansion; nothing while it is being measured.
    size: Option<Result<Size, MacroError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    nodes: usize,
    depth: usize,
}

/// Macros that a tree uses, each once, in the order in which they are met.
#[derive(Default)]
struct Used {
    order: Vec<usize>,
    known: HashSet<usize>,
}

impl Used {
    fn add(&mut self, n: usize) {
        if self.known.insert(n) {
            self.order.push(n);
        }
    }
}

/// The macros of a collection.
#[derive(Default)]
pub struct Macros {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    all: Vec<Parsed>,
    /// Parts of all trees built so far, of [`TOTAL_TREE_LIMIT`].
    spent: usize,
}

impl Macros {
    /// Adds a macro, in order of index.
    pub fn add(&mut self, name: &str, index: u32, visibility: u32, tree: Option<Expr>) {
        self.by_name.insert(name.to_owned(), self.all.len());
        self.names.push(name.to_owned());
        self.all.push(Parsed { index, visibility, tree, size: None });
    }

    /// Whether a macro of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// All names, in order of index.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Nodes of all trees that were expanded so far.
    pub fn spent(&self) -> usize {
        self.spent
    }

    /// Counts nodes of a tree that was expanded before, or fields of an output; `false` if that is too much.
    pub fn charge(&mut self, nodes: usize) -> bool {
        self.spent += nodes;
        self.spent <= TOTAL_TREE_LIMIT
    }

    /// The tree of a macro as parsed.
    pub fn tree(&self, name: &str) -> Option<&Expr> {
        self.all[*self.by_name.get(name)?].tree.as_ref()
    }

    /// Checks that a macro expands.
    pub fn check(&mut self, name: &str) -> Result<(), MacroError> {
        let Some(&n) = self.by_name.get(name) else { return Ok(()) };
        self.size_of(n, &mut Vec::new()).map(drop)
    }

    /// Replaces every macro name in the tree of a rule. Names of all macros it uses, directly or
    /// through others, are added to `used`. A macro that does not parse is replaced by nothing,
    /// and the answer is none.
    pub fn expand(
        &mut self,
        tree: &Expr,
        used: &mut Vec<String>,
    ) -> Result<Option<Expr>, MacroError> {
        // Measuring first keeps an exponential expansion from being built.
        self.spent += self.measure(tree, None, &mut Vec::new())?.nodes;
        if self.spent > TOTAL_TREE_LIMIT {
            return Err(MacroError::TooLarge(TooLarge::TotalTree));
        }
        let mut found = Used::default();
        let built = self.build(tree, &mut found);
        used.extend(found.order.into_iter().map(|n| self.names[n].clone()));
        Ok(built)
    }

    fn size_of(&mut self, n: usize, open: &mut Vec<usize>) -> Result<Size, MacroError> {
        if let Some(size) = &self.all[n].size {
            return size.clone();
        }
        // The tree is lent out while it is measured: a loop finds it in `open`.
        let Some(tree) = self.all[n].tree.take() else { return Ok(Size { nodes: 1, depth: 1 }) };
        open.push(n);
        let size = self.measure(&tree, Some(n), open);
        open.pop();
        self.all[n].tree = Some(tree);
        self.all[n].size = Some(size.clone());
        size
    }

    /// The size of a tree after expansion. `owner` is the macro it belongs to.
    fn measure(
        &mut self,
        tree: &Expr,
        owner: Option<usize>,
        open: &mut Vec<usize>,
    ) -> Result<Size, MacroError> {
        let mut size = Size { nodes: 1, depth: 1 };
        let parts = match tree {
            Expr::And(parts) | Expr::Or(parts) => parts.as_slice(),
            Expr::Not(inner) => std::slice::from_ref(inner.as_ref()),
            Expr::Check(_) => return Ok(size),
            Expr::Macro(used) => return self.measure_use(used, owner, open),
        };
        for part in parts {
            let part = self.measure(part, owner, open)?;
            size.nodes += part.nodes;
            size.depth = size.depth.max(part.depth + 1);
            if size.nodes > TREE_LIMIT {
                return Err(MacroError::TooLarge(TooLarge::Tree));
            }
            if size.depth > TREE_DEPTH {
                return Err(MacroError::TooLarge(TooLarge::Depth));
            }
        }
        Ok(size)
    }

    fn measure_use(
        &mut self,
        used: &MacroRef,
        owner: Option<usize>,
        open: &mut Vec<usize>,
    ) -> Result<Size, MacroError> {
        let Some(&n) = self.by_name.get(&used.name) else {
            return Err(MacroError::Unknown(used.clone()));
        };
        if open.contains(&n) {
            return Err(MacroError::Loop(used.clone()));
        }
        if let Some(owner) = owner
            && self.all[n].index >= self.all[owner].visibility
        {
            let owner = self.names[owner].clone();
            return Err(MacroError::Later { used: used.clone(), owner });
        }
        if open.len() > TREE_DEPTH {
            return Err(MacroError::TooLarge(TooLarge::Depth));
        }
        // A macro that is nothing but another one nests, too: it is expanded step by step.
        let Size { nodes, depth } = self.size_of(n, open)?;
        if depth >= TREE_DEPTH {
            return Err(MacroError::TooLarge(TooLarge::Depth));
        }
        Ok(Size { nodes, depth: depth + 1 })
    }

    fn build(&self, tree: &Expr, used: &mut Used) -> Option<Expr> {
        let all = |parts: &[Expr], used: &mut Used| {
            parts.iter().map(|part| self.build(part, used)).collect::<Option<Vec<Expr>>>()
        };
        Some(match tree {
            Expr::And(parts) => Expr::And(all(parts, used)?),
            Expr::Or(parts) => Expr::Or(all(parts, used)?),
            Expr::Not(inner) => Expr::Not(Box::new(self.build(inner, used)?)),
            Expr::Check(check) => Expr::Check(check.clone()),
            Expr::Macro(reference) => {
                let n = *self.by_name.get(&reference.name)?;
                used.add(n);
                self.build(self.all[n].tree.as_ref()?, used)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Limits, canonical, parse};

    fn macros(conditions: &[(&str, &str)]) -> Macros {
        let mut macros = Macros::default();
        for (n, (name, condition)) in conditions.iter().enumerate() {
            let tree = parse(condition, Limits::filter()).ok();
            macros.add(name, n as u32, n as u32, tree);
        }
        macros
    }

    fn expanded(macros: &mut Macros, text: &str) -> Result<String, MacroError> {
        let tree = parse(text, Limits::filter()).unwrap();
        macros.expand(&tree, &mut Vec::new()).map(|tree| canonical(&tree.unwrap()))
    }

    #[test]
    fn names_become_trees() {
        let mut macros = macros(&[("a", "x.y = 1 or x.y = 2"), ("b", "not a")]);
        let text = expanded(&mut macros, "b and z.z exists").unwrap();
        assert_eq!(text, "(not (x.y = 1 or x.y = 2) and z.z exists)");
    }

    #[test]
    fn a_macro_sees_what_is_defined_before_its_last_change() {
        let mut macros = macros(&[("a", "b"), ("b", "x.y = 1")]);
        assert!(matches!(expanded(&mut macros, "a"), Err(MacroError::Later { .. })));
        macros.all[0].visibility = 2;
        macros.all[0].size = None;
        assert_eq!(expanded(&mut macros, "a").unwrap(), "x.y = 1");
    }

    #[test]
    fn loops_and_unknown_names_are_refused() {
        let mut macros = macros(&[("a", "b"), ("b", "a"), ("c", "nothing")]);
        macros.all.iter_mut().for_each(|m| m.visibility = 9);
        assert!(matches!(expanded(&mut macros, "a"), Err(MacroError::Loop(_))));
        assert!(matches!(expanded(&mut macros, "c"), Err(MacroError::Unknown(_))));
        assert!(macros.check("c").is_err());
    }

    #[test]
    fn an_expansion_has_a_largest_size() {
        let mut conditions = vec![("m0".to_owned(), "x.y = 1".to_owned())];
        for n in 1..60 {
            conditions.push((format!("m{n}"), format!("m{0} and m{0}", n - 1)));
        }
        let borrowed: Vec<(&str, &str)> =
            conditions.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut macros = macros(&borrowed);
        assert_eq!(expanded(&mut macros, "m59"), Err(MacroError::TooLarge(TooLarge::Tree)));
        assert!(expanded(&mut macros, "m9").is_ok());
    }

    #[test]
    fn all_expansions_together_have_a_largest_size() {
        let wide = vec!["x.y = 1"; TREE_LIMIT / 2].join(" and ");
        let mut macros = macros(&[("wide", &wide)]);
        let tree = parse("wide", Limits::filter()).unwrap();
        let mut expand = || macros.expand(&tree, &mut Vec::new()).map(drop);
        for _ in 0..2 * TOTAL_TREE_LIMIT / TREE_LIMIT - 1 {
            assert_eq!(expand(), Ok(()));
        }
        assert_eq!(expand(), Err(MacroError::TooLarge(TooLarge::TotalTree)));
    }

    #[test]
    fn an_expansion_has_a_deepest_nesting() {
        let mut conditions = vec![("m0".to_owned(), "x.y = 1".to_owned())];
        for n in 1..5000 {
            conditions.push((format!("m{n}"), format!("not m{}", n - 1)));
        }
        let borrowed: Vec<(&str, &str)> =
            conditions.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut macros = macros(&borrowed);
        // Each step is a negation and a name.
        let edge = format!("m{}", TREE_DEPTH / 2 - 1);
        assert!(expanded(&mut macros, &edge).is_ok());
        let over = format!("m{}", TREE_DEPTH / 2);
        assert_eq!(expanded(&mut macros, &over), Err(MacroError::TooLarge(TooLarge::Depth)));
        assert_eq!(expanded(&mut macros, "m4999"), Err(MacroError::TooLarge(TooLarge::Depth)));
    }
}
