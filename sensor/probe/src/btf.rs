//! Reads structures out of type information: name, size, fields and their offsets.
//!
//! Only what the layout check needs. The bytes come from an object file that may be anything, so every offset
//! is checked.

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;

/// A structure with the byte offsets of its fields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    pub(crate) size: usize,
    pub(crate) fields: Vec<(String, usize)>,
}

/// The structure called `name`; `None` if it is not there or the bytes are no type information.
pub(crate) fn structure(btf: &[u8], name: &str) -> Option<Structure> {
    if u16::from_le_bytes(*btf.first_chunk()?) != MAGIC {
        return None;
    }
    let header = u32_at(btf, 4)? as usize;
    let section = |at: usize| {
        let start = header.checked_add(u32_at(btf, at)? as usize)?;
        btf.get(start..start.checked_add(u32_at(btf, at + 4)? as usize)?)
    };
    let (types, strings) = (section(8)?, section(16)?);
    let mut at = 0;
    while at < types.len() {
        let info = u32_at(types, at + 4)?;
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let body = at + 12;
        if kind == KIND_STRUCT && text(strings, u32_at(types, at)?)? == name {
            let fields = (0..count).map(|index| field(types, strings, body + 12 * index));
            return Some(Structure {
                size: u32_at(types, at + 8)? as usize,
                fields: fields.collect::<Option<_>>()?,
            });
        }
        at = body + trailer(kind, count)?;
    }
    None
}

fn field(types: &[u8], strings: &[u8], at: usize) -> Option<(String, usize)> {
    let name = text(strings, u32_at(types, at)?)?.to_owned();
    // the upper byte is the width of a bit field
    Some((name, (u32_at(types, at + 8)? & 0x00ff_ffff) as usize / 8))
}

/// Bytes that follow a type's fixed part.
fn trailer(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * count,
        6 | 13 => 8 * count,
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn text(strings: &[u8], at: u32) -> Option<&str> {
    let rest = strings.get(at as usize..)?;
    std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let strings = b"\0pair\0left\0right\0";
        let words = [
            // an integer of four bytes, then struct pair { left; right at bit 32 }
            0,
            1 << 24,
            4,
            32, //
            1,
            KIND_STRUCT << 24 | 2,
            8,
            6,
            1,
            0,
            11,
            1,
            32,
        ];
        let types: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            out.extend(word.to_le_bytes());
        }
        out.extend(types);
        out.extend(strings);
        out
    }

    #[test]
    fn a_structure_is_found_behind_other_types() {
        let found = structure(&sample(), "pair").unwrap();
        assert_eq!(found.size, 8);
        assert_eq!(found.fields, [("left".to_owned(), 0), ("right".to_owned(), 4)]);
        assert_eq!(structure(&sample(), "left"), None);
    }

    #[test]
    fn no_cut_and_no_changed_byte_makes_it_panic() {
        let bytes = sample();
        for len in 0..bytes.len() {
            let _ = structure(&bytes[..len], "pair");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = structure(&changed, "pair");
            }
        }
    }
}
