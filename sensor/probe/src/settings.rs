//! `struct eyas_settings`: which system calls are reported, and how much of what they carry.
//!
//! The kernel side reads single fields at any time, so each field is meaningful alone and the whole may be
//! written again while events flow.

use eyas_abi::schema::{self, Abi, Source};

use crate::error::ProbeError;

/// Numbers in one table.
pub(crate) const TABLE_SIZE: usize = 1024;
/// Numbers in both tables: 64-bit calls first, 32-bit calls behind them.
pub(crate) const SLOTS: usize = 2 * TABLE_SIZE;
/// Size of the structure, bytes.
pub(crate) const SETTINGS_LEN: usize = 480;
/// Its fields and their offsets.
pub(crate) const FIELDS: &[(&str, usize)] = &[
    ("either", 0),
    ("enabled", 128),
    ("generation", 384),
    ("ignored", 388),
    ("args_bytes", 392),
    ("env_bytes", 396),
    ("data_bytes", 400),
    ("page_kib", 404),
    ("snapshot_slot", 408),
    ("reserved", 412),
    ("urgent", 416),
];

/// More than the highest code of an event.
const EVENT_CODES: usize = 512;

/// Most bytes of arguments that a record can carry.
pub const ARGS_MAX: u32 = 16384;
/// Bytes of arguments kept unless the options say otherwise.
pub const ARGS_DEFAULT: u32 = ARGS_MAX;
/// Most bytes of input and output that a record can carry.
pub const DATA_MAX: u32 = 4096;
/// Bytes of input and output kept unless the options say otherwise.
pub const DATA_DEFAULT: u32 = 80;

/// What the 32-bit call of x86 for all socket calls may stand for.
const SOCKET_CALLS: &[&str] = &[
    "socket",
    "bind",
    "connect",
    "listen",
    "accept4",
    "getsockname",
    "getpeername",
    "socketpair",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "recvmmsg",
    "sendmmsg",
];

/// The settings in force, as user space keeps them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    enabled: [u64; SLOTS / 64],
    pub(crate) generation: u32,
    pub(crate) ignored: u32,
    pub(crate) args_bytes: u32,
    pub(crate) env_bytes: u32,
    pub(crate) data_bytes: u32,
    pub(crate) snapshot_slot: u32,
    urgent: [u64; EVENT_CODES / 64],
}

impl Settings {
    pub(crate) fn new(ignored: u32) -> Self {
        Self {
            enabled: [0; SLOTS / 64],
            generation: 0,
            ignored,
            args_bytes: ARGS_DEFAULT,
            env_bytes: 0,
            data_bytes: DATA_DEFAULT,
            snapshot_slot: 0,
            urgent: [0; EVENT_CODES / 64],
        }
    }

    /// Enables exactly these events and system calls. Events that no system call makes need nothing: process
    /// life is always reported, the rest comes from user space.
    pub(crate) fn enable<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), ProbeError> {
        let mut enabled = [0_u64; SLOTS / 64];
        for name in names {
            let mut known = schema::by_name(name).any(|event| event.source != Source::Syscall);
            for call in schema::syscalls_by_name(name) {
                known = true;
                for slot in slots(call) {
                    enabled[slot / 64] |= 1 << (slot % 64);
                }
            }
            if !known {
                return Err(ProbeError::UnknownEvent(name.to_owned()));
            }
        }
        self.enabled = enabled;
        Ok(())
    }

    /// Makes events with exactly these codes wake the reader.
    pub(crate) fn hurry(&mut self, codes: impl IntoIterator<Item = u16>) {
        self.urgent = [0; EVENT_CODES / 64];
        for code in codes.into_iter().map(usize::from) {
            if let Some(word) = self.urgent.get_mut(code / 64) {
                *word |= 1 << (code % 64);
            }
        }
    }

    /// Number of the 32-bit call that stands for all socket calls, if one of them is enabled. The kernel side
    /// looks into it and then at the number of the call that is meant.
    fn folded(&self) -> Option<usize> {
        let number = |name| {
            let mut calls = schema::syscalls_by_name(name);
            calls.find_map(|call| call.number(Abi::compat())).map(usize::from)
        };
        let any = SOCKET_CALLS
            .iter()
            .filter_map(|name| number(name))
            .any(|number| self.is_enabled(TABLE_SIZE + number));
        if any { number("socketcall") } else { None }
    }

    /// True if the number at this slot is enabled.
    fn is_enabled(&self, slot: usize) -> bool {
        self.enabled[slot / 64] >> (slot % 64) & 1 == 1
    }

    pub(crate) fn to_bytes(&self) -> [u8; SETTINGS_LEN] {
        let (native, compat) = self.enabled.split_at(TABLE_SIZE / 64);
        let folded = self.folded();
        let either = native.iter().zip(compat).enumerate().map(|(word, (native, compat))| {
            let folded = folded.filter(|slot| slot / 64 == word).map_or(0, |slot| 1 << (slot % 64));
            native | compat | folded
        });
        let page_kib = (rustix::param::page_size() / 1024) as u32;
        let numbers = [
            self.generation,
            self.ignored,
            self.args_bytes.min(ARGS_MAX),
            self.env_bytes.min(ARGS_MAX),
            self.data_bytes.min(DATA_MAX),
            page_kib,
            self.snapshot_slot,
            0,
        ];
        let bytes: Vec<u8> = either
            .chain(self.enabled.iter().copied())
            .flat_map(u64::to_ne_bytes)
            .chain(numbers.into_iter().flat_map(u32::to_ne_bytes))
            .chain(self.urgent.into_iter().flat_map(u64::to_ne_bytes))
            .collect();
        let mut out = [0; SETTINGS_LEN];
        out.copy_from_slice(&bytes);
        out
    }
}

