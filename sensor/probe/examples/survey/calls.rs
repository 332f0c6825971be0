//! System calls as numbers and arguments. What a call returns is for the probe to report, so failures are fine.

use std::ffi::CStr;

/// An argument of a system call.
pub(crate) trait Argument {
    fn raw(&self) -> i64;
}

impl Argument for i32 {
    fn raw(&self) -> i64 {
        i64::from(*self)
    }
}

impl Argument for i64 {
    fn raw(&self) -> i64 {
        *self
    }
}

impl Argument for usize {
    fn raw(&self) -> i64 {
        *self as i64
    }
}

impl Argument for &CStr {
    fn raw(&self) -> i64 {
        self.as_ptr() as i64
    }
}

impl<T> Argument for *const T {
    fn raw(&self) -> i64 {
        *self as i64
    }
}

impl<T> Argument for *mut T {
    fn raw(&self) -> i64 {
        *self as i64
    }
}

/// `call!(NAME, arguments…)` makes the system call `SYS_NAME` and gives what the kernel returned, or `-1`.
macro_rules! call {
    ($name:ident $(, $argument:expr)* $(,)?) => {
        $crate::calls::call_with(libc::$name, &[$($crate::calls::Argument::raw(&$argument)),*])
    };
}
pub(crate) use call;

pub(crate) fn call_with(number: i64, arguments: &[i64]) -> i64 {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: callers pass pointers to memory that outlives the call and is as large as the call expects, or
    // numbers that the kernel refuses.
    unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) }
}

/// Opens a path that is not there: the recording begins and ends at such names.
pub(crate) fn mark(name: &str) {
    let mut path = name.as_bytes().to_vec();
    path.push(0);
    call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), 0);
}

/// Runs `work` in a child and waits for its end, so that what processes do never overlaps.
pub(crate) fn in_child(work: impl FnOnce() -> i32) {
    // SAFETY: this program has one thread, so the child may go on as if nothing had happened.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = work();
        // SAFETY: ends the child without running what the parent has still to do.
        unsafe { libc::_exit(code) }
    }
    wait(i64::from(pid));
}

/// Waits for the end of one child.
pub(crate) fn wait(pid: i64) {
    call!(SYS_wait4, pid, std::ptr::null::<i32>(), 0, 0);
}

pub(crate) fn close(fd: i64) {
    call!(SYS_close, fd);
}

/// The same calls through the 32-bit table, which 64-bit code reaches by one instruction. Pointers lie below 4 GiB.
#[cfg(target_arch = "x86_64")]
pub(crate) fn from_32_bit_code() {
    const GETPID: u32 = 20;
    const OPEN: u32 = 5;
    const UNLINK: u32 = 10;
    const OPENAT: u32 = 295;
    let low = call!(
        SYS_mmap,
        std::ptr::null::<u8>(),
        4096,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
        -1,
        0
    );
    if !(1..i64::from(u32::MAX)).contains(&low) {
        return;
    }
    let path = c"/mnt/from-32-bit".to_bytes_with_nul();
    // SAFETY: the mapping is new, writable and larger than the path.
    unsafe { std::ptr::copy_nonoverlapping(path.as_ptr(), low as *mut u8, path.len()) };
    let low = low as u32;
    let create = (libc::O_CREAT | libc::O_WRONLY) as u32;
    call_32(GETPID, 0, 0, 0);
    close(i64::from(call_32(OPEN, low, create, 0o600)));
    close(i64::from(call_32(OPENAT, libc::AT_FDCWD as u32, low, 0)));
    call_32(UNLINK, low, 0, 0);
    call!(SYS_munmap, i64::from(low), 4096);
}

#[cfg(target_arch = "x86_64")]
fn call_32(number: u32, first: u32, second: u32, third: u32) -> i32 {
    let result: i64;
    // SAFETY: a system call on memory and descriptors of our own. rbx is saved by hand because the compiler
    // reserves it.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov rbx, {first}", "int 0x80", "pop rbx",
            first = in(reg) u64::from(first), inlateout("rax") u64::from(number) => result,
            in("rcx") u64::from(second), in("rdx") u64::from(third),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result as i32
}
