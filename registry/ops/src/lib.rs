//! One module per operation: install, follow, rollback, inspect, push, pull, sign, serve, and the
//! indexes that names come from.
//!
//! Each operation is plan, then act, and reports what it does to a [`Listener`]; printing is left to
//! the command line. What judges rules and what runs them is plugged in from outside ([`Sensor`],
//! `eyas_store::Validate`), so that this crate knows neither.
#![forbid(unsafe_code)]

mod archive;
mod class;
mod contents;
mod context;
mod error;
mod flat;
mod follow;
mod found;
mod gc;
mod indexes;
mod inspect;
mod install;
mod listener;
mod listing;
mod pin;
mod pull;
mod push;
mod receipts;
mod repair;
mod requires;
mod rollback;
mod select;
mod sensor;
mod serve;
mod sign;
mod transaction;
mod uninstall;
mod whole;

pub use archive::MAX_FILES;
pub use class::Class;
pub use contents::{Contents, FileContents, available, fetched_contents, installed_contents};
pub use context::{Context, InstallOptions, Trust};
pub use error::OpsError;
pub use flat::{FlatTargets, ForeignPolicy};
pub use follow::{
    CHECKS_FORMAT, CheckFailure, CheckResult, Checked, CheckedReference, Checks, ClockWatch,
    Confirmed, ConfirmedState, Confirmer, Cron, CronForm, Ended, FIRST_RETRY, Followed, Follower,
    Look, MAX_JITTER, News, Now, REMIND_AFTER, Round, Schedule, Standing, Startup, Timer, When,
    keep_checks, last_checks,
};
pub use gc::gc;
pub use indexes::{
    AddedIndex, Catalog, Copies, Copy, IndexBook, IndexLocation, IndexSource, MAX_INDEX_NAME_BYTES,
    PushedIndex, check_index_name, list_indexes, plan_index, push_index, unlist_indexes, update,
};
pub use inspect::{config, list, manifest, search, tags, verify};
pub use install::{install, install_locked, lock, lock_installed};
pub use listener::{Event, Listener, SignerWords, Silent};
pub use listing::{Listing, update_index_file};
pub use pin::{Pinned, pin, unpin};
pub use pull::{Pulled, plan_pull, pull};
pub use push::{
    Content, PushRequest, Pushed, parse_dependency, parse_requirement, plan_push, push,
};
pub use receipts::{Receipt, Receipts};
pub use repair::{Watch, repair};
pub use rollback::{RefusedArtifact, RollbackOptions, RolledBack, refused, reload, rollback};
pub use select::MAX_ARTIFACTS;
pub use sensor::{Activation, InForce, Offer, Presence, Sensor, Unreachable, Verdict};
pub use serve::{Guarded, prepare_layout, serve};
pub use sign::{Form, Signed, attest_reference, plan_sign, sign_reference};
pub use transaction::{Confirmation, Outcome};
pub use uninstall::{Removal, Uninstalled, uninstall};
pub use whole::{WholeFile, replace_file};
