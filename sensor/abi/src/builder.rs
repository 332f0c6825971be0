//! Writes records: for the walk over what exists at start, for replay, and for tests of other crates.
//!
//! The builder follows the schema's types, so `int` writes as many bytes as the parameter has.

use crate::header::{HEADER_LEN, Header};
use crate::schema::{self, EventType};

/// Longest record that fits its own length field, bytes.
pub const RECORD_MAX: usize = 0xfff8;

/// Collects the parameters of one record in schema order.
#[derive(Debug, Clone)]
pub struct EventBuilder {
    header: Header,
    ty: Option<&'static EventType>,
    lengths: Vec<u16>,
    values: Vec<u8>,
}

impl EventBuilder {
    /// Starts a record of this event code.
    #[must_use]
    pub fn new(code: u16) -> Self {
        let header = Header { code, syscall: crate::NO_SYSCALL, ..Header::default() };
        Self { header, ty: schema::by_code(code), lengths: Vec::new(), values: Vec::new() }
    }

    /// Takes the fixed part from `header`; code, length and parameter count stay the builder's own.
    #[must_use]
    pub fn header(mut self, header: Header) -> Self {
        self.header = Header { code: self.header.code, ..header };
        self
    }

    /// Appends a number in the width of the parameter's type (eight bytes where the schema has none).
    #[must_use]
    pub fn int(self, value: i64) -> Self {
        let width = self
            .ty
            .and_then(|ty| ty.params.get(self.lengths.len()))
            .and_then(|param| param.ty.fixed_len())
            .unwrap_or(8)
            .min(8);
        if cfg!(target_endian = "big") {
            self.bytes(&value.to_ne_bytes()[8 - width..])
        } else {
            self.bytes(&value.to_ne_bytes()[..width])
        }
    }

    /// Appends text and its terminating NUL.
    #[must_use]
    pub fn text(self, value: &[u8]) -> Self {
        let mut bytes = value.to_vec();
        bytes.push(0);
        self.bytes(&bytes)
    }

    /// Appends bytes as they are. What does not fit the record any more is cut and the record marked.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        let used = HEADER_LEN + 2 * (self.lengths.len() + 1) + self.values.len();
        let room = RECORD_MAX.saturating_sub(used);
        let value = match value.get(..room) {
            Some(cut) if value.len() > room => {
                self.header.flags.0 |= crate::RecordFlags::TRUNCATED.0;
                cut
            }
            _ => value,
        };
        self.lengths.push(value.len() as u16);
        self.values.extend_from_slice(value);
        self
    }

    /// Appends a value that is not known.
    #[must_use]
    pub fn unknown(self) -> Self {
        self.bytes(&[])
    }

    /// Appends unknown values up to the parameter called `name`, which comes next.
    #[must_use]
    pub fn skip_to(mut self, name: &str) -> Self {
        let place = self.ty.and_then(|ty| ty.param(name)).map_or(0, |(index, _)| index);
        while self.lengths.len() < place {
            self = self.unknown();
        }
        self
    }

    /// The record, padded to a multiple of eight.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        let len = HEADER_LEN + 2 * self.lengths.len() + self.values.len();
        self.header.len = len.next_multiple_of(8) as u16;
        self.header.params = self.lengths.len() as u8;
        let mut record = Vec::with_capacity(usize::from(self.header.len));
        record.extend_from_slice(&self.header.write());
        for length in &self.lengths {
            record.extend_from_slice(&length.to_ne_bytes());
        }
        record.extend_from_slice(&self.values);
        record.resize(usize::from(self.header.len), 0);
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, RecordFlags};

    #[test]
    fn numbers_take_the_width_of_their_type() {
        let record = EventBuilder::new(307).int(3).skip_to("flags").int(0x1001).int(0o644).build();
        let event = Event::decode(&record).unwrap();
        let widths: Vec<usize> = event.params().map(<[u8]>::len).collect();
        assert_eq!(widths, [8, 0, 0, 4, 4]);
        assert_eq!(event.int(3), Some(0x1001));
    }

    #[test]
    fn the_longest_record_is_cut_at_its_limit_and_marked() {
        let fits = RECORD_MAX - HEADER_LEN - 2;
        let record = EventBuilder::new(402).bytes(&vec![7; fits]).build();
        assert!(!Event::decode(&record).unwrap().header().flags.has(RecordFlags::TRUNCATED));
        assert_eq!(record.len(), RECORD_MAX);
        let record = EventBuilder::new(402).bytes(&vec![7; fits + 1]).build();
        let event = Event::decode(&record).unwrap();
        assert!(event.header().flags.has(RecordFlags::TRUNCATED));
        assert_eq!(event.param(0).len(), fits);
    }
}
