//! Output templates: `%field` references in a text, rendered for one event.
//!
//! Owns how a template is read, how a value becomes text or JSON, and what configuration appends to
//! the outputs of rules. The line around a message belongs to `eyas-output`.

mod append;
mod json;
mod reference;
mod template;
mod text;

pub use append::{AppendOutput, ExtraField, RETIRED, RuleOutput, RuleView};
pub use json::FieldJson;
pub use template::{FormatError, LONGEST, Rendered, Style, Template, TemplateField, WIDEST};
pub use text::LONGEST_BUFFER;
