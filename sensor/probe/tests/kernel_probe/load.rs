//! The live kernel takes the embedded probe.

use eyas_probe::{Missing, Probe, capability, embedded};

#[test]
fn this_kernel_takes_what_the_probe_can_do_without() {
    let Some(live) = crate::live::start(&[], &eyas_probe::Options::default()) else { return };
    for feature in live.probe.features() {
        println!("{:<36} {:?}", feature.gives, feature.missing);
        let refused = matches!(feature.missing, Some(Missing::Refused(_)));
        assert!(!refused, "{}: {:?}", feature.program, feature.missing);
    }
    // Every kernel delivers signals and switches tasks.
    let taken = |gives: &str| {
        live.probe.features().iter().any(|f| f.gives.contains(gives) && f.missing.is_none())
    };
    assert!(taken("signaldeliver") && taken("switch"));
}

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
