//! The OCI runtime specification's `config.json`, and what Kubernetes' runtimes, podman and others put into it.
//!
//! Whoever may make a pod may give it annotations, and CRI-O hands all of them on to the runtime. Of each engine only
//! what it writes down itself, over whatever a pod says, is read.

use std::collections::BTreeMap;

use eyas_state::container::{Container, Engine, Mount, Pod};
use serde_json::Value;

use crate::files::Files;
use crate::kind;

/// Capabilities from which on a container has all that matter: a plain one has 14 at most.
const ALL_CAPABILITIES: usize = 36;
/// What the container is called that holds a pod's namespaces, which Kubernetes has no name for.
pub(crate) const INFRA: &str = "POD";
/// Which engine made a container whose storage several share.
const MANAGER: &str = "io.container.manager";

/// A container as its bundle describes it.
pub(crate) fn container(id: &str, engine: Engine, spec: &Value, host: &Files<'_>) -> Container {
    let notes = Notes(&spec["annotations"]);
    let bounding = spec["process"]["capabilities"]["bounding"].as_array().map_or(0, Vec::len);
    let masked = spec["linux"]["maskedPaths"].as_array().is_some_and(|paths| !paths.is_empty());
    let shares = |name: &str, kind: &str| shares(&spec["linux"]["namespaces"], name, kind, host);
    let mut container = Container {
        full_id: id.into(),
        kind: kind(engine),
        privileged: spec.is_object().then_some(bounding >= ALL_CAPABILITIES && !masked),
        mounts: mounts(&spec["mounts"]),
        host_pid: shares("pid", "pid"),
        host_network: shares("net", "network"),
        host_ipc: shares("ipc", "ipc"),
        ..Container::default()
    };
    match engine {
        Engine::Containerd => of_containerd(&mut container, &notes),
        Engine::Crio => of_crio(&mut container, &notes),
        _ => of_others(&mut container, &notes),
    }
    if container.name.is_empty() {
        id.clone_into(&mut container.name);
    }
    container
}

/// Whose container it is in the storage that podman and CRI-O share, where its control group does not say.
pub(crate) fn manager(spec: &Value) -> Engine {
    if spec["annotations"][MANAGER] == "cri-o" { Engine::Crio } else { Engine::Podman }
}

/// Whether a container is in one of the host's namespaces: it is given none, or one that is the host's by a path.
fn shares(namespaces: &Value, name: &str, kind: &str, host: &Files<'_>) -> Option<bool> {
    let own = namespaces.as_array()?.iter().find(|one| one["type"] == kind);
    let path = own.map(|own| own["path"].as_str().unwrap_or_default());
    Some(path.is_none_or(|path| !path.is_empty() && host.is_own_namespace(path, name)))
}

fn of_containerd(container: &mut Container, notes: &Notes<'_>) {
    container.name = match notes.text("io.kubernetes.cri.container-type").as_str() {
        "sandbox" => INFRA.to_owned(),
        _ => notes.first(&["io.kubernetes.cri.container-name", "nerdctl/name"]),
    };
    container.image = notes.text("io.kubernetes.cri.image-name");
    container.pod = notes.there("io.kubernetes.cri.sandbox-name").map(|name| Pod {
        name,
        namespace: notes.text("io.kubernetes.cri.sandbox-namespace"),
        uid: notes.text("io.kubernetes.cri.sandbox-uid"),
        sandbox_id: notes.text("io.kubernetes.cri.sandbox-id"),
        ..Pod::default()
    });
}

/// What CRI-O writes over a pod's annotations: the container's labels, which name the pod, and its metadata.
fn of_crio(container: &mut Container, notes: &Notes<'_>) {
    container.labels = notes.pairs("io.kubernetes.cri-o.Labels");
    let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
    let own = notes.json("io.kubernetes.cri-o.Metadata");
    let infra = notes.text("io.kubernetes.cri-o.ContainerType") == "sandbox";
    container.name = match own["name"].as_str() {
        Some(name) if !infra => name.to_owned(),
        _ => label("io.kubernetes.container.name"),
    };
    container.image = notes.text("io.kubernetes.cri-o.ImageName");
    container.image_id = notes.text("io.kubernetes.cri-o.ImageRef");
    // Of a pod on the host's network there is no address, and anybody could write one.
    if container.host_network == Some(false) {
        container.ip = notes.text("io.kubernetes.cri-o.IP.0");
    }
    container.pod = notes.there("io.kubernetes.cri-o.SandboxID").map(|sandbox_id| Pod {
        name: label("io.kubernetes.pod.name"),
        namespace: label("io.kubernetes.pod.namespace"),
        uid: label("io.kubernetes.pod.uid"),
        sandbox_id,
        labels: if infra { container.labels.clone() } else { BTreeMap::new() },
        ip: container.ip.clone(),
    });
}

