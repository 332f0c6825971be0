//! The words of the schema: categories, sources, flags, parameter types and print formats.

/// Group of an event, `evt.category`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the words that rules use")]
pub enum Category {
    Unknown,
    Other,
    File,
    Net,
    Ipc,
    Memory,
    Process,
    Sleep,
    System,
    Signal,
    User,
    Time,
    IoRead,
    IoWrite,
    IoOther,
    Wait,
    Scheduler,
    Internal,
}

impl Category {
    /// The word of `evt.category`. Input and output categories have none of their own: the descriptor
    /// decides, and this is what stands there without one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::File => "file",
            Self::Net => "net",
            Self::Ipc => "IPC",
            Self::Memory => "memory",
            Self::Process => "process",
            Self::Sleep => "sleep",
            Self::System => "system",
            Self::Signal => "signal",
            Self::User => "user",
            Self::Time => "time",
            Self::Wait => "wait",
            Self::Scheduler => "scheduler",
            Self::Internal => "internal",
            Self::Unknown | Self::IoRead | Self::IoWrite | Self::IoOther => "unknown",
        }
    }

    /// True when the descriptor decides what `evt.category` says.
    pub fn is_io(self) -> bool {
        matches!(self, Self::IoRead | Self::IoWrite | Self::IoOther)
    }
}

/// What produces an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A system call's enter or exit.
    Syscall,
    /// Another kernel tracepoint.
    Tracepoint,
    /// User space, about itself or its state.
    Meta,
    /// A plugin.
    Plugin,
    /// A walk over what exists at start.
    Iterator,
}

/// What an event does to descriptors and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventFlags(u8);

impl EventFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Gives the process a new descriptor.
    pub const CREATES_FD: Self = Self(1);
    /// Works on a descriptor.
    pub const USES_FD: Self = Self(2);
    /// Takes a descriptor away.
    pub const DESTROYS_FD: Self = Self(4);
    /// Reads from a descriptor.
    pub const READS: Self = Self(8);
    /// Writes to a descriptor.
    pub const WRITES: Self = Self(16);
    /// Blocks for something.
    pub const WAITS: Self = Self(32);
    /// Changes what is known of a process.
    pub const STATE: Self = Self(64);
    /// Parameter lengths in capture files have 32 bits.
    pub const LARGE: Self = Self(128);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if any flag of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True for events that have `fd.*` fields.
    pub const fn has_fd(self) -> bool {
        self.has(Self::CREATES_FD.with(Self::USES_FD).with(Self::DESTROYS_FD))
    }
}

/// How the bytes of a parameter are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the format; sizes are in `fixed_len`")]
pub enum ParamType {
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bool,
    /// Text with its terminating NUL.
    Charbuf,
    /// Texts, each with its NUL, one after the other.
    CharbufArray,
    /// Bytes; for arguments, environment and cgroups a list of texts, each with its NUL.
    Bytebuf,
    /// Result: negative is an error number.
    Errno,
    SockAddr,
    SockTuple,
    Fd,
    Fd32,
    Pid,
    Pid32,
    FdList,
    FsPath,
    FsRelPath,
    SyscallId,
    SigType,
    SigSet,
    /// Nanoseconds; all ones for none.
    RelTime,
    /// Nanoseconds since the epoch.
    AbsTime,
    Port,
    Ipv4Addr,
    Ipv6Addr,
    /// First byte selects one of [`super::Param::variants`].
    Dyn,
    Flags8,
    Flags16,
    Flags32,
    EnumFlags8,
    EnumFlags16,
    EnumFlags32,
    Uid,
    Gid,
    Mode,
}

impl ParamType {
    /// Size in bytes of a known value; `None` for types whose size varies.
    pub const fn fixed_len(self) -> Option<usize> {
        match self {
            Self::Int8 | Self::Uint8 | Self::SigType | Self::Flags8 | Self::EnumFlags8 => Some(1),
            Self::Int16
            | Self::Uint16
            | Self::SyscallId
            | Self::Port
            | Self::Flags16
            | Self::EnumFlags16 => Some(2),
            Self::Int32
            | Self::Uint32
            | Self::Bool
            | Self::Fd32
            | Self::Pid32
            | Self::SigSet
            | Self::Ipv4Addr
            | Self::Flags32
            | Self::EnumFlags32
            | Self::Uid
            | Self::Gid
            | Self::Mode => Some(4),
            Self::Int64
            | Self::Uint64
            | Self::Errno
            | Self::Fd
            | Self::Pid
            | Self::RelTime
            | Self::AbsTime => Some(8),
            Self::Ipv6Addr => Some(16),
            Self::Charbuf
            | Self::CharbufArray
            | Self::Bytebuf
            | Self::SockAddr
            | Self::SockTuple
            | Self::FdList
            | Self::FsPath
            | Self::FsRelPath
            | Self::Dyn => None,
        }
    }

    /// True when the highest bit of the value is a sign.
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::Errno
                | Self::Fd
                | Self::Fd32
                | Self::Pid
                | Self::Pid32
        )
    }

    /// True for text with a terminating NUL.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Charbuf | Self::FsPath | Self::FsRelPath)
    }
}

/// How a number is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrintFormat {
    /// Decimal.
    Decimal,
    /// Upper-case hexadecimal without prefix.
    Hexadecimal,
    /// Octal with a leading zero.
    Octal,
}
