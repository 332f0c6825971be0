//! Calls that change nothing that is kept. Nobody who does not look at them needs them decoded: what becomes
//! of them follows from their codes and the number of their parameters.

use std::sync::LazyLock;

use eyas_abi::schema::{self, Source};

use crate::convert::{Course, MAX_PARAMS, Outcome, course};
use crate::event::RawEvent;
use crate::layout::{self, Layout};

/// Names of calls that neither descriptors nor processes are different after. Whatever is not here is taken
/// in whole.
const QUIET: [&str; 41] = [
    "syscall",
    "read",
    "write",
    "pread",
    "pwrite",
    "readv",
    "writev",
    "preadv",
    "pwritev",
    "stat",
    "lstat",
    "fstat",
    "stat64",
    "lstat64",
    "fstat64",
    "newfstatat",
    "access",
    "mmap",
    "mmap2",
    "munmap",
    "mprotect",
    "brk",
    "futex",
    "poll",
    "ppoll",
    "select",
    "epoll_wait",
    "nanosleep",
    "ioctl",
    "lseek",
    "llseek",
    "getdents",
    "getdents64",
    "sendfile",
    "getuid",
    "getgid",
    "geteuid",
    "getegid",
    "getsockname",
    "getpeername",
    "kill",
];

/// What is to be done about a half of a quiet call when nobody looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// It is none, or the file says so little of it that it has to be looked at.
    No,
    /// The first half of a call that is this event in the end.
    Enter(u16),
    /// The second half, or the whole, of this event. `takes` says whether it uses up the first half.
    Exit {
        /// The code that it has in the end.
        code: u16,
        /// It takes what its first half left.
        takes: bool,
    },
}

/// By code and number of parameters.
static TABLE: LazyLock<Vec<[Quiet; MAX_PARAMS + 1]>> = LazyLock::new(|| {
    let codes = (0..u16::MAX).take_while(|code| layout::of(*code).is_some());
    codes.map(|code| std::array::from_fn(|params| of(code, params))).collect()
});

impl Quiet {
    /// Looks at an event.
    pub(crate) fn of(event: &RawEvent<'_>) -> Self {
        let params = event.param_count().min(MAX_PARAMS);
        let of_code = TABLE.get(usize::from(event.code));
        of_code.and_then(|of_code| of_code.get(params)).copied().unwrap_or(Self::No)
    }
}

fn of(code: u16, params: usize) -> Quiet {
    let Course { outcome, code: last, takes, is_kept } = course(code, params);
    match outcome {
        Outcome::Event if is_quiet(last) && code % 2 == 1 => Quiet::Exit { code: last, takes },
        Outcome::Dropped if is_kept => {
            // Which code it is kept under is its own in the end; the second half has the next one.
            let exits = (0..=MAX_PARAMS).map(|params| course(last + 1, params).code);
            let mut exits = exits.collect::<Vec<u16>>();
            exits.dedup();
            match exits.as_slice() {
                [exit] if is_quiet(*exit) => Quiet::Enter(*exit),
                _ => Quiet::No,
            }
        }
        _ => Quiet::No,
    }
}

fn is_quiet(code: u16) -> bool {
    let shown = layout::of(code).is_some_and(|layout| !Layout::is_internal(layout));
    shown
        && schema::by_code(code).is_some_and(|event| {
            event.source == Source::Syscall && code % 2 == 1 && QUIET.contains(&event.name)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_schema_and_change_nothing() {
        for name in QUIET {
            let of_name: Vec<_> = schema::by_name(name).collect();
            assert!(!of_name.is_empty(), "{name}");
            for event in of_name {
                assert!(!event.flags.has(schema::EventFlags::CREATES_FD), "{name}");
                assert!(!event.flags.has(schema::EventFlags::DESTROYS_FD), "{name}");
            }
        }
    }

    #[test]
    fn what_keeps_state_is_not_passed_over() {
        for name in [
            "open", "openat", "close", "clone", "execve", "dup", "socket", "connect", "sendto",
            "fcntl", "setuid",
        ] {
            for event in schema::by_name(name) {
                for params in 0..=MAX_PARAMS {
                    assert_eq!(of(event.code, params), Quiet::No, "{name} {params}");
                }
            }
        }
        let read = schema::by_name("read").find(|event| event.code % 2 == 1).unwrap().code;
        assert!((0..=MAX_PARAMS).any(|params| of(read - 1, params) == Quiet::Enter(read)));
        assert!((0..=MAX_PARAMS).any(|params| matches!(of(read, params), Quiet::Exit { .. })));
    }
}
