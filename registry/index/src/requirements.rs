//! Requirements of artifacts against what the sensor offers.
//!
//! Owns the comparison rule. Where the offered versions come from is left to the caller.

use std::collections::BTreeMap;
use std::fmt;

use eyas_artifact::{Requirement, Version};

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
/// version by the same major version and not older; an unknown name is never met.
pub fn check_requirements(
    requirements: &[Requirement],
    offered: &BTreeMap<String, String>,
) -> Vec<Unmet> {
    requirements
        .iter()
        .filter(|wanted| {
            offered.get(&wanted.name).is_none_or(|found| !is_met(&wanted.version, found))
        })
        .map(|wanted| Unmet {
            name: wanted.name.clone(),
            required: wanted.version.clone(),
            offered: offered.get(&wanted.name).cloned(),
        })
        .collect()
}

fn is_met(required: &str, found: &str) -> bool {
    if let (Ok(required), Ok(found)) = (required.parse::<u64>(), found.parse::<u64>()) {
        return found >= required;
    }
    match (required.parse::<Version>(), found.parse::<Version>()) {
        (Ok(required), Ok(found)) => found.satisfies(&required),
        _ => false,
    }
}
