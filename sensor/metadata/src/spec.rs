//! The OCI runtime specification's `config.json`, and what Kubernetes, podman and others put into it.

use std::collections::BTreeMap;

use eyas_state::container::{Container, Mount, Pod};
use serde_json::Value;

/// Capabilities from which on a container has all that matter: a plain one has 14 at most.
const ALL_CAPABILITIES: usize = 36;

/// A container as its bundle describes it.
pub(crate) fn container(id: &str, kind: &'static str, spec: &Value) -> Container {
    let notes = Notes(&spec["annotations"]);
    let bounding = spec["process"]["capabilities"]["bounding"].as_array().map_or(0, Vec::len);
    let masked = spec["linux"]["maskedPaths"].as_array().is_some_and(|paths| !paths.is_empty());
    let described = spec.is_object();
    let shares = |namespace: &str| {
        let all = spec["linux"]["namespaces"].as_array();
        all.map(|all| !all.iter().any(|one| one["type"] == namespace))
    };
    Container {
        full_id: id.into(),
        name: notes
            .first(&[
                "io.kubernetes.cri.container-name",
                "io.kubernetes.container.name",
                "io.kubernetes.cri-o.ContainerName",
                "nerdctl/name",
                "org.systemd.property.Description",
            ])
            .unwrap_or(id)
            .to_owned(),
        kind,
        image: notes
            .first(&[
                "io.kubernetes.cri.image-name",
                "io.kubernetes.cri-o.ImageName",
                "org.opencontainers.image.ref.name",
                "io.podman.annotations.image",
            ])
            .unwrap_or_default()
            .to_owned(),
        image_id: notes.first(&["io.kubernetes.cri-o.ImageRef"]).unwrap_or_default().to_owned(),
        privileged: described.then_some(bounding >= ALL_CAPABILITIES && !masked),
        mounts: mounts(&spec["mounts"]),
        labels: notes.labels("io.kubernetes.cri-o.Labels"),
        host_pid: shares("pid"),
        host_network: shares("network"),
        host_ipc: shares("ipc"),
        ip: notes.first(&["io.kubernetes.cri-o.IP.0"]).unwrap_or_default().to_owned(),
        pod: pod(&notes),
        ..Container::default()
    }
}

fn pod(notes: &Notes<'_>) -> Option<Pod> {
    let name = notes.first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"])?;
    let text = |names: &[&str]| notes.first(names).unwrap_or_default().to_owned();
    Some(Pod {
        name: name.to_owned(),
        namespace: text(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
        uid: text(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
        sandbox_id: text(&["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]),
        labels: BTreeMap::new(),
        ip: text(&["io.kubernetes.cri-o.IP.0"]),
    })
}

/// Names and images from the list that podman and CRI-O keep of their containers.
pub(crate) fn complete(container: &mut Container, entry: &Value) {
    if container.name == container.full_id
        && let Some(name) = entry["names"][0].as_str()
    {
        name.clone_into(&mut container.name);
    }
    if let Some(image) = entry["image"].as_str() {
        image.clone_into(&mut container.image_id);
    }
    let details = entry["metadata"].as_str().and_then(|text| serde_json::from_str(text).ok());
    let details: Value = details.unwrap_or_default();
    if container.image.is_empty()
        && let Some(image) = details["image-name"].as_str()
    {
        image.clone_into(&mut container.image);
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

impl<'a> Notes<'a> {
    fn first(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.0[*name].as_str().filter(|text| !text.is_empty()))
    }

    /// A mapping that is written down as JSON in one annotation.
    fn labels(&self, name: &str) -> BTreeMap<String, String> {
        self.0[name].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}
