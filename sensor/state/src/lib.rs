//! What is known about processes: kept by exec, fork and exit events, seeded at start.
//!
//! Pure: `apply` makes no system call. Files and sockets are not kept here, because the kernel says
//! what a descriptor is in the event itself.
#![forbid(unsafe_code)]
