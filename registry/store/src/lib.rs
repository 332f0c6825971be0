//! The state directory: content-addressed blobs, staging, numbered generations and the one link that
//! says which is active.
//!
//! Alone in writing below the state directory. A reader sees the old or the new generation, never a
//! mix, through any crash.
//!
//! ```text
//! <dir>/oci-layout, index.json, blobs/sha256/<hex>   an OCI image layout
//!       generations/<N>/lock.json                    what is in it, from where, signed by whom
//!       generations/<N>/rules/<artifact>/<files>     also plugins, assets, probes
//!       generations/.staging-*                       being filled; removed after a crash
//!       current -> generations/<N>                   replaced by rename
//!       pending                                      the activation that has begun and not ended
//!       flat.json                                    plain directories that follow the active one
//!       indexes/<hex>.json                           when the newest signed index of an address was signed
//!       checks.json                                  how the last checks for updates went
//!       pins.json                                    names that must not be moved
//!       lock                                         held by the one process that writes
//! ```
//!
//! The way of an artifact: [`LockedStore::stage`] takes what was verified and fetches into
//! [`Stage`]; [`Stage::extract`] gives [`Staged`]; [`LockedStore::compose`] puts the whole new set
//! of files together as [`Composed`]; [`Composed::validate`] is the only maker of [`Validated`],
//! which [`LockedStore::activate`] wants. The bytes that were validated are the bytes that become
//! active: they are not copied again.
#![forbid(unsafe_code)]

mod blobs;
mod checks;
mod clean;
mod compose;
mod disk;
mod error;
mod extract;
mod flat;
mod generations;
mod history;
mod index_notes;
mod intake;
mod integrity;
mod lock;
mod paths;
mod pins;
mod recover;
mod seen;
mod stage;
mod validate;

pub use blobs::{Ahead, BlobWriter};
pub use clean::{DEFAULT_KEPT_GENERATIONS, GarbageReport};
pub use compose::Composed;
pub use error::StoreError;
#[doc(hidden)] // for the fuzzer
pub use extract::unpack;
pub use extract::{ExtractLimits, unpack_file};
pub use flat::{
    FlatDirectories, FlatDirectory, FlatPlan, FlatReport, FlatSet, FlatSetReport, Foreign,
    OwnedFile, Ownership, Prepared as PreparedFlat, PreparedSet,
};
pub use generations::Store;
pub use history::{HistoryEntry, Refusal};
pub use integrity::{Fault as FileFault, Finding, RepairReport};
pub use lock::LockedStore;
pub use seen::Seen;
pub use stage::{Source, Stage, Staged};
pub use validate::{CandidateFile, CandidateSet, Validate, Validated, ValidationError};

#[cfg(test)]
mod tests;
