//! The seam between rules and whatever knows an event: live state, a capture, a test.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

use super::{FieldArg, FieldId, Value};

/// Depth at which the ancestor walk of the default [`Facts::ancestors`] gives up; deeper process
/// trees do not occur, a loop in a broken table does.
const MAX_ANCESTORS: u32 = 128;

/// What is known of one event.
///
/// Values are asked for lazily, at most once per event and distinct check, and should be borrowed:
/// evaluation itself does not allocate.
pub trait Facts {
    /// Event code of the schema.
    fn event_code(&self) -> u16;

    /// The field's value, `None` when unset. An unset value makes every check on it false.
    fn value<'a>(&'a self, field: FieldId, arg: FieldArg<'_>) -> Option<Value<'a>>;

    /// Both ends of the event's socket, for `fd.ip`, `fd.port`, `fd.proto`, `fd.net`.
    ///
    /// The default puts them together from the client and server fields; a source that knows the
    /// ends while the roles are still unknown should override it.
    fn socket_ends(&self) -> SocketEnds {
        let end = |ip, port| {
            let Some(Value::Ip(address)) = self.value(ip, FieldArg::None) else { return None };
            let port = self.value(port, FieldArg::None).and_then(|value| value.as_integer());
            Some(SocketAddr::new(address, port.map_or(0, |port| port as u16)))
        };
        let client = end(FieldId::FdCip, FieldId::FdCport);
        let server = end(FieldId::FdSip, FieldId::FdSport);
        match (client, server) {
            (Some(client), Some(server)) => SocketEnds::Two(client, server),
            (Some(one), None) | (None, Some(one)) => SocketEnds::One(one),
            (None, None) if self.value(FieldId::FdType, FieldArg::None).is_some() => {
                SocketEnds::NotIp
            }
            (None, None) => SocketEnds::Unknown,
        }
    }

    /// Shows `field` of each ancestor from the parent upwards, the process itself excluded, until
    /// `visit` breaks. Serves the ancestor fields (`proc.aname`, …) written without index.
    ///
    /// `key` is the argument for `proc.aenv[NAME]`, else `FieldArg::None`. An ancestor whose value
    /// is unset is skipped. The default asks for index 1, 2, … until one is unset.
    fn ancestors(
        &self,
        field: FieldId,
        key: FieldArg<'_>,
        visit: &mut dyn FnMut(Value<'_>) -> ControlFlow<()>,
    ) {
        if let FieldArg::Key(_) = key {
            if let Some(value) = self.value(field, key) {
                let _ = visit(value);
            }
            return;
        }
        for level in 1..MAX_ANCESTORS {
            let Some(value) = self.value(field, FieldArg::Index(level)) else { return };
            if visit(value).is_break() {
                return;
            }
        }
    }

    /// Addresses known for a domain name, for `fd.sip.name` and its kin when the descriptor's own
    /// name is not cached. Must not wait: an unknown name is an empty answer.
    fn addresses_of(&self, name: &[u8]) -> &[IpAddr] {
        let _ = name;
        &[]
    }
}

/// What is known of the two ends of the event's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEnds {
    /// The event has no descriptor, or it is not in the table: unset.
    Unknown,
    /// The descriptor is known and is no IP socket: set, but every comparison is false.
    NotIp,
    /// A listening socket.
    One(SocketAddr),
    /// Source and destination.
    Two(SocketAddr, SocketAddr),
}

impl SocketEnds {
    /// The ends, one or two of them.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        let (first, second) = match *self {
            Self::Unknown | Self::NotIp => (None, None),
            Self::One(end) => (Some(end), None),
            Self::Two(first, second) => (Some(first), Some(second)),
        };
        first.into_iter().chain(second)
    }
}
