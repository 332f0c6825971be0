//! Output templates: `%field` references in a text, rendered for one event.
