//! Rules by event code, so that an event only meets those it can match.

use super::IdSet;

/// For each event code, positions of the rules to try, in order.
#[derive(Debug, Default)]
pub struct Candidates {
    /// Where the list of a code begins in `rules`; one more than there are codes.
    starts: Vec<u32>,
    rules: Vec<u32>,
}

impl Candidates {
    /// Indexes rules by the codes they ask for. Their order is kept.
    pub fn new(sets: &[IdSet]) -> Self {
        let last = sets.iter().filter_map(|set| set.iter().last()).max();
        let codes = last.map_or(0, |last| last + 1);
        let mut index = Self { starts: vec![0], rules: Vec::new() };
        for code in 0..codes {
            let wanting = (0_u32..).zip(sets).filter(|(_, set)| set.contains(code));
            index.rules.extend(wanting.map(|(rule, _)| rule));
            index.starts.push(index.rules.len() as u32);
        }
        index
    }

    /// Positions of the rules to try on an event of this code.
    pub fn of(&self, code: u16) -> &[u32] {
        let code = usize::from(code);
        match self.starts.get(code..code + 2) {
            Some(&[start, end]) => &self.rules[start as usize..end as usize],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_by_code_in_order() {
        let set = |codes: &[u16]| codes.iter().copied().collect::<IdSet>();
        let index = Candidates::new(&[set(&[3, 5]), set(&[]), set(&[5]), set(&[0, 3, 5])]);
        assert_eq!(index.of(0), [3]);
        assert_eq!(index.of(3), [0, 3]);
        assert_eq!(index.of(5), [0, 2, 3]);
        for none in [1, 4, 6, u16::MAX] {
            assert!(index.of(none).is_empty());
        }
        assert!(Candidates::new(&[]).of(0).is_empty());
    }
}
