//! What the program is called by, and all that differs with it.
//!
//! Owns the two sets of defaults and habits, as data: a script, a unit or a chart that calls the
//! program by a link named `falcoctl` finds the paths, the variables, the streams, the words and the
//! exit codes it knows. Whoever needs one of them asks here; nothing else looks at the name.

use std::ffi::OsString;
use std::path::Path;

use crate::args::StartupBehavior;

/// The name of the link that asks for the compatible form.
const COMPATIBLE_NAME: &str = "falcoctl";

/// Which program this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Personality {
    /// Itself: strict, a store with generations, data and messages apart.
    Eyas,
    /// A drop-in for `falcoctl`: its defaults and its output, our guarantees.
    Falcoctl,
}

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard error, apart from the data.
    Stderr,
    /// Standard output, together with the data.
    Stdout,
}

/// How a failure becomes an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCodes {
    /// One for each class, as documented.
    ByClass,
    /// 1 for whatever it was.
    One,
}

/// What is done with an artifact that neither policy nor index says anything about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// It is refused, with the line of policy that is missing.
    Refused,
    /// It is accepted, and that is said once.
    Accepted,
}

/// In whose words messages, tables and times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// Sentences, aligned columns, UTC.
    Ours,
    /// The messages and named values that other tools match on, tabs, local time.
    Falcoctl,
}

/// Which engine the installed rules are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `eyasd`: whatever it would not load is refused.
    Ours,
    /// Falco, with plugins that are not known here: what only they can judge is not judged.
    Falco,
}

/// When copies of indexes are made, and when they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexCopies {
    /// Made whenever an index is fetched; they stand in for one that does not answer.
    StandIn,
    /// Made by `index add` and `index update`; they count until the next update.
    ByCommand,
}

/// Where `index add` and `index remove` write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexLists {
    /// Into the list of added indexes.
    Book,
    /// There, and into the list of the configuration file.
    BookAndConfiguration,
}

/// Default places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    /// System directories for root, the XDG base directories for everybody else.
    BaseDirectories,
    /// `/etc/falcoctl`, `/var/lib/falcoctl` and `~/.config/falcoctl` for everybody.
    Falcoctl,
}

/// Directories in which another engine looks for files; none means that only the store is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlatDefaults {
    pub(crate) rulesfiles: Option<&'static str>,
    pub(crate) plugins: Option<&'static str>,
    pub(crate) assets: Option<&'static str>,
}

/// All that differs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Character {
    /// Name in help, completions and advice.
    pub(crate) program: &'static str,
    /// What `version` says.
    pub(crate) version: &'static str,
    /// What the program calls itself to registries.
    pub(crate) user_agent: &'static str,
    /// Prefixes of environment variables; the first that has a value wins.
    pub(crate) prefixes: [&'static str; 2],
    pub(crate) places: Places,
    /// Whether a configuration file that was named may be absent.
    pub(crate) config_may_be_absent: bool,
    /// Indexes that are used when none is configured: name and address.
    pub(crate) indexes: &'static [(&'static str, &'static str)],
    pub(crate) copies: IndexCopies,
    pub(crate) index_lists: IndexLists,
    pub(crate) flat: FlatDefaults,
    /// Key of the section of a command that names the state directory, where one counts.
    pub(crate) state_key: Option<&'static str>,
    /// Directory below the state directory that holds our store; none for the directory itself.
    pub(crate) store_below_state: Option<&'static str>,
    /// Whether signature sections of indexes count without being asked for.
    pub(crate) trust_index: bool,
    pub(crate) unsigned: Unsigned,
    /// Whether an artifact may replace one of the same name from another repository unasked.
    pub(crate) any_repository: bool,
    pub(crate) messages: Stream,
    pub(crate) words: Words,
    pub(crate) exit_codes: ExitCodes,
    pub(crate) engine: Engine,
    /// When the first check of `artifact follow` happens.
    pub(crate) startup: StartupBehavior,
    /// Where `artifact follow` asks for the versions of the engine.
    pub(crate) falco_versions: Option<&'static str>,
}

