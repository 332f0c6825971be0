//! Bars of verification: which policy binds what, and what a signature is checked against.
