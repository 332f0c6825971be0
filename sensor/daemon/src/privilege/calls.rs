//! Which system calls may be made (seccomp filters, `seccomp(2)`). A call that is not allowed fails
//! with `EPERM`, which whoever made it reports like any other failure.
//!
//! With a command of the user's among the children nothing is known of what they need: then only what
//! no command of a logger needs is refused, namely to change the kernel or other processes.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

use super::Children;
use crate::error::DaemonError;

/// What the daemon, its runtime library and a process that it starts need.
const NEEDED: &[i64] = &[
    // Memory and threads.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_setpriority,
    libc::SYS_restart_syscall,
    // Signals and time.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_tgkill,
    libc::SYS_kill,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    // Files.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_unlinkat,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_memfd_create,
    libc::SYS_getcwd,
    libc::SYS_umask,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    // Sockets; which kinds may be made is said below.
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // The probe: its maps, and other objects that are tried.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    // Processes that are started, and what these are allowed to know.
    libc::SYS_execve,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setsid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// The older forms of some of these, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_arch_prctl,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_vfork,
    libc::SYS_getrlimit,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// What nobody needs who takes alerts: to change the kernel, the mounts, the clock, other processes.
const HARMFUL: &[i64] = &[
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Confines all threads of this process and what they start.
pub(super) fn confine(children: Children) -> Result<&'static str, DaemonError> {
    if !std::path::Path::new("/proc/sys/kernel/seccomp").exists() {
        return Ok("system calls: not confined, for this kernel has no seccomp");
    }
    let failed = |why: String| DaemonError::System {
        doing: "give up system calls",
        source: std::io::Error::other(why),
    };
    let program = filter(children).map_err(|error| failed(error.to_string()))?;
    apply_filter_all_threads(&program).map_err(|error| failed(error.to_string()))?;
    Ok(if children.program {
        "system calls: all but those that change the kernel or other processes, for \
         `program_output` may need them"
    } else {
        "system calls: only those that are needed"
    })
}

fn filter(children: Children) -> Result<BpfProgram, seccompiler::BackendError> {
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = if children.program {
        let rules = HARMFUL.iter().map(|call| (*call, Vec::new())).collect();
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?
    } else {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            NEEDED.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
        rules.insert(libc::SYS_socket, sockets(children)?);
        SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch)?
    };
    filter.try_into()
}

/// Kinds of sockets that may be made: the daemon itself speaks to nobody beyond this host.
fn sockets(children: Children) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let mut families = vec![libc::AF_UNIX];
    if children.poster {
        families.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
    }
    let family = |family: i32| {
        let equal = SeccompCmpOp::Eq;
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, equal, family as u64)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    families.into_iter().map(family).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_made_for_every_kind_of_children() {
        for program in [false, true] {
            for poster in [false, true] {
                let filter = filter(Children { program, poster }).unwrap();
                // The kernel takes no longer ones.
                assert!((50..4096).contains(&filter.len()), "{}", filter.len());
            }
        }
    }

    #[test]
    fn nothing_harmful_is_needed() {
        for call in HARMFUL {
            assert!(!NEEDED.contains(call) && !OLDER.contains(call), "{call}");
        }
    }
}
