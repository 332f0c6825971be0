//! Which probe object runs: the newest one of the active generation if this kernel takes it, else
//! the one built in. What did not run, and why, is said.

use eyas_artifact::Digest;
use eyas_control::{ProbeSource, ProbeState};
use eyas_probe::{Options, Probe, ProbeError, embedded, embedded_digest};

use crate::config;
use crate::generation::InstalledProbe;

/// A loaded probe and what there is to say about it.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The probe, not attached yet.
    pub(crate) probe: Probe,
    /// Where it came from.
    pub(crate) state: ProbeState,
}

/// Loads the best probe there is.
pub(crate) fn choose(
    config: &config::Probe,
    installed: Option<&InstalledProbe>,
) -> Result<Chosen, ProbeError> {
    let options = options(config);
    let mut reason = None;
    if let Some(artifact) = installed {
        match Probe::load(&artifact.object, &options) {
            Ok(probe) => {
                let state = ProbeState {
                    source: ProbeSource::Artifact { name: artifact.name.clone() },
                    version: Some(artifact.version.clone()),
                    object_digest: Some(artifact.digest),
                    reason: None,
                };
                return Ok(Chosen { probe, state });
            }
            // Where nothing may run, the embedded one may not either, and its words are the same.
            Err(error) => {
                reason = Some(format!("`{} {}`: {error}", artifact.name, artifact.version));
            }
        }
    }
    let probe = Probe::load(embedded(), &options)?;
    Ok(Chosen { probe, state: embedded_state(reason) })
}

fn embedded_state(reason: Option<String>) -> ProbeState {
    ProbeState {
        source: ProbeSource::Embedded,
        version: Some(env!("CARGO_PKG_VERSION").into()),
        object_digest: Some(embedded_digest()),
        reason,
    }
}

/// What is said when no events are read.
pub(crate) fn none(reason: &str) -> ProbeState {
    ProbeState {
        source: ProbeSource::None,
        version: None,
        object_digest: None,
        reason: Some(reason.to_owned()),
    }
}

/// Tries an object that would be used from the next start on; says why if it would not.
pub(crate) fn try_out(artifact: &InstalledProbe, in_use: Option<&Digest>) -> Option<String> {
    if in_use == Some(&artifact.digest) {
        return None;
    }
    let name = format!("`{} {}`", artifact.name, artifact.version);
    Some(match Probe::try_load(&artifact.object) {
        Ok(_) => format!("{name} is used from the next start on"),
        Err(error) => format!("{name} cannot be used: {error}"),
    })
}

fn options(config: &config::Probe) -> Options {
    Options {
        ring_events: config.ring_events_bytes,
        ring_lifecycle: config.ring_lifecycle_bytes,
        args_bytes: config.args_bytes,
        ..Options::default()
    }
}
