//! What each event code, current or retired, looks like in a file, and how a retired layout becomes
//! a current one. Constant data from `layouts.tsv` and `conversions.tsv`; what a current event means
//! is said by the schema in `eyas-abi`.

/// Layout of one event code.
#[derive(Debug)]
pub struct Layout {
    /// Name of the event, `-` for codes without one.
    pub name: &'static str,
    marks: u8,
    /// Sizes of the parameters, in file order.
    pub sizes: &'static [Size],
}

/// Size of a parameter in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Always this many bytes, or none when not known.
    Fixed(u8),
    /// A user or group id: four bytes, all ones when not known.
    Id,
    /// Text, bytes, addresses.
    Varies,
}

impl Size {
    /// The value of this size that says nothing: zeroes, or all ones for an id.
    pub(crate) fn zero(self) -> &'static [u8] {
        const ZEROES: [u8; 16] = [0; 16];
        match self {
            Self::Fixed(bytes) => ZEROES.get(..usize::from(bytes)).unwrap_or_default(),
            Self::Id => &[0xff; 4],
            Self::Varies => &[],
        }
    }
}

impl Layout {
    const fn marked(&self, bit: u8) -> bool {
        self.marks & (1 << bit) != 0
    }

    /// Nothing that anybody still wants.
    pub const fn is_unused(&self) -> bool {
        self.marked(0)
    }

    /// Goes through the conversions.
    pub const fn is_managed(&self) -> bool {
        self.marked(1)
    }

    /// Has a successor.
    pub const fn is_retired(&self) -> bool {
        self.marked(2)
    }

    /// Parameter lengths have 32 bits.
    pub const fn is_large(&self) -> bool {
        self.marked(3)
    }

    /// Feeds state and is never shown.
    pub const fn is_internal(&self) -> bool {
        self.marked(4)
    }
}

/// What is done with an event of a managed code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Kept for the exit event of its thread; not handed on.
    Store,
    /// Kept and handed on.
    StoreAndPass,
    /// Handed on.
    Pass,
    /// Gets these parameters behind its own.
    Append(&'static [From]),
    /// Becomes an event of this code with these parameters.
    Become(u16, &'static [From]),
}

/// Where a converted event's parameter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// The event itself.
    Old(u8),
    /// The enter event; zero without one.
    Enter(u8),
    /// The enter event; empty without one.
    EnterOrEmpty(u8),
    /// The type's zero.
    Zero,
    /// Not known.
    Empty,
    /// A JSON document made of the old parameters.
    Json,
}

mod data {
    use super::{Action, From, Layout, Size};

    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}

/// The layout of a code; `None` for codes newer than this reader.
pub fn of(code: u16) -> Option<&'static Layout> {
    data::LAYOUTS.get(usize::from(code))
}

/// What is done with a managed event of this code that has this many parameters.
pub(crate) fn action(code: u16, params: usize) -> Option<Action> {
    let at = |code: usize| data::STARTS.get(code).map(|start| usize::from(*start));
    let rules = data::RULES.get(at(usize::from(code))?..at(usize::from(code) + 1)?)?;
    rules.iter().find(|(count, _)| usize::from(*count) == params).map(|(_, action)| *action)
}

#[cfg(test)]
mod tests {
    use eyas_abi::schema;

    use super::*;

    #[test]
    fn what_is_current_here_is_current_in_the_schema() {
        for code in 0..data::LAYOUTS.len() as u16 {
            let layout = of(code).unwrap();
            let current = !layout.is_retired() && !layout.is_unused();
            let event = schema::by_code(code);
            assert_eq!(event.is_some(), current, "{code} {}", layout.name);
            let Some(event) = event else { continue };
            let own = event.params.iter().filter(|param| !param.extra);
            for (param, size) in own.clone().zip(layout.sizes) {
                let id = matches!(param.ty, schema::ParamType::Uid | schema::ParamType::Gid);
                let expected = match param.ty.fixed_len() {
                    _ if id => Size::Id,
                    Some(bytes) => Size::Fixed(bytes as u8),
                    None => Size::Varies,
                };
                assert_eq!(*size, expected, "{code} {} {}", layout.name, param.name);
            }
            assert_eq!(own.count(), layout.sizes.len(), "{code} {}", layout.name);
        }
        assert!(of(data::LAYOUTS.len() as u16).is_none());
    }

    #[test]
    fn the_longest_event_fits() {
        let longest = (0..data::LAYOUTS.len() as u16).filter_map(of).map(|of| of.sizes.len()).max();
        assert!(
            longest.is_some_and(|longest| longest <= crate::convert::MAX_PARAMS),
            "{longest:?}"
        );
    }

    #[test]
    fn every_conversion_refers_to_what_is_there_and_ends() {
        for code in 0..data::LAYOUTS.len() as u16 {
            for params in 0..40 {
                let Some(action) = action(code, params) else { continue };
                assert!(of(code).unwrap().is_managed(), "{code}");
                let (Action::Append(list) | Action::Become(_, list)) = action else { continue };
                let enter = of(code - code % 2).unwrap();
                for from in list {
                    match from {
                        From::Old(index) => assert!(usize::from(*index) < params, "{code}"),
                        From::Enter(index) | From::EnterOrEmpty(index) => {
                            assert_eq!(code % 2, 1, "{code}");
                            assert!(usize::from(*index) < enter.sizes.len(), "{code}");
                        }
                        From::Zero | From::Empty | From::Json => {}
                    }
                }
                match action {
                    Action::Become(next, _) => assert_ne!(next, code),
                    _ => assert!(!list.is_empty(), "{code}"),
                }
            }
        }
    }
}
