//! How `eyas` is linked: what makes it smaller, where the linker and the system know it.
//!
//! - Addresses that are filled in at start are packed (the table of them is otherwise a fifteenth of the program), which
//!   glibc can read from 2.36 and the musl that comes with Rust in any case.
//! - Functions and constants that came out the same are kept once.
//!
//! The last needs the linker that comes with Rust for x86_64. Nothing here changes what the program does, nor where it
//! may be loaded: it stays position-independent, with its tables read-only once it runs.

use std::env;
use std::process::Command;

/// First glibc that reads packed relocations.
const PACKED_RELOCATIONS_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = variable("TARGET");
    // Debug builds are linked often and shipped never.
    if variable("PROFILE") != "release" {
        return;
    }
    let gnu = target == "x86_64-unknown-linux-gnu";
    if target == "x86_64-unknown-linux-musl" || gnu && glibc() >= Some(PACKED_RELOCATIONS_SINCE) {
        link("-Wl,-z,pack-relative-relocs");
    }
    if gnu {
        link("-Wl,--icf=all,--ignore-data-address-equality,-O2");
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bins={argument}");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The version that this machine has, which is the oldest that the program is sure to run on.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}
