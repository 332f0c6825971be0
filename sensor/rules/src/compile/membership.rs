//! All comparisons of one field with fixed texts, answered together: one value, one
//! look-up, and one walk over the ancestors.
//!
//! Most comparisons in rules are of this kind, and most of those are on a handful of fields.

use std::collections::{BTreeMap, HashMap};

use super::Test;
use super::matcher::texts_of;
use crate::check::{Compare, Left, Source};
use crate::fields::{Argument, FieldId};
use crate::syntax::ast::Operator;

/// Most comparisons that are answered together: each has a bit for every text that one of them names.
const TOGETHER: usize = 512;

/// Fewer comparisons than this on one value are cheaper one by one.
const WORTHWHILE: usize = 2;

/// A comparison's place among those answered together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// Which group.
    pub(crate) group: u32,
    bit: u32,
    /// It asks for a difference.
    pub(crate) negated: bool,
}

/// What is compared with texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// One value.
    Value(Source),
    /// A field of every ancestor.
    Ancestors(FieldId, Argument),
}

/// Comparisons of one subject with texts.
#[derive(Debug)]
pub(crate) struct Group {
    /// What is compared.
    pub(crate) subject: Subject,
    /// Where the value is kept for others that need it.
    pub(crate) slot: Option<u32>,
    /// Every text that some comparison names, by length and then by bytes.
    named: Box<[Box<[u8]>]>,
    /// For each length, where its texts begin; one more than the longest has bytes, and the end.
    lengths: Box<[u32]>,
    /// For each text, the comparisons that name it, as bits.
    rows: Box<[Box<[u64]>]>,
}

impl Group {
    /// The row of a text; `None` when no comparison names it.
    ///
    /// Most texts of events have a length that few named ones share, so few are compared.
    pub(crate) fn row(&self, text: &[u8]) -> Option<u32> {
        let &[start, end] = self.lengths.get(text.len()..text.len() + 2)? else { return None };
        let same_length = self.named.get(start as usize..end as usize)?;
        let at = same_length.binary_search_by(|known| (**known).cmp(text)).ok()?;
        Some(start + at as u32)
    }

    /// Whether the comparison names the text of this row.
    pub(crate) fn names(&self, row: u32, member: Member) -> bool {
        let word = self.rows[row as usize][member.bit as usize / 64];
        word >> (member.bit % 64) & 1 == 1
    }

    fn new(subject: Subject, tests: &[Test], places: &[usize]) -> Self {
        let words = places.len().div_ceil(64);
        let mut named: BTreeMap<(usize, &[u8]), Box<[u64]>> = BTreeMap::new();
        for (bit, place) in places.iter().enumerate() {
            for text in texts_of(&tests[*place].compare) {
                let row = named.entry((text.len(), text)).or_insert_with(|| vec![0; words].into());
                row[bit / 64] |= 1 << (bit % 64);
            }
        }
        let longest = named.last_key_value().map_or(0, |((length, _), _)| *length);
        let mut lengths = vec![0_u32; longest + 2];
        for (length, _) in named.keys() {
            lengths[length + 1] += 1;
        }
        let mut sum = 0;
        for count in &mut lengths {
            sum += *count;
            *count = sum;
        }
        let (sorted, rows): (Vec<Box<[u8]>>, Vec<_>) =
            named.into_iter().map(|((_, text), row)| (text.into(), row)).unzip();
        Self {
            subject,
            slot: None,
            named: sorted.into(),
            lengths: lengths.into(),
            rows: rows.into(),
        }
    }
}

/// Groups the comparisons and tells each its place.
pub(super) fn group(tests: &mut [Test]) -> Vec<Group> {
    let mut by_subject: Vec<(Subject, Vec<usize>)> = Vec::new();
    let mut known: HashMap<Subject, usize> = HashMap::new();
    for (place, test) in tests.iter().enumerate() {
        let Some(subject) = grouped_by(test) else { continue };
        let at = *known.entry(subject.clone()).or_insert_with(|| {
            by_subject.push((subject, Vec::new()));
            by_subject.len() - 1
        });
        by_subject[at].1.push(place);
    }
    by_subject.retain(|(_, places)| places.len() >= WORTHWHILE);
    let mut groups = Vec::with_capacity(by_subject.len());
    let parts = by_subject.iter().flat_map(|(subject, places)| {
        places.chunks(TOGETHER).map(move |places| (subject.clone(), places))
    });
    for (subject, places) in parts {
        let number = groups.len() as u32;
        groups.push(Group::new(subject, tests, places));
        for (bit, place) in (0..).zip(places) {
            let negated = matches!(tests[*place].compare, Compare::One(Operator::Ne, _));
            tests[*place].member = Some(Member { group: number, bit, negated });
        }
    }
    groups
}

/// The subject of a comparison with fixed texts; `None` for any other comparison.
fn grouped_by(test: &Test) -> Option<Subject> {
    let subject = match &test.left {
        Left::Value(source) => Subject::Value(source.clone()),
        Left::Ancestors { field, key } => Subject::Ancestors(*field, key.clone()),
        _ => return None,
    };
    let equality = matches!(
        test.compare,
        Compare::One(Operator::Eq | Operator::Ne, _)
            | Compare::Set(Operator::In | Operator::Intersects, _)
    );
    let named = equality && test.codes.is_none() && texts_of(&test.compare).next().is_some();
    named.then_some(subject)
}

#[cfg(test)]
mod tests {
    use crate::compile::graph_of as graph;

    #[test]
    fn comparisons_of_one_value_with_texts_are_one_group() {
        let graph = graph(
            "proc.name = a or proc.name in (b, c) or proc.name != d or proc.pname = a \
             or proc.aname = a or proc.aname[2] = b or evt.type = open or evt.type = close \
             or proc.name startswith x or proc.pid = 1 or proc.pid = 2",
        );
        assert_eq!(graph.group_count(), 1);
        let members: Vec<_> = (0..3).filter_map(|place| graph.test(place).member).collect();
        assert_eq!(
            members.iter().map(|member| member.negated).collect::<Vec<_>>(),
            [false, false, true]
        );
        let group = graph.group(members[0]);
        let row = |text: &str| group.row(text.as_bytes());
        let named = |text: &str| {
            members.iter().map(|m| group.names(row(text).unwrap(), *m)).collect::<Vec<_>>()
        };
        assert_eq!(named("a"), [true, false, false]);
        assert_eq!(named("c"), [false, true, false]);
        assert_eq!(named("d"), [false, false, true]);
        assert_eq!((row("x"), row(""), row("ab")), (None, None, None));
    }

    #[test]
    fn more_comparisons_than_a_word_has_bits() {
        let parts: Vec<String> = (0..130).map(|n| format!("proc.name = n{n}")).collect();
        let graph = graph(&parts.join(" or "));
        let last = graph.test(129).member.unwrap();
        let group = graph.group(last);
        assert!(group.names(group.row(b"n129").unwrap(), last));
        assert!(!group.names(group.row(b"n128").unwrap(), last));
    }

    #[test]
    fn more_comparisons_than_are_answered_together_are_several_groups() {
        let count = super::TOGETHER + 1;
        let parts: Vec<String> = (0..count).map(|n| format!("proc.name = n{n}")).collect();
        let graph = graph(&parts.join(" or "));
        assert_eq!(graph.group_count(), 2);
        for place in [0, count - 2, count - 1] {
            let member = graph.test(place as u32).member.unwrap();
            let group = graph.group(member);
            let row = group.row(format!("n{place}").as_bytes()).unwrap();
            assert!(group.names(row, member), "{place}");
        }
    }
}
