//! How problems are told: codes, places, snippets, as data and as text.
mod nearest;

pub use nearest::nearest;
