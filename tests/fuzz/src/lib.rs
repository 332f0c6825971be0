//! Fuzz targets, one for each thing that a stranger may have written.
//!
//! A target is a function of bytes that must end, must not panic and must not ask for much memory; where more must
//! hold (what was read can be printed and read again, nothing leaves a directory), it asserts that.
#![forbid(unsafe_code)]

#[cfg(feature = "registry")]
mod archive;
mod capture;
#[allow(dead_code, reason = "only reading is of interest here")]
#[path = "../../../cli/src/settings/tree.rs"]
mod configuration;
mod control;
mod documents;
mod language;
pub mod seeds;
#[cfg(feature = "registry")]
mod trust;

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    run: fn(&[u8]),
}

impl Target {
    /// All of them: the supply path first, then trust, then the rule language.
    pub const ALL: &[Self] = &[
        Self { name: "reference", run: documents::reference },
        Self { name: "index", run: documents::index },
        Self { name: "manifest", run: documents::manifest },
        Self { name: "config", run: documents::config },
        #[cfg(feature = "registry")]
        Self { name: "archive", run: archive::archive },
        Self { name: "configuration", run: documents::configuration },
        #[cfg(feature = "registry")]
        Self { name: "credentials", run: documents::credentials },
        #[cfg(feature = "registry")]
        Self { name: "policy", run: trust::policy },
        #[cfg(feature = "registry")]
        Self { name: "root", run: trust::root },
        #[cfg(feature = "registry")]
        Self { name: "bundle", run: trust::bundle },
        #[cfg(feature = "registry")]
        Self { name: "certificate", run: trust::certificate },
        Self { name: "control", run: control::control },
        Self { name: "rules", run: language::rules },
        Self { name: "condition", run: language::condition },
        Self { name: "output", run: language::output },
        Self { name: "capture", run: capture::blocks },
        Self { name: "replay", run: capture::replay },
    ];

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|target| target.name == name)
    }

    /// Gives it bytes.
    pub fn run(&self, input: &[u8]) {
        (self.run)(input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_takes_its_own_seeds_and_those_of_all_others() {
        for target in Target::ALL {
            assert!(!seeds::of(target.name).is_empty(), "{} has no seeds", target.name);
            for other in Target::ALL {
                for seed in seeds::of(other.name) {
                    target.run(&seed);
                }
            }
        }
    }
}
