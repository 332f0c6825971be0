//! Which system calls to capture: what the rules need, what state needs, what settings say.

use std::collections::BTreeSet;

use eyas_abi::schema::{self, Category, EventFlags, Source};

/// Captured whatever is selected: without it the table of processes would only grow.
const ALWAYS: &str = "procexit";

/// Without these, process facts go wrong.
const REPAIR: &[&str] = &[
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "fchdir",
    "chdir",
    "chroot",
    "capset",
    "setgid",
    "setpgid",
    "setresgid",
    "setresuid",
    "setsid",
    "setuid",
    "prctl",
];

/// Besides, when a call on a network socket is captured.
const REPAIR_NETWORK: &[&str] = &["socket", "getsockopt", "close"];

/// Calls after which a server's own address has to be known.
const SERVER: &[&str] = &["accept", "accept4", "listen"];

/// Names of system calls; those of the event schema.
pub type Names = BTreeSet<&'static str>;

/// The section `base_syscalls` of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSyscalls {
    /// Names to capture besides those of the rules, in place of the state set; with `!` before it, a
    /// name to leave out.
    pub custom_set: Vec<String>,
    /// Complete the set with what keeps process facts right, and no more.
    pub repair: bool,
    /// Reads and writes too.
    pub all: bool,
}

/// What came of a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// To be captured.
    pub captured: Names,
    /// Needed by rules and still not captured: those rules see less than they ask for.
    pub left_out: Names,
    /// Names in the settings that are none.
    pub invalid: Vec<String>,
}

impl BaseSyscalls {
    /// Selects, from the names that enabled rules need and those that keep state right.
    pub fn select(&self, needed: &Names, state: &Names) -> Selected {
        let mut selected = Selected { captured: needed.clone(), ..Selected::default() };
        let (wanted, unwanted) = self.custom(&mut selected.invalid);
        match (wanted.is_empty(), self.repair) {
            (true, false) => selected.captured.extend(state),
            _ => selected.captured.extend(&wanted),
        }
        selected.captured.retain(|name| !unwanted.contains(name));
        if !self.all {
            selected.captured.retain(|name| !is_plain_io(name));
        }
        if self.repair {
            repair(&mut selected.captured);
        }
        selected.captured.insert(ALWAYS);
        selected.left_out = needed.difference(&selected.captured).copied().collect();
        selected
    }

    /// Names to add and names to leave out.
    fn custom(&self, invalid: &mut Vec<String>) -> (Names, Names) {
        let (mut wanted, mut unwanted) = (Names::new(), Names::new());
        for written in &self.custom_set {
            let (name, into) = match written.strip_prefix('!') {
                Some(name) => (name, &mut unwanted),
                None => (written.as_str(), &mut wanted),
            };
            let before = into.len();
            into.extend(schema::syscalls_by_name(name).map(|call| call.name));
            if into.len() == before && !schema::syscalls_by_name(name).any(|_| true) {
                invalid.push(written.clone());
            }
        }
        (wanted, unwanted)
    }
}

/// Calls that the schema says change what is known of processes and descriptors, for a source of
/// events that has no kernel to ask.
pub fn state_set() -> Names {
    let flagged = schema::all()
        .iter()
        .filter(|event| event.source == Source::Syscall && event.flags.has(EventFlags::STATE))
        .map(|event| event.name);
    let limits = ["prlimit64", "setrlimit"];
    let limits = limits.into_iter().flat_map(schema::syscalls_by_name).map(|call| call.name);
    flagged.chain(limits).collect()
}

/// Adds what the captured calls need to be understood.
fn repair(captured: &mut Names) {
    let category = |name: &str| schema::by_name(name).map(|event| event.category).last();
    let has = |wanted: fn(Category) -> bool| {
        captured.iter().filter_map(|name| category(name)).any(wanted)
    };
    let network = has(|category| category == Category::Net);
    let files = has(|category| category == Category::File || category.is_io());
    let server = SERVER.iter().any(|name| captured.contains(name));
    captured.extend(REPAIR);
    if network {
        captured.extend(REPAIR_NETWORK);
    }
    if files {
        captured.insert("close");
    }
    if server {
        captured.insert("bind");
    }
}

/// Reads and writes that change nothing that is kept: many, and of interest to few rules.
fn is_plain_io(name: &str) -> bool {
    schema::by_name(name).last().is_some_and(|event| {
        matches!(event.category, Category::IoRead | Category::IoWrite)
            && !event.flags.has(EventFlags::STATE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&'static str]) -> Names {
        names.iter().copied().collect()
    }

    fn custom(custom_set: &[&str]) -> BaseSyscalls {
        let custom_set = custom_set.iter().map(|name| (*name).to_owned()).collect();
        BaseSyscalls { custom_set, ..BaseSyscalls::default() }
    }

    #[test]
    fn by_default_rules_and_state() {
        let selected = BaseSyscalls::default().select(&names(&["openat"]), &names(&["clone"]));
        assert_eq!(selected.captured, names(&["openat", "clone", "procexit"]));
        assert!(selected.left_out.is_empty());
    }

    #[test]
    fn reads_and_writes_only_when_all_are_asked_for() {
        let needed = names(&["openat", "read", "recvfrom"]);
        let selected = BaseSyscalls::default().select(&needed, &Names::new());
        assert_eq!(selected.captured, names(&["openat", "recvfrom", "procexit"]));
        assert_eq!(selected.left_out, names(&["read"]));
        let all = BaseSyscalls { all: true, ..BaseSyscalls::default() };
        assert!(all.select(&needed, &Names::new()).captured.contains("read"));
    }

    #[test]
    fn names_of_the_settings_add_and_take_away() {
        let state = names(&["clone"]);
        let selected =
            custom(&["setuid", "!openat", "nothing"]).select(&names(&["openat"]), &state);
        assert_eq!(selected.captured, names(&["setuid", "procexit"]), "no state set");
        assert_eq!(selected.left_out, names(&["openat"]));
        assert_eq!(selected.invalid, ["nothing"]);
        let selected = custom(&["!clone"]).select(&names(&["openat"]), &state);
        assert_eq!(
            selected.captured,
            names(&["openat", "procexit"]),
            "only taking away keeps state"
        );
        assert!(custom(&["!procexit"]).select(&Names::new(), &state).captured.contains("procexit"));
    }

    #[test]
    fn repair_follows_what_is_captured() {
        let repair = BaseSyscalls { repair: true, ..BaseSyscalls::default() };
        let select =
            |needed: &[&'static str]| repair.select(&names(needed), &names(&["dup"])).captured;
        let plain = select(&["kill"]);
        assert!(plain.contains("execve") && plain.contains("setsid"));
        assert!(!plain.contains("close") && !plain.contains("dup") && !plain.contains("socket"));
        assert!(select(&["openat"]).contains("close"));
        let network = select(&["connect"]);
        assert!(
            network.contains("socket") && network.contains("close") && !network.contains("bind")
        );
        assert!(select(&["accept4"]).contains("bind"));
    }

    #[test]
    fn the_state_set_comes_from_the_schema() {
        let state = state_set();
        for name in ["clone", "execve", "open", "close", "setuid", "setrlimit", "connect"] {
            assert!(state.contains(name), "{name}");
        }
        assert!(!state.contains("read") && !state.contains("kill"));
    }
}
