//! What is known of one process. What only an exec changes is in [`Image`], shared by a process
//! and the children it forked, so that a fork costs no copies of arguments and environment.

use std::sync::Arc;

use eyas_abi::value;

use crate::container::{Claim, Witness};

/// A process as it was when last heard of.
#[derive(Debug, Clone)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// When it was made, boot clock, nanoseconds; 0 when not known. With `pid` it names a process
    /// for good.
    pub start_ns: u64,
    /// Its parent.
    pub parent: Option<Parent>,
    /// Process id in its own pid namespace.
    pub vpid: u32,
    /// Session id in its own pid namespace.
    pub sid: u32,
    /// Process group in the initial pid namespace.
    pub pgid: u32,
    /// Process group in its own pid namespace.
    pub vpgid: u32,
    /// Audit login user; all ones when not set.
    pub loginuid: u32,
    /// Controlling terminal's device number, 0 for none.
    pub tty: u32,
    /// Capabilities: permitted.
    pub cap_permitted: u64,
    /// Capabilities: inheritable.
    pub cap_inheritable: u64,
    /// Capabilities: effective.
    pub cap_effective: u64,
    /// Working directory, empty when not known.
    pub cwd: Arc<[u8]>,
    /// Control groups, `subsys=path` each with a NUL.
    pub cgroups: Arc<[u8]>,
    /// What they claim about a container.
    pub claim: Option<Arc<Claim>>,
    /// Inode number of its mount namespace when it was made or last executed a program; 0 when not known.
    pub mount_namespace: u32,
    /// When the first process of its pid namespace was made, nanoseconds since the epoch; 0 when
    /// not known.
    pub pidns_start_epoch_ns: u64,
    /// Soft limit on descriptors, -1 when not known.
    pub fd_limit: i64,
    /// Memory in kB: virtual, resident, swapped.
    pub memory: [u32; 3],
    /// Page faults: major, minor.
    pub faults: [u64; 2],
    /// The program it runs.
    pub image: Arc<Image>,
    /// How the program file's age relates to the process.
    pub times: Times,
    /// Threads beside the main one.
    pub threads: u32,
    /// Boot clock time of the event this knowledge comes from.
    pub updated_ns: u64,
    /// Nothing but the identity is known, and somebody should look the rest up.
    pub placeholder: bool,
}

/// Which process another one descends from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// When it was made, boot clock, nanoseconds; 0 when not known.
    pub start_ns: u64,
}

/// Intervals that are computed when a program is executed, 0 when not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From the program file's change to the start of the process; wraps around when the file was
    /// changed after that.
    pub ctime_to_process_ns: u64,
    /// From the start of the pid namespace to the program file's change.
    pub namespace_to_ctime_ns: u64,
}

/// What an exec brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The kernel's name of the process.
    pub comm: Comm,
    /// `argv[0]`.
    pub exe: Box<[u8]>,
    /// The program file as the kernel resolved it.
    pub exe_path: Box<[u8]>,
    /// `comm`, then the arguments without the first, separated by blanks.
    command_line: Box<[u8]>,
    /// Where each argument ends in `command_line`.
    argument_ends: Box<[u16]>,
    /// Environment, `NAME=value` each with a NUL.
    pub environment: Box<[u8]>,
    /// Inode of the program file, 0 when not known.
    pub exe_inode: u64,
    /// Its last status change, nanoseconds since the epoch, 0 when not known.
    pub exe_ctime_ns: u64,
    /// Its last modification, nanoseconds since the epoch, 0 when not known.
    pub exe_mtime_ns: u64,
    /// What kind of file it is.
    pub exe_flags: ExeFlags,
}

/// Marks of the program file, the `flags` parameter of an exec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExeFlags(pub u32);

impl ExeFlags {
    /// The process may write to it.
    pub const WRITABLE: Self = Self(0x1);
    /// In the upper layer of an overlay.
    pub const UPPER_LAYER: Self = Self(0x2);
    /// In memory only.
    pub const MEMFD: Self = Self(0x4);
    /// In the lower layer of an overlay.
    pub const LOWER_LAYER: Self = Self(0x8);

    /// Whether all marks of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The kernel's short name of a thread, at most 15 bytes, held in place.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Comm {
    bytes: [u8; 15],
    len: u8,
}

