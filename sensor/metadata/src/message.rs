//! Messages as Protocol Buffers lay them out (encoding, "wire types"): numbers, and bytes that are texts or
//! messages again. Which is which, whoever reads them must know.

/// Most fields of one message that are read.
const MAX_FIELDS: usize = 64 * 1024;

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<(u32, Field)>);

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A number or a truth value.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(Vec<u8>),
}

impl Message {
    /// One without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more text.
    #[must_use]
    pub fn text(mut self, field: u32, text: &str) -> Self {
        self.0.push((field, Field::Bytes(text.as_bytes().to_vec())));
        self
    }

    /// The same with one more number.
    #[must_use]
    pub fn with_number(mut self, field: u32, value: u64) -> Self {
        self.0.push((field, Field::Number(value)));
        self
    }

    /// The same with one more message.
    #[must_use]
    pub fn with(mut self, field: u32, message: &Self) -> Self {
        self.0.push((field, Field::Bytes(message.encode())));
        self
    }

    /// The values of a field.
    pub fn all(&self, field: u32) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |(number, _)| *number == field).map(|(_, value)| value)
    }

    /// The last value of a field that may be there once, as bytes.
    pub fn bytes(&self, field: u32) -> &[u8] {
        match self.all(field).last() {
            Some(Field::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// The last value of a field, as a number.
    pub fn number(&self, field: u32) -> u64 {
        match self.all(field).last() {
            Some(Field::Number(number)) => *number,
            _ => 0,
        }
    }

    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, value) in &self.0 {
            match value {
                Field::Number(value) => {
                    varint(&mut out, u64::from(*number) << 3);
                    varint(&mut out, *value);
                }
                Field::Bytes(bytes) => {
                    varint(&mut out, u64::from(*number) << 3 | 2);
                    varint(&mut out, bytes.len() as u64);
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }

    /// As it was received; `None` for what is no message.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = number(&mut bytes)?;
            let field = u32::try_from(key >> 3).ok().filter(|field| *field > 0)?;
            let value = match key & 7 {
                0 => Field::Number(number(&mut bytes)?),
                1 => Field::Number(u64::from_le_bytes(*take(&mut bytes, 8)?.as_array()?)),
                2 => {
                    let length = usize::try_from(number(&mut bytes)?).ok()?;
                    Field::Bytes(take(&mut bytes, length)?.to_vec())
                }
                5 => {
                    let value = u32::from_le_bytes(*take(&mut bytes, 4)?.as_array()?);
                    Field::Number(u64::from(value))
                }
                _ => return None,
            };
            if fields.len() >= MAX_FIELDS {
                return None;
            }
            fields.push((field, value));
        }
        Some(Self(fields))
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        let inner = Message::new().text(1, "a").with_number(300, u64::MAX);
        let whole = Message::new().text(2, &"x".repeat(1000)).with(3, &inner).with_number(4, 0);
        assert_eq!(Message::decode(&whole.encode()), Some(whole.clone()));
        assert_eq!(Message::decode(whole.bytes(3)), Some(inner));
        assert_eq!((whole.number(4), whole.bytes(9), whole.number(2)), (0, &[][..], 0));
        // As the documentation of the encoding has it: field 1 is 150, field 2 is "testing".
        assert_eq!(Message::new().with_number(1, 150).encode(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").encode(), b"\x12\x07testing");
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x05ab",
            b"\x08",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b",
            b"\x00\x01",
            b"\x09\x01",
        ] {
            assert_eq!(Message::decode(bytes), None, "{bytes:?}");
        }
    }
}
