//! Where runtimes keep their state, relative to the host's root.

use std::path::{Component, Path};

use eyas_state::container::{Claim, Container, Engine};
use serde_json::Value;

use crate::files::Files;
use crate::{Places, docker, kind, spec};

/// containerd's bundles, by namespace and id.
const CONTAINERD: [&str; 5] = [
    "run/containerd/io.containerd.runtime.v2.task",
    "run/k3s/containerd/io.containerd.runtime.v2.task",
    "run/host-containerd/io.containerd.runtime.v2.task",
    "run/k0s/containerd/io.containerd.runtime.v2.task",
    "var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
];
/// Docker's containers by id.
const DOCKER: &str = "var/lib/docker/containers";
/// Where podman and CRI-O keep containers, first those that run; by storage driver and id.
const STORAGE: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];
/// Lists of containers there, first of those that do not outlive the host's next start, which all of CRI-O's are.
const CONTAINER_LISTS: [&str; 2] = ["volatile-containers.json", "containers.json"];
/// Lists of images there.
const IMAGE_LISTS: [&str; 1] = ["images.json"];
/// Where podman keeps those that users without rights run, by user id.
const USERS: &str = "run/user";
/// Drivers of that storage.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];
/// State of low-level runtimes that are used by themselves.
const RUNTIMES: [&str; 3] = ["run/runc", "run/crun", "run/youki"];
/// Most namespaces of containerd that are looked at.
const MAX_NAMESPACES: usize = 64;
/// Most users whose containers are looked at.
const MAX_USERS: usize = 256;

/// What is on disk about a claim.
pub(crate) fn look_up(
    places: &Places,
    claim: &Claim,
    evidence: &dyn Fn() -> Option<Container>,
) -> Option<Container> {
    let root = Files(&places.root);
    let id = plain(&claim.id)?;
    match claim.engine {
        Engine::Docker => docker_files(&root, id),
        Engine::Containerd => containerd(&root, id, None),
        Engine::Crio => storage(&root, id, claim.engine),
        Engine::Podman => storage(&root, id, claim.engine).or_else(|| {
            // Users write these files themselves, so that they prove nothing alone.
            evidence().and_then(|_| of_users(&root, id))
        }),
        Engine::Lxc => lxc(&root, id),
        Engine::LibvirtLxc => None,
        Engine::Nspawn => machine(&root, id),
        Engine::Any => docker_files(&root, id)
            .or_else(|| containerd(&root, id, plain(&claim.parent)))
            .or_else(|| storage(&root, id, claim.engine))
            .or_else(|| runtime(&root, id)),
    }
}

