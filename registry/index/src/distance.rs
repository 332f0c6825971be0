//! How alike two names are.
//!
//! Owns the measure that search scores and suggestions share: edit distance in characters, case
//! folded, as a share of the longer name.

/// 1 for equal names, 0 for names with nothing in common.
pub(crate) fn similarity(one: &str, other: &str) -> f64 {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let longer = one.len().max(other.len());
    if longer == 0 {
        return 1.0;
    }
    let distance = edit_distance(&one, &other);
    to_f64(longer - distance) / to_f64(longer)
}

/// Names are short; beyond this many characters all lengths count as the same.
fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Insertions, deletions and replacements between two texts. Time is the product of the lengths,
/// memory the length of one.
fn edit_distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(one: &str, other: &str) -> usize {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        edit_distance(&chars(one), &chars(other))
    }

    #[test]
    fn counts_edits() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("abc", "abc", 0),
            ("äöü", "aou", 3),
        ];
        for (one, other, expected) in cases {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn similarity_is_a_share_of_the_longer_name() {
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(close(similarity("Falco", "falco"), 1.0));
        assert!(close(similarity("abcd", "abcx"), 0.75));
        assert!(close(similarity("", "abcd"), 0.0));
        assert!(close(similarity("", ""), 1.0));
    }
}
