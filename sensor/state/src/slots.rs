//! Where each parameter lies in the events that state reads, looked up by name once.
//!
//! A parameter that an event does not have gets a place no record reaches, so that it reads as not
//! known.

use eyas_abi::schema::{self, EventType};

/// No record has this many parameters.
const ABSENT: u8 = u8::MAX;

macro_rules! slots {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $param:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name { $(pub(crate) $field: u8),* }

        impl $name {
            pub(crate) fn of(ty: &EventType) -> Self {
                Self { $($field: place(ty, $param)),* }
            }

            pub(crate) fn of_code(code: u16) -> Self {
                schema::by_code(code).map_or(Self { $($field: ABSENT),* }, Self::of)
            }
        }
    };
}

slots! {
    /// Parameters of a successful exec.
    ExecSlots {
        exe = "exe", args = "args", parent = "ptid", cwd = "cwd", fd_limit = "fdlimit", fault_major = "pgft_maj", fault_minor = "pgft_min",
        vm_size = "vm_size", vm_rss = "vm_rss", vm_swap = "vm_swap", comm = "comm",
        cgroups = "cgroups", env = "env", tty = "tty", vpgid = "vpgid", loginuid = "loginuid",
        flags = "flags", cap_inheritable = "cap_inheritable", cap_permitted = "cap_permitted",
        cap_effective = "cap_effective", exe_ino = "exe_ino", exe_ctime = "exe_ino_ctime",
        exe_mtime = "exe_ino_mtime", exe_path = "trusted_exepath", pgid = "pgid",
        sid = "eyas_sid", vpid = "eyas_vpid", pidns_start = "eyas_pidns_start",
        parent_start = "eyas_parent_start", mount_namespace = "eyas_mntns",
    }
}

slots! {
    /// Parameters of the birth of a process.
    CloneSlots {
        exe = "exe", args = "args", tid = "tid", pid = "pid", parent = "ptid",
        cwd = "cwd", fd_limit = "fdlimit", comm = "comm", cgroups = "cgroups", flags = "flags",
        vpid = "vpid", pidns_start = "pidns_init_start_ts", sid = "eyas_sid", pgid = "eyas_pgid",
        vpgid = "eyas_vpgid", parent_start = "eyas_parent_start", start = "eyas_start",
        mount_namespace = "eyas_mntns",
    }
}

slots! {
    /// Parameters of a process found at start.
    TaskSlots {
        parent = "ppid", pgid = "pgid", vpgid = "vpgid", sid = "sid", comm = "comm",
        argv = "argv", exe_path = "exepath", flags = "flags", env = "env", cwd = "cwd",
        fd_limit = "fdlimit", cap_permitted = "cap_permitted", cap_effective = "cap_effective",
        cap_inheritable = "cap_inheritable", exe_ino = "exe_ino_num",
        exe_ctime = "exe_ino_ctime", exe_mtime = "exe_ino_mtime", vm_size = "vm_size",
        vm_rss = "vm_rss", vm_swap = "vm_swap", fault_major = "pgft_maj",
        fault_minor = "pgft_min", vpid = "vtgid", pidns_start = "pidns_init_start_ts",
        cgroups = "cgroups", tty = "tty", loginuid = "loginuid", vsid = "eyas_vsid",
        parent_start = "eyas_parent_start", mount_namespace = "eyas_mntns",
    }
}

slots! {
    /// What the kernel says about the event's descriptor.
    FdSlots {
        kind = "eyas_fd_type", path = "eyas_path", tuple = "eyas_fd_tuple",
        proto = "eyas_fd_proto", dev = "eyas_fd_dev", ino = "eyas_fd_ino",
        flags = "eyas_fd_flags", state = "eyas_sock_state", dir = "eyas_dir",
        dir2 = "eyas_dir2", event_tuple = "tuple", addr = "addr", event_dev = "dev",
        event_ino = "ino", event_flags = "flags",
    }
}

fn place(ty: &EventType, name: &str) -> u8 {
    ty.param(name).map_or(ABSENT, |(index, _)| u8::try_from(index).unwrap_or(ABSENT))
}

/// All places, computed once for a table.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    pub(crate) execve: ExecSlots,
    pub(crate) execveat: ExecSlots,
    pub(crate) clone: CloneSlots,
    pub(crate) task: TaskSlots,
    /// By event code.
    fd: Vec<FdSlots>,
    nowhere: FdSlots,
}

impl Slots {
    pub(crate) fn new() -> Self {
        let last = schema::all().last().map_or(0, |ty| ty.code);
        Self {
            execve: ExecSlots::of_code(code::EXECVE),
            execveat: ExecSlots::of_code(code::EXECVEAT),
            clone: CloneSlots::of_code(code::CLONE),
            task: TaskSlots::of_code(code::TASK),
            fd: (0..=last).map(FdSlots::of_code).collect(),
            nowhere: FdSlots::of_code(u16::MAX),
        }
    }

    pub(crate) fn fd(&self, code: u16) -> &FdSlots {
        self.fd.get(usize::from(code)).unwrap_or(&self.nowhere)
    }
}

/// Codes of the events that change state.
pub(crate) mod code {
    pub(crate) const CHDIR: u16 = 95;
    pub(crate) const FCHDIR: u16 = 97;
    pub(crate) const PROCEXIT: u16 = 186;
    pub(crate) const CLONE: u16 = 223;
    pub(crate) const FORK: u16 = 225;
    pub(crate) const VFORK: u16 = 227;
    pub(crate) const SETRESUID: u16 = 193;
    pub(crate) const SETUID: u16 = 199;
    pub(crate) const SETREUID: u16 = 427;
    pub(crate) const SETSID: u16 = 275;
    pub(crate) const EXECVE: u16 = 293;
    pub(crate) const SETPGID: u16 = 295;
    pub(crate) const EXECVEAT: u16 = 331;
    pub(crate) const CLONE3: u16 = 335;
    pub(crate) const CAPSET: u16 = 353;
    pub(crate) const PRCTL: u16 = 401;
    pub(crate) const TASK: u16 = 430;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_schemas() {
        for (code, name) in [
            (code::CHDIR, "chdir"),
            (code::FCHDIR, "fchdir"),
            (code::PROCEXIT, "procexit"),
            (code::CLONE, "clone"),
            (code::FORK, "fork"),
            (code::VFORK, "vfork"),
            (code::SETRESUID, "setresuid"),
            (code::SETUID, "setuid"),
            (code::SETREUID, "setreuid"),
            (code::SETSID, "setsid"),
            (code::EXECVE, "execve"),
            (code::SETPGID, "setpgid"),
            (code::EXECVEAT, "execveat"),
            (code::CLONE3, "clone3"),
            (code::CAPSET, "capset"),
            (code::PRCTL, "prctl"),
            (code::TASK, "task"),
        ] {
            assert_eq!(schema::by_code(code).unwrap().name, name);
        }
    }

    #[test]
    fn every_name_exists_in_its_event_and_the_births_are_alike() {
        let slots = Slots::new();
        let text = format!("{:?} {:?} {:?}", slots.execve, slots.execveat, slots.task);
        assert!(!text.contains("255"), "{text}");
        for code in [code::CLONE, code::FORK, code::VFORK, code::CLONE3] {
            let found = format!("{:?}", CloneSlots::of_code(code));
            assert!(!found.contains("255"), "{code}: {found}");
            assert_eq!(found, format!("{:?}", slots.clone));
        }
        assert_eq!(slots.fd(307).event_dev, 5);
        assert_eq!(slots.fd(u16::MAX).path, ABSENT);
    }
}
