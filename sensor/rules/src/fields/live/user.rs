//! `user.*` and `group.*`: who acts, as the kernel said at the time of the event.

use eyas_state::{Ctx, User};

use super::super::{FieldId, Value};

const NOT_AVAILABLE: &[u8] = b"<NA>";
/// Login user id that was never set.
const UNSET: u32 = u32::MAX;

/// The value of one of these fields.
pub(super) fn value<'a>(ctx: &'a Ctx<'_>, field: FieldId) -> Option<Value<'a>> {
    let header = ctx.event().header();
    // What happens in no process has no user.
    let process = ctx.process()?;
    let user = |uid: u32| ctx.user(uid);
    let text = |uid: u32, field: fn(&User) -> &[u8], root: &'static [u8]| {
        let default = if uid == 0 { root } else { NOT_AVAILABLE };
        Some(Value::text(user(uid).map_or(default, field)))
    };
    match field {
        FieldId::UserUid => Some(Value::Uint(u64::from(header.euid))),
        FieldId::UserName => text(header.euid, |user| &user.name, b"root"),
        FieldId::UserHomedir => text(header.euid, |user| &user.home, b"/root"),
        FieldId::UserShell => text(header.euid, |user| &user.shell, NOT_AVAILABLE),
        FieldId::UserLoginuid => Some(Value::Int(match process.loginuid {
            UNSET => -1,
            uid => i64::from(uid),
        })),
        FieldId::UserLoginname => match process.loginuid {
            UNSET => Some(Value::text(NOT_AVAILABLE)),
            uid => text(uid, |user| &user.name, b"root"),
        },
        FieldId::GroupGid => Some(Value::Uint(u64::from(header.egid))),
        FieldId::GroupName => {
            let default = if header.egid == 0 { b"root".as_slice() } else { NOT_AVAILABLE };
            let group = ctx.group(header.egid);
            Some(Value::text(group.map_or(default, |group| &group.name)))
        }
        _ => None,
    }
}
