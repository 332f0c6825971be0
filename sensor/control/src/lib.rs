//! The control protocol between `eyas` and `eyasd`: framed JSON over a Unix socket, versioned,
//! length-limited, with peer credentials checked on both sides.
#![forbid(unsafe_code)]
