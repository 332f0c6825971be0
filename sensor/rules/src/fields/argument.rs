//! Arguments of fields: owned in a compiled rule, borrowed when a value is asked for.

/// A field's argument, resolved at load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Argument {
    /// None written.
    #[default]
    None,
    /// A decimal index.
    Index(u32),
    /// A key, or the name after the dot.
    Key(Box<[u8]>),
}

impl Argument {
    /// The borrowed form for [`crate::fields::Facts::value`].
    pub fn as_arg(&self) -> FieldArg<'_> {
        match self {
            Self::None => FieldArg::None,
            Self::Index(index) => FieldArg::Index(*index),
            Self::Key(key) => FieldArg::Key(key),
        }
    }
}

/// A field's argument as a value source sees it.
///
/// Names after a dot (`evt.arg.flags`, `thread.cgroup.cpu`, `evt.abspath.src`) come as `Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldArg<'a> {
    /// None written.
    None,
    /// `field[3]`.
    Index(u32),
    /// `field[key]` or `field.key`.
    Key(&'a [u8]),
}
