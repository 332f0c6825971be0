//! A field's value, borrowed from the event or its state wherever that is possible.

use std::borrow::Cow;
use std::net::IpAddr;

/// One value. Which variant a field gives follows from its type in the table; a source that gives
/// another one makes every check on that field false.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Signed integers.
    Int(i64),
    /// Unsigned integers, times (nanoseconds) and ports.
    Uint(u64),
    /// True or false.
    Bool(bool),
    /// Floating point.
    Double(f64),
    /// Text as the kernel knows it: bytes, mostly UTF-8.
    Text(Cow<'a, [u8]>),
    /// A byte buffer.
    Bytes(Cow<'a, [u8]>),
    /// An address; also for network fields, which test whether it lies inside.
    Ip(IpAddr),
    /// Values of one type.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// Text borrowed from `text`.
    pub fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    /// Text that had to be put together.
    pub fn owned_text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// The bytes of a text or a buffer.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Any integer, widened so that signed and unsigned compare by value.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(i128::from(*number)),
            Self::Uint(number) => Some(i128::from(*number)),
            _ => None,
        }
    }

    /// The same value, owning its bytes.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Int(number) => Value::Int(number),
            Self::Uint(number) => Value::Uint(number),
            Self::Bool(truth) => Value::Bool(truth),
            Self::Double(number) => Value::Double(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Ip(address) => Value::Ip(address),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
        }
    }
}
