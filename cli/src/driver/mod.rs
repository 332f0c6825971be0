//! Kernel drivers of Falco: which one a host can use, what it is called, how it is had, loaded and
//! removed.
//!
//! Everything that decides is a function of facts: `facts` reads a host, `distro`, `selection` and
//! `names` only think. A module that was fetched is loaded after it was checked and never before.
//! What the flags mean is left to `settings`, saying what happens to `commands`.

pub(crate) mod build;
mod distro;
pub(crate) mod engine;
mod facts;
pub(crate) mod kept;
mod kernel;
pub(crate) mod kubernetes;
pub(crate) mod module;
mod names;
mod os_release;
mod programs;
pub(crate) mod proof;
mod remembered;
mod selection;
mod source;

pub(crate) use self::distro::Target;
pub(crate) use self::facts::Facts;
pub(crate) use self::kernel::Kernel;
pub(crate) use self::names::{Names, is_plain};
pub(crate) use self::programs::{Ran, run};
pub(crate) use self::remembered::Remembered;
pub(crate) use self::selection::{DriverKind, choose};
pub(crate) use self::source::{newest_version, source};
