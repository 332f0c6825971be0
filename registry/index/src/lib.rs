//! The artifact index: what names exist, where each lives, which versions fit together, and how a
//! request becomes a plan.
//!
//! Pure: the bytes of an index file come in, values go out. Fetching indexes is left to `eyas-ops`.
#![forbid(unsafe_code)]

mod distance;
mod edit;
mod entry;
mod error;
mod index;
mod parse;
mod plan;
mod requirements;
pub mod solve;

pub use edit::{remove, upsert};
pub use entry::{CosignSection, Entry, Maintainer};
pub use error::{IndexError, Problem, ProblemKind, Refusal, RefusalReason};
pub use index::{Hit, Index, resolve};
pub use parse::{MAX_INDEX_BYTES, MAX_INDEX_ENTRIES};
pub use plan::{Action, Candidate, Cause, Plan, PlanOptions, Step, Why};
pub use requirements::{KERNEL, Unmet, check_requirements};
pub use solve::{Answer, Clash, Conflict, Offers, Solution, solve};
