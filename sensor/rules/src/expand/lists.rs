//! List names in a text become the lists' items.
//!
//! The replacement is textual and knows nothing of quotes: a name that stands as a word of its own
//! inside of a quoted text is replaced, too. Nested lists are replaced at any depth; a list that
//! contains itself keeps its own name as a value.
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, Match, MatchKind};

use super::{ITEM_LIMIT, LIST_DEPTH, TEXT_LIMIT, TOTAL_TEXT_LIMIT, TooLarge, VALUE_COST};
use crate::collect::{Collection, List, Text};

/// The lists of a collection, ready to be replaced in texts.
pub struct Lists<'c> {
    all: &'c [List],
    by_name: HashMap<&'c str, usize>,
    /// Lists whose names are several words, and a search for all of them.
    odd: Option<(AhoCorasick, Vec<usize>)>,
    /// Lists as texts, from their first use on.
    resolved: Vec<Option<Result<Arc<Text>, TooLarge>>>,
    used: BTreeSet<usize>,
    /// Lists of which the present rule is the first to use them.
    first_used: Vec<usize>,
    /// What all texts took so far, of [`TOTAL_TEXT_LIMIT`].
    spent: usize,
}

impl<'c> Lists<'c> {
    /// The lists of a collection, none resolved yet.
    pub fn new(collection: &'c Collection) -> Self {
        let all = &collection.lists;
        let by_name: HashMap<&str, usize> =
            all.iter().enumerate().map(|(n, list)| (list.header.name.as_str(), n)).collect();
        let nested = |(n, list): (usize, &'c List)| {
            let items = list.items.iter().filter_map(|item| by_name.get(item.as_str()).copied());
            items.filter(move |item| *item != n).collect::<Vec<_>>()
        };
        Self {
            all,
            odd: odd(all),
            resolved: vec![None; all.len()],
            used: all.iter().enumerate().flat_map(nested).collect(),
            by_name,
            first_used: Vec::new(),
            spent: 0,
        }
    }

    /// What is replaced from here on belongs to another rule.
    pub fn begin_rule(&mut self) {
        self.first_used.clear();
    }

    /// The present rule is dropped: what only it refers to is not used.
    pub fn take_back(&mut self) {
        for n in self.first_used.drain(..) {
            self.used.remove(&n);
        }
    }

    /// Names of the lists that no list and no text given to [`Self::replace`] refers to.
    pub fn unused(&self) -> impl Iterator<Item = &'c List> {
        let used = self.used.clone();
        self.all.iter().enumerate().filter(move |(n, _)| !used.contains(n)).map(|(_, list)| list)
    }

    /// The items a list stands for, joined as in a condition.
    pub fn items(&mut self, name: &str) -> Option<Text> {
        let n = *self.by_name.get(name)?;
        self.resolved(n).ok().map(Arc::unwrap_or_clone)
    }

    /// Names of the lists that a text refers to directly.
    pub fn names_in(&self, text: &str) -> Vec<&'c str> {
        let words = words(text).filter_map(|range| self.by_name.get(&text[range]));
        words.map(|&n| self.all[n].header.name.as_str()).collect()
    }

    /// Replaces every list name in a text, and notes the lists as used.
    pub fn replace(&mut self, text: &Text) -> Result<Text, TooLarge> {
        let text = self.replaced(text)?;
        self.spend(&text)?;
        Ok(text)
    }

    fn replaced(&mut self, text: &Text) -> Result<Text, TooLarge> {
        let text = self.replace_odd(text)?;
        let found: Vec<(Range<usize>, usize)> = words(text.as_str())
            .filter_map(|range| Some((range.clone(), *self.by_name.get(&text.as_str()[range])?)))
            .collect();
        self.replace_at(&text, &found)
    }

    /// Names of several words, all found in one search: the longest one that begins first.
    fn replace_odd(&mut self, text: &Text) -> Result<Text, TooLarge> {
        let Some((search, lists)) = &self.odd else { return Ok(text.clone()) };
        let within = text.as_str();
        let free = |found: &Match| {
            let before = within[..found.start()].chars().next_back();
            let after = within[found.end()..].chars().next();
            before.is_none_or(is_delimiter) && after.is_none_or(is_delimiter)
        };
        let places = search.find_iter(within).filter(free);
        let found: Vec<_> =
            places.map(|found| (found.range(), lists[found.pattern().as_usize()])).collect();
        self.replace_at(text, &found)
    }

    fn replace_at(
        &mut self,
        text: &Text,
        found: &[(Range<usize>, usize)],
    ) -> Result<Text, TooLarge> {
        if found.is_empty() {
            return Ok(text.clone());
        }
        let mut out = Text::default();
        let (mut at, mut taken) = (0, 0);
        for (_, n) in found {
            if self.used.insert(*n) {
                self.first_used.push(*n);
            }
        }
        for (range, n) in found {
            let items = self.resolved(*n)?;
            let mut before = at..range.start;
            let mut after = range.end;
            if items.as_str().is_empty() {
                (before, after) = without_comma(text.as_str(), before, after);
            }
            let (before, after) = without_blanks(text.as_str(), before, after);
            out.push_range(text, before);
            out.push_str(" ");
            if out.as_str().len() + items.as_str().len() > TEXT_LIMIT {
                return Err(TooLarge::Text);
            }
            taken += cost(items.as_str());
            self.afford(taken)?;
            out.push(&items);
            out.push_str(" ");
            at = after;
        }
        out.push_range(text, at..text.as_str().len());
        Ok(out)
    }

    fn resolved(&mut self, n: usize) -> Result<Arc<Text>, TooLarge> {
        if let Some(known) = &self.resolved[n] {
            return known.clone();
        }
        let mut out = Text::default();
        let added = self.add_items(n, &mut vec![n], &mut out, &mut 0);
        let result = added.and_then(|()| self.spend(&out)).map(|()| Arc::new(out));
        self.resolved[n] = Some(result.clone());
        result
    }

    fn spend(&mut self, text: &Text) -> Result<(), TooLarge> {
        let cost = cost(text.as_str());
        self.afford(cost)?;
        self.spent += cost;
        Ok(())
    }

    /// Whether a text that costs so much fits what is left. What does not fit is not spent: it is not
    /// kept, and a smaller one may still fit.
    fn afford(&self, cost: usize) -> Result<(), TooLarge> {
        if self.spent + cost > TOTAL_TEXT_LIMIT { Err(TooLarge::TotalText) } else { Ok(()) }
    }

    /// Adds the items of a list, and for each that is a list's name the items of that one. `open`
    /// are the lists being added.
    fn add_items(
        &self,
        n: usize,
        open: &mut Vec<usize>,
        out: &mut Text,
        visits: &mut usize,
    ) -> Result<(), TooLarge> {
        let lists = self.all;
        for item in &lists[n].items {
            // Empty lists add nothing, but going through them costs, too.
            *visits += 1;
            if *visits > ITEM_LIMIT || open.len() > LIST_DEPTH {
                let first = open.first().map_or(n, |&first| first);
                return Err(TooLarge::Items(lists[first].header.name.clone()));
            }
            let nested = self.by_name.get(item.as_str()).copied().filter(|n| !open.contains(n));
            if let Some(nested) = nested {
                open.push(nested);
                let added = self.add_items(nested, open, out, visits);
                open.pop();
                added?;
                continue;
            }
            if !out.as_str().is_empty() {
                out.push_str(", ");
            }
            push_value(out, item);
        }
        Ok(())
    }
}

