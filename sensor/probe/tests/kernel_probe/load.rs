//! The live kernel takes the embedded probe.

use eyas_probe::{Probe, capability, embedded};

#[test]
fn every_program_of_the_embedded_object_is_verified() {
    if let Err(why) = capability() {
        eprintln!("SKIPPED: {why} ({})", why.hint());
        return;
    }
    let programs = Probe::try_load(embedded()).unwrap_or_else(|error| panic!("{error}"));
    assert!(programs.iter().any(|program| program.name == "sys_exit"));
    for program in programs {
        println!("{:<24} {:>8?}", program.name, program.verified_instructions);
    }
}
