//! The rule language: reading files, collecting items, parsing conditions, checking, compiling,
//! evaluating, formatting.
//!
//! Pure: the text of rules files comes in, a [`RuleSet`] and reports come out.
#![forbid(unsafe_code)]
