//! How `eyas` is linked: what makes it smaller on disk and in memory, where the linker and the system know it.
//!
//! - Addresses that are filled in at start are packed (the table of them is otherwise a fifteenth of the program), which
//!   glibc can read from 2.36 and the musl that comes with Rust in any case.
//! - Functions and constants that came out the same are kept once.
//! - Functions that everyday commands run lie together (`everyday.txt`, written by `scripts/everyday`): the kernel maps
//!   what lies around a function with it, and would else map nearly all of the program for any command.
//!
//! The last two need the linker that comes with Rust for `x86_64`. Nothing here changes what the program does, nor where it
//! may be loaded: it stays position-independent, with its tables read-only once it runs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

/// First glibc that reads packed relocations.
const PACKED_RELOCATIONS_SINCE: (u32, u32) = (2, 36);
/// Symbols of functions, one a line, with `*` for what changes with the compiler.
const EVERYDAY: &str = "everyday.txt";
/// Set by `scripts/everyday`: valgrind knows no functions outside of the usual section.
const UNORDERED: &str = "EYAS_UNORDERED";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={EVERYDAY}");
    println!("cargo::rerun-if-env-changed={UNORDERED}");
    let target = variable("TARGET");
    // Debug builds are linked often and shipped never.
    if variable("PROFILE") != "release" {
        return Ok(());
    }
    let gnu = target == "x86_64-unknown-linux-gnu";
    if target == "x86_64-unknown-linux-musl" || gnu && glibc() >= Some(PACKED_RELOCATIONS_SINCE) {
        link("-Wl,-z,pack-relative-relocs");
    }
    if gnu {
        link("-Wl,--icf=all,--ignore-data-address-equality,-O2");
    }
    if gnu && variable(UNORDERED).is_empty() {
        let script = Path::new(&variable("OUT_DIR")).join("everyday.ld");
        fs::write(&script, everyday(&fs::read_to_string(EVERYDAY)?))?;
        link(&format!("-Wl,-T,{}", script.display()));
    }
    Ok(())
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

/// A section with the listed functions before that of all others; one that is not there any more costs nothing.
fn everyday(list: &str) -> String {
    let mut script = "SECTIONS {\n  .text.everyday : {\n".to_owned();
    for symbol in list.lines().filter(|line| !line.starts_with('#')) {
        // Writing to a string does not fail.
        let _ = writeln!(script, "    *(.text.{symbol} .text.unlikely.{symbol})");
    }
    script.push_str("  }\n} INSERT BEFORE .text;\n");
    script
}
