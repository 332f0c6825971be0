//! `container.*` and `k8s.*`: what the runtime says of the container a process is in. On the host
//! the names are `host` and the rest is empty. Where nobody knows yet, the id that the control group
//! claims is all there is.

use std::collections::BTreeMap;

use eyas_state::Ctx;
use eyas_state::container::{Container, Engine, Mount, Place, Pod, short};

use super::super::{FieldArg, FieldId, Value};
use crate::compile::Glob;

/// Labels that runtimes put on containers for themselves.
const INTERNAL_LABELS: [&str; 2] = ["io.kubernetes.", "annotation."];

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
    match field {
        FieldId::ContainerStartTs => return started(ctx).map(Value::Uint),
        FieldId::ContainerDuration => {
            return started(ctx).map(|start| Value::Uint(ctx.epoch_ns().saturating_sub(start)));
        }
        _ => {}
    }
    match ctx.place() {
        Place::Host => on_host(field),
        // A weak claim is any control group at all.
        Place::Unknown(claim) if claim.engine == Engine::Any => on_host(field),
        Place::Unknown(claim) => match field {
            FieldId::ContainerId => Some(Value::text(short(&claim.id))),
            FieldId::ContainerFullId => Some(Value::text(&*claim.id)),
            _ => None,
        },
        Place::Container(container) => {
            in_container(container, field, arg).or_else(|| in_pod(container, field, arg))
        }
    }
}

fn on_host<'a>(field: FieldId) -> Option<Value<'a>> {
    match field {
        FieldId::ContainerId
        | FieldId::ContainerFullId
        | FieldId::ContainerName
        | FieldId::ContainerType => Some(Value::text("host")),
        FieldId::ContainerImage
        | FieldId::ContainerImageId
        | FieldId::ContainerImageRepository
        | FieldId::ContainerImageTag
        | FieldId::ContainerImageDigest
        | FieldId::ContainerIp
        | FieldId::ContainerMounts
        | FieldId::ContainerCniJson
        | FieldId::ContainerLabels => Some(Value::text("")),
        _ => None,
    }
}

fn in_container<'a>(
    container: &'a Container,
    field: FieldId,
    arg: FieldArg<'_>,
) -> Option<Value<'a>> {
    match field {
        FieldId::ContainerId => Some(Value::text(container.id())),
        FieldId::ContainerFullId => Some(Value::text(&container.full_id)),
        FieldId::ContainerName => Some(Value::text(&container.name)),
        FieldId::ContainerType => Some(Value::text(container.kind)),
        FieldId::ContainerImage => Some(Value::text(&container.image)),
        FieldId::ContainerImageId => Some(Value::text(&container.image_id)),
        FieldId::ContainerImageRepository => Some(Value::text(container.repository())),
        FieldId::ContainerImageTag => Some(Value::text(container.tag())),
        FieldId::ContainerImageDigest => Some(Value::text(&container.image_digest)),
        FieldId::ContainerIp => Some(Value::text(&container.ip)),
        FieldId::ContainerPrivileged => container.privileged.map(Value::Bool),
        FieldId::ContainerHostPid => container.host_pid.map(Value::Bool),
        FieldId::ContainerHostNetwork => container.host_network.map(Value::Bool),
        FieldId::ContainerHostIpc => container.host_ipc.map(Value::Bool),
        FieldId::ContainerMounts => {
            let all: Vec<String> = container.mounts.iter().map(line).collect();
            Some(Value::owned_text(all.join(",")))
        }
        FieldId::ContainerMount => {
            mount(container, arg, |one| &one.source).map(|one| Value::owned_text(line(one)))
        }
        FieldId::ContainerMountSource => {
            mount(container, arg, |one| &one.dest).map(|one| Value::text(&one.source))
        }
        FieldId::ContainerMountDest => {
            mount(container, arg, |one| &one.source).map(|one| Value::text(&one.dest))
        }
        FieldId::ContainerMountMode => {
            mount(container, arg, |one| &one.source).map(|one| Value::text(&one.mode))
        }
        FieldId::ContainerMountRdwr => mount(container, arg, |one| &one.source)
            .map(|one| Value::text(if one.rdwr { "true" } else { "false" })),
        FieldId::ContainerMountPropagation => {
            mount(container, arg, |one| &one.source).map(|one| Value::text(&one.propagation))
        }
        FieldId::ContainerLabel => label(&container.labels, arg),
        FieldId::ContainerLabels => Some(labels(&container.labels)),
        _ => None,
    }
}

fn in_pod<'a>(container: &'a Container, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let pod: &Pod = container.pod.as_ref()?;
    match field {
        FieldId::K8sPodName => Some(Value::text(&pod.name)),
        FieldId::K8sNsName => Some(Value::text(&pod.namespace)),
        FieldId::K8sPodId | FieldId::K8sPodUid => Some(Value::text(&pod.uid)),
        FieldId::K8sPodSandboxId => Some(Value::text(short(&pod.sandbox_id))),
        FieldId::K8sPodFullSandboxId => Some(Value::text(&pod.sandbox_id)),
        FieldId::K8sPodIp => Some(Value::text(&pod.ip)),
        FieldId::K8sPodLabel => label(&pod.labels, arg),
        FieldId::K8sPodLabels => Some(labels(&pod.labels)),
        _ => None,
    }
}

/// A mount by its place in the list, or by a pattern of the path that `key` gives.
fn mount<'a>(
    container: &'a Container,
    arg: FieldArg<'_>,
    key: fn(&Mount) -> &String,
) -> Option<&'a Mount> {
    match arg {
        FieldArg::Index(index) => container.mounts.get(index as usize),
        FieldArg::Key(pattern) => {
            let pattern = Glob::new(pattern, false);
            container.mounts.iter().find(|one| pattern.matches(key(one).as_bytes()))
        }
        FieldArg::None => None,
    }
}

fn line(mount: &Mount) -> String {
    let Mount { source, dest, mode, rdwr, propagation } = mount;
    format!("{source}:{dest}:{mode}:{rdwr}:{propagation}")
}

fn label<'a>(labels: &'a BTreeMap<String, String>, arg: FieldArg<'_>) -> Option<Value<'a>> {
    let FieldArg::Key(name) = arg else { return None };
    labels.get(std::str::from_utf8(name).ok()?).map(Value::text)
}

fn labels<'a>(labels: &BTreeMap<String, String>) -> Value<'a> {
    let shown = labels
        .iter()
        .filter(|(name, _)| !INTERNAL_LABELS.iter().any(|internal| name.starts_with(internal)));
    let all: Vec<String> = shown.map(|(name, value)| format!("{name}:{value}")).collect();
    Value::owned_text(all.join(", "))
}

fn started(ctx: &Ctx<'_>) -> Option<u64> {
    ctx.process().map(|process| process.pidns_start_epoch_ns).filter(|start| *start != 0)
}
