//! What the workload does with files, directories, descriptors and mounts.

use std::ptr::null;

use libc::AT_FDCWD;

use crate::calls::{call, close, in_child};

/// Size of the buffers that calls fill.
const BUFFER: usize = 256;

pub(crate) fn perform() {
    opening();
    names();
    owners();
    input_and_output();
    descriptors();
    kernel_objects();
    mounts();
    in_child(overlay);
    #[cfg(target_arch = "x86_64")]
    crate::calls::from_32_bit_code();
}

fn opening() {
    let create = libc::O_CREAT | libc::O_RDWR | libc::O_EXCL;
    close(call!(SYS_openat, AT_FDCWD, c"/mnt/first", create, 0o640));
    call!(SYS_openat, AT_FDCWD, c"/mnt/first", create, 0o640);
    close(call!(SYS_openat, AT_FDCWD, c"first", libc::O_WRONLY | libc::O_TRUNC | libc::O_APPEND));
    call!(SYS_openat, AT_FDCWD, c"/mnt/missing", libc::O_RDONLY);
    call!(SYS_openat, AT_FDCWD, c"line\nbreak \"quoted\"", libc::O_RDONLY);
    let directory = call!(SYS_openat, AT_FDCWD, c"/mnt/bin", libc::O_DIRECTORY | libc::O_CLOEXEC);
    close(call!(SYS_openat, directory, c"../first", libc::O_RDONLY));
    // flags, mode, resolve: RESOLVE_NO_SYMLINKS
    let how: [u64; 3] = [(libc::O_RDWR | libc::O_CREAT) as u64, 0o600, 0x04];
    close(call!(SYS_openat2, directory, c"second", how.as_ptr(), size_of_val(&how)));
    close(directory);
    close(call!(SYS_openat, AT_FDCWD, c"/mnt", libc::O_TMPFILE | libc::O_RDWR, 0o600));
    #[cfg(target_arch = "x86_64")]
    {
        close(call!(SYS_open, c"/mnt/first", libc::O_RDONLY));
        close(call!(SYS_creat, c"/mnt/third", 0o600));
    }
}

fn names() {
    let here = AT_FDCWD;
    call!(SYS_mkdirat, here, c"directory", 0o755);
    call!(SYS_renameat2, here, c"first", here, c"directory/renamed", libc::RENAME_NOREPLACE as i32);
    call!(SYS_symlinkat, c"directory/renamed", here, c"symbolic");
    call!(SYS_linkat, here, c"directory/renamed", here, c"hard", 0);
    close(call!(SYS_openat, here, c"symbolic", libc::O_RDONLY));
    call!(SYS_mknodat, here, c"pipe", libc::S_IFIFO as i32 | 0o600, 0);
    #[cfg(target_arch = "x86_64")]
    {
        call!(SYS_mkdir, c"/mnt/other", 0o700);
        call!(SYS_rename, c"/mnt/hard", c"/mnt/other/hard");
        call!(SYS_renameat, here, c"other/hard", here, c"hard");
        call!(SYS_symlink, c"hard", c"/mnt/soft");
        call!(SYS_link, c"/mnt/hard", c"/mnt/harder");
        call!(SYS_mknod, c"/mnt/node", libc::S_IFIFO as i32 | 0o600, 0);
        call!(SYS_unlink, c"/mnt/harder");
        call!(SYS_rmdir, c"/mnt/other");
        call!(SYS_access, c"/mnt/hard", libc::R_OK);
        call!(SYS_chmod, c"/mnt/hard", 0o4755);
        call!(SYS_chown, c"/mnt/hard", 1, 2);
        call!(SYS_lchown, c"/mnt/soft", 3, 4);
    }
    call!(SYS_unlinkat, here, c"pipe", 0);
    call!(SYS_unlinkat, here, c"missing", libc::AT_REMOVEDIR);
    call!(SYS_chdir, c"directory");
    close(call!(SYS_openat, here, c"../hard", libc::O_RDONLY));
    let mut path = [0_u8; BUFFER];
    call!(SYS_getcwd, path.as_mut_ptr(), path.len());
    call!(SYS_chdir, c"/mnt");
}

fn owners() {
    let fd = call!(SYS_openat, AT_FDCWD, c"owned", libc::O_CREAT | libc::O_RDWR, 0o644);
    call!(SYS_fchmod, fd, 0o600);
    call!(SYS_fchmodat, AT_FDCWD, c"owned", 0o700);
    call!(SYS_fchown, fd, 5, 6);
    call!(SYS_fchownat, AT_FDCWD, c"owned", 7, 8, libc::AT_SYMLINK_NOFOLLOW);
    call!(SYS_flock, fd, libc::LOCK_EX);
    let mut stat = [0_u8; 256];
    call!(SYS_newfstatat, AT_FDCWD, c"owned", stat.as_mut_ptr(), 0);
    close(fd);
}

