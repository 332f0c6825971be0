//! A set of small numbers: event codes or system call ids.

use std::fmt;

/// Numbers a set can hold: event codes and system call ids both stay below.
const CAPACITY: usize = 512;
const WORDS: usize = CAPACITY / 64;

/// A set of numbers below 512, in one cache line.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct IdSet([u64; WORDS]);

impl IdSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Adds a number; numbers that no set can hold are ignored.
    pub fn insert(&mut self, id: u16) {
        if let Some(word) = self.0.get_mut(usize::from(id) / 64) {
            *word |= 1 << (id % 64);
        }
    }

    /// Whether the number is in the set.
    pub fn contains(&self, id: u16) -> bool {
        self.0.get(usize::from(id) / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Members of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// Members of this one that `other` lacks.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..CAPACITY as u16).filter(|id| self.contains(*id))
    }
}

impl FromIterator<u16> for IdSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ids: I) -> Self {
        let mut set = Self::EMPTY;
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

impl fmt::Debug for IdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_up_to_the_edge() {
        let set: IdSet = [0, 63, 64, 511, 512, u16::MAX].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 511]);
        assert_eq!(set.len(), 4);
        assert!(!set.contains(512) && !set.contains(u16::MAX));
    }

    #[test]
    fn the_schema_fits() {
        assert!(eyas_abi::schema::all().iter().all(|event| usize::from(event.code) < CAPACITY));
        assert!(eyas_abi::schema::SYSCALLS.len() <= CAPACITY);
    }

    #[test]
    fn algebra() {
        let a: IdSet = [1, 2].into_iter().collect();
        let b: IdSet = [2, 300].into_iter().collect();
        assert_eq!(a.union(b).iter().collect::<Vec<_>>(), [1, 2, 300]);
        assert_eq!(a.intersection(b).iter().collect::<Vec<_>>(), [2]);
        assert_eq!(a.difference(b).iter().collect::<Vec<_>>(), [1]);
        assert!(a.difference(a).is_empty());
    }
}
