//! `fs.path.*`: the paths of calls that work on paths, when they succeeded.

use std::borrow::Cow;

use eyas_state::{Ctx, UNKNOWN_DIRECTORY};

use super::super::{FieldId, Value};

/// Which parameters are the paths of a call.
enum Paths {
    /// One path, this parameter.
    One(&'static str),
    /// One path, the name of the descriptor.
    Descriptor,
    /// Source and target.
    Two(&'static str, &'static str),
}

fn paths(event: &str) -> Option<Paths> {
    Some(match event {
        "open" | "openat" | "openat2" | "unlinkat" | "umount" | "umount2" => Paths::One("name"),
        "mkdir" | "mkdirat" | "rmdir" | "unlink" | "chown" | "lchown" => Paths::One("path"),
        "chmod" | "fchmodat" => Paths::One("filename"),
        "fchmod" | "fchown" => Paths::Descriptor,
        "fchownat" => Paths::One("pathname"),
        "quotactl" => Paths::One("special"),
        "rename" | "renameat" | "renameat2" => Paths::Two("oldpath", "newpath"),
        // The source is the new link.
        "link" | "linkat" => Paths::Two("newpath", "oldpath"),
        "symlink" | "symlinkat" => Paths::Two("linkpath", "target"),
        "mount" => Paths::Two("dev", "dir"),
        _ => return None,
    })
}

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId) -> Option<Value<'a>> {
    let event = ctx.event();
    let opens = ctx.opened_path().is_some();
    let succeeded = event.result().is_some_and(|result| result == 0 || (opens && result != -1));
    if !succeeded {
        return None;
    }
    let raw = matches!(
        field,
        FieldId::FsPathNameraw | FieldId::FsPathSourceraw | FieldId::FsPathTargetraw
    );
    let param = match (paths(event.ty().name)?, field) {
        (Paths::One(name), FieldId::FsPathName | FieldId::FsPathNameraw) => name,
        (Paths::Descriptor, FieldId::FsPathName | FieldId::FsPathNameraw) => {
            return ctx.fd_name().filter(|name| !name.is_empty()).map(Value::text);
        }
        (Paths::Two(source, _), FieldId::FsPathSource | FieldId::FsPathSourceraw) => source,
        (Paths::Two(_, target), FieldId::FsPathTarget | FieldId::FsPathTargetraw) => target,
        _ => return None,
    };
    let (index, _) = event.ty().param(param)?;
    if raw {
        return event.text(index).map(Value::text);
    }
    if opens && event.result().is_some_and(|result| result >= 0) {
        return ctx.fd_name().map(Value::text);
    }
    if event.ty().name == "symlinkat" && param == "target" {
        return Some(unresolved_target(event.text(index)?));
    }
    ctx.absolute_param(index).map(Value::Text)
}

/// A relative target of a link starts from where the link lies, which the call does not say.
fn unresolved_target(target: &[u8]) -> Value<'_> {
    if target.starts_with(b"/") {
        return Value::Text(eyas_state::absolute(None, target));
    }
    Value::Text(Cow::Owned([UNKNOWN_DIRECTORY, b"/", target].concat()))
}
