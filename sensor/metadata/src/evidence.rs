//! When no runtime answers: a process that sees other mounts than the first process of the host does,
//! below a control group named as an engine names them, is in a container of which no more is known.
//! A process with the host's mounts is on the host, whatever its control group is called.

use eyas_state::container::{Claim, Container, Engine, Witness};

use crate::files::Files;
use crate::{Places, kind};

/// A container of which only the claim is known.
pub(crate) fn look_up(places: &Places, claim: &Claim, witness: Witness) -> Option<Container> {
    if claim.engine == Engine::Any {
        return None;
    }
    let files = Files(&places.root);
    let hosts = files.own_namespace("mnt")?;
    // What the kernel said when the process was made outlives it.
    let own = match witness.mount_namespace {
        0 => files.namespace(&format!("proc/{}/ns/mnt", witness.pid), "mnt")?,
        known => u64::from(known),
    };
    (own != hosts).then(|| Container {
        full_id: claim.id.as_ref().into(),
        kind: kind(claim.engine),
        ..Container::default()
    })
}
