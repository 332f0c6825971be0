//! Harness of the end-to-end tests: loopback registries, throw-away state directories, a signer and
//! the gate that decides whether kernel tests can run here.
#![forbid(unsafe_code)]
