//! All comparisons of one value by the same word operator, answered together: one walk over the
//! value instead of one search for each text.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::Test;
use super::matcher::texts_of;
use super::trie::Trie;
use crate::check::{Compare, Left, Source};
use crate::syntax::ast::{Modifier, Operator};

/// Fewer texts than this are looked for one by one: few of them are, for a single event.
const WORTHWHILE: usize = 8;

/// A comparison's place among those answered together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Searched {
    /// Which search.
    pub(crate) search: u32,
    /// Its bit among the answers.
    pub(crate) bit: u32,
}

/// Comparisons of one value by one operator.
#[derive(Debug)]
pub(crate) struct Search {
    /// What is compared.
    pub(crate) source: Source,
    /// Where the value of the source is kept.
    pub(crate) slot: Option<u32>,
    /// Where the words with its answers begin.
    pub(crate) first_word: u32,
    /// How many there are.
    pub(crate) words: u32,
    finder: Finder,
    /// For each text that is looked for, the comparisons it answers.
    bits: Vec<Vec<u32>>,
}

#[derive(Debug)]
enum Finder {
    Anywhere(Box<AhoCorasick>),
    Front(Trie),
    Back(Trie),
}

impl Search {
    /// Sets the bit of every comparison that holds; `answers` are the words of this search.
    pub(crate) fn run(&self, value: &[u8], answers: &mut [u64]) {
        let mut found = |text: u32| {
            for bit in self.bits.get(text as usize).into_iter().flatten() {
                answers[*bit as usize / 64] |= 1 << (bit % 64);
            }
        };
        match &self.finder {
            Finder::Anywhere(automaton) => {
                for hit in automaton.find_overlapping_iter(value) {
                    found(hit.pattern().as_u32());
                }
            }
            Finder::Front(trie) => trie.walk(value.iter().copied(), found),
            Finder::Back(trie) => trie.walk(value.iter().rev().copied(), found),
        }
    }

    fn new(source: Source, op: Operator, tests: &[Test], places: &[usize]) -> Option<Self> {
        let mut needles: Vec<&[u8]> = Vec::new();
        let mut bits: Vec<Vec<u32>> = Vec::new();
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        for (bit, place) in (0..).zip(places) {
            for text in texts_of(&tests[*place].compare) {
                let at = *known.entry(text).or_insert_with(|| {
                    needles.push(text);
                    bits.push(Vec::new());
                    needles.len() - 1
                });
                bits[at].push(bit);
            }
        }
        let mut trie = Trie::default();
        let finder = match op {
            Operator::StartsWith => {
                (0..).zip(&needles).for_each(|(n, text)| trie.add(text.iter().copied(), n));
                Finder::Front(trie)
            }
            Operator::EndsWith => {
                (0..).zip(&needles).for_each(|(n, text)| trie.add(text.iter().rev().copied(), n));
                Finder::Back(trie)
            }
            _ => {
                let mut builder = AhoCorasick::builder();
                builder.ascii_case_insensitive(op == Operator::IContains);
                // Too many texts for an automaton are looked for one by one.
                Finder::Anywhere(Box::new(builder.build(&needles).ok()?))
            }
        };
        let words = places.len().div_ceil(64) as u32;
        Some(Self { source, slot: None, first_word: 0, words, finder, bits })
    }
}

/// Puts comparisons that can be answered together into searches and tells each its place.
pub(super) fn searches(tests: &mut [Test]) -> Vec<Search> {
    let mut families: Vec<(Source, Operator, Vec<usize>)> = Vec::new();
    let mut known: HashMap<(Source, Operator), usize> = HashMap::new();
    for (place, test) in tests.iter().enumerate() {
        let Some((source, op)) = searched(test) else { continue };
        let at = *known.entry((source.clone(), op)).or_insert_with(|| {
            families.push((source.clone(), op, Vec::new()));
            families.len() - 1
        });
        families[at].2.push(place);
    }
    let mut all: Vec<Search> = Vec::new();
    for (source, op, places) in families {
        let count: usize = places.iter().map(|at| texts_of(&tests[*at].compare).count()).sum();
        if count < WORTHWHILE {
            continue;
        }
        let Some(mut search) = Search::new(source, op, tests, &places) else { continue };
        search.first_word = all.last().map_or(0, |last| last.first_word + last.words);
        let number = all.len() as u32;
        all.push(search);
        for (bit, place) in (0..).zip(places) {
            tests[place].searched = Some(Searched { search: number, bit });
        }
    }
    all
}

/// What a comparison looks at and how, if it can be part of a search.
fn searched(test: &Test) -> Option<(&Source, Operator)> {
    let Left::Value(source) = &test.left else { return None };
    let op = match &test.compare {
        Compare::One(op, _) | Compare::Many(op, Modifier::AnyOf, _) => *op,
        _ => return None,
    };
    let word = matches!(
        op,
        Operator::Contains | Operator::IContains | Operator::StartsWith | Operator::EndsWith
    );
    let mut texts = texts_of(&test.compare).peekable();
    (word && texts.peek().is_some() && texts.all(|text| !text.is_empty())).then_some((source, op))
}

#[cfg(test)]
mod tests {
    use crate::compile::graph_of as graph;

    #[test]
    fn a_family_of_enough_texts_is_one_search() {
        let graph = graph(
            "fd.name contains a or fd.name contains bb or fd.name contains anyof (c, a, 1, 2, 3, 4) \
             or fd.name startswith x or fd.name contains oneof (d, e) or proc.name contains a",
        );
        let places: Vec<_> = (0..6).map(|n| graph.test(n).searched.map(|at| at.bit)).collect();
        assert_eq!(places, [Some(0), Some(1), Some(2), None, None, None]);
        let search = graph.search(0);
        let answers = |value: &str| {
            let mut words = [0];
            search.run(value.as_bytes(), &mut words);
            words[0]
        };
        assert_eq!((answers("xay"), answers("bbc"), answers("")), (0b101, 0b110, 0));
    }

    #[test]
    fn front_back_and_any_case() {
        for (op, value, wanted) in [
            ("startswith", "abcd", 0b0011),
            ("endswith", "xab", 0b0001),
            ("icontains", "xABCx", 0b0011),
        ] {
            let texts = ["ab", "abc", "d", "e", "f", "g", "h", "i"]
                .map(|text| format!("fd.name {op} {text}"));
            let graph = graph(&texts.join(" or "));
            let mut words = [0];
            graph.search(0).run(value.as_bytes(), &mut words);
            assert_eq!(words[0], wanted, "{op}");
        }
    }
}
