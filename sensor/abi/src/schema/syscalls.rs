//! System call numbers: the same call has another number in each table a processor offers.

/// A table of system call numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abi {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Arm64,
    /// 32-bit x86, also reached from 64-bit code by the old software interrupt.
    I386,
    /// 32-bit ARM.
    Arm,
    /// The numbers above 511 that only the x32 variant of x86 has (without the x32 bit).
    X32,
}

impl Abi {
    /// The table of 64-bit programs on the machine this was compiled for.
    pub const fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 }
    }

    /// The table of 32-bit programs on the machine this was compiled for.
    pub const fn compat() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm } else { Self::I386 }
    }
}

/// One system call of the kernel.
#[derive(Debug)]
pub struct Syscall {
    /// Place in the table; what the generic event carries as `ID`.
    pub id: u16,
    /// Name in the kernel's table.
    pub kernel_name: &'static str,
    /// Name of the event, which is the plain name for variants (`setuid32` gives `setuid`).
    pub name: &'static str,
    /// Code of the exit event; [`super::GENERIC_EXIT`] when the call has none of its own.
    pub event: u16,
    pub(super) numbers: [Option<u16>; 5],
}

impl Syscall {
    /// Number in a table; `None` where the call does not exist.
    pub const fn number(&self, abi: Abi) -> Option<u16> {
        self.numbers[abi as usize]
    }
}
