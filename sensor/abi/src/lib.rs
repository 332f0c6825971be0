//! The event schema and the record format that the kernel probe and user space share.
//!
//! Only this crate reads event bytes. Decoding borrows from the buffer, checks every bound and never
//! panics.
#![forbid(unsafe_code)]
