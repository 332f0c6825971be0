//! Which events exist and what they carry.
//!
//! Everything here is constant data generated from the crate's `.tsv` files. An event *name* (`open`) may
//! have several codes (the exit event, and for a few calls an enter event); rules speak of names, records
//! carry codes.

mod syscalls;
mod types;

pub use syscalls::{Abi, Syscall};
pub use types::{Category, EventFlags, ParamType, PrintFormat, Source};

#[expect(clippy::unreadable_literal, reason = "generated from the data files")]
mod tables {
    use super::{
        Category, EventFlags, EventType, FlagTable, KEYCTL_VARIANTS, PTRACE_VARIANTS, Param,
        ParamType, PrintFormat, SOCKOPT_VARIANTS, Source, Syscall,
    };

    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}

use tables::{BY_CODE, BY_NAME, SYSCALL_NAMES};
pub use tables::{EVENTS, FLAG_TABLES, LAYOUT_HASH, SYSCALLS};

const SOCKOPT_VARIANTS: &[Variant] = &[
    Variant { ty: ParamType::Bytebuf, print: PrintFormat::Decimal },
    Variant { ty: ParamType::Errno, print: PrintFormat::Decimal },
    Variant { ty: ParamType::Uint32, print: PrintFormat::Decimal },
    Variant { ty: ParamType::Uint64, print: PrintFormat::Decimal },
    Variant { ty: ParamType::RelTime, print: PrintFormat::Decimal },
];
const PTRACE_VARIANTS: &[Variant] = &[
    Variant { ty: ParamType::Uint64, print: PrintFormat::Hexadecimal },
    Variant { ty: ParamType::SigType, print: PrintFormat::Decimal },
];
const KEYCTL_VARIANTS: &[Variant] = &[
    Variant { ty: ParamType::Int64, print: PrintFormat::Decimal },
    Variant { ty: ParamType::Charbuf, print: PrintFormat::Decimal },
];

/// One event code.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// Code of the record and of capture files; even codes are enter or one-shot events.
    pub code: u16,
    /// `evt.type`; `syscall` for the generic event, whose type is the name of the call in it.
    pub name: &'static str,
    /// `evt.category`, before input and output events are told apart by their descriptor.
    pub category: Category,
    /// What produces it.
    pub source: Source,
    /// What it does to descriptors and state.
    pub flags: EventFlags,
    /// Which parameter is the descriptor that the event works on.
    pub fd_param: Option<u8>,
    /// In wire order; parameters of our own come last and have [`Param::extra`] set.
    pub params: &'static [Param],
}

impl EventType {
    /// Place and description of the parameter called `name`.
    pub fn param(&self, name: &str) -> Option<(usize, &'static Param)> {
        self.params.iter().enumerate().find(|(_, param)| param.name == name)
    }

    /// True for an enter event of a system call, which feeds state and is never evaluated by rules.
    pub fn is_enter(&self) -> bool {
        self.source == Source::Syscall && self.code.is_multiple_of(2)
    }

    /// True for the event that stands for all system calls without one of their own.
    pub fn is_generic(&self) -> bool {
        self.code <= GENERIC_EXIT
    }
}

/// Code of the generic system call event, at exit.
pub const GENERIC_EXIT: u16 = 1;

/// One parameter of an event.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name, as in `evt.arg.NAME`.
    pub name: &'static str,
    /// How the bytes are to be read.
    pub ty: ParamType,
    /// How a number is printed.
    pub print: PrintFormat,
    /// Names of the bits or values.
    pub table: Option<&'static FlagTable>,
    /// For a path: the parameter whose descriptor it starts from (otherwise the working directory).
    pub relative_to: Option<u8>,
    /// For a [`ParamType::Dyn`]: what the first byte of the value selects.
    pub variants: &'static [Variant],
    /// True for what eyas adds; absent from captures and from `evt.args`.
    pub extra: bool,
}

/// One reading of a `dyn` value.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// How the bytes after the first are to be read.
    pub ty: ParamType,
    /// How a number is printed.
    pub print: PrintFormat,
}

/// Names of bits or values, in the order in which they are rendered.
#[derive(Debug)]
pub struct FlagTable {
    /// Name of the table.
    pub name: &'static str,
    /// Value and name.
    pub entries: &'static [(u32, &'static str)],
}

/// Every current event, ascending by code.
pub fn all() -> &'static [EventType] {
    &EVENTS
}

/// The event with this code; retired codes of old captures are not in the table.
pub fn by_code(code: u16) -> Option<&'static EventType> {
    let index = BY_CODE.get(usize::from(code))?;
    EVENTS.get(usize::from(*index))
}

/// All events of this name, ascending by code; none if the name is not one of the table's.
pub fn by_name(name: &str) -> impl Iterator<Item = &'static EventType> + use<> {
    named(&BY_NAME, name).filter_map(|index| EVENTS.get(index))
}

/// All system calls whose kernel name or event name is `name`.
pub fn syscalls_by_name(name: &str) -> impl Iterator<Item = &'static Syscall> + use<> {
    named(&SYSCALL_NAMES, name).filter_map(|index| SYSCALLS.get(index))
}

/// The system call with this id, as the generic event carries it.
pub fn syscall_by_id(id: u16) -> Option<&'static Syscall> {
    SYSCALLS.get(usize::from(id))
}

/// The system call that has this number in that table.
pub fn syscall_by_number(abi: Abi, number: u16) -> Option<&'static Syscall> {
    SYSCALLS.iter().find(|call| call.number(abi) == Some(number))
}

/// The flag table with this name.
pub fn flag_table(name: &str) -> Option<&'static FlagTable> {
    FLAG_TABLES.iter().find(|table| table.name == name)
}

fn named(table: &'static [(&'static str, u16)], name: &str) -> impl Iterator<Item = usize> + use<> {
    let start = table.partition_point(|(entry, _)| *entry < name);
    let len = table[start..].partition_point(|(entry, _)| *entry == name);
    table[start..start + len].iter().map(|(_, index)| usize::from(*index))
}

#[cfg(test)]
mod tests;
