//! The right side of a comparison, prepared for one value after the other.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;
use memchr::memmem::Finder;
use regex::Regex;

use super::Glob;
use super::bytes::{ByteSet, contains_ignoring_case};
use super::paths::Paths;
use crate::check::{Compare, Constant, Dynamic};
use crate::fields::Value;
use crate::syntax::ast::{Modifier, Operator};

/// A prepared right side. A value of another type than the constants never matches.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// No value matches.
    Never,
    /// `=`, `!=`, `<` … of bytes.
    Bytes(Operator, Box<[u8]>),
    /// `contains`, `bcontains`.
    Contains(Box<Finder<'static>>),
    /// `icontains`.
    ContainsIgnoringCase(Box<[u8]>),
    /// `startswith`, `bstartswith`.
    StartsWith(Box<[u8]>),
    /// `endswith`.
    EndsWith(Box<[u8]>),
    /// `glob`, `iglob`.
    Glob(Glob),
    /// `regex`.
    Regex(Regex),
    /// Membership in a set of texts.
    BytesIn(Members),
    /// `pmatch`.
    Paths(PathSet),
    /// `=`, `<` … of integers.
    Integer(Operator, i128),
    /// Membership in a sorted set of integers.
    IntegerIn(Box<[i128]>),
    /// As `Integer`, where only the value tells whether the constant is to wrap.
    Dynamic(Operator, Dynamic),
    /// As `IntegerIn`, likewise.
    DynamicIn(Box<[Dynamic]>),
    /// `=`, `<` … of floating point numbers.
    Double(Operator, f64),
    /// Membership in a few floating point numbers.
    DoubleIn(Box<[f64]>),
    /// Equal or not.
    Bool(Operator, bool),
    /// Membership.
    BoolIn(Box<[bool]>),
    /// Equal or not.
    Ip(Operator, IpAddr),
    /// Membership in a sorted set of addresses.
    IpIn(Box<[IpAddr]>),
    /// Inside or not.
    Net(Operator, IpNet),
    /// Inside one of them.
    NetIn(Box<[IpNet]>),
    /// So many of them match.
    Count(Modifier, Box<[Matcher]>),
}

/// A set of texts.
#[derive(Debug)]
pub(crate) struct Members(ByteSet);

/// A set of path patterns.
#[derive(Debug)]
pub(crate) struct PathSet(Box<Paths>);

impl Matcher {
    /// Prepares a right side; `None` when it is no constant.
    pub(crate) fn new(compare: &Compare) -> Option<Self> {
        Some(match compare {
            Compare::Exists | Compare::Source(..) => return None,
            Compare::One(op, constant) => Self::one(*op, constant),
            Compare::Many(_, _, constants) if constants.is_empty() => Self::Never,
            Compare::Many(op, modifier, constants) => Self::Count(
                *modifier,
                constants.iter().map(|constant| Self::one(*op, constant)).collect(),
            ),
            Compare::Set(op, constants) => Self::set(*op, constants),
        })
    }

    fn one(op: Operator, constant: &Constant) -> Self {
        match constant {
            Constant::Bytes(bytes) => Self::one_text(op, bytes),
            Constant::Integer(number) => Self::Integer(op, *number),
            Constant::Dynamic(number) => Self::Dynamic(op, *number),
            Constant::Whole(number) => Self::Double(op, double(i128::from(*number))),
            Constant::Bool(truth) => Self::Bool(op, *truth),
            Constant::Ip(address) => Self::Ip(op, *address),
            Constant::Net(network) => Self::Net(op, *network),
            Constant::Pattern(pattern) => Self::Regex(pattern.regex().clone()),
        }
    }

