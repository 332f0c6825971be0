//! Harness of the end-to-end tests: where the programs and inputs are, loopback registries, throw-away
//! state directories, a running sensor, and the gate that decides whether kernel tests can run here.
//!
//! Nothing here touches a network but loopback or a file outside of temporary folders. Whatever is started is
//! stopped by its process id when its value is dropped.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a harness fails its test by panicking and says what it skips on stderr"
)]

pub mod between;
pub mod following;
pub mod gate;
pub mod process;
pub mod programs;
pub mod registry;
pub mod runc;
pub mod sensor;
pub mod sigstore;
pub mod site;
pub mod stranger;

pub use between::{Between, Fate, Seen};
pub use following::Following;
pub use gate::{Credentials, Gate, Mood};
pub use process::{Finished, run};
pub use programs::{eyas, eyasd, peer, shared, skip, workspace_root};
pub use registry::{Registry, both_registries};
pub use runc::modest_runc;
pub use sensor::{Sensor, kernel_gate};
pub use site::{Site, marker_rule, noise};
pub use stranger::{Entry, Stranger};
