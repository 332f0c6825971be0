//! What the workload does with processes: programs, children, identities, namespaces, signals.

use std::ffi::{CStr, CString};
use std::ptr::null;

use libc::AT_FDCWD;

use crate::calls::{call, close, in_child, wait};

const BUSYBOX: &CStr = c"/mnt/bin/busybox";

pub(crate) fn perform() {
    run(BUSYBOX, &[c"busybox", c"echo", c"first argument", c"second", c""]);
    run(c"bin/busybox", &[c"busybox", c"true"]);
    run(c"/mnt/missing-program", &[c"missing", c"argument"]);
    run(c"/mnt/data", &[c"not executable"]);
    script();
    from_memory();
    children();
    identities();
    namespaces();
    others();
}

/// Executes a program in a child, which ends with 127 where that fails.
pub(crate) fn run(path: &CStr, arguments: &[&CStr]) {
    in_child(|| {
        execute(path, arguments);
        127
    });
}

fn execute(path: &CStr, arguments: &[&CStr]) {
    // Touched here: of an exec that fails early the kernel never reads them, and a fresh child does not have the
    // pages of its program yet.
    let owned: Vec<CString> = arguments.iter().map(|text| CString::from(*text)).collect();
    let list = pointers(&owned.iter().map(CString::as_c_str).collect::<Vec<_>>());
    let environment = pointers(&[c"SURVEY=yes", c"LANG=C"]);
    call!(SYS_execve, path, list.as_ptr(), environment.as_ptr());
}

fn pointers(texts: &[&CStr]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([null()]).collect()
}

fn script() {
    let text = b"#!/mnt/bin/busybox sh\nexit 5\n";
    let fd = call!(SYS_openat, AT_FDCWD, c"script", libc::O_CREAT | libc::O_WRONLY, 0o755);
    call!(SYS_write, fd, text.as_ptr(), text.len());
    close(fd);
    run(c"/mnt/script", &[c"script", c"argument"]);
}

/// A program that never was in a file system, by descriptor.
fn from_memory() {
    let fd = call!(SYS_memfd_create, c"program", 0);
    let program = call!(SYS_openat, AT_FDCWD, BUSYBOX, libc::O_RDONLY);
    while call!(SYS_sendfile, fd, program, null::<i64>(), 1 << 24) > 0 {}
    close(program);
    in_child(|| {
        let (list, environment) = (pointers(&[c"busybox", c"true"]), pointers(&[]));
        call!(SYS_execveat, fd, c"", list.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
        126
    });
    close(fd);
    in_child(|| {
        let (list, environment) = (pointers(&[c"busybox", c"false"]), pointers(&[]));
        let directory = call!(SYS_openat, AT_FDCWD, c"/mnt/bin", libc::O_DIRECTORY);
        call!(SYS_execveat, directory, c"busybox", list.as_ptr(), environment.as_ptr(), 0);
        125
    });
}

fn children() {
    in_child(|| 3);
    in_child(|| {
        // SAFETY: a signal to this process itself.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        0
    });
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    let arguments: [u64; 8] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    let pid = call!(SYS_clone3, arguments.as_ptr(), size_of_val(&arguments));
    if pid == 0 {
        // SAFETY: ends the child without running what the parent has still to do.
        unsafe { libc::_exit(4) }
    }
    wait(pid);
    in_child(|| {
        // a grandchild whose parent goes first
        in_child(|| 6);
        run(BUSYBOX, &[c"busybox", c"false"]);
        7
    });
    in_child(|| {
        call!(SYS_prctl, libc::PR_SET_NAME, c"renamed", 0, 0, 0);
        call!(SYS_setpgid, 0, 0);
        call!(SYS_ptrace, 0, 0, 0, 0);
        8
    });
    in_child(|| {
        call!(SYS_setsid);
        execute(BUSYBOX, &[c"busybox", c"true", c"in-a-session-of-its-own"]);
        9
    });
}

fn identities() {
    in_child(|| {
        call!(SYS_setgid, 65534);
        call!(SYS_setuid, 65534);
        call!(SYS_openat, AT_FDCWD, c"/mnt/data", libc::O_RDWR);
        execute(BUSYBOX, &[c"busybox", c"true", c"as-nobody"]);
        10
    });
    in_child(|| {
        call!(SYS_setresgid, 1, 2, 3);
        call!(SYS_setresuid, 1, 2, 3);
        call!(SYS_setreuid, -1, 1);
        call!(SYS_setregid, -1, 1);
        call!(SYS_setuid, 0);
        11
    });
    in_child(|| {
        // version 3, this process; effective, permitted, inheritable in two halves
        let header: [u32; 2] = [0x2008_0522, 0];
        let sets: [u32; 6] = [1, 3, 1, 0, 0, 0];
        call!(SYS_capset, header.as_ptr(), sets.as_ptr());
        call!(SYS_chroot, c"/mnt");
        12
    });
}

fn namespaces() {
    in_child(|| {
        call!(SYS_unshare, libc::CLONE_NEWUTS | libc::CLONE_NEWPID);
        run(BUSYBOX, &[c"busybox", c"true", c"first-of-its-namespace"]);
        13
    });
    in_child(|| {
        let fd = call!(SYS_openat, AT_FDCWD, c"/proc/self/ns/uts", libc::O_RDONLY);
        call!(SYS_setns, fd, libc::CLONE_NEWUTS);
        close(fd);
        call!(SYS_setns, 99, 0);
        14
    });
}

fn others() {
    let mut pid = 0;
    // SAFETY: asks for this process' own number.
    pid += unsafe { libc::getpid() };
    let fd = call!(SYS_pidfd_open, pid, 0);
    close(call!(SYS_pidfd_getfd, fd, 0, 0));
    close(fd);
    call!(SYS_kill, pid, 0);
    call!(SYS_tgkill, pid, pid, 0);
    let limit: [u64; 2] = [200, 256];
    call!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE as i32, limit.as_ptr(), null::<u64>());
    call!(SYS_getuid);
    call!(SYS_geteuid);
    call!(SYS_getgid);
    call!(SYS_getegid);
    call!(SYS_mlock, 4096, 4096);
    call!(SYS_munlockall);
    call!(SYS_semget, 0x1234, 1, libc::IPC_CREAT | 0o600);
    call!(SYS_uname, 16);
    call!(SYS_sethostname, 16, 4);
}
