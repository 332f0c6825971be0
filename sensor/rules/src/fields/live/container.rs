//! `container.*` and `k8s.*`. Until metadata is there, every process is on the host: a path of a
//! control group alone proves nothing.

use eyas_state::Ctx;

use super::super::{FieldId, Value};

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId) -> Option<Value<'a>> {
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
        FieldId::ContainerStartTs => started(ctx).map(Value::Uint),
        FieldId::ContainerDuration => {
            started(ctx).map(|start| Value::Uint(ctx.epoch_ns().saturating_sub(start)))
        }
        _ => None,
    }
}

fn started(ctx: &Ctx<'_>) -> Option<u64> {
    ctx.process().map(|process| process.pidns_start_epoch_ns).filter(|start| *start != 0)
}
