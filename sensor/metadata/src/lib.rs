//! What container runtimes say of their containers: first from their own state on disk, which needs
//! no right but to read, then from the sockets of Docker, Podman and
//! of Kubernetes' runtimes, which alone know labels and addresses of pods.
//!
//! Owns where each runtime keeps what, and how it is read. Which control group claims which container
//! is `eyas-state`'s; when somebody is asked is the daemon's. Everything read is bounded in size and
//! time, and a file or socket that lies or hangs costs no more than the answer.
#![forbid(unsafe_code)]

mod accounts;
mod cri;
mod disk;
mod docker;
mod evidence;
mod files;
mod message;
mod socket;
mod spec;

use std::path::PathBuf;
use std::sync::Arc;

use eyas_state::container::{Claim, Container, Engine, Verdict, Witness};

pub use accounts::{Tables, changed as changed_accounts};
pub use cri::call as call_runtime;
pub use message::{Field, Message};

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// In front of every path: `/` on a host, where the host's root is mounted in a container.
    pub root: PathBuf,
    /// Sockets of Docker and of those who speak as it does, without the root in front.
    pub docker_sockets: Vec<PathBuf>,
    /// Sockets of Kubernetes' runtimes, without the root in front.
    pub cri_sockets: Vec<PathBuf>,
    /// Longest label that is kept, in bytes.
    pub label_bytes: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: "/".into(),
            docker_sockets: vec!["/var/run/docker.sock".into(), "/run/podman/podman.sock".into()],
            cri_sockets: vec![
                "/run/containerd/containerd.sock".into(),
                "/run/crio/crio.sock".into(),
                "/run/k3s/containerd/containerd.sock".into(),
                "/run/host-containerd/containerd.sock".into(),
                "/run/k0s/containerd.sock".into(),
                "/var/snap/microk8s/common/run/containerd.sock".into(),
            ],
            label_bytes: 100,
        }
    }
}

/// Finds out what is true of a claim. `witnesses` are processes that make it, some of which may be gone: they are
/// evidence when no runtime answers, and show the container's own files.
pub fn look_up(places: &Places, claim: &Claim, witnesses: &[Witness]) -> Verdict {
    let evidence =
        || witnesses.iter().find_map(|witness| evidence::look_up(places, claim, *witness));
    let found = disk::look_up(places, claim, &evidence)
        .or_else(|| socket::look_up(places, claim))
        .map(|container| socket::complete(places, claim, container))
        .or_else(|| socket::look_up_cri(places, claim))
        .or_else(&evidence);
    match found {
        Some(mut container) => {
            // The processes that were seen may have been those that made it, and be gone.
            let accounts = witnesses
                .iter()
                .map(|process| process.pid)
                .chain(first_process(places, claim))
                .find_map(|pid| accounts::of_process(places, pid));
            container.accounts = accounts.map(Arc::new);
            Verdict::Container(Arc::new(tidy(container, places.label_bytes)))
        }
        None => Verdict::Host,
    }
}

/// The first process of a claimed container, as its runtime has it written down; `None` where it does not.
pub fn first_process(places: &Places, claim: &Claim) -> Option<u32> {
    disk::first_process(places, claim)
}

/// Names under which low-level runtimes run, also within the container that they are about to make.
const RUNTIMES: [&str; 6] = ["runc", "crun", "youki", "lxc-start", "lxc-execute", "systemd-nspawn"];

/// Whether a runtime may still be writing down what is not there yet: the claim names one, or the process
/// that makes it is one.
pub fn may_come(places: &Places, claim: &Claim, pid: u32) -> bool {
    claim.engine != Engine::Any || is_runtime(places, pid)
}

/// Whether a process is a low-level runtime, which may be about to become a container's first process.
pub fn is_runtime(places: &Places, pid: u32) -> bool {
    let path = places.root.join("proc").join(pid.to_string()).join("cmdline");
    let line = std::fs::read(path).unwrap_or_default();
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    RUNTIMES.iter().any(|runtime| runtime.as_bytes() == name)
}

/// Leaves out what is longer than anybody wants in an alert.
fn tidy(mut container: Container, label_bytes: usize) -> Container {
    container.labels.retain(|_, value| value.len() <= label_bytes);
    if let Some(pod) = &mut container.pod {
        pod.labels.retain(|_, value| value.len() <= label_bytes);
    }
    container
}

/// `container.type` for what an engine runs.
fn kind(engine: Engine) -> &'static str {
    match engine {
        Engine::Docker => "docker",
        Engine::Containerd => "containerd",
        Engine::Crio => "cri-o",
        Engine::Podman => "podman",
        Engine::Lxc => "lxc",
        Engine::LibvirtLxc => "libvirt-lxc",
        Engine::Nspawn => "systemd-nspawn",
        Engine::Any => "runc",
    }
}

#[cfg(test)]
mod tests;
