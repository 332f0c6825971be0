//! Kernel memory read by plain loads and by calls of the helper: the records are the same, byte by byte.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use eyas_abi::HEADER_LEN;
use eyas_probe::{Options, Reads};
use rustix::fs::Mode;

use crate::live::{Live, Record, own_calls, start};

/// Around the sizes of a word, of what is copied by the word, and of the longest name that a dentry holds itself.
const NAME_LENGTHS: &[usize] =
    &[1, 2, 6, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 39, 40, 41, 63, 64, 255];
/// More than one stretch of a walk, and more than is copied by the word.
const DEEP: usize = 30;
const ENABLED: &[&str] = &["openat", "open", "connect", "accept4", "fchmod", "pipe2", "clone"];

/// Without time stamp and sequence number, which are each probe's own, and without what fills up to a word.
fn same(record: &Record) -> Vec<u8> {
    let event = record.event();
    let values: usize = event.params().map(<[u8]>::len).sum();
    let mut bytes = record.bytes()[..HEADER_LEN + 2 * event.param_count() + values].to_vec();
    bytes[..8].fill(0);
    bytes[24..32].fill(0);
    bytes
}

/// Does what is compared; gives the process that was started.
fn act(folder: &Path) -> u32 {
    for len in NAME_LENGTHS {
        let file = folder.join("n".repeat(*len));
        fs::write(&file, "x").unwrap();
        fs::read(&file).unwrap();
    }
    let mut deep = folder.to_owned();
    (0..DEEP).for_each(|level| deep.push(format!("level-{level}")));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "x").unwrap();
    for path in ["/", "/proc/self/maps", "/dev/null", "/no/such/file", "."] {
        let _ = fs::File::open(path);
    }
    let memory = rustix::fs::memfd_create("eyas-memory", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::fchmod(&memory, Mode::RUSR).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fchmod(&reader, Mode::RUSR).unwrap();
    rustix::fs::fchmod(&writer, Mode::WUSR).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _server = listener.accept().unwrap();
    let listener = UnixListener::bind(folder.join("socket")).unwrap();
    let _client = UnixStream::connect(folder.join("socket")).unwrap();
    let _server = listener.accept().unwrap();
    let mut child = Command::new("/bin/true").arg("argument").current_dir(folder).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    child.id()
}

/// Of the thread that acts, and of the process that it started; other tests of this process act as well.
fn of_these(live: &Live, threads: [u32; 2]) -> impl Iterator<Item = &Record> {
    live.seen.iter().filter(move |record| threads.contains(&record.header.tid))
}

#[test]
fn loads_and_calls_say_the_same() {
    // Nobody reads until the end, and the whole machine writes.
    let options = Options { ring_events: 8 << 20, ..own_calls() };
    let Some(mut loads) = start(ENABLED, &options) else { return };
    if let Reads::Calls(why) = loads.probe.reads() {
        assert!(why.contains("bpf_rdonly_cast"), "the kernel has it: {why}");
        eprintln!("SKIPPED: {why}");
        return;
    }
    let mut calls = start(ENABLED, &Options { plain_loads: false, ..options }).unwrap();
    assert!(matches!(calls.probe.reads(), Reads::Calls(_)));
    let folder = tempfile::tempdir().unwrap();
    let child = act(folder.path());
    let threads = [rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(), child];
    loads.read_all();
    calls.read_all();
    assert_eq!((loads.counters().dropped(), calls.counters().dropped()), (0, 0));

    // What the one that came second saw, the first saw too, in the same order.
    let mut rest = of_these(&loads, threads);
    let mut names = Vec::new();
    for record in of_these(&calls, threads) {
        let wanted = same(record);
        let like = rest.any(|other| same(other) == wanted);
        assert!(like, "no record of the other is like {} {:?}", record.name, record.bytes());
        names.push(record.name);
    }
    for (name, least) in [
        ("openat", 2 * NAME_LENGTHS.len()),
        ("connect", 2),
        ("clone", 1),
        ("execve", 1),
        ("fchmod", 3),
    ] {
        let count = names.iter().filter(|one| **one == name).count();
        assert!(count >= least, "{count} of `{name}`, {least} expected");
    }
}
