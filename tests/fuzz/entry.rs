//! Entry of the fuzzer. `EYAS_FUZZ_TARGET` says which target it runs; `list` prints them all. With `EYAS_FUZZ_SEEDS` it
//! writes the target's seeds into that directory instead. One program serves all, so that there is one to link.
#![no_main]

use std::fs;
use std::path::Path;
use std::process::exit;
use std::sync::LazyLock;

use eyas_fuzz::{Target, seeds};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("EYAS_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("EYAS_FUZZ_TARGET=`{name}` is no target"))
});

/// Answers what is no fuzzing, and ends.
fn prepare() {
    if std::env::var("EYAS_FUZZ_TARGET").is_ok_and(|name| name == "list") {
        for target in Target::ALL {
            println!("{}", target.name);
        }
        exit(0);
    }
    let Some(directory) = std::env::var_os("EYAS_FUZZ_SEEDS") else { return };
    let directory = Path::new(&directory);
    let write = || {
        fs::create_dir_all(directory)?;
        for (number, seed) in seeds::of(TARGET.name).into_iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:03}")), seed)?;
        }
        std::io::Result::Ok(())
    };
    if let Err(error) = write() {
        eprintln!("{}: {error}", directory.display());
        exit(1);
    }
    exit(0);
}

fuzz_target!(init: prepare(), |input: &[u8]| {
    TARGET.run(input);
});