/// Where a system call's numbers are in the two tables of this machine.
pub(crate) fn slots(call: &schema::Syscall) -> impl Iterator<Item = usize> {
    let table = |abi, base: usize| call.number(abi).map(|number| base + usize::from(number));
    let x32 = if cfg!(target_arch = "x86_64") { table(Abi::X32, 0) } else { None };
    [table(Abi::native(), 0), x32, table(Abi::compat(), TABLE_SIZE)]
        .into_iter()
        .flatten()
        .filter(|slot| *slot < SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str, abi: Abi) -> usize {
        usize::from(schema::syscalls_by_name(name).find_map(|c| c.number(abi)).unwrap())
    }

    #[test]
    fn a_name_enables_its_numbers_in_both_tables_and_no_other() {
        let mut settings = Settings::new(7);
        settings.enable(["openat"]).unwrap();
        let native = number("openat", Abi::native());
        let compat = TABLE_SIZE + number("openat", Abi::compat());
        for slot in 0..SLOTS {
            assert_eq!(settings.is_enabled(slot), slot == native || slot == compat, "{slot}");
        }
        let bytes = settings.to_bytes();
        let either = u64::from_ne_bytes(bytes[native / 64 * 8..][..8].try_into().unwrap());
        assert_eq!(either >> (native % 64) & 1, 1);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_socket_call_opens_the_folded_door_too() {
        let mut settings = Settings::new(0);
        settings.enable(["openat"]).unwrap();
        assert_eq!(settings.folded(), None);
        settings.enable(["connect"]).unwrap();
        assert_eq!(settings.folded(), Some(102));
        assert_eq!(settings.to_bytes()[102 / 8] >> (102 % 8) & 1, 1);
    }

    #[test]
    fn enabling_replaces_what_was_enabled_before() {
        let mut settings = Settings::new(0);
        settings.enable(["openat"]).unwrap();
        settings.enable(["connect"]).unwrap();
        assert!(!settings.is_enabled(number("openat", Abi::native())));
        assert!(settings.is_enabled(number("connect", Abi::native())));
    }

    #[test]
    fn events_without_a_system_call_are_accepted() {
        Settings::new(0).enable(["procexit", "container", "execve"]).unwrap();
    }

    #[test]
    fn an_unknown_name_changes_nothing_and_is_named() {
        let mut settings = Settings::new(0);
        settings.enable(["openat"]).unwrap();
        let error = settings.enable(["connect", "opnat"]).unwrap_err();
        assert!(matches!(error, ProbeError::UnknownEvent(name) if name == "opnat"));
        assert!(settings.is_enabled(number("openat", Abi::native())));
    }

    #[test]
    fn urgent_events_are_marked_by_code_and_replaced() {
        let mut settings = Settings::new(0);
        settings.hurry([3, 307, u16::MAX]);
        settings.hurry([307]);
        let bytes = settings.to_bytes();
        let marked = |code: usize| bytes[416 + code / 8] >> (code % 8) & 1 == 1;
        assert!((0..EVENT_CODES).all(|code| marked(code) == (code == 307)));
        let highest = schema::all().last().unwrap().code;
        assert!(usize::from(highest) < EVENT_CODES);
    }

    #[test]
    fn sizes_are_capped_at_what_a_record_can_carry() {
        let mut settings = Settings::new(0);
        settings.args_bytes = ARGS_MAX + 1;
        settings.data_bytes = u32::MAX;
        let bytes = settings.to_bytes();
        assert_eq!(bytes[392..396], ARGS_MAX.to_ne_bytes());
        assert_eq!(bytes[400..404], DATA_MAX.to_ne_bytes());
    }
}