static EYAS: Character = Character {
    program: "eyas",
    version: env!("CARGO_PKG_VERSION"),
    user_agent: concat!("eyas/", env!("CARGO_PKG_VERSION")),
    prefixes: ["EYAS_", "FALCOCTL_"],
    places: Places::BaseDirectories,
    config_may_be_absent: false,
    indexes: &[],
    copies: IndexCopies::StandIn,
    index_lists: IndexLists::Book,
    flat: FlatDefaults { rulesfiles: None, plugins: None, assets: None },
    state_key: None,
    store_below_state: None,
    trust_index: false,
    unsigned: Unsigned::Refused,
    any_repository: false,
    messages: Stream::Stderr,
    words: Words::Ours,
    exit_codes: ExitCodes::ByClass,
    engine: Engine::Ours,
    startup: StartupBehavior::Immediate,
    falco_versions: None,
};

static FALCOCTL: Character = Character {
    program: COMPATIBLE_NAME,
    // The version whose behaviour is promised, and what stands behind it.
    version: concat!("0.13.0+eyas.", env!("CARGO_PKG_VERSION")),
    // Proxies and registries may have rules for it.
    user_agent: COMPATIBLE_NAME,
    prefixes: ["FALCOCTL_", "EYAS_"],
    places: Places::Falcoctl,
    config_may_be_absent: true,
    indexes: &[("falcosecurity", "https://falcosecurity.github.io/falcoctl/index.yaml")],
    copies: IndexCopies::ByCommand,
    index_lists: IndexLists::BookAndConfiguration,
    flat: FlatDefaults {
        rulesfiles: Some("/etc/falco"),
        plugins: Some("/usr/share/falco/plugins"),
        assets: Some("/etc/falco/assets"),
    },
    state_key: Some("stateDir"),
    store_below_state: Some(".eyas"),
    trust_index: true,
    unsigned: Unsigned::Accepted,
    any_repository: true,
    messages: Stream::Stdout,
    words: Words::Falcoctl,
    exit_codes: ExitCodes::One,
    engine: Engine::Falco,
    startup: StartupBehavior::Immediate,
    falco_versions: Some("http://localhost:8765/versions"),
};

impl Personality {
    /// From the name by which this process was called.
    pub(crate) fn of_process() -> Self {
        Self::called(std::env::args_os().next().as_ref())
    }

    /// From the first word of a command line.
    pub(crate) fn called(name: Option<&OsString>) -> Self {
        let file = name.and_then(|name| Path::new(name).file_name());
        if file.is_some_and(|file| file == COMPATIBLE_NAME) { Self::Falcoctl } else { Self::Eyas }
    }

    /// All that differs.
    pub(crate) fn character(self) -> &'static Character {
        match self {
            Self::Eyas => &EYAS,
            Self::Falcoctl => &FALCOCTL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_decides() {
        let called = |name: &str| Personality::called(Some(&name.into()));
        for name in ["falcoctl", "/usr/bin/falcoctl", "./falcoctl"] {
            assert_eq!(called(name), Personality::Falcoctl, "{name}");
        }
        for name in ["eyas", "/falcoctl/eyas", "falcoctl-old", "", "FALCOCTL"] {
            assert_eq!(called(name), Personality::Eyas, "{name}");
        }
        assert_eq!(Personality::called(None), Personality::Eyas);
    }

    #[test]
    fn only_the_compatible_form_is_permissive() {
        let (ours, theirs) = (Personality::Eyas.character(), Personality::Falcoctl.character());
        assert_eq!(ours.unsigned, Unsigned::Refused);
        assert!(!ours.trust_index && ours.indexes.is_empty());
        assert_eq!(theirs.unsigned, Unsigned::Accepted);
        assert!(theirs.version.ends_with(ours.version));
    }
}
