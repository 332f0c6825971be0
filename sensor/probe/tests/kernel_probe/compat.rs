//! 32-bit system calls made by 64-bit code: one instruction that every program has at hand.
#![cfg(target_arch = "x86_64")]

use std::os::fd::AsRawFd;

use eyas_abi::RecordFlags;
use eyas_abi::value::SockAddr;

use crate::live::{own_calls, start};

/// Memory below 4 GiB, where 32-bit calls can point to.
struct Low(*mut u8);

impl Low {
    fn new() -> Self {
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice; it stays for the process.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Self(start.cast())
    }

    /// Copies bytes to a distance from the start and gives their address.
    fn put(&self, at: usize, bytes: &[u8]) -> u32 {
        assert!(at + bytes.len() <= 4096);
        // SAFETY: the target lies within the mapping.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.add(at), bytes.len()) };
        (self.0 as usize + at) as u32
    }
}

/// A call through the 32-bit table; `None` where the kernel has none.
fn call32(number: u32, first: u32, second: u32) -> Option<i32> {
    let result: i64;
    // SAFETY: a system call on memory and descriptors of our own. rbx is saved by hand because the compiler
    // reserves it.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov rbx, {first}", "int 0x80", "pop rbx",
            first = in(reg) u64::from(first), inlateout("rax") u64::from(number) => result,
            in("rcx") u64::from(second), out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let result = result as i32;
    if result == -libc::ENOSYS {
        eprintln!("SKIPPED: this kernel has no 32-bit system calls");
        return None;
    }
    Some(result)
}

#[test]
fn a_number_means_what_its_own_table_says() {
    // 39 is mkdir in the 32-bit table and getpid in the 64-bit one
    let Some(mut live) = start(&["mkdir", "getpid"], &own_calls()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("by-the-old-door");
    let path = path.to_str().unwrap();
    let address = Low::new().put(0, format!("{path}\0").as_bytes());
    let Some(result) = call32(39, address, 0o700) else { return };
    let me = std::process::id();
    let event =
        live.wait_for("mkdir", |r| r.name == "mkdir" && r.text("path").as_deref() == Some(path));
    assert!(event.header.flags.has(RecordFlags::COMPAT));
    assert_eq!(event.int("res"), Some(i64::from(result)));
    assert_eq!(event.int("mode"), Some(0o700));
    let mistaken = |flags: RecordFlags| flags.has(RecordFlags::COMPAT);
    assert!(
        !live
            .seen
            .iter()
            .any(|r| r.name == "syscall" && r.header.tgid == me && mistaken(r.header.flags))
    );
}

#[test]
fn the_call_for_all_socket_calls_is_unfolded() {
    let Some(mut live) = start(&["connect"], &own_calls()) else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    let low = Low::new();
    let mut name = [0; 16];
    name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&to.port().to_be_bytes());
    name[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let name = low.put(0, &name);
    let arguments: Vec<u8> =
        [socket.as_raw_fd() as u32, name, 16].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let arguments = low.put(64, &arguments);
    let Some(result) = call32(102, 3, arguments) else { return };
    assert_eq!(result, 0);
    let event = live.wait_for("connect", |r| {
        r.name == "connect"
            && SockAddr::read(&r.raw("addr")) == Some(SockAddr::Inet(to.ip(), to.port()))
    });
    assert!(event.header.flags.has(RecordFlags::COMPAT));
    assert_eq!(event.header.syscall, 102);
    assert_eq!(event.int("fd"), Some(i64::from(socket.as_raw_fd())));
    assert_eq!(event.int("res"), Some(0));
}
