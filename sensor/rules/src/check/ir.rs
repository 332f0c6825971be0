//! The typed tree: every field resolved, every value converted, every operator known to fit.
//!
//! Nodes compare and hash by meaning, so that equal parts of different rules are evaluated once.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::pattern::Pattern;
use crate::fields::{Argument, FieldId, FieldType};
use crate::syntax::ast::{Modifier, Operator, Transform};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ir {
    /// All hold.
    And(Vec<Ir>),
    /// At least one holds.
    Or(Vec<Ir>),
    /// Does not hold.
    Not(Box<Ir>),
    /// One comparison.
    Test(Test),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// What is looked at.
    pub left: Left,
    /// How, and with what.
    pub compare: Compare,
}

/// The left side, by the way its values come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// One value.
    Value(Source),
    /// One value per ancestor; one that matches is enough.
    Ancestors {
        /// The ancestor field.
        field: FieldId,
        /// Its key, if any.
        key: Argument,
    },
    /// Addresses of both ends of the socket.
    EndAddresses,
    /// Ports of both ends of the socket.
    EndPorts,
    /// A domain name if one is cached, else the address it belongs to.
    Name {
        /// The name's field.
        name: FieldId,
        /// The address's field.
        address: FieldId,
    },
    /// Distance in milliseconds between the event's time and this one, nanoseconds.
    Around(u64),
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A field.
    Field(FieldId, Argument),
    /// A constant text.
    Constant(Box<[u8]>),
    /// A list put together from single values.
    List(Vec<Source>),
    /// A function of other values.
    Call(Transform, Vec<Source>, Selector),
}

/// What stands in brackets after `getopt(…)`: the option asked for.
pub type Selector = Option<u8>;

/// How to compare, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// The value is set.
    Exists,
    /// With one value.
    One(Operator, Constant),
    /// With each value of a list; so many must satisfy the operator.
    Many(Operator, Modifier, Arc<[Constant]>),
    /// With a list as a whole: `in`, `intersects`, `pmatch`.
    Set(Operator, Arc<[Constant]>),
    /// With another value of the same event.
    Source(Operator, Source),
}

/// A number beside a parameter, of which events of one kind may have a signed and others an
/// unsigned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dynamic {
    /// As written, for signed values.
    pub written: i128,
    /// A negative number wrapped to the width that is known when rules are loaded, for unsigned
    /// values.
    pub wrapped: i128,
}

impl Dynamic {
    /// The written number and the same number as converted to the type known at load.
    pub fn new(written: i128, converted: i128) -> Self {
        let wrapped = if converted < 0 { converted + (1 << 64) } else { converted };
        Self { written, wrapped }
    }
}

/// A value of the right side, converted to the type of the left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Constant {
    /// Text or bytes.
    Bytes(Box<[u8]>),
    /// Any integer, widened. Negative ones have wrapped for unsigned fields.
    Integer(i128),
    /// A value for a field whose type only the event tells.
    Dynamic(Dynamic),
    /// A floating point field takes integers only.
    Whole(i64),
    /// True or false.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
    /// A network.
    Net(IpNet),
    /// A regular expression.
    Pattern(Pattern),
}

/// What operators and conversions need to know of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// Of the value, or of each element.
    pub class: Class,
    /// It is a list.
    pub list: bool,
}

/// Types as far as the language tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Signed integers of so many bits.
    Signed(u8),
    /// Unsigned integers of so many bits.
    Unsigned(u8),
    /// Durations and times.
    Time,
    /// True or false.
    Bool,
    /// Floating point.
    Double,
    /// A port.
    Port,
    /// An address.
    Ip,
    /// A network.
    Net,
    /// Can only be asked for existence.
    Opaque,
}

impl Class {
    /// The class of a table type; `None` for `dyn`, which the event schema decides.
    pub fn of(ty: FieldType) -> Option<Self> {
        Some(match ty {
            FieldType::Charbuf => Self::Text,
            FieldType::Bytebuf => Self::Bytes,
            FieldType::Bool => Self::Bool,
            FieldType::Int16 => Self::Signed(16),
            FieldType::Int32 => Self::Signed(32),
            FieldType::Int64 => Self::Signed(64),
            FieldType::Uint32 => Self::Unsigned(32),
            FieldType::Uint64 => Self::Unsigned(64),
            FieldType::Double => Self::Double,
            FieldType::Reltime | FieldType::Abstime => Self::Time,
            FieldType::Port => Self::Port,
            FieldType::Ipaddr => Self::Ip,
            FieldType::Ipnet => Self::Net,
            FieldType::Dyn => return None,
        })
    }

    /// In plain words, for messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Signed(_) => "a signed integer",
            Self::Unsigned(_) => "an unsigned integer",
            Self::Time => "a time",
            Self::Bool => "true or false",
            Self::Double => "a floating point number",
            Self::Port => "a port",
            Self::Ip => "an IP address",
            Self::Net => "an IP network",
            Self::Opaque => "a structure",
        }
    }
}

impl Type {
    /// A single value.
    pub fn single(class: Class) -> Self {
        Self { class, list: false }
    }

    /// A list.
    pub fn list(class: Class) -> Self {
        Self { class, list: true }
    }

    /// In plain words, for messages.
    pub fn words(self) -> String {
        if self.list {
            format!("a list of {}", self.class.words())
        } else {
            self.class.words().to_owned()
        }
    }
}
