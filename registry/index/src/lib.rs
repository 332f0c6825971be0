//! The artifact index: what names exist, where each lives, and how a request becomes a plan.
//!
//! Pure: the bytes of an index file come in, values go out. Fetching indexes is left to `eyas-ops`.
#![forbid(unsafe_code)]