/// What a text and the values in it count as. Each value but the first has a comma before it.
fn cost(text: &str) -> usize {
    text.len() + memchr::memchr_iter(b',', text.as_bytes()).count() * VALUE_COST
}

/// A search for names that are several words. There is none for more of them than it can hold: names
/// that a warning was given for stay what they are then.
fn odd(lists: &[List]) -> Option<(AhoCorasick, Vec<usize>)> {
    let odd = |n: &usize| lists[*n].header.name.contains(is_delimiter);
    let numbers: Vec<usize> = (0..lists.len()).filter(odd).collect();
    let names = numbers.iter().map(|&n| lists[n].header.name.as_str());
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(names);
    (!numbers.is_empty()).then_some(())?;
    Some((search.ok()?, numbers))
}

/// Adds a value as it stands in a condition: in quotes if it has a space and none yet.
pub(super) fn push_value(out: &mut Text, value: &Text) {
    let text = value.as_str();
    if text.contains(' ') && !text.starts_with(['"', '\'']) {
        out.push_str("\"");
        out.push(value);
        out.push_str("\"");
    } else {
        out.push(value);
    }
}

/// Widens the hole of an empty list by one comma: the one before it, or else the one behind it.
fn without_comma(text: &str, before: Range<usize>, after: usize) -> (Range<usize>, usize) {
    let left = text[before.clone()].trim_end_matches(is_blank);
    if let Some(rest) = left.strip_suffix(',') {
        return (before.start..before.start + rest.len(), after);
    }
    let right = text[after..].trim_start_matches(is_blank);
    match right.strip_prefix(',') {
        Some(rest) => (before, text.len() - rest.len()),
        None => (before, after),
    }
}

/// Widens a hole by the blanks around it: one is put to each side instead.
fn without_blanks(text: &str, before: Range<usize>, after: usize) -> (Range<usize>, usize) {
    let end = before.start + text[before.clone()].trim_end_matches(is_blank).len();
    let after = text.len() - text[after..].trim_start_matches(is_blank).len();
    (before.start..end, after)
}

/// The pieces of a text between delimiters.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split(is_delimiter).filter_map(move |word| {
        let range = at..at + word.len();
        // Delimiters are one byte each.
        at = range.end + 1;
        (!range.is_empty()).then_some(range)
    })
}

