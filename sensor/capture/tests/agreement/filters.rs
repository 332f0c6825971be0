//! Which events conditions match.
