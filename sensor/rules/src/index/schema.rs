//! What the language asks of the event schema: names of event types and types of parameters.

use eyas_abi::schema::{self, ParamType};

use super::IdSet;
use crate::check::Class;

/// Names that meta events of the sensor itself carry; `evt.type` gives them.
const ASYNC_NAMES: &[&str] = &["container"];

/// Whether `evt.type` may be compared with this name.
pub fn is_event_name(name: &str) -> bool {
    schema::by_name(name).next().is_some()
        || schema::syscalls_by_name(name).next().is_some()
        || ASYNC_NAMES.contains(&name)
}

/// Every event code.
pub fn all_codes() -> IdSet {
    schema::all().iter().map(|event| event.code).collect()
}

/// Codes of the events that bear exactly this name in the table.
pub fn own_codes(name: &str) -> IdSet {
    schema::by_name(name).map(|event| event.code).collect()
}

/// Codes whose events are called as the table says; the others carry their name.
pub fn named_codes() -> IdSet {
    let mut carried = IdSet::EMPTY;
    (0..=schema::GENERIC_EXIT).chain([super::ASYNC_EVENT]).for_each(|code| carried.insert(code));
    all_codes().difference(carried)
}

/// Codes of the events that a name stands for; empty for a name that is none.
///
/// A system call without an event of its own stands for the generic event.
pub fn codes(name: &str) -> IdSet {
    let own = own_codes(name);
    if !own.is_empty() {
        return own;
    }
    schema::syscalls_by_name(name)
        .flat_map(|call| if call.event <= schema::GENERIC_EXIT { [0, 1] } else { [call.event; 2] })
        .filter(|code| schema::by_code(*code).is_some())
        .collect()
}

/// Every system call, by its id in the schema.
pub fn all_system_calls() -> IdSet {
    schema::SYSCALLS.iter().map(|call| call.id).collect()
}

/// System calls that a name stands for: those mapped to the event, or the one of that name.
pub fn system_calls(name: &str) -> IdSet {
    let codes = codes(name);
    let generic = codes.contains(schema::GENERIC_EXIT) && name != "syscall";
    if generic {
        return schema::syscalls_by_name(name).map(|call| call.id).collect();
    }
    schema::SYSCALLS.iter().filter(|call| codes.contains(call.event)).map(|call| call.id).collect()
}

/// An event type as listings show it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListedEvent {
    /// What `evt.type` is compared with.
    pub name: &'static str,
    /// Names of its parameters: `evt.arg.NAME`.
    pub params: Vec<&'static str>,
    /// A system call without an event of its own: it comes as the generic event, without parameters.
    pub generic: bool,
}

/// Every name that `evt.type` may be compared with, sorted.
pub fn event_list() -> Vec<ListedEvent> {
    let mut all: std::collections::BTreeMap<&str, ListedEvent> = std::collections::BTreeMap::new();
    for event in schema::all() {
        // The last code of a name is its exit event, which has what is worth looking at.
        let params = event.params.iter().map(|param| param.name).collect();
        all.insert(event.name, ListedEvent { name: event.name, params, generic: false });
    }
    for call in &schema::SYSCALLS {
        let (name, params) = (call.name, Vec::new());
        all.entry(name).or_insert(ListedEvent { name, params, generic: true });
    }
    all.into_values().filter(|event| is_event_name(event.name)).collect()
}

/// The type of the first parameter of this name in the order of event codes.
pub fn parameter_type(name: &str) -> Option<Class> {
    schema::all().iter().find_map(|event| event.param(name)).map(|(_, param)| class(param.ty))
}

/// The class of a parameter in comparisons.
pub fn class(ty: ParamType) -> Class {
    match ty {
        ParamType::Int8 => Class::Signed(8),
        ParamType::Int16 => Class::Signed(16),
        ParamType::Int32 | ParamType::Fd32 | ParamType::Pid32 => Class::Signed(32),
        ParamType::Int64 | ParamType::Errno | ParamType::Fd | ParamType::Pid => Class::Signed(64),
        ParamType::Uint8 | ParamType::SigType | ParamType::Flags8 | ParamType::EnumFlags8 => {
            Class::Unsigned(8)
        }
        ParamType::Uint16 | ParamType::SyscallId | ParamType::Flags16 | ParamType::EnumFlags16 => {
            Class::Unsigned(16)
        }
        ParamType::Uint32
        | ParamType::SigSet
        | ParamType::Flags32
        | ParamType::EnumFlags32
        | ParamType::Uid
        | ParamType::Gid
        | ParamType::Mode => Class::Unsigned(32),
        ParamType::Uint64 => Class::Unsigned(64),
        ParamType::Bool => Class::Bool,
        ParamType::Charbuf | ParamType::FsPath | ParamType::FsRelPath => Class::Text,
        ParamType::Bytebuf => Class::Bytes,
        ParamType::RelTime | ParamType::AbsTime => Class::Time,
        ParamType::Port => Class::Port,
        ParamType::Ipv4Addr | ParamType::Ipv6Addr => Class::Ip,
        ParamType::CharbufArray
        | ParamType::SockAddr
        | ParamType::SockTuple
        | ParamType::FdList
        | ParamType::Dyn => Class::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_events_calls_and_meta_events() {
        for name in ["open", "procexit", "syscall", "container", "add_key", "switch"] {
            assert!(is_event_name(name), "{name}");
        }
        for name in ["foo", "", "OPEN", "open "] {
            assert!(!is_event_name(name), "{name}");
        }
    }

    #[test]
    fn events_are_listed_by_name() {
        let all = event_list();
        assert!(all.is_sorted_by(|a, b| a.name < b.name) && all.len() > 200);
        let named = |name: &str| all.iter().find(|event| event.name == name).unwrap();
        assert!(named("openat").params.contains(&"flags") && !named("openat").generic);
        assert!(named("add_key").generic && named("add_key").params.is_empty());
    }

    #[test]
    fn a_name_stands_for_all_its_codes() {
        assert_eq!(codes("open").iter().collect::<Vec<_>>(), [2, 3]);
        assert!(codes("add_key").contains(1));
        assert!(codes("foo").is_empty());
    }

    #[test]
    fn system_calls_of_events_and_of_the_generic_event() {
        let name = |id| schema::syscall_by_id(id).map(|call| call.name);
        let calls = system_calls("add_key");
        assert_eq!(calls.iter().map(name).collect::<Vec<_>>(), [Some("add_key")]);
        assert!(system_calls("setuid").iter().any(|id| name(id) == Some("setuid")));
        assert!(system_calls("syscall").len() > 50);
        assert!(system_calls("procexit").is_empty());
    }

    #[test]
    fn parameters_have_the_type_of_their_first_event() {
        assert_eq!(parameter_type("res"), Some(Class::Signed(64)));
        assert_eq!(parameter_type("flags"), Some(Class::Unsigned(32)));
        assert_eq!(parameter_type("name"), Some(Class::Text));
        assert_eq!(parameter_type("foo"), None);
    }
}
