//! Maps by thread id. Ids come from a file that anybody may have made, so the hash is seeded.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Spreads the bits of a product.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map by thread id.
pub(crate) type ByThread<T> = HashMap<u64, T, Seeded>;

/// Makes hashers with a seed of the process.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(RandomState::new().hash_one(SPREAD) | 1)
    }
}

impl BuildHasher for Seeded {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.0)
    }
}

/// Folds a product of twice the width, which mixes all bits of an id into all bits of the hash.
#[derive(Debug)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let product = u128::from(id ^ self.0) * u128::from(SPREAD);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write_i64(&mut self, id: i64) {
        self.write_u64(id as u64);
    }

    fn write_u32(&mut self, id: u32) {
        self.write_u64(u64::from(id));
    }
}
