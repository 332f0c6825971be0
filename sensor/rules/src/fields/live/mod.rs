//! Fields of a live event: every field that the probe can source, read from the event and from the
//! table of processes.
//!
//! One submodule per class of fields. A value that is in memory already is borrowed; text is only
//! put together for fields that are text by definition, such as `evt.args`.

mod argument;
mod container;
mod event;
mod fd;
mod names;
mod path;
mod process;
mod user;

pub use eyas_state::{Civil, LocalTime, civil};

use std::net::SocketAddr;
use std::ops::ControlFlow;

use eyas_state::Ctx;

use super::{Facts, FieldArg, FieldId, SocketEnds, Value};

impl Facts for Ctx<'_> {
    fn event_code(&self) -> u16 {
        self.event().code()
    }

    fn value<'a>(&'a self, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>> {
        // Classes are runs of the table, so a comparison finds the class.
        let at = field as usize;
        let last = |field: FieldId| field as usize;
        if at <= last(FieldId::EvtIsOpenCreate) {
            event::value(self, field, arg)
        } else if at <= last(FieldId::ProcStderrName) {
            process::value(self, field, arg)
        } else if at <= last(FieldId::GroupName) {
            user::value(self, field)
        } else if at <= last(FieldId::FdIsLowerLayer) {
            fd::value(self, field)
        } else if at <= last(FieldId::FsPathTargetraw) {
            path::value(self, field)
        } else {
            container::value(self, field, arg)
        }
    }

    fn socket_ends(&self) -> SocketEnds {
        let Some(fd) = self.fd() else { return SocketEnds::Unknown };
        let end = |(ip, port)| SocketAddr::new(ip, port);
        if let Some((client, server)) = fd.ends() {
            SocketEnds::Two(end(client), end(server))
        } else if let Some(own) = fd.listening_end() {
            SocketEnds::One(end(own))
        } else if fd.kind.is_some() {
            SocketEnds::NotIp
        } else {
            SocketEnds::Unknown
        }
    }

    fn ancestors(
        &self,
        field: FieldId,
        key: FieldArg<'_>,
        visit: &mut dyn FnMut(Value<'_>) -> ControlFlow<()>,
    ) {
        process::visit_ancestors(self, field, key, visit);
    }
}

/// True or false, never unset.
#[expect(clippy::unnecessary_wraps, reason = "stands among answers that may be unset")]
fn flag<'a>(set: bool) -> Option<Value<'a>> {
    Some(Value::Bool(set))
}

/// A number that is unset when it is 0.
fn nonzero<'a>(number: u64) -> Option<Value<'a>> {
    (number != 0).then_some(Value::Uint(number))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod classes;
