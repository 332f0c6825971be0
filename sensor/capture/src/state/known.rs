//! What a capture says about the recorded machine: its name, users, groups, interfaces, containers.
//! Nothing is ever looked up on the machine that replays.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use eyas_abi::value;
use eyas_state::container::{Claim, Container, Containers, Verdict};
use eyas_state::{Group, Host, LocalTime, User};
use serde_json::Value as Json;

use super::{Now, State, code};
use crate::tables::{Identity, Interface, Machine};

/// Most users, groups, interfaces and containers that are kept of each.
const MAX_KNOWN: usize = 65_536;

/// Facts of the machine, as they are collected.
#[derive(Debug, Default)]
pub(super) struct Known {
    host: Host,
    /// Own address and network mask of each interface.
    pub(super) interfaces: Vec<(IpAddr, IpAddr)>,
    containers: HashMap<String, Arc<Container>>,
    /// Fields were not shown yet what is known by now.
    changed: bool,
}

impl State {
    pub(crate) fn machine(&mut self, machine: &Machine) {
        self.known.host.name = machine.hostname.as_slice().into();
        self.publish();
    }

    pub(crate) fn interface(&mut self, interface: &Interface<'_>) {
        if self.known.interfaces.len() < MAX_KNOWN {
            self.known.interfaces.push((interface.address, interface.netmask));
            self.known.host.addresses.push(interface.address);
        }
    }

    pub(crate) fn identity(&mut self, identity: &Identity<'_>) {
        let host = &mut self.known.host;
        match identity {
            Identity::User { uid, name, home, shell, .. } if host.users.len() < MAX_KNOWN => {
                let user =
                    User { name: (*name).into(), home: (*home).into(), shell: (*shell).into() };
                host.users.insert(*uid, user);
            }
            Identity::Group { gid, name } if host.groups.len() < MAX_KNOWN => {
                host.groups.insert(*gid, Group { name: (*name).into() });
            }
            _ => {}
        }
    }

    /// Shows fields what is known by now.
    pub(crate) fn publish(&mut self) {
        let host = Host { local: LocalTime::utc(), ..self.known.host.clone() };
        self.tables.set_host(Arc::new(host));
    }

    /// An event about the machine rather than about what happens on it.
    pub(super) fn told(&mut self, now: &Now<'_>) {
        let text = |index: usize| now.text(index).unwrap_or_default();
        let number = |index: usize| now.unsigned(index).unwrap_or(0) as u32;
        // Users of containers are none of the host's.
        let own = |index: usize| now.text(index).unwrap_or_default().is_empty();
        match now.code {
            code::USER_ADDED if own(5) => {
                let (name, home, shell) = (text(2), text(3), text(4));
                let (uid, gid) = (number(0), number(1));
                self.identity(&Identity::User { uid, gid, name, home, shell });
            }
            code::USER_DELETED if own(5) => drop(self.known.host.users.remove(&number(0))),
            code::GROUP_ADDED if own(2) => {
                self.identity(&Identity::Group { gid: number(0), name: text(1) });
            }
            code::GROUP_DELETED if own(2) => drop(self.known.host.groups.remove(&number(0))),
            code::CONTAINER => return self.container(now.bytes(0)),
            code::ASYNC if now.text(1) == Some(b"container") => {
                return self.container(now.bytes(2));
            }
            _ => return,
        }
        self.known.changed = true;
    }

    /// Shows fields what became known since they were looked at last.
    pub(crate) fn refresh(&mut self) {
        if std::mem::take(&mut self.known.changed) {
            self.publish();
        }
    }

    /// A container that the recorder knew, as JSON.
    fn container(&mut self, document: &[u8]) {
        let document = value::text(document).unwrap_or_default();
        let Ok(document) = serde_json::from_slice::<Json>(document) else { return };
        let of = document.get("container").unwrap_or(&document);
        let Some(container) = container_of(of) else { return };
        if self.known.containers.len() < MAX_KNOWN {
            let id = container.id().to_owned();
            self.known.containers.insert(id, Arc::new(container));
        }
    }

    /// Answers the claims of processes by what the capture says of containers.
    pub(crate) fn settle_claims(&mut self, claim: &Claim) {
        if self.tables.containers().known.contains_key(claim) {
            return;
        }
        let short = eyas_state::container::short(&claim.id);
        let Some(container) = self.known.containers.get(short) else { return };
        let mut known = Containers::clone(self.tables.containers());
        known.known.insert(claim.clone(), Verdict::Container(Arc::clone(container)));
        self.tables.set_containers(Arc::new(known));
    }
}

/// A container out of the document of an event.
fn container_of(of: &Json) -> Option<Container> {
    let text = |key: &str| of.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let id = text("full_id");
    let full_id = if id.is_empty() { text("id") } else { id };
    if full_id.is_empty() {
        return None;
    }
    let labels = of.get("labels").and_then(Json::as_object);
    Some(Container {
        full_id,
        name: text("name"),
        kind: kind_of(of.get("type").and_then(Json::as_u64).unwrap_or(0)),
        image: text("image"),
        image_id: text("imageid"),
        image_digest: text("imagedigest"),
        privileged: of.get("privileged").and_then(Json::as_bool),
        labels: labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        ip: text("ip"),
        ..Container::default()
    })
}

/// Word of a container's kind by its number in the format.
fn kind_of(number: u64) -> &'static str {
    match number {
        0 => "docker",
        1 => "lxc",
        2 => "libvirt-lxc",
        3 => "mesos",
        4 => "rkt",
        6 => "cri",
        7 => "containerd",
        8 => "cri-o",
        9 => "bpm",
        11 => "podman",
        _ => "",
    }
}
