//! `struct eyas_descriptor`: which event a system call makes and where its parameters come from.

use eyas_abi::schema::Syscall;

/// Size of the structure, bytes.
pub(crate) const DESCRIPTOR_LEN: usize = 136;

/// The descriptor of a system call, as the kernel side reads it.
pub(crate) fn descriptor(call: &Syscall) -> [u8; DESCRIPTOR_LEN] {
    let mut out = [0; DESCRIPTOR_LEN];
    out[0..2].copy_from_slice(&call.event.to_ne_bytes());
    out[2..4].copy_from_slice(&call.id.to_ne_bytes());
    out
}