impl Comm {
    /// Takes what fits.
    pub fn new(name: &[u8]) -> Self {
        let name = name.get(..15).unwrap_or(name);
        let mut bytes = [0; 15];
        for (to, from) in bytes.iter_mut().zip(name) {
            *to = *from;
        }
        Self { bytes, len: name.len() as u8 }
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl Image {
    /// Puts the command line together. `arguments` are texts each with its NUL, without `argv[0]`.
    pub fn new(comm: &[u8], exe: &[u8], arguments: &[u8]) -> Self {
        let comm = Comm::new(comm);
        let mut line = Vec::with_capacity(comm.as_bytes().len() + arguments.len() + 1);
        line.extend_from_slice(comm.as_bytes());
        let mut ends = Vec::new();
        for argument in split(arguments) {
            line.push(b' ');
            line.extend_from_slice(argument);
            ends.push(line.len() as u16);
        }
        Self {
            comm,
            exe: exe.into(),
            command_line: line.into(),
            argument_ends: ends.into(),
            ..Self::default()
        }
    }

    /// The same program under another name, as `prctl(PR_SET_NAME)` makes it.
    #[must_use]
    pub fn renamed(&self, comm: &[u8]) -> Self {
        let mut arguments = Vec::new();
        for index in 0..self.argument_count() {
            arguments.extend_from_slice(self.argument(index).unwrap_or_default());
            arguments.push(0);
        }
        let Self { command_line, argument_ends, comm, .. } = Self::new(comm, &self.exe, &arguments);
        Self { comm, command_line, argument_ends, ..self.clone() }
    }

    /// `comm` and the arguments, separated by blanks.
    pub fn command_line(&self) -> &[u8] {
        &self.command_line
    }

    /// The arguments without the first, separated by blanks.
    pub fn arguments(&self) -> &[u8] {
        self.command_line.get(self.comm.as_bytes().len() + 1..).unwrap_or_default()
    }

    /// How many arguments there are beside the first.
    pub fn argument_count(&self) -> usize {
        self.argument_ends.len()
    }

    /// One argument, 0 being the one after `argv[0]`.
    pub fn argument(&self, index: usize) -> Option<&[u8]> {
        let end = usize::from(*self.argument_ends.get(index)?);
        let before = match index.checked_sub(1) {
            Some(previous) => usize::from(*self.argument_ends.get(previous)?),
            None => self.comm.as_bytes().len(),
        };
        self.command_line.get(before + 1..end)
    }

    /// One variable of the environment.
    pub fn variable(&self, name: &[u8]) -> Option<&[u8]> {
        value::list(&self.environment)
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
    }

    /// Bytes this takes beyond its own size, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.exe.len()
            + self.exe_path.len()
            + self.command_line.len()
            + self.argument_ends.len() * 2
            + self.environment.len()
    }
}

impl Process {
    /// What it can tell of the container that it says it is in.
    pub fn witness(&self) -> Witness {
        Witness { pid: self.pid, mount_namespace: self.mount_namespace }
    }

    /// A process of which only the identity is known.
    pub fn placeholder(pid: u32, start_ns: u64) -> Self {
        Self {
            pid,
            start_ns,
            parent: None,
            vpid: pid,
            sid: 0,
            pgid: 0,
            vpgid: 0,
            loginuid: u32::MAX,
            tty: 0,
            cap_permitted: 0,
            cap_inheritable: 0,
            cap_effective: 0,
            cwd: Arc::from([]),
            cgroups: Arc::from([]),
            claim: None,
            mount_namespace: 0,
            pidns_start_epoch_ns: 0,
            fd_limit: -1,
            memory: [0; 3],
            faults: [0; 2],
            image: Arc::new(Image::default()),
            times: Times::default(),
            threads: 0,
            updated_ns: 0,
            placeholder: true,
        }
    }

    /// Whether it is in the initial pid namespace, as far as its ids tell.
    pub fn is_host_numbered(&self) -> bool {
        self.vpid == self.pid
    }
}

/// The texts of a list. Unlike an environment, arguments may be a single empty one.
fn split(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let none = list.is_empty();
    let list = list.strip_suffix(&[0]).unwrap_or(list);
    list.split(|byte| *byte == 0).filter(move |_| !none)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_command_line_is_the_short_name_and_the_arguments() {
        let image = Image::new(b"a-very-long-program-name", b"./x", b"-l\0\0a b\0");
        assert_eq!(image.comm.as_bytes(), b"a-very-long-pro");
        assert_eq!(image.command_line(), b"a-very-long-pro -l  a b");
        assert_eq!(image.arguments(), b"-l  a b");
        assert_eq!(image.argument_count(), 3);
        assert_eq!(image.argument(0), Some(&b"-l"[..]));
        assert_eq!(image.argument(1), Some(&b""[..]));
        assert_eq!(image.argument(2), Some(&b"a b"[..]));
        assert_eq!(image.argument(3), None);
        let bare = Image::new(b"sh", b"sh", b"");
        assert_eq!((bare.command_line(), bare.arguments()), (&b"sh"[..], &b""[..]));
    }

    #[test]
    fn a_rename_keeps_the_arguments() {
        let image = Image::new(b"sh", b"/bin/sh", b"-c\0true\0").renamed(b"worker");
        assert_eq!(image.command_line(), b"worker -c true");
        assert_eq!(image.argument(1), Some(&b"true"[..]));
        assert_eq!(&*image.exe, b"/bin/sh");
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let mut image = Image::new(b"sh", b"sh", b"");
        image.environment = b"PATHX=1\0PATH=/bin:/x=y\0EMPTY=\0NAKED\0"[..].into();
        assert_eq!(image.variable(b"PATH"), Some(&b"/bin:/x=y"[..]));
        assert_eq!(image.variable(b"EMPTY"), Some(&b""[..]));
        assert_eq!(image.variable(b"NAKED"), None);
        assert_eq!(image.variable(b"PAT"), None);
    }

    proptest! {
        #[test]
        fn arguments_come_back_one_by_one(
            comm in "[a-z]{0,20}",
            arguments in prop::collection::vec("[a-z ]{0,12}", 0..12),
        ) {
            let mut bytes = Vec::new();
            for argument in &arguments {
                bytes.extend_from_slice(argument.as_bytes());
                bytes.push(0);
            }
            let image = Image::new(comm.as_bytes(), b"x", &bytes);
            prop_assert_eq!(image.argument_count(), arguments.len());
            for (index, argument) in arguments.iter().enumerate() {
                prop_assert_eq!(image.argument(index), Some(argument.as_bytes()));
            }
            let joined = arguments.join(" ");
            prop_assert_eq!(image.arguments(), joined.as_bytes());
        }
    }
}
