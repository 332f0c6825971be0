//! Docker's documents: its files, and the answers of its API, which differ in little.

use std::collections::BTreeMap;

use eyas_state::container::{Container, Engine, Mount, Pod};
use serde_json::Value;

use crate::kind;

/// A container from `config.v2.json` and `hostconfig.json`.
pub(crate) fn of_files(config: &Value, host: &Value) -> Container {
    let mounts = config["MountPoints"].as_object().into_iter().flatten();
    let mut container = common(config, host, &config["Config"]);
    container.mounts = mounts
        .map(|(_, one)| Mount {
            source: text(&one["Source"]),
            dest: text(&one["Destination"]),
            mode: text(&one["Relabel"]),
            rdwr: one["RW"].as_bool().unwrap_or(true),
            propagation: text(&one["Propagation"]),
        })
        .collect();
    container
}

/// A container from the answer to `GET /containers/ID/json`.
pub(crate) fn of_answer(answer: &Value) -> Container {
    let mut container = common(answer, &answer["HostConfig"], &answer["Config"]);
    let mounts = answer["Mounts"].as_array().into_iter().flatten();
    container.mounts = mounts
        .map(|one| Mount {
            source: text(&one["Source"]),
            dest: text(&one["Destination"]),
            mode: text(&one["Mode"]),
            rdwr: one["RW"].as_bool().unwrap_or(true),
            propagation: text(&one["Propagation"]),
        })
        .collect();
    container
}

fn common(of: &Value, host: &Value, config: &Value) -> Container {
    let id = of["ID"].as_str().or_else(|| of["Id"].as_str()).unwrap_or_default();
    let labels: BTreeMap<String, String> =
        serde_json::from_value(config["Labels"].clone()).unwrap_or_default();
    let networks = of["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let address =
        networks.filter_map(|(_, one)| one["IPAddress"].as_str()).find(|ip| !ip.is_empty());
    let shares = |key: &str| host[key].as_str().map(|mode| mode == "host");
    Container {
        full_id: id.into(),
        name: text(&of["Name"]).trim_start_matches('/').to_owned(),
        kind: kind(Engine::Docker),
        image: text(&config["Image"]),
        image_id: text(&of["Image"]).trim_start_matches("sha256:").to_owned(),
        image_digest: text(&config["Image"])
            .split_once('@')
            .map(|(_, digest)| digest.to_owned())
            .unwrap_or_default(),
        privileged: host["Privileged"].as_bool(),
        mounts: Vec::new(),
        ip: address.unwrap_or_default().to_owned(),
        host_pid: shares("PidMode"),
        host_network: shares("NetworkMode"),
        host_ipc: shares("IpcMode"),
        pod: pod(&labels),
        labels,
        accounts: None,
    }
}

/// Kubernetes through Docker leaves the pod in labels.
fn pod(labels: &BTreeMap<String, String>) -> Option<Pod> {
    let label = |name: &str| labels.get(name).cloned();
    Some(Pod {
        name: label("io.kubernetes.pod.name")?,
        namespace: label("io.kubernetes.pod.namespace").unwrap_or_default(),
        uid: label("io.kubernetes.pod.uid").unwrap_or_default(),
        sandbox_id: label("io.kubernetes.sandbox.id").unwrap_or_default(),
        ..Pod::default()
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
