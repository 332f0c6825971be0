//! The client against real registries, against one that misbehaves, and the embedded registry
//! against real clients.
//!
//! Everything runs on loopback and in temporary directories. What needs a program that is not there
//! says so and is skipped.
#![forbid(unsafe_code)]

#[cfg(test)]
mod authentication;
#[cfg(test)]
mod clouds;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod guarded;
#[cfg(test)]
mod layouts;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod references;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tls;
