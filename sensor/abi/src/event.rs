//! Decoding of one record, in place.
//!
//! [`Event::decode`] checks every bound once; after that [`Event::param`] cannot fail. Values are borrowed
//! from the buffer. Nothing here trusts the producer: any bytes give an event or a [`DecodeError`].

use crate::header::{HEADER_LEN, Header};
use crate::schema::{self, EventType};

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the header, or than the header says.
    #[error("record of `{found}` bytes is too short, `{expected}` expected")]
    Short {
        /// Bytes there are.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// The lengths do not fit into the record.
    #[error("parameters of event `{code}` need `{expected}` bytes, the record has `{found}`")]
    Overflow {
        /// Event code.
        code: u16,
        /// Bytes there are.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// The code is not in the schema.
    #[error("unknown event code `{code}`")]
    UnknownCode {
        /// Event code.
        code: u16,
    },
}

/// One decoded record.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    header: Header,
    ty: &'static EventType,
    lengths: &'a [u8],
    values: &'a [u8],
}

impl<'a> Event<'a> {
    /// Checks `record` and gives a view of it. Bytes after the record's own length are ignored.
    pub fn decode(record: &'a [u8]) -> Result<Self, DecodeError> {
        let short = |expected| DecodeError::Short { found: record.len(), expected };
        let header = Header::read(record).ok_or_else(|| short(HEADER_LEN))?;
        let len = usize::from(header.len);
        if len < HEADER_LEN {
            return Err(DecodeError::Short { found: len, expected: HEADER_LEN });
        }
        let body = record.get(HEADER_LEN..len).ok_or_else(|| short(len))?;
        let ty =
            schema::by_code(header.code).ok_or(DecodeError::UnknownCode { code: header.code })?;
        let overflow =
            |expected| DecodeError::Overflow { code: header.code, found: body.len(), expected };
        let table = usize::from(header.params) * 2;
        let (lengths, values) = body.split_at_checked(table).ok_or_else(|| overflow(table))?;
        let sum: usize =
            lengths.as_chunks().0.iter().map(|l| usize::from(u16::from_ne_bytes(*l))).sum();
        if sum > values.len() {
            return Err(overflow(table + sum));
        }
        Ok(Self { header, ty, lengths, values })
    }

    /// The fixed part.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the schema says of this event.
    pub fn ty(&self) -> &'static EventType {
        self.ty
    }

    /// Event code.
    pub fn code(&self) -> u16 {
        self.header.code
    }

    /// How many parameters the record carries. It may be fewer than the schema lists, or more.
    pub fn param_count(&self) -> usize {
        usize::from(self.header.params)
    }

    /// Bytes of a parameter; empty when it is not known or not there.
    pub fn param(&self, index: usize) -> &'a [u8] {
        let (before, rest) = self.lengths.as_chunks().0.split_at_checked(index).unwrap_or_default();
        let Some(len) = rest.first() else { return &[] };
        let start: usize = before.iter().map(|l| usize::from(u16::from_ne_bytes(*l))).sum();
        let end = start + usize::from(u16::from_ne_bytes(*len));
        self.values.get(start..end).unwrap_or_default()
    }

    /// All parameters in order, in one pass.
    pub fn params(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.values;
        self.lengths.as_chunks().0.iter().map(move |len| {
            let (value, tail) =
                rest.split_at_checked(usize::from(u16::from_ne_bytes(*len))).unwrap_or_default();
            rest = tail;
            value
        })
    }

    /// Bytes of the parameter called `name`; empty when the event has none or it is not known.
    pub fn param_named(&self, name: &str) -> &'a [u8] {
        self.ty.param(name).map_or(&[], |(index, _)| self.param(index))
    }

    /// A number; `None` when it is not known or wider than eight bytes. Signed types are extended.
    pub fn int(&self, index: usize) -> Option<i64> {
        let signed = self.ty.params.get(index).is_some_and(|param| param.ty.is_signed());
        crate::value::int(self.param(index), signed)
    }

    /// Text without its terminating NUL; `None` when it is not known.
    pub fn text(&self, index: usize) -> Option<&'a [u8]> {
        crate::value::text(self.param(index))
    }

    /// The call's result: the first parameter of an exit event, if it is a number.
    pub fn result(&self) -> Option<i64> {
        let exit = self.ty.source == schema::Source::Syscall && self.ty.code % 2 == 1;
        if exit && !self.ty.is_generic() { self.int(0) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::EventBuilder;

    fn sample() -> Vec<u8> {
        EventBuilder::new(307).int(3).int(-100).text(b"etc/passwd").build()
    }

    #[test]
    fn parameters_come_out_as_they_went_in() {
        let record = sample();
        let event = Event::decode(&record).unwrap();
        assert_eq!(event.ty().name, "openat");
        assert_eq!(event.param_count(), 3);
        assert_eq!(event.int(0), Some(3));
        assert_eq!(event.int(1), Some(-100));
        assert_eq!(event.text(2), Some(&b"etc/passwd"[..]));
        assert_eq!(event.param_named("name"), b"etc/passwd\0");
        assert_eq!(event.param(3), b"");
        assert_eq!(event.result(), Some(3));
        let all: Vec<&[u8]> = event.params().collect();
        assert_eq!(all, [event.param(0), event.param(1), event.param(2)]);
    }

    #[test]
    fn every_cut_is_refused() {
        let record = sample();
        for len in 0..record.len() {
            let found = Event::decode(&record[..len]).unwrap_err();
            assert!(matches!(found, DecodeError::Short { .. }), "{len}: {found}");
        }
    }

    #[test]
    fn lengths_beyond_the_record_are_refused() {
        let mut record = sample();
        record[HEADER_LEN] = 200;
        assert!(matches!(Event::decode(&record), Err(DecodeError::Overflow { code: 307, .. })));
        let mut record = sample();
        record[60] = 255;
        assert!(matches!(Event::decode(&record), Err(DecodeError::Overflow { code: 307, .. })));
    }

    #[test]
    fn a_length_shorter_than_the_header_is_refused() {
        let mut record = sample();
        record[54..56].copy_from_slice(&8_u16.to_ne_bytes());
        assert_eq!(
            Event::decode(&record).unwrap_err(),
            DecodeError::Short { found: 8, expected: HEADER_LEN }
        );
    }

    #[test]
    fn a_retired_code_is_named_in_the_error() {
        let mut record = sample();
        record[52..54].copy_from_slice(&13_u16.to_ne_bytes());
        assert_eq!(Event::decode(&record).unwrap_err(), DecodeError::UnknownCode { code: 13 });
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_event_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..512), code in 0_u16..460) {
            if bytes.len() >= HEADER_LEN {
                bytes[52..54].copy_from_slice(&code.to_ne_bytes());
                let len = (bytes.len() & !7) as u16;
                bytes[54..56].copy_from_slice(&len.to_ne_bytes());
                bytes[60] %= 40;
            }
            if let Ok(event) = Event::decode(&bytes) {
                let sum: usize = event.params().map(<[u8]>::len).sum();
                prop_assert!(sum <= bytes.len());
                for index in 0..=event.param_count() {
                    let _ = (event.param(index), event.int(index), event.text(index));
                }
            }
        }

        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..30)) {
            let mut builder = EventBuilder::new(1);
            for value in &values {
                builder = builder.bytes(value);
            }
            let record = builder.build();
            prop_assert_eq!(record.len() % 8, 0);
            let event = Event::decode(&record).unwrap();
            let read: Vec<&[u8]> = event.params().collect();
            prop_assert_eq!(read, values);
        }
    }
}
