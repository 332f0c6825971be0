//! The one table of fields: name, type, argument, flags, documentation.