    fn one_text(op: Operator, text: &[u8]) -> Self {
        match op {
            Operator::Contains | Operator::BContains => {
                Self::Contains(Box::new(Finder::new(text).into_owned()))
            }
            Operator::IContains => Self::ContainsIgnoringCase(text.into()),
            Operator::StartsWith | Operator::BStartsWith => Self::StartsWith(text.into()),
            Operator::EndsWith => Self::EndsWith(text.into()),
            Operator::Glob => Self::Glob(Glob::new(text, false)),
            Operator::IGlob => Self::Glob(Glob::new(text, true)),
            _ => Self::Bytes(op, text.into()),
        }
    }

    fn set(op: Operator, constants: &[Constant]) -> Self {
        let texts = || constants.iter().filter_map(bytes_of);
        let integers = || {
            let mut all: Vec<i128> = constants.iter().filter_map(integer_of).collect();
            all.sort_unstable();
            all.into_boxed_slice()
        };
        match constants.first() {
            // An expression is compared with one by one.
            None | Some(Constant::Pattern(_)) => Self::Never,
            Some(Constant::Bytes(_)) if op == Operator::PMatch => {
                Self::Paths(PathSet(Box::new(Paths::new(texts()))))
            }
            Some(Constant::Bytes(_)) => Self::BytesIn(Members(ByteSet::new(texts()))),
            Some(Constant::Integer(_)) => Self::IntegerIn(integers()),
            Some(Constant::Dynamic(_)) => {
                Self::DynamicIn(constants.iter().filter_map(dynamic_of).collect())
            }
            Some(Constant::Whole(_)) => {
                Self::DoubleIn(integers().iter().copied().map(double).collect())
            }
            Some(Constant::Bool(_)) => {
                Self::BoolIn(constants.iter().filter_map(truth_of).collect())
            }
            Some(Constant::Ip(_)) => {
                let mut all: Vec<IpAddr> = constants.iter().filter_map(address_of).collect();
                all.sort_unstable();
                Self::IpIn(all.into())
            }
            Some(Constant::Net(_)) => {
                Self::NetIn(constants.iter().filter_map(network_of).collect())
            }
        }
    }

    /// Whether one value matches.
    pub(crate) fn matches(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Never => false,
            Self::Count(modifier, each) => {
                counted(*modifier, each.iter().map(|one| one.matches(value)))
            }
            Self::Integer(..) | Self::IntegerIn(_) | Self::Dynamic(..) | Self::DynamicIn(_) => {
                value.as_integer().is_some_and(|number| self.matches_integer(number, value))
            }
            Self::Double(..)
            | Self::DoubleIn(_)
            | Self::Bool(..)
            | Self::BoolIn(_)
            | Self::Ip(..)
            | Self::IpIn(_)
            | Self::Net(..)
            | Self::NetIn(_) => self.matches_scalar(value),
            _ => value.as_bytes().is_some_and(|bytes| self.matches_bytes(bytes)),
        }
    }

    fn matches_bytes(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(op, other) => ordered(*op, bytes.cmp(other)),
            Self::Contains(finder) => finder.find(bytes).is_some(),
            Self::ContainsIgnoringCase(needle) => contains_ignoring_case(bytes, needle),
            Self::StartsWith(prefix) => bytes.starts_with(prefix),
            Self::EndsWith(suffix) => bytes.ends_with(suffix),
            Self::Glob(glob) => glob.matches(bytes),
            // Borrows unless the value is not UTF-8.
            Self::Regex(regex) => regex.is_match(&String::from_utf8_lossy(bytes)),
            Self::BytesIn(members) => members.0.contains(bytes),
            Self::Paths(paths) => paths.0.matches(bytes),
            _ => false,
        }
    }

    fn matches_integer(&self, number: i128, value: &Value<'_>) -> bool {
        match self {
            Self::Integer(op, other) => ordered(*op, number.cmp(other)),
            Self::IntegerIn(all) => all.binary_search(&number).is_ok(),
            Self::Dynamic(op, other) => ordered(*op, number.cmp(&beside(*other, value))),
            Self::DynamicIn(all) => all.iter().any(|other| number == beside(*other, value)),
            _ => false,
        }
    }

    fn matches_scalar(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Double(op, other), Value::Double(number)) => {
                number.partial_cmp(other).is_some_and(|order| ordered(*op, order))
            }
            (Self::DoubleIn(all), Value::Double(number)) => {
                all.iter().any(|other| other.total_cmp(number) == Ordering::Equal)
            }
            (Self::Bool(op, other), Value::Bool(truth)) => ordered(*op, truth.cmp(other)),
            (Self::BoolIn(all), Value::Bool(truth)) => all.contains(truth),
            (Self::Ip(op, other), Value::Ip(address)) => {
                (address == other) != (*op == Operator::Ne)
            }
            (Self::IpIn(all), Value::Ip(address)) => all.binary_search(address).is_ok(),
            (Self::Net(op, other), Value::Ip(address)) => {
                other.contains(address) != (*op == Operator::Ne)
            }
            (Self::NetIn(all), Value::Ip(address)) => all.iter().any(|net| net.contains(address)),
            _ => false,
        }
    }

    /// Whether it asks for a difference: of two ends then both have to differ.
    pub(crate) fn is_difference(&self) -> bool {
        matches!(
            self,
            Self::Integer(Operator::Ne, _) | Self::Ip(Operator::Ne, _) | Self::Net(Operator::Ne, _)
        )
    }
}

