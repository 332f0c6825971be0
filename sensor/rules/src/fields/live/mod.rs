//! Fields of a live event: every field that the probe can source, read from the event and from the
//! table of processes.

pub use eyas_state::{Civil, LocalTime, civil};