fn of_others(container: &mut Container, notes: &Notes<'_>) {
    container.name = notes.text("org.systemd.property.Description");
    container.image =
        notes.first(&["org.opencontainers.image.ref.name", "io.podman.annotations.image"]);
}

/// Labels of the pod from the bundle that CRI-O keeps for its sandbox.
pub(crate) fn complete_pod(pod: &mut Pod, sandbox: &Value) {
    pod.labels = Notes(&sandbox["annotations"]).pairs("io.kubernetes.cri-o.Labels");
}

/// Names and images from the list that podman and CRI-O keep of their containers. Nobody but them writes there, which
/// for the container that holds a pod's namespaces cannot be said of its bundle.
pub(crate) fn complete(container: &mut Container, entry: &Value) {
    if let Some(image) = entry["image"].as_str() {
        image.clone_into(&mut container.image_id);
    }
    let details = entry["metadata"].as_str().and_then(|text| serde_json::from_str(text).ok());
    let details: Value = details.unwrap_or_default();
    let text = |key: &str| details[key].as_str().unwrap_or_default().to_owned();
    let image = text("image-name");
    // An image that was asked for by its id has no name here.
    let is_name = !image.is_empty() && image != container.image_id;
    if details["pod"] == true {
        INFRA.clone_into(&mut container.name);
        container.image = if is_name { image } else { String::new() };
        let pod = container.pod.get_or_insert_default();
        pod.name = text("metadata-name");
        pod.namespace = text("namespace");
        pod.uid = text("uid");
        return;
    }
    if container.name == container.full_id
        && let Some(name) = entry["names"][0].as_str()
    {
        name.clone_into(&mut container.name);
    }
    if container.image.is_empty() && is_name {
        container.image = image;
    }
}

/// Mounts that bring something in; the system's own are left out.
fn mounts(list: &Value) -> Vec<Mount> {
    let bind = |one: &&Value| {
        let kind = one["type"].as_str().unwrap_or_default();
        let options = one["options"].as_array().into_iter().flatten();
        let bound =
            options.filter_map(Value::as_str).any(|option| matches!(option, "bind" | "rbind"));
        kind == "bind" || bound
    };
    list.as_array().into_iter().flatten().filter(bind).map(mount).collect()
}

fn mount(one: &Value) -> Mount {
    let options: Vec<&str> =
        one["options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let propagation = [
        "rprivate",
        "private",
        "rslave",
        "slave",
        "rshared",
        "shared",
        "runbindable",
        "unbindable",
    ];
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    Mount {
        source: text("source"),
        dest: text("destination"),
        mode: options.join(" "),
        rdwr: !options.contains(&"ro"),
        propagation: options
            .iter()
            .find(|option| propagation.contains(option))
            .map(|option| (*option).to_owned())
            .unwrap_or_default(),
    }
}

/// Annotations.
struct Notes<'a>(&'a Value);

impl Notes<'_> {
    /// What one says; `None` when it says nothing.
    fn there(&self, name: &str) -> Option<String> {
        self.0[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn text(&self, name: &str) -> String {
        self.there(name).unwrap_or_default()
    }

    fn first(&self, names: &[&str]) -> String {
        names.iter().find_map(|name| self.there(name)).unwrap_or_default()
    }

    /// A document that is written down in one.
    fn json(&self, name: &str) -> Value {
        self.0[name].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// A mapping of texts that is written down in one.
    fn pairs(&self, name: &str) -> BTreeMap<String, String> {
        serde_json::from_value(self.json(name)).unwrap_or_default()
    }
}
