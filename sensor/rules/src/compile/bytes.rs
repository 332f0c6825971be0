//! Searching in bytes, and sets of byte strings.

/// Whether `text` begins with `prefix`.
pub(crate) fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.starts_with(prefix)
}

/// Whether `text` ends with `suffix`.
pub(crate) fn ends_with(text: &[u8], suffix: &[u8]) -> bool {
    text.ends_with(suffix)
}

/// Whether `needle` occurs in `text`.
pub(crate) fn contains(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

/// Whether `needle` occurs in `text`, ASCII letters of either case being the same.
pub(crate) fn contains_ignoring_case(text: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    let Some(last_start) = text.len().checked_sub(needle.len()) else { return false };
    let starts = &text[..=last_start];
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), starts)
        .any(|at| text[at..at + needle.len()].eq_ignore_ascii_case(needle))
}

/// A set of byte strings. Lengths are compared before bytes, so most absent values cost no
/// comparison of bytes at all.
#[derive(Debug)]
pub(super) struct ByteSet(Box<[Box<[u8]>]>);

impl ByteSet {
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut values: Vec<Box<[u8]>> = values.map(Into::into).collect();
        values.sort_unstable_by(|a, b| order(a, b));
        values.dedup();
        Self(values.into())
    }

    pub(super) fn contains(&self, value: &[u8]) -> bool {
        self.0.binary_search_by(|known| order(known, value)).is_ok()
    }
}

fn order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_either_case() {
        assert!(contains_ignoring_case(b"/Opt/DIR", b"dir"));
        assert!(contains_ignoring_case(b"aAb", b"AB"));
        assert!(contains_ignoring_case(b"x", b"") && contains_ignoring_case(b"", b""));
        assert!(!contains_ignoring_case(b"ab", b"abc") && !contains_ignoring_case(b"abd", b"abc"));
    }

    #[test]
    fn sets_find_members_only() {
        let set = ByteSet::new([&b"bash"[..], b"sh", b"", b"sh"].into_iter());
        for member in [&b"bash"[..], b"sh", b""] {
            assert!(set.contains(member));
        }
        assert!(!set.contains(b"zsh") && !set.contains(b"s") && !set.contains(b"bas"));
        assert!(!ByteSet::new(std::iter::empty()).contains(b""));
    }
}
