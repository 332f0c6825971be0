//! "Did you mean": the name closest to a mistyped one.

/// Longest name that is compared; longer ones are no typing mistakes.
const LONGEST: usize = 64;

/// Most candidates that are compared: behind them nobody is waiting for a guess.
const COMPARED: usize = 2000;

/// The candidate closest to `word`, if it is close enough to have been meant: at most one edit in
/// three characters. The first of several equally close ones wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = word.chars().count().div_ceil(3);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .take(COMPARED)
        .filter(|candidate| candidate.len() <= LONGEST && *candidate != word)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, remove, replace, swap of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(l != r);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits_and_swaps() {
        assert_eq!(distance("contains", "contains"), 0);
        assert_eq!(distance("contians", "contains"), 1);
        assert_eq!(distance("proc.nam", "proc.name"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn far_names_are_not_suggested() {
        let names = ["proc.name", "proc.pname", "fd.name"];
        assert_eq!(nearest("proc.naem", names), Some("proc.name"));
        assert_eq!(nearest("container.id", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"a".repeat(LONGEST + 1), ["a"]), None);
    }
}