/// The first process of a claimed container, as its runtime has it written down.
pub(crate) fn first_process(places: &Places, claim: &Claim) -> Option<u32> {
    let root = Files(&places.root);
    let id = plain(&claim.id)?;
    let docker = || {
        let config = root.json(&format!("{DOCKER}/{id}/config.v2.json"))?;
        config["State"]["Pid"].as_u64()
    };
    let containerd = |namespace: Option<&str>| {
        bundles(&root, namespace)
            .find_map(|bundle| root.text(&format!("{bundle}/{id}/init.pid")))
            .and_then(|text| number(&text))
    };
    let storage = || {
        let places = STORAGE.iter().flat_map(|base| DRIVERS.map(|driver| (base, driver)));
        places
            .map(|(base, driver)| format!("{base}/{driver}-containers/{id}/userdata/pidfile"))
            .find_map(|path| number(&root.text(&path)?))
    };
    let runtime = || {
        RUNTIMES.iter().find_map(|base| {
            let state = root.json(&format!("{base}/{id}/state.json"));
            let state = state.or_else(|| root.json(&format!("{base}/{id}/status")))?;
            state["init_process_pid"].as_u64().or_else(|| state["pid"].as_u64())
        })
    };
    let machine = || {
        let state = root.text(&format!("run/systemd/machines/{id}"))?;
        number(state.lines().find_map(|line| line.strip_prefix("LEADER="))?)
    };
    let pid = match claim.engine {
        Engine::Docker => docker(),
        Engine::Containerd => containerd(None),
        Engine::Crio | Engine::Podman => storage(),
        Engine::Lxc | Engine::LibvirtLxc => None,
        Engine::Nspawn => machine(),
        Engine::Any => {
            docker().or_else(|| containerd(plain(&claim.parent))).or_else(storage).or_else(runtime)
        }
    };
    pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A name that is one component of a path and nothing else.
fn plain(name: &str) -> Option<&str> {
    let mut parts = Path::new(name).components();
    let one = matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
    (one && !name.contains('/')).then_some(name)
}

fn docker_files(root: &Files<'_>, id: &str) -> Option<Container> {
    let config = root.json(&format!("{DOCKER}/{id}/config.v2.json"))?;
    let host = root.json(&format!("{DOCKER}/{id}/hostconfig.json")).unwrap_or_default();
    let known = config["ID"].as_str() == Some(id);
    known.then(|| docker::of_files(&config, &host))
}

/// A bundle of containerd; a name counts only in the namespace that the control group has.
fn containerd(root: &Files<'_>, id: &str, namespace: Option<&str>) -> Option<Container> {
    let found = bundles(root, namespace)
        .find_map(|bundle| root.json(&format!("{bundle}/{id}/config.json")))?;
    Some(spec::container(id, Engine::Containerd, &found, root))
}

/// Where containerd keeps the bundles of one namespace, or of all.
fn bundles(root: &Files<'_>, namespace: Option<&str>) -> impl Iterator<Item = String> {
    CONTAINERD.into_iter().flat_map(move |base| {
        let namespaces = match namespace {
            Some(one) => vec![one.to_owned()],
            None => root.names(base, MAX_NAMESPACES),
        };
        namespaces.into_iter().map(move |namespace| format!("{base}/{namespace}"))
    })
}

/// A container of the system's storage, with what the lists beside it say of its name and image.
fn storage(root: &Files<'_>, id: &str, claimed: Engine) -> Option<Container> {
    let (driver, found) = STORAGE.iter().find_map(|base| bundle(root, base, id))?;
    let engine = if claimed == Engine::Any { spec::manager(&found) } else { claimed };
    let mut container = spec::container(id, engine, &found, root);
    if let Some(entry) = listed(root, &format!("{driver}-containers"), &CONTAINER_LISTS, id) {
        spec::complete(&mut container, &entry);
    }
    let image = listed(root, &format!("{driver}-images"), &IMAGE_LISTS, &container.image_id);
    if let Some(digest) = image.as_ref().and_then(|image| image["digest"].as_str()) {
        digest.clone_into(&mut container.image_digest);
    }
    if let Some(pod) = container.pod.as_mut().filter(|pod| pod.labels.is_empty())
        && let Some(sandbox) = plain(&pod.sandbox_id)
        && let Some((_, sandbox)) = STORAGE.iter().find_map(|base| bundle(root, base, sandbox))
    {
        spec::complete_pod(pod, &sandbox);
    }
    Some(container)
}

/// What one of the lists of the system's storage says of an id.
fn listed(root: &Files<'_>, folder: &str, lists: &[&str], id: &str) -> Option<Value> {
    lists.iter().find_map(|list| {
        let mut list = root.json(&format!("var/lib/containers/storage/{folder}/{list}"))?;
        list.as_array_mut()?.iter_mut().find(|entry| entry["id"] == id).map(Value::take)
    })
}

/// A container that a user without rights runs.
fn of_users(root: &Files<'_>, id: &str) -> Option<Container> {
    let users = root.names(USERS, MAX_USERS);
    let bases = users.iter().map(|user| format!("{USERS}/{user}/containers"));
    let (_, found) = bases.into_iter().find_map(|base| bundle(root, &base, id))?;
    Some(spec::container(id, Engine::Podman, &found, root))
}

/// The bundle of a container below one place of storage, and which driver's it is.
fn bundle(root: &Files<'_>, base: &str, id: &str) -> Option<(&'static str, Value)> {
    DRIVERS.into_iter().find_map(|driver| {
        let path = format!("{base}/{driver}-containers/{id}/userdata/config.json");
        Some((driver, root.json(&path)?))
    })
}

fn lxc(root: &Files<'_>, name: &str) -> Option<Container> {
    let known = ["var/lib/lxc", "var/snap/lxd/common/lxd/containers", "var/lib/incus/containers"];
    let there = known.iter().any(|base| root.exists(&format!("{base}/{name}")));
    there.then(|| named(name, kind(Engine::Lxc)))
}

/// A machine as systemd's machine manager has it written down; virtual ones are no containers.
fn machine(root: &Files<'_>, name: &str) -> Option<Container> {
    let state = root.text(&format!("run/systemd/machines/{name}"))?;
    let virtual_machine = state.lines().any(|line| line == "CLASS=vm");
    (!virtual_machine).then(|| named(name, kind(Engine::Nspawn)))
}

/// A runtime used by itself: its state says which bundle, the bundle says the rest.
fn runtime(root: &Files<'_>, id: &str) -> Option<Container> {
    for base in RUNTIMES {
        let Some(state) = root
            .json(&format!("{base}/{id}/state.json"))
            .or_else(|| root.json(&format!("{base}/{id}/status")))
        else {
            continue;
        };
        let labels = state["config"]["labels"].as_array().into_iter().flatten();
        let bundle = state["bundle"].as_str().or_else(|| {
            labels.filter_map(Value::as_str).find_map(|one| one.strip_prefix("bundle="))
        });
        let config = bundle
            .and_then(|bundle| {
                root.json(&format!("{}/config.json", bundle.trim_start_matches('/')))
            })
            .unwrap_or_default();
        let mut found = spec::container(id, Engine::Any, &config, root);
        if base.ends_with("crun") {
            found.kind = "crun";
        }
        return Some(found);
    }
    None
}

fn named(name: &str, kind: &'static str) -> Container {
    Container { full_id: name.into(), name: name.into(), kind, ..Container::default() }
}
