//! Bars of the flat directories: crashes, disk full, two writers, modes, ownership.
