//! The fields that conditions and outputs name: one table, how a written field resolves to it, and
//! the seam through which values come in.
//!
//! Owns the table (`fields.tsv`), [`Value`], the [`Facts`] trait and [`GivenFacts`]. It knows nothing
//! of operators; that is `check`. How a field is read from a live event is `live`'s business.

mod argument;
mod facts;
mod given;
pub mod live;
mod resolve;
mod table;
mod value;

pub use argument::{Argument, FieldArg};
pub use facts::{Facts, SocketEnds};
pub use given::{GivenError, GivenFacts};
pub use resolve::{FieldError, ResolvedField, StaticFields, exists, resolve};
pub use table::{
    ArgumentRule, FIELDS, Field, FieldId, FieldSource, FieldType, Flags, Forms, Print, find,
    suggested,
};
pub use value::Value;
