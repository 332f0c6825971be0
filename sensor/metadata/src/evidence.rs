//! When no runtime answers: a process that sees other mounts than the first process of the host does,
//! below a control group named as an engine names them, is in a container of which no more is known.
//! A process with the host's mounts is on the host, whatever its control group is called.

use std::fs;
use std::path::Path;

use eyas_state::container::{Claim, Container, Engine, Witness};

use crate::{Places, kind};

/// A container of which only the claim is known.
pub(crate) fn look_up(places: &Places, claim: &Claim, witness: Witness) -> Option<Container> {
    if claim.engine == Engine::Any {
        return None;
    }
    let processes = places.root.join("proc");
    let hosts = mounts(&processes, "1")?;
    // What the kernel said when the process was made outlives it.
    let own = match witness.mount_namespace {
        0 => mounts(&processes, &witness.pid.to_string())?,
        known => known,
    };
    (own != hosts).then(|| Container {
        full_id: claim.id.as_ref().into(),
        kind: kind(claim.engine),
        ..Container::default()
    })
}

/// Inode number of a process's mount namespace.
pub(crate) fn mounts(processes: &Path, pid: &str) -> Option<u32> {
    let link = fs::read_link(processes.join(pid).join("ns/mnt")).ok()?;
    link.to_str()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}