fn input_and_output() {
    let fd = call!(SYS_openat, AT_FDCWD, c"data", libc::O_CREAT | libc::O_RDWR, 0o644);
    let text = b"what is written here is read again";
    let mut buffer = [0_u8; BUFFER];
    call!(SYS_write, fd, text.as_ptr(), text.len());
    call!(SYS_lseek, fd, 5, libc::SEEK_SET);
    call!(SYS_read, fd, buffer.as_mut_ptr(), buffer.len());
    call!(SYS_pread64, fd, buffer.as_mut_ptr(), 4, 8);
    call!(SYS_pwrite64, fd, text.as_ptr(), 4, 40);
    let vector: [(*const u8, usize); 2] = [(text.as_ptr(), 4), (text.as_ptr(), 7)];
    call!(SYS_writev, fd, vector.as_ptr(), 2);
    let into: [(*mut u8, usize); 1] = [(buffer.as_mut_ptr(), 16)];
    call!(SYS_preadv, fd, into.as_ptr(), 1, 2, 0);
    call!(SYS_pwritev, fd, vector.as_ptr(), 2, 3, 0);
    call!(SYS_lseek, fd, 0, libc::SEEK_SET);
    call!(SYS_readv, fd, into.as_ptr(), 1);
    let out = call!(SYS_openat, AT_FDCWD, c"copy", libc::O_CREAT | libc::O_RDWR, 0o644);
    call!(SYS_lseek, fd, 0, libc::SEEK_SET);
    call!(SYS_sendfile, out, fd, null::<i64>(), 10);
    call!(SYS_copy_file_range, fd, null::<i64>(), out, null::<i64>(), 5, 0);
    call!(SYS_write, 99, text.as_ptr(), text.len());
    call!(SYS_write, fd, 16, 5);
    close(out);
    close(fd);
}

fn descriptors() {
    let mut pair = [0_i32; 2];
    call!(SYS_pipe2, pair.as_mut_ptr(), libc::O_CLOEXEC);
    let (read, write) = (i64::from(pair[0]), i64::from(pair[1]));
    call!(SYS_write, write, b"through a pipe".as_ptr(), 14);
    let mut buffer = [0_u8; BUFFER];
    call!(SYS_read, read, buffer.as_mut_ptr(), buffer.len());
    close(call!(SYS_dup, read));
    call!(SYS_dup3, write, 60, libc::O_CLOEXEC);
    #[cfg(target_arch = "x86_64")]
    {
        call!(SYS_dup2, write, 61);
        call!(SYS_pipe, pair.as_mut_ptr());
        close(i64::from(pair[0]));
        close(i64::from(pair[1]));
    }
    call!(SYS_fcntl, read, libc::F_DUPFD, 70);
    call!(SYS_fcntl, read, libc::F_SETFD, libc::FD_CLOEXEC);
    call!(SYS_close_range, 60, 80, 0);
    close(read);
    close(write);
}

fn kernel_objects() {
    let mask = 1_u64 << (libc::SIGUSR1 - 1);
    close(call!(SYS_eventfd2, 7, libc::EFD_CLOEXEC));
    close(call!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC));
    close(call!(SYS_signalfd4, -1, (&raw const mask), 8, libc::SFD_CLOEXEC));
    close(call!(SYS_inotify_init1, libc::IN_CLOEXEC));
    close(call!(SYS_epoll_create1, libc::EPOLL_CLOEXEC));
    close(call!(SYS_memfd_create, c"in memory", libc::MFD_CLOEXEC as i32));
    let pages = 8192_usize;
    let memory = call!(
        SYS_mmap,
        null::<u8>(),
        pages,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
        0
    );
    call!(SYS_mprotect, memory, pages, libc::PROT_READ | libc::PROT_EXEC);
    call!(SYS_munmap, memory, pages);
    let pause = libc::timespec { tv_sec: 0, tv_nsec: 1000 };
    call!(SYS_nanosleep, &raw const pause, null::<libc::timespec>());
    call!(SYS_mkdirat, 16, 16, 0);
}

fn mounts() {
    call!(SYS_mkdirat, AT_FDCWD, c"mounted", 0o755);
    call!(SYS_mount, c"memory", c"/mnt/mounted", c"tmpfs", libc::MS_NOSUID as i64, c"size=1m");
    close(call!(SYS_openat, AT_FDCWD, c"mounted/inside", libc::O_CREAT | libc::O_WRONLY, 0o644));
    call!(SYS_mkdirat, AT_FDCWD, c"bound", 0o755);
    call!(
        SYS_mount,
        c"/mnt/mounted",
        c"/mnt/bound",
        null::<u8>(),
        libc::MS_BIND as i64,
        null::<u8>()
    );
    close(call!(SYS_openat, AT_FDCWD, c"bound/inside", libc::O_RDONLY));
    call!(SYS_umount2, c"/mnt/bound", libc::MNT_DETACH);
    call!(SYS_umount2, c"/mnt/mounted", 0);
    call!(SYS_umount2, c"/mnt/mounted", 0);
    in_child(|| {
        call!(SYS_chroot, c"/mnt/bin");
        call!(SYS_chdir, c"/");
        close(call!(SYS_openat, AT_FDCWD, c"/second", libc::O_RDONLY));
        0
    });
}

/// Both layers of an overlay: what was there before, and what was added or changed since.
fn overlay() -> i32 {
    for directory in [c"lower", c"upper", c"work", c"merged"] {
        call!(SYS_mkdirat, AT_FDCWD, directory, 0o755);
    }
    close(call!(SYS_openat, AT_FDCWD, c"lower/below", libc::O_CREAT | libc::O_WRONLY, 0o644));
    call!(SYS_linkat, AT_FDCWD, c"bin/busybox", AT_FDCWD, c"lower/busybox", 0);
    let options = c"lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work";
    call!(SYS_mount, c"overlay", c"/mnt/merged", c"overlay", 0, options);
    close(call!(SYS_openat, AT_FDCWD, c"merged/below", libc::O_RDONLY));
    close(call!(SYS_openat, AT_FDCWD, c"merged/above", libc::O_CREAT | libc::O_WRONLY, 0o644));
    close(call!(SYS_openat, AT_FDCWD, c"merged/below", libc::O_WRONLY));
    crate::processes::run(c"/mnt/merged/busybox", &[c"busybox", c"true", c"from-the-lower-layer"]);
    call!(SYS_umount2, c"/mnt/merged", libc::MNT_DETACH);
    0
}
