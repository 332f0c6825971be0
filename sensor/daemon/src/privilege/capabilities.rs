//! Capabilities (`capabilities(7)`): which are needed while the daemon runs, and giving up the rest.

use std::fs;
use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use super::Children;

/// `CAP_BPF`: kernels that do not know it ask for `CAP_SYS_ADMIN` in its place (Linux 5.8).
const CAP_BPF: u32 = 39;
/// Names of those that may be kept, as they are told.
const NAMES: [(CapabilitySet, &str); 9] = [
    (CapabilitySet::BPF, "cap_bpf"),
    (CapabilitySet::PERFMON, "cap_perfmon"),
    (CapabilitySet::SYS_ADMIN, "cap_sys_admin"),
    (CapabilitySet::SYS_PTRACE, "cap_sys_ptrace"),
    (CapabilitySet::DAC_READ_SEARCH, "cap_dac_read_search"),
    (CapabilitySet::SETUID, "cap_setuid"),
    (CapabilitySet::SETGID, "cap_setgid"),
    (CapabilitySet::KILL, "cap_kill"),
    (CapabilitySet::SETPCAP, "cap_setpcap"),
];

/// What is needed while the daemon runs.
fn needed(has_probe: bool, children: Children, knows_bpf: bool) -> CapabilitySet {
    // Of processes: namespaces and root directories. Of root's own: what belongs to others and may be
    // read by nobody else, such as the store.
    let mut needed = CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
    if has_probe {
        needed |= if knows_bpf {
            CapabilitySet::BPF | CapabilitySet::PERFMON
        } else {
            CapabilitySet::SYS_ADMIN
        };
    }
    if children.poster {
        // It is started again when it ends, as a user without rights, and ended when it hangs.
        needed |= CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
    }
    needed
}

/// Gives up what is not needed, for this thread and what it starts; returns the names of what is left.
pub(super) fn reduce(has_probe: bool, children: Children) -> io::Result<String> {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    let knows_bpf = last.trim().parse::<u32>().map_or(true, |last| last >= CAP_BPF);
    let wanted = needed(has_probe, children, knows_bpf);
    let now = capabilities(None)?;
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for one in CapabilitySet::all().iter().filter(|one| !wanted.contains(*one)) {
            // A kernel does not know those that are newer than it is.
            let _ = remove_capability_from_bounding_set(one);
        }
    }
    // Children are given nothing; a kernel before 4.3 has no such set.
    let _ = clear_ambient_capability_set();
    let kept = now.permitted & wanted;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    Ok(names(kept))
}

fn names(set: CapabilitySet) -> String {
    let names: Vec<&str> =
        NAMES.iter().filter(|(one, _)| set.contains(*one)).map(|(_, name)| *name).collect();
    if names.is_empty() { "no capability".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Children = Children { program: false, poster: false };

    #[test]
    fn only_what_is_needed_is_kept() {
        assert_eq!(
            names(needed(true, NONE, true)),
            "cap_bpf, cap_perfmon, cap_sys_ptrace, cap_dac_read_search"
        );
        assert_eq!(
            names(needed(true, NONE, false)),
            "cap_sys_admin, cap_sys_ptrace, cap_dac_read_search"
        );
        let poster = Children { poster: true, ..NONE };
        assert!(names(needed(false, poster, true)).ends_with("cap_setuid, cap_setgid, cap_kill"));
        assert_eq!(names(CapabilitySet::empty()), "no capability");
    }
}