fn is_delimiter(c: char) -> bool {
    is_blank(c) || matches!(c, '(' | ')' | ',' | '=')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x08' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::StaticFields;
    use crate::source::{FileId, SourceFile, read};

    fn collection(yaml: &str) -> Collection {
        let file = SourceFile { name: "f".to_owned(), text: yaml.to_owned() };
        let mut collection = Collection::new(&["syscall".to_owned()], StaticFields::default());
        let reports = collection.add(&file, &read(FileId(0), yaml).unwrap());
        assert!(reports.iter().all(|r| r.severity > crate::report::Severity::Error), "{reports:?}");
        collection
    }

    fn replaced(yaml: &str, condition: &str) -> String {
        let collection = collection(yaml);
        let mut lists = Lists::new(&collection);
        lists.replace(&Text::generated(condition)).unwrap().as_str().to_owned()
    }

    #[test]
    fn names_between_delimiters_are_replaced() {
        let yaml = "- {list: l, items: [a, b c, '\"d e\"']}\n";
        assert_eq!(replaced(yaml, "x.y in (l)"), "x.y in ( a, \"b c\", \"d e\" )");
        assert_eq!(replaced(yaml, "x.y=l"), "x.y= a, \"b c\", \"d e\" ");
        assert_eq!(replaced(yaml, "x.y in (ll, l2, \"l\", lx.l)"), "x.y in (ll, l2, \"l\", lx.l)");
        assert_eq!(replaced(yaml, "x.y = \"k l m\""), "x.y = \"k a, \"b c\", \"d e\" m\"");
    }

    #[test]
    fn blanks_around_a_name_become_one() {
        let yaml = "- {list: l, items: [a]}\n- {list: e, items: []}\n";
        assert_eq!(replaced(yaml, "x.y = \"k  l\t m\""), "x.y = \"k a m\"");
        assert_eq!(replaced(yaml, "x.y in (l , l)"), "x.y in ( a , a )");
        assert_eq!(replaced(yaml, "l l"), " a  a ");
        assert_eq!(replaced(yaml, "x.y in ( e , b)"), "x.y in (  b)");
    }

    #[test]
    fn an_empty_list_takes_one_comma_along() {
        let yaml = "- {list: e, items: []}\n";
        assert_eq!(replaced(yaml, "x.y in (e)"), "x.y in (  )");
        assert_eq!(replaced(yaml, "x.y in (a, e)"), "x.y in (a  )");
        assert_eq!(replaced(yaml, "x.y in (e, a)"), "x.y in (  a)");
        assert_eq!(replaced(yaml, "x.y in (a, e , b)"), "x.y in (a  , b)");
    }

    #[test]
    fn nesting_is_followed_to_the_end() {
        let yaml =
            "- {list: a, items: [1, b]}\n- {list: b, items: [c, 2]}\n- {list: c, items: [3, a]}\n";
        assert_eq!(replaced(yaml, "x.y in (a)"), "x.y in ( 1, 3, a, 2 )");
    }

    #[test]
    fn names_of_several_words_are_found_too() {
        assert_eq!(replaced("- {list: a b, items: [x]}\n", "p.n in (a b)"), "p.n in ( x )");
    }

    #[test]
    fn a_list_of_lists_cannot_explode() {
        let mut yaml = String::from("- {list: l0, items: [x, y]}\n");
        for n in 1..40 {
            yaml = format!("{yaml}- {{list: l{n}, items: [l{0}, l{0}]}}\n", n - 1);
        }
        let collection = collection(&yaml);
        let mut lists = Lists::new(&collection);
        let result = lists.replace(&Text::generated("p.n in (l39)"));
        assert_eq!(result.unwrap_err(), TooLarge::Items("l39".to_owned()));
        assert!(lists.replace(&Text::generated("p.n in (l3)")).is_ok());
    }

    #[test]
    fn nested_lists_have_a_deepest_level() {
        let mut yaml = String::from("- {list: l0, items: [x]}\n");
        for n in 1..=LIST_DEPTH {
            yaml = format!("{yaml}- {{list: l{n}, items: [l{}]}}\n", n - 1);
        }
        let collection = collection(&yaml);
        let mut lists = Lists::new(&collection);
        let mut replace = |n: usize| lists.replace(&Text::generated(&format!("p.n in (l{n})")));
        assert!(replace(LIST_DEPTH - 1).is_ok());
        assert!(matches!(replace(LIST_DEPTH), Err(TooLarge::Items(_))));
    }

    #[test]
    fn all_texts_together_have_a_largest_size() {
        let items = vec!["v"; 10_000].join(", ");
        let yaml = format!("- {{list: l, items: [{items}]}}\n");
        let collection = collection(&yaml);
        let mut lists = Lists::new(&collection);
        let many = Text::generated(&format!("p.n in ({})", ["l"; 10].join(", ")));
        assert!(lists.replace(&many).is_ok());
        assert_eq!(
            lists.replace(&many).and_then(|_| lists.replace(&many)),
            Err(TooLarge::TotalText)
        );
    }

    #[test]
    fn used_lists_are_those_referred_to() {
        let yaml = "- {list: a, items: [b]}\n- {list: b, items: []}\n- {list: c, items: []}\n";
        let collection = collection(yaml);
        let mut lists = Lists::new(&collection);
        lists.replace(&Text::generated("x.y in (c)")).unwrap();
        let unused: Vec<&str> = lists.unused().map(|list| list.header.name.as_str()).collect();
        assert_eq!(unused, ["a"]);
    }
}
