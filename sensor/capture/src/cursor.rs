//! Reads little-endian values off a byte slice, one after the other; what is not there is an error
//! that says how much was wanted.

/// A position in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Fewer bytes than a value needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{wanted}` bytes expected where `{found}` are left")]
pub(crate) struct Short {
    pub(crate) wanted: usize,
    pub(crate) found: usize,
}

macro_rules! numbers {
    ($($name:ident: $ty:ty),* $(,)?) => {
        $(pub(crate) fn $name(&mut self) -> Result<$ty, Short> {
            let (value, rest) = self.rest.split_first_chunk().ok_or(Short {
                wanted: size_of::<$ty>(),
                found: self.rest.len(),
            })?;
            self.rest = rest;
            Ok(<$ty>::from_le_bytes(*value))
        })*
    };
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    numbers!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64);

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Short { wanted: count, found: self.rest.len() })?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (bytes, rest) =
            self.rest.split_first_chunk().ok_or(Short { wanted: N, found: self.rest.len() })?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Text or bytes behind a 16-bit length.
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Short> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    /// The next `count` bytes as a cursor of their own.
    pub(crate) fn part(&mut self, count: usize) -> Result<Self, Short> {
        self.bytes(count).map(Self::new)
    }
}
