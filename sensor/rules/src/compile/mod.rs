//! A typed tree becomes a program: folded constants, value sets, searchers.
