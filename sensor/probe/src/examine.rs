//! What this kernel supports, what would run here, and why: asked of the kernel itself and not told from its
//! version. Loads every program as a start would, attaches none.

use std::fs;
use std::path::Path;

use crate::capability::{KERNEL_BTF, capability, held};
use crate::error::ProbeError;
use crate::load::{Options, Probe, Program, possible_cpus};

/// Where file systems are found that the probe needs not.
const BPFFS: &str = "/sys/fs/bpf";
const TRACEFS: &str = "/sys/kernel/tracing";
const ONLINE_CPUS: &str = "/sys/devices/system/cpu/online";

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is, in a few words.
    pub what: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Present,
    /// It is not there, and something is missing without it.
    Missing,
    /// It is not there, and the probe runs all the same with nothing missing.
    NotNeeded,
}

impl State {
    /// One word for listings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Present => "yes",
            Self::Missing => "no",
            Self::NotNeeded => "not needed",
        }
    }
}

/// What was found out about this machine.
#[derive(Debug)]
pub struct Examination {
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
    /// The programs that would run with what their verification cost, or why none would.
    pub verdict: Result<Vec<Program>, ProbeError>,
}

/// Looks at this machine, and has its kernel verify the object.
pub fn examine(object: &[u8]) -> Examination {
    let mut findings = vec![kernel(), type_information(), privileges(), ring_buffers()];
    findings.extend([cpus(), file_system("bpffs", BPFFS), file_system("tracefs", TRACEFS)]);
    let page = rustix::param::page_size() as u32;
    let options = Options { ring_events: page, ring_lifecycle: page, ..Options::default() };
    let verdict = Probe::load(object, &options).map(|probe| {
        findings.extend(programs(&probe));
        probe.programs()
    });
    Examination { findings, verdict }
}

fn finding(what: &'static str, state: State, found: impl Into<String>) -> Finding {
    Finding { what, state, found: found.into() }
}

fn kernel() -> Finding {
    let name = rustix::system::uname();
    let (release, machine) = (name.release().to_string_lossy(), name.machine().to_string_lossy());
    finding("kernel", State::Present, format!("{release}, {machine}"))
}

fn type_information() -> Finding {
    const WHAT: &str = "type information";
    match fs::metadata(KERNEL_BTF) {
        Ok(file) => finding(WHAT, State::Present, format!("{KERNEL_BTF}, {} bytes", file.len())),
        Err(error) => finding(WHAT, State::Missing, format!("{KERNEL_BTF}: {error}")),
    }
}

fn privileges() -> Finding {
    const WHAT: &str = "privileges";
    match held() {
        Ok(held) => finding(WHAT, State::Present, held),
        Err(missing) => finding(WHAT, State::Missing, format!("{missing} missing")),
    }
}

fn ring_buffers() -> Finding {
    const WHAT: &str = "ring buffers";
    match capability() {
        Ok(()) => finding(WHAT, State::Present, "one can be made"),
        Err(why) => finding(WHAT, State::Missing, why.to_string()),
    }
}

/// Each possible CPU has its rings, so that one that comes later is heard too.
fn cpus() -> Finding {
    let online = fs::read_to_string(ONLINE_CPUS).unwrap_or_default();
    match possible_cpus() {
        Ok(count) => finding(
            "CPUs",
            State::Present,
            format!("rings for {count}, of which `{}` are online", online.trim()),
        ),
        Err(error) => finding("CPUs", State::Missing, error.to_string()),
    }
}

fn file_system(what: &'static str, place: &str) -> Finding {
    let entries = fs::read_dir(Path::new(place)).map(Iterator::count);
    match entries {
        Ok(0) if what == "tracefs" => finding(what, State::NotNeeded, format!("{place} is empty")),
        Ok(_) => finding(what, State::Present, place),
        Err(error) => finding(what, State::NotNeeded, format!("{place}: {error}")),
    }
}

/// What the loaded programs say of the kernel.
fn programs(probe: &Probe) -> Vec<Finding> {
    let verified: Vec<Program> = probe.programs();
    let instructions: u64 =
        verified.iter().filter_map(|p| p.verified_instructions).map(u64::from).sum();
    let taken = match instructions {
        0 => format!("{} verified", verified.len()),
        count => format!("{} verified in {count} instructions", verified.len()),
    };
    let mut findings = vec![
        finding("programs", State::Present, taken),
        finding("kernel memory", State::Present, format!("read {}", probe.reads())),
        finding("processes at start", State::Present, format!("from {}", probe.seed_method())),
    ];
    findings.extend(probe.features().into_iter().map(|feature| match feature.missing {
        None => finding(feature.gives, State::Present, "the kernel took the program"),
        Some(why) => finding(feature.gives, State::Missing, why.to_string()),
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_none_is_told_with_all_that_was_found() {
        let found = examine(b"no object");
        assert!(found.verdict.is_err());
        let what: Vec<&str> = found.findings.iter().map(|finding| finding.what).collect();
        for expected in ["kernel", "type information", "privileges", "ring buffers", "CPUs"] {
            assert!(what.contains(&expected), "{expected}");
        }
        assert!(found.findings.iter().all(|finding| !finding.found.is_empty()));
    }
}
