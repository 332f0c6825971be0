//! YAML with spans: every scalar and key knows its place in the file.
