//! Requests of `io_uring`, which pass no system call of their own.

use std::ffi::CString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use eyas_abi::RecordFlags;
use eyas_abi::value::SockAddr;

use crate::live::{Live, Record, own_calls, start};

const OP_CONNECT: u8 = 16;
const OP_OPENAT: u8 = 18;
const OP_OPENAT2: u8 = 28;
const OP_RENAMEAT: u8 = 35;
const OP_UNLINKAT: u8 = 36;
const OP_MKDIRAT: u8 = 37;
const OP_SYMLINKAT: u8 = 38;
const OP_LINKAT: u8 = 39;
const OP_SOCKET: u8 = 45;

/// `IOSQE_ASYNC` and `IOSQE_CQE_SKIP_SUCCESS`.
const ASYNC: u8 = 1 << 4;
const SKIP_SUCCESS: u8 = 1 << 6;

/// `struct io_uring_sqe`, as far as it is used here.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    /// Second address or offset.
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

/// A ring with room for a few requests; one at a time is enough.
struct Ring {
    fd: OwnedFd,
    queue: *mut AtomicU32,
    requests: *mut Request,
    offsets: [u32; 30],
}

impl Ring {
    /// `None` where the kernel has none, or does not let us.
    fn new() -> Option<Self> {
        let mut params = [0_u32; 30];
        // SAFETY: the kernel writes the 120 bytes of `struct io_uring_params`.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr()) };
        if fd < 0 {
            eprintln!("SKIPPED: no io_uring here: {}", std::io::Error::last_os_error());
            return None;
        }
        // SAFETY: a new descriptor of our own.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        // SAFETY: fresh mappings of the ring at places of the kernel's choice; they stay for the process.
        let map = |len: usize, offset: i64| unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let start = libc::mmap(
                std::ptr::null_mut(),
                len,
                access,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                fd.as_raw_fd(),
                offset,
            );
            assert_ne!(start, libc::MAP_FAILED);
            start
        };
        let queue = map(4096, 0).cast();
        let requests = map(4 * size_of::<Request>(), 0x1000_0000).cast();
        Some(Self { fd, queue, requests, offsets: params })
    }

    fn word(&self, at: u32) -> &AtomicU32 {
        // SAFETY: offsets come from the kernel and lie within the mapping.
        unsafe { &*self.queue.add(at as usize / 4) }
    }

    /// Makes one request and waits for its result; `None` if there will be none.
    fn call(&self, request: Request) -> Option<i32> {
        // `struct io_sqring_offsets` starts at word 10 and `struct io_cqring_offsets` at word 20.
        let (tail, mask, array) = (self.offsets[11], self.offsets[12], self.offsets[16]);
        let (cq_head, cq_tail, cq_mask, cqes) =
            (self.offsets[20], self.offsets[21], self.offsets[22], self.offsets[25]);
        let position = self.word(tail).load(Ordering::Acquire);
        let index = position & self.word(mask).load(Ordering::Relaxed);
        // SAFETY: the index is below the number of entries that were asked for.
        unsafe { self.requests.add(index as usize).write(request) };
        self.word(array + 4 * index).store(index, Ordering::Relaxed);
        self.word(tail).store(position + 1, Ordering::Release);
        let quiet = request.flags & SKIP_SUCCESS != 0;
        let wait = i32::from(!quiet);
        // SAFETY: numbers, and no signal mask.
        let done = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.fd.as_raw_fd(),
                1,
                wait,
                1, // IORING_ENTER_GETEVENTS
                std::ptr::null::<u8>(),
                0,
            )
        };
        assert_eq!(done, 1, "{}", std::io::Error::last_os_error());
        let head = self.word(cq_head).load(Ordering::Relaxed);
        if head == self.word(cq_tail).load(Ordering::Acquire) {
            return None;
        }
        let entry = cqes + 16 * (head & self.word(cq_mask).load(Ordering::Relaxed));
        let result = self.word(entry + 8).load(Ordering::Relaxed) as i32;
        self.word(cq_head).store(head + 1, Ordering::Release);
        Some(result)
    }
}

