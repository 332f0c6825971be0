//! Bars of following: repair, health, steady resources, start and stop.
