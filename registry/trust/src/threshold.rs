//! Counting signers: k of n means k different signers for k different authorities.
//!
//! One signer that fits two entries of the list counts once, and so does an entry that two signers
//! fit. The count is the size of a largest matching between the two sides.

use std::collections::{BTreeMap, BTreeSet};

/// A largest set of signers that can be given one authority each; `satisfies` lists, for each
/// candidate, its signer and the authorities it fits. Returns one candidate per counted signer.
pub(crate) fn count<'a>(
    satisfies: impl Iterator<Item = (usize, &'a str, &'a [usize])>,
) -> Vec<usize> {
    let mut signers: BTreeMap<&str, (usize, BTreeSet<usize>)> = BTreeMap::new();
    for (candidate, signer, authorities) in satisfies.filter(|(_, _, fits)| !fits.is_empty()) {
        let entry = signers.entry(signer).or_insert_with(|| (candidate, BTreeSet::new()));
        entry.1.extend(authorities);
    }
    let signers: Vec<(usize, BTreeSet<usize>)> = signers.into_values().collect();
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    for signer in 0..signers.len() {
        place(signer, &signers, &mut taken, &mut BTreeSet::new());
    }
    let counted: BTreeSet<usize> = taken.into_values().collect();
    let mut candidates: Vec<usize> =
        counted.iter().filter_map(|signer| signers.get(*signer)).map(|(at, _)| *at).collect();
    candidates.sort_unstable();
    candidates
}

/// Gives `signer` an authority, moving others if that makes room.
fn place(
    signer: usize,
    signers: &[(usize, BTreeSet<usize>)],
    taken: &mut BTreeMap<usize, usize>,
    visited: &mut BTreeSet<usize>,
) -> bool {
    let Some((_, fits)) = signers.get(signer) else { return false };
    for authority in fits {
        if !visited.insert(*authority) {
            continue;
        }
        let free = match taken.get(authority).copied() {
            None => true,
            Some(holder) => place(holder, signers, taken, visited),
        };
        if free {
            taken.insert(*authority, signer);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(candidates: &[(&str, &[usize])]) -> Vec<usize> {
        count(candidates.iter().enumerate().map(|(at, (signer, fits))| (at, *signer, *fits)))
    }

    #[test]
    fn one_signer_counts_once() {
        assert_eq!(counted(&[("a", &[0]), ("a", &[0])]), [0]);
        assert_eq!(counted(&[("a", &[0, 1])]), [0], "even when it fits two entries");
    }

    #[test]
    fn one_authority_counts_once() {
        assert_eq!(counted(&[("a", &[0]), ("b", &[0])]).len(), 1);
        assert_eq!(counted(&[("a", &[0]), ("b", &[1])]), [0, 1]);
    }

    #[test]
    fn a_signer_gives_way_when_it_fits_elsewhere() {
        assert_eq!(counted(&[("a", &[0, 1]), ("b", &[0])]), [0, 1]);
        assert_eq!(counted(&[("a", &[0, 1]), ("b", &[0, 2]), ("c", &[0])]), [0, 1, 2]);
    }

    #[test]
    fn what_fits_nothing_does_not_count() {
        assert!(counted(&[("a", &[])]).is_empty());
        assert!(counted(&[]).is_empty());
    }

    #[test]
    fn the_authorities_of_several_signatures_add_up() {
        assert_eq!(counted(&[("a", &[0]), ("b", &[0]), ("b", &[1])]), [0, 1]);
    }
}
