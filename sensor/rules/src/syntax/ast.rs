//! The tree of a condition, as written: macro names unresolved, values still text.
//!
//! Every node that an error can be about carries a [`Span`] into the text it was parsed from.
//! After macro expansion one tree holds nodes of several texts, hence [`TextId`].

use std::sync::Arc;

/// Which text a span points into: the condition of one rule or macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TextId(pub u32);

/// A range of bytes of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The text.
    pub text: TextId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range as indexes.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// All hold; two or more.
    And(Vec<Expr>),
    /// At least one holds; two or more.
    Or(Vec<Expr>),
    /// Does not hold.
    Not(Box<Expr>),
    /// One comparison; shared by all conditions that a macro puts it into.
    Check(Arc<Check>),
    /// A name to be replaced by the macro's condition.
    Macro(MacroRef),
}

/// The use of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroRef {
    /// The macro's name.
    pub name: String,
    /// Where it is used.
    pub span: Span,
}

/// One comparison: a left side, an operator, what to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is looked at.
    pub left: Operand,
    /// How it is compared.
    pub op: Operator,
    /// Equality was written `==`. No meaning, kept for the canonical text.
    pub doubled: bool,
    /// Over several values: how many must hold.
    pub modifier: Option<Modifier>,
    /// What it is compared with.
    pub right: Right,
    /// The whole comparison.
    pub span: Span,
    /// The operator alone.
    pub op_span: Span,
}

/// A value taken from the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A field.
    Field(FieldRef),
    /// A function of other values; on a right side also `val(…)`.
    Transform(TransformCall),
}

impl Operand {
    /// Where it is written.
    pub fn span(&self) -> Span {
        match self {
            Self::Field(field) => field.span,
            Self::Transform(call) => call.span,
        }
    }
}

/// A field as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRef {
    /// Dotted name, with anything that follows the last dot (`evt.arg.flags`).
    pub name: String,
    /// What stands in brackets.
    pub argument: Option<Argument>,
    /// Name and brackets.
    pub span: Span,
}

/// What stands in brackets after a field or a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// In quotes; escapes resolved.
    Quoted(Vec<u8>),
    /// Without quotes.
    Bare(String),
}

impl Argument {
    /// The argument's bytes, however it was written.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Quoted(bytes) => bytes,
            Self::Bare(text) => text.as_bytes(),
        }
    }
}

/// The use of a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformCall {
    /// Which.
    pub transform: Transform,
    /// In order; at least one.
    pub args: Vec<TransformArg>,
    /// What stands in brackets after the call.
    pub selector: Option<Argument>,
    /// The whole call.
    pub span: Span,
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransformArg {
    /// A quoted text or a number (which is a text, too).
    Literal(Literal),
    /// A list in parentheses; its items are never lists.
    List(Vec<TransformArg>, Span),
    /// A field or a call.
    Operand(Operand),
}

/// The transformers. The grammar knows their names, so that they win over macros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transform {
    /// `tolower`
    ToLower,
    /// `toupper`
    ToUpper,
    /// `b64`
    B64,
    /// `basename`
    Basename,
    /// `len`
    Len,
    /// `join`
    Join,
    /// `concat`
    Concat,
    /// `getopt`
    GetOpt,
    /// `val`: only on a right side, marks it as a field.
    Val,
}

impl Transform {
    /// Those that can stand on either side, in the order the grammar tries them.
    pub const CALLS: [Self; 8] = [
        Self::ToLower,
        Self::ToUpper,
        Self::B64,
        Self::Basename,
        Self::Len,
        Self::Join,
        Self::Concat,
        Self::GetOpt,
    ];

    /// The name in the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToLower => "tolower",
            Self::ToUpper => "toupper",
            Self::B64 => "b64",
            Self::Basename => "basename",
            Self::Len => "len",
            Self::Join => "join",
            Self::Concat => "concat",
            Self::GetOpt => "getopt",
            Self::Val => "val",
        }
    }
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is its own name; the language reference says what it does")]
pub enum Operator {
    Exists,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Contains,
    IContains,
    BContains,
    StartsWith,
    BStartsWith,
    EndsWith,
    Glob,
    IGlob,
    Regex,
    In,
    Intersects,
    PMatch,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Exists,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::Contains,
        Self::IContains,
        Self::BContains,
        Self::StartsWith,
        Self::BStartsWith,
        Self::EndsWith,
        Self::Glob,
        Self::IGlob,
        Self::Regex,
        Self::In,
        Self::Intersects,
        Self::PMatch,
    ];

    /// The operator in the language; equality is `=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Contains => "contains",
            Self::IContains => "icontains",
            Self::BContains => "bcontains",
            Self::StartsWith => "startswith",
            Self::BStartsWith => "bstartswith",
            Self::EndsWith => "endswith",
            Self::Glob => "glob",
            Self::IGlob => "iglob",
            Self::Regex => "regex",
            Self::In => "in",
            Self::Intersects => "intersects",
            Self::PMatch => "pmatch",
        }
    }

    /// Compares with a list by itself.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::PMatch)
    }

    /// Compares with a number only, unless the right side is a field or a call.
    pub fn takes_number(self) -> bool {
        matches!(self, Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Compares with one text, and over a list when a modifier follows.
    pub fn takes_text(self) -> bool {
        !self.takes_list() && !self.takes_number() && self != Self::Exists
    }
}

/// How many values of a list must satisfy the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// Exactly one.
    OneOf,
    /// At least one.
    AnyOf,
    /// Every one.
    AllOf,
}

impl Modifier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OneOf, Self::AnyOf, Self::AllOf];

    /// The word in the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneOf => "oneof",
            Self::AnyOf => "anyof",
            Self::AllOf => "allof",
        }
    }
}

/// What a comparison compares with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Nothing (`exists`).
    None,
    /// One value. After a list operator or a modifier it is a bare name that stood without
    /// parentheses, and means a list of that one text.
    Literal(Literal),
    /// A list in parentheses.
    List(Vec<Literal>),
    /// `val(field)` or a transformer.
    Operand(Operand),
}

/// A value as written, escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes.
    pub value: Vec<u8>,
    /// It stood in quotes.
    pub quoted: bool,
    /// Where, quotes included.
    pub span: Span,
}
