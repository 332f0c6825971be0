//! The tables against what is known of the format.

use super::*;

#[test]
fn codes_and_names_find_each_other() {
    assert_eq!(all().len(), 196);
    for event in all() {
        assert_eq!(by_code(event.code).map(|e| e.code), Some(event.code));
        assert!(by_name(event.name).any(|e| e.code == event.code), "{}", event.name);
    }
    assert!(by_code(13).is_none(), "retired");
    assert!(by_code(u16::MAX).is_none());
    assert_eq!(by_name("no_such_call").count(), 0);
    let open: Vec<u16> = by_name("open").map(|e| e.code).collect();
    assert_eq!(open, [2, 3], "enter and exit");
}

#[test]
fn our_parameters_come_behind_the_formats_own() {
    for event in all() {
        let first = event.params.iter().position(|p| p.extra).unwrap_or(event.params.len());
        assert!(event.params[first..].iter().all(|p| p.extra), "{}", event.name);
        assert!(
            event.params[first..].iter().all(|p| p.name.starts_with("eyas_")),
            "{}",
            event.name
        );
        assert!(event.params.len() < 255, "{}", event.name);
    }
}

#[test]
fn references_inside_an_event_hold() {
    for event in all() {
        if let Some(fd) = event.fd_param {
            let ty = event.params[usize::from(fd)].ty;
            let fd_like = matches!(ty, ParamType::Fd | ParamType::Fd32 | ParamType::Errno);
            assert!(fd_like, "{} {ty:?}", event.name);
        }
        for param in event.params {
            if let Some(dir) = param.relative_to {
                assert_eq!(event.params[usize::from(dir)].ty, ParamType::Fd, "{}", event.name);
            }
            assert_eq!(param.ty == ParamType::Dyn, !param.variants.is_empty(), "{}", event.name);
        }
    }
}

#[test]
fn a_few_rows_are_as_the_format_has_them() {
    let openat = by_code(307).unwrap();
    assert_eq!((openat.name, openat.category), ("openat", Category::File));
    assert!(openat.flags.has(EventFlags::CREATES_FD));
    let (index, flags) = openat.param("flags").unwrap();
    assert_eq!((index, flags.ty, flags.print), (3, ParamType::Flags32, PrintFormat::Hexadecimal));
    assert!(flags.table.unwrap().entries.contains(&(0x1000, "O_CLOEXEC")));
    assert_eq!(openat.param("name").unwrap().1.relative_to, Some(1));
    let exec = by_code(293).unwrap();
    assert_eq!(exec.param("exe_ino_ctime").unwrap().0, 24);
    assert_eq!(by_code(186).unwrap().name, "procexit");
    assert!(by_code(2).unwrap().is_enter());
    assert!(!by_code(186).unwrap().is_enter());
    assert_eq!(by_code(402).unwrap().flags, EventFlags::LARGE);
}

#[test]
fn system_calls_are_found_by_either_name_and_by_number() {
    let numbers = |name: &str, abi| syscalls_by_name(name).find_map(|c| c.number(abi));
    assert_eq!(numbers("openat", Abi::X86_64), Some(257));
    assert_eq!(numbers("openat", Abi::Arm64), Some(56));
    assert_eq!(numbers("openat", Abi::I386), Some(295));
    assert_eq!(numbers("openat", Abi::Arm), Some(322));
    assert_eq!(numbers("execve", Abi::X32), Some(520));
    assert_eq!(numbers("open", Abi::Arm64), None);
    let pread: Vec<&str> = syscalls_by_name("pread").map(|c| c.kernel_name).collect();
    assert_eq!(pread, ["pread64"]);
    assert_eq!(syscall_by_number(Abi::X86_64, 452).unwrap().event, 313, "chmod by another door");
    for (index, call) in SYSCALLS.iter().enumerate() {
        assert_eq!(usize::from(call.id), index);
        assert!(syscalls_by_name(call.name).any(|c| c.id == call.id), "{}", call.name);
        let event = by_code(call.event).unwrap();
        assert!(event.is_generic() || event.name == call.name, "{}", call.name);
    }
}

#[test]
fn every_dedicated_event_has_a_number_somewhere() {
    for event in all().iter().filter(|e| e.source == Source::Syscall && !e.is_generic()) {
        assert!(SYSCALLS.iter().any(|c| c.name == event.name), "{}", event.name);
    }
}

#[test]
fn no_number_is_taken_twice_in_one_table() {
    for abi in [Abi::X86_64, Abi::Arm64, Abi::I386, Abi::Arm, Abi::X32] {
        let mut seen = std::collections::BTreeMap::new();
        for call in &SYSCALLS {
            if let Some(number) = call.number(abi) {
                let before = seen.insert(number, call.kernel_name);
                assert_eq!(before, None, "{abi:?} {number} {}", call.kernel_name);
            }
        }
        let least = if abi == Abi::X32 { 30 } else { 300 };
        assert!(seen.len() >= least, "{abi:?}: {}", seen.len());
    }
}

#[test]
fn flag_tables_keep_their_order() {
    let table = flag_table("file_flags").unwrap();
    let place = |name| table.entries.iter().position(|(_, n)| *n == name).unwrap();
    assert!(place("O_RDWR") < place("O_WRONLY"), "the wider value is tried first");
    assert!(flag_table("none_such").is_none());
}

#[test]
fn the_layout_hash_is_a_name() {
    assert_eq!(LAYOUT_HASH.len(), 32);
    assert!(LAYOUT_HASH.bytes().all(|b| b.is_ascii_hexdigit()));
}