fn open(path: &CString, flags: i32) -> Request {
    Request {
        opcode: OP_OPENAT,
        fd: libc::AT_FDCWD,
        addr: path.as_ptr() as u64,
        op_flags: flags as u32,
        ..Request::default()
    }
}

/// The one that came through the ring, of the calls that the kernel took.
fn through_ring(live: &mut Live, event: &'static str, param: &'static str, value: &str) -> Record {
    live.wait_for(value, |r| {
        r.name == event
            && r.header.tgid == std::process::id()
            && r.header.flags.has(RecordFlags::IO_URING)
            && r.text(param).as_deref() == Some(value)
    })
}

fn watched(live: &Live) -> bool {
    let missing: Vec<_> = live
        .probe
        .features()
        .into_iter()
        .filter(|feature| feature.gives.contains("io_uring"))
        .filter_map(|feature| feature.missing)
        .collect();
    if !missing.is_empty() {
        // from 5.19 on both tracepoints give the request
        assert!(kernel_before(5, 19), "{missing:?}");
        eprintln!("SKIPPED: {missing:?}");
    }
    missing.is_empty()
}

fn kernel_before(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0_u32));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    found < (major, minor)
}

#[test]
fn opens_come_with_their_name_and_the_kernels_path() {
    let Some(mut live) = start(&["openat", "openat2"], &own_calls()) else { return };
    let Some(ring) = Ring::new() else { return };
    if !watched(&live) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(directory.path()).unwrap();
    fs::write(real.join("file"), "x").unwrap();
    std::os::unix::fs::symlink(real.join("file"), real.join("link")).unwrap();
    for flags in [0, ASYNC] {
        let name = real.join("link");
        let path = CString::new(name.to_str().unwrap()).unwrap();
        let request = Request { flags, ..open(&path, libc::O_RDONLY | libc::O_CLOEXEC) };
        let fd = ring.call(request).unwrap();
        assert!(fd >= 0);
        // SAFETY: a new descriptor of our own.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        let event = through_ring(&mut live, "openat", "name", name.to_str().unwrap());
        assert_eq!(event.header.tgid, std::process::id());
        assert_eq!(event.int("fd"), Some(i64::from(fd)));
        assert_eq!(event.text("eyas_path").as_deref(), real.join("file").to_str());
        assert_eq!(event.int("flags").unwrap() & 0x1001, 0x1001, "O_RDONLY and O_CLOEXEC");
    }

    let dir = File::open(&real).unwrap();
    let missing = CString::new("no-such-file").unwrap();
    let how = [0_u64, 0, 0];
    let request = Request {
        opcode: OP_OPENAT2,
        fd: dir.as_raw_fd(),
        addr: missing.as_ptr() as u64,
        len: size_of_val(&how) as u32,
        off: how.as_ptr() as u64,
        ..Request::default()
    };
    assert_eq!(ring.call(request), Some(-libc::ENOENT));
    let event = through_ring(&mut live, "openat2", "name", "no-such-file");
    assert_eq!(event.int("fd"), Some(-2));
    assert_eq!(event.text("eyas_dir").as_deref(), real.to_str());
}

#[test]
fn a_request_that_tells_no_completion_is_reported_all_the_same() {
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let Some(ring) = Ring::new() else { return };
    if !watched(&live) {
        return;
    }
    let path = CString::new("/dev/../dev/null").unwrap();
    let request = Request { flags: SKIP_SUCCESS, ..open(&path, libc::O_RDONLY) };
    assert_eq!(ring.call(request), None);
    let event = through_ring(&mut live, "openat", "name", "/dev/../dev/null");
    assert_eq!(event.raw("eyas_fd_type"), b"f");
    assert!(event.int("fd") >= Some(0));
}

