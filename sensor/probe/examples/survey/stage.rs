//! The place where the workload is performed: the same on every machine.
//!
//! Namespaces of its own, with one file system in memory and a loopback interface; a fixed set of capabilities,
//! limits, environment and descriptors. Nothing outside is changed and everything goes with the last process.

use std::ffi::CStr;
use std::fs;
use std::io::Error;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;

/// Where the file system is mounted.
pub(crate) const PLACE: &str = "/mnt";
const TOOLS: &str = "/mnt/bin";

/// Capabilities that the workload keeps, by number: what changing owners, identities, names, mounts and the network
/// takes.
const KEPT: [i32; 12] = [0, 1, 3, 5, 6, 7, 10, 12, 18, 19, 21, 27];
const LAST_CAPABILITY: i32 = 63;
const OPEN_FILES: u64 = 256;

/// This program again, as another step of the workload.
pub(crate) fn command(step: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(step).stdin(Stdio::null());
    Ok(command)
}

/// Builds the stage, then becomes the workload.
pub(crate) fn enter() -> Result<()> {
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: takes numbers only, and this program has one thread.
    checked("unshare", unsafe { libc::unshare(namespaces) })?;
    mount(c"none", c"/", c"", libc::MS_PRIVATE | libc::MS_REC, c"")?;
    mount(c"stage", c"/mnt", c"tmpfs", 0, c"mode=755,size=64m")?;
    fs::create_dir(TOOLS)?;
    fs::copy(std::env::current_exe()?, Path::new(TOOLS).join("survey"))?;
    fs::copy(tool("busybox")?, Path::new(TOOLS).join("busybox"))?;
    raise_loopback()?;
    limit()?;
    let error = Command::new(Path::new(TOOLS).join("survey"))
        .arg("perform")
        .env_clear()
        .env("SURVEY", "yes")
        .current_dir(PLACE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .exec();
    Err(error.into())
}

pub(crate) fn mount(
    what: &CStr,
    place: &CStr,
    kind: &CStr,
    flags: libc::c_ulong,
    options: &CStr,
) -> Result<()> {
    // SAFETY: all pointers are to texts that end with a NUL.
    let result = unsafe {
        libc::mount(what.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    };
    checked(&format!("mount at {}", place.to_string_lossy()), result)
}

fn checked(what: &str, result: i32) -> Result<()> {
    if result == 0 { Ok(()) } else { Err(format!("{what}: {}", Error::last_os_error()).into()) }
}

fn tool(name: &str) -> Result<String> {
    ["/bin", "/usr/bin"]
        .iter()
        .map(|directory| format!("{directory}/{name}"))
        .find(|path| Path::new(path).exists())
        .ok_or_else(|| format!("`{name}` is not installed (package busybox-static)").into())
}

fn raise_loopback() -> Result<()> {
    // SAFETY: plain calls; the structure is as large as the kernel expects and is initialised.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS, &request);
        let result = checked("loopback", result);
        libc::close(socket);
        result
    }
}

/// The next exec leaves exactly [`KEPT`]; inherited descriptors are closed by it.
fn limit() -> Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit, setsid, umask};
    for capability in (0..=LAST_CAPABILITY).filter(|number| !KEPT.contains(number)) {
        // SAFETY: takes numbers only; those that the kernel does not know are refused.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: takes numbers only. Standard error stays, for the message of a failure.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    for fd in 3..OPEN_FILES as i32 {
        // SAFETY: takes numbers only; for kernels before 5.11, which cannot mark a range.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) })?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    setsid()?;
    Ok(())
}
