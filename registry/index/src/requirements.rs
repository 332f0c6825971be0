//! Requirements of artifacts against what the sensor offers.
//!
//! Owns the comparison rule. Where the offered versions come from is left to the caller.

use std::collections::BTreeMap;
use std::fmt;

use eyas_artifact::{Requirement, Version};

/// The engine's version.
const ENGINE: &str = "engine_version_semver";
/// The same as the integer that older artifacts name.
const ENGINE_INTEGER: &str = "engine_version";
/// The release of the kernel; a later one keeps what an earlier one had.
pub const KERNEL: &str = "kernel_version";

/// A requirement that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What is required.
    pub name: String,
    /// Version that is required, as written.
    pub required: String,
    /// Version that is offered; absent when the sensor does not know the name.
    pub offered: Option<String>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, required, offered } = self;
        match offered {
            Some(offered) => write!(f, "`{name}` must be `{required}`, found `{offered}`"),
            None => write!(f, "`{name}` must be `{required}`, but the sensor does not offer it"),
        }
    }
}

/// Requirements that `offered` does not meet. An integer is met by itself and anything above, a
/// version by the same major version and not older, a kernel by any later one; an unknown name is
/// never met. The integer N of `engine_version` and the version 0.N.0 of `engine_version_semver` are
/// the same.
pub fn check_requirements(
    requirements: &[Requirement],
    offered: &BTreeMap<String, String>,
) -> Vec<Unmet> {
    let unmet = |wanted: &Requirement| {
        let found = find(&wanted.name, offered);
        let met = found.as_ref().is_some_and(|found| is_met(&wanted.name, &wanted.version, found));
        let (name, required) = (wanted.name.clone(), wanted.version.clone());
        (!met).then_some(Unmet { name, required, offered: found })
    };
    requirements.iter().filter_map(unmet).collect()
}

/// What is offered under a name, or under the other name of the engine.
fn find(name: &str, offered: &BTreeMap<String, String>) -> Option<String> {
    let other = match name {
        ENGINE_INTEGER => offered.get(ENGINE),
        ENGINE => offered.get(ENGINE_INTEGER),
        _ => None,
    };
    offered.get(name).or(other).cloned()
}

fn is_met(name: &str, required: &str, found: &str) -> bool {
    let engine = [ENGINE, ENGINE_INTEGER].contains(&name);
    if let (Ok(required), Ok(found)) = (required.parse::<u64>(), found.parse::<u64>()) {
        return found >= required;
    }
    match (version(required, engine), version(found, engine)) {
        (Some(required), Some(found)) if name == KERNEL => found >= required,
        (Some(required), Some(found)) => found.satisfies(&required),
        _ => false,
    }
}

/// A version; of the engine, an integer N is 0.N.0.
fn version(text: &str, engine: bool) -> Option<Version> {
    match text.parse::<u64>() {
        Ok(minor) if engine => Some(Version::new(0, minor, 0)),
        _ => text.parse().ok(),
    }
}
