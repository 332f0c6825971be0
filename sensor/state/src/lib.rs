//! What is known about processes: kept by exec, fork and exit events, seeded at start.
//!
//! Pure: `apply` makes no system call. Files and sockets are not kept here, because the kernel says
//! what a descriptor is in the event itself; [`Fd`] reads it from there. What belongs to the host as
//! a whole (names of users, local addresses, the clock's offset) comes in through [`Host`].
#![forbid(unsafe_code)]

mod apply;
mod clock;
pub mod container;
mod ctx;
mod fd;
mod host;
mod path;
mod process;
mod slots;
mod tables;

pub use clock::{Civil, LocalTime, civil};
pub use ctx::{Ctx, Descriptors, Given, Moment};
pub use fd::{Fd, FdKind, Role};
pub use host::{Group, Host, User};
pub use path::{UNKNOWN_DIRECTORY, absolute, is_clean};
pub use process::{Comm, ExeFlags, Image, Parent, Process, Times};
pub use tables::{Counts, DEFAULT_MAX_BYTES, DEFAULT_MAX_PROCESSES, Limits, Tables};
