//! DER as far as certificates and time stamps need it: writing elements and stepping over them.

/// Tag of a SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// Tag of a SET.
pub(super) const SET: u8 = 0x31;
/// Tag of an INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// Tag of an OCTET STRING.
pub(super) const OCTETS: u8 = 0x04;
/// Tag of a UTF-8 string.
pub(super) const UTF8: u8 = 0x0c;
/// Tag of a `GeneralizedTime`.
pub(super) const TIME: u8 = 0x18;

/// One element.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content: Vec<u8> = parts.concat();
    let mut out = vec![tag];
    match u16::try_from(content.len()).expect("an element below 64 KiB") {
        short @ 0..0x80 => out.push(short as u8),
        middle @ 0x80..0x100 => out.extend([0x81, middle as u8]),
        long => {
            out.push(0x82);
            out.extend(long.to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// An object identifier, each arc after the second given in full.
pub(super) fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        content.extend(groups.iter().rev());
    }
    element(0x06, &[&content])
}

/// The first element of `bytes` and what follows it.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = header(bytes)?.0 + header(bytes)?.1;
    bytes.split_at_checked(end)
}

/// What is inside the first element.
pub(super) fn inside(bytes: &[u8]) -> Option<&[u8]> {
    let (start, length) = header(bytes)?;
    bytes.get(start..start + length)
}

/// Where the content starts, and how long it is.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let byte = |at: usize| bytes.get(at).map(|byte| usize::from(*byte));
    match byte(1)? {
        0x81 => Some((3, byte(2)?)),
        0x82 => Some((4, byte(2)? << 8 | byte(3)?)),
        short @ 0..=0x7f => Some((2, short)),
        _ => None,
    }
}
