//! Bars of hostile archives: size, ratio, entries, modes, names.