#[test]
fn connects_and_sockets() {
    let Some(mut live) = start(&["connect", "socket"], &own_calls()) else { return };
    let Some(ring) = Ring::new() else { return };
    if !watched(&live) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let request = Request {
        opcode: OP_SOCKET,
        fd: libc::AF_INET,
        off: libc::SOCK_STREAM as u64,
        ..Request::default()
    };
    let fd = ring.call(request).unwrap();
    assert!(fd >= 0);
    // SAFETY: a new descriptor of our own.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let event = live.wait_for("socket", |r| {
        r.name == "socket"
            && r.header.tgid == std::process::id()
            && r.header.flags.has(RecordFlags::IO_URING)
    });
    assert_eq!((event.int("fd"), event.int("domain")), (Some(i64::from(fd)), Some(2)));
    assert_eq!(event.int("type"), Some(1), "SOCK_STREAM");

    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&peer.port().to_be_bytes());
    name[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let request = Request {
        opcode: OP_CONNECT,
        fd: socket.as_raw_fd(),
        addr: name.as_ptr() as u64,
        off: name.len() as u64,
        ..Request::default()
    };
    assert_eq!(ring.call(request), Some(0));
    let event = live.wait_for("connect", |r| {
        r.name == "connect"
            && r.header.tgid == std::process::id()
            && r.header.flags.has(RecordFlags::IO_URING)
    });
    assert_eq!(event.int("res"), Some(0));
    assert_eq!(SockAddr::read(&event.raw("addr")), Some(SockAddr::Inet(peer.ip(), peer.port())));
    let SocketAddr::V4(local) = std::net::TcpStream::from(socket).local_addr().unwrap() else {
        panic!("IPv4")
    };
    crate::connect::check_pair(local.into(), peer, &event.raw("tuple"));
    crate::connect::check_pair(local.into(), peer, &event.raw("eyas_fd_tuple"));
}

#[test]
fn names_that_are_changed() {
    let names = ["mkdirat", "renameat2", "linkat", "symlinkat", "unlinkat"];
    let Some(mut live) = start(&names, &own_calls()) else { return };
    let Some(ring) = Ring::new() else { return };
    if !watched(&live) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(directory.path()).unwrap();
    let dir = File::open(&real).unwrap();
    fs::write(real.join("old"), "x").unwrap();
    let text = |name: &str| CString::new(name).unwrap();
    let (old, new, made) = (text("old"), text("new"), text("made"));
    let request = |opcode, first: &CString, second: Option<&CString>| Request {
        opcode,
        fd: dir.as_raw_fd(),
        addr: first.as_ptr() as u64,
        off: second.map_or(0, |name| name.as_ptr() as u64),
        len: if second.is_some() { dir.as_raw_fd() as u32 } else { 0o700 },
        ..Request::default()
    };

    assert_eq!(ring.call(request(OP_MKDIRAT, &made, None)), Some(0));
    let event = through_ring(&mut live, "mkdirat", "path", "made");
    assert_eq!((event.int("res"), event.int("mode")), (Some(0), Some(0o700)));
    assert_eq!(event.text("eyas_dir").as_deref(), real.to_str());

    assert_eq!(ring.call(request(OP_LINKAT, &old, Some(&new))), Some(0));
    let event = through_ring(&mut live, "linkat", "newpath", "new");
    assert_eq!(event.text("oldpath").as_deref(), Some("old"));
    assert_eq!(event.text("eyas_dir2").as_deref(), real.to_str());

    assert_eq!(ring.call(request(OP_RENAMEAT, &new, Some(&old))), Some(0));
    let event = through_ring(&mut live, "renameat2", "oldpath", "new");
    assert_eq!(event.text("newpath").as_deref(), Some("old"));

    let (target, link) = (text("/etc/shadow"), text("link"));
    let symlink =
        Request { fd: dir.as_raw_fd(), len: 0, ..request(OP_SYMLINKAT, &target, Some(&link)) };
    assert_eq!(ring.call(symlink), Some(0));
    let event = through_ring(&mut live, "symlinkat", "linkpath", "link");
    assert_eq!(event.text("target").as_deref(), Some("/etc/shadow"));

    let removed = Request { len: 0, ..request(OP_UNLINKAT, &link, None) };
    assert_eq!(ring.call(removed), Some(0));
    let event = through_ring(&mut live, "unlinkat", "name", "link");
    assert_eq!(event.int("res"), Some(0));
}
