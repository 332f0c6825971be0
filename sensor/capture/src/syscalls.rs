//! Numbers of system calls in generic events: the format has its own numbering, the schema another.

/// The schema's id for the format's number.
pub(crate) fn own_id(param: &[u8]) -> Option<u16> {
    let number = eyas_abi::value::int(param, false)?;
    u16::try_from(number).ok()
}
