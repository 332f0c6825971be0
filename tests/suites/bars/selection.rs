//! Bars of the choice of versions: downgrades, dependencies, one resolution.