/// Whether as many of `answers` are true as the modifier asks for.
pub(crate) fn counted(modifier: Modifier, mut answers: impl Iterator<Item = bool>) -> bool {
    match modifier {
        Modifier::OneOf => answers.filter(|answer| *answer).take(2).count() == 1,
        Modifier::AnyOf => answers.any(|answer| answer),
        Modifier::AllOf => answers.all(|answer| answer),
    }
}

/// What an order means for an operator.
pub(crate) fn ordered(op: Operator, order: Ordering) -> bool {
    match op {
        Operator::Eq | Operator::In | Operator::Intersects => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        _ => false,
    }
}

/// The number that fits the value.
fn beside(constant: Dynamic, value: &Value<'_>) -> i128 {
    if matches!(value, Value::Uint(_)) { constant.wrapped } else { constant.written }
}

pub(super) fn text_of(constant: &Constant) -> Option<&str> {
    std::str::from_utf8(bytes_of(constant)?).ok()
}

pub(crate) fn bytes_of(constant: &Constant) -> Option<&[u8]> {
    if let Constant::Bytes(bytes) = constant { Some(bytes) } else { None }
}

/// The texts on the right side of a comparison; values of other kinds are passed over.
pub(super) fn texts_of(compare: &Compare) -> impl Iterator<Item = &[u8]> {
    let constants = match compare {
        Compare::One(_, constant) => std::slice::from_ref(constant),
        Compare::Many(_, _, constants) | Compare::Set(_, constants) => constants,
        Compare::Exists | Compare::Source(..) => &[],
    };
    constants.iter().filter_map(bytes_of)
}

#[expect(clippy::cast_precision_loss, reason = "a percentage is compared with small numbers")]
fn double(number: i128) -> f64 {
    number as f64
}

fn integer_of(constant: &Constant) -> Option<i128> {
    match constant {
        Constant::Integer(number) => Some(*number),
        Constant::Whole(number) => Some(i128::from(*number)),
        _ => None,
    }
}

fn dynamic_of(constant: &Constant) -> Option<Dynamic> {
    if let Constant::Dynamic(number) = constant { Some(*number) } else { None }
}

fn truth_of(constant: &Constant) -> Option<bool> {
    if let Constant::Bool(truth) = constant { Some(*truth) } else { None }
}

fn address_of(constant: &Constant) -> Option<IpAddr> {
    if let Constant::Ip(address) = constant { Some(*address) } else { None }
}

fn network_of(constant: &Constant) -> Option<IpNet> {
    if let Constant::Net(network) = constant { Some(*network) } else { None }
}
