//! The kernel side's owner: opens the probe object, checks its layout, attaches it, reads its rings
//! and counters.
//!
//! Alone in making bpf calls. What an event means is left to `eyas-state` and `eyas-rules`.
