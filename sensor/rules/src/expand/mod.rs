//! What a condition stands for: lists in the text, exceptions, macros in the tree.
