//! Names and types: a tree of the grammar becomes a typed one, or reports say why not.
