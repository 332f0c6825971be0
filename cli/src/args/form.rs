//! The argument tree in the form of the program that was called, and what it makes of a command line.
//!
//! One tree serves both forms. Owns what differs in it (name, texts, defaults shown in help) and the
//! grammar of flags that scripts rely on: a switch may be written `--switch=true` and the last of several
//! wins.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;
use crate::personality::{ExitCodes, Personality};

/// Text closing the help of the compatible form.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed. Messages go to standard output, as falcoctl does.
This is eyas, called by the name falcoctl: `eyas --help` shows its own form.";

/// The tree for a program called by that name.
pub(crate) fn command(personality: Personality) -> Command {
    let character = personality.character();
    let tree = Cli::command().name(character.program).version(character.version);
    match character.exit_codes {
        ExitCodes::ByClass => tree.args_override_self(true),
        ExitCodes::One => tree.args_override_self(true).after_help(AFTER_HELP),
    }
}

/// Reads a command line.
pub(crate) fn read(
    personality: Personality,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Cli, clap::Error> {
    let mut command = command(personality);
    let switches = switches(&command);
    let words: Vec<OsString> =
        words.into_iter().filter_map(|word| settle(word, &switches)).collect();
    let first = words
        .iter()
        .find(|word| word.to_str().is_some_and(|word| command.find_subcommand(word).is_some()));
    let is_version = first.is_some_and(|word| word == "version");
    let words = words.into_iter().map(|word| if is_version { version_form(word) } else { word });
    let matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// `version` has a form more than other commands, under the same flag.
fn version_form(word: OsString) -> OsString {
    let rest = word.to_str().and_then(|word| word.strip_prefix("--output"));
    match rest {
        Some(rest) if rest.is_empty() || rest.starts_with('=') => format!("-o{rest}").into(),
        _ => word,
    }
}

/// Names of the flags that take no value, in any command.
fn switches(command: &Command) -> BTreeSet<String> {
    let (mut plain, mut valued) = (BTreeSet::new(), BTreeSet::new());
    collect(command, &mut plain, &mut valued);
    plain.difference(&valued).cloned().collect()
}

fn collect(command: &Command, plain: &mut BTreeSet<String>, valued: &mut BTreeSet<String>) {
    for flag in command.get_arguments() {
        let names = flag.get_long_and_visible_aliases().unwrap_or_default();
        let into = match flag.get_action() {
            ArgAction::SetTrue => &mut *plain,
            _ => &mut *valued,
        };
        into.extend(names.into_iter().map(str::to_owned));
    }
    for below in command.get_subcommands() {
        collect(below, plain, valued);
    }
}

/// `--switch=true` is the switch, `--switch=false` is nothing; all else stays as it is.
fn settle(word: OsString, switches: &BTreeSet<String>) -> Option<OsString> {
    let text = word.to_str().and_then(|text| text.strip_prefix("--"));
    let Some((name, value)) = text.and_then(|text| text.split_once('=')) else {
        return Some(word);
    };
    if !switches.contains(name) {
        return Some(word);
    }
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(format!("--{name}").into()),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => None,
        _ => Some(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        let words = line.split_whitespace().map(OsString::from);
        read(Personality::Falcoctl, words).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn both_forms_are_consistent() {
        for personality in [Personality::Eyas, Personality::Falcoctl] {
            command(personality).debug_assert();
        }
    }

    #[test]
    fn a_switch_may_have_a_value() {
        assert!(parse("falcoctl artifact list --verbose=true").global.verbose);
        assert!(!parse("falcoctl artifact list --verbose=false").global.verbose);
        assert!(parse("falcoctl artifact list --verbose").global.verbose);
        let words = ["falcoctl", "artifact", "list", "--verbose=maybe"].map(OsString::from);
        assert!(read(Personality::Falcoctl, words).is_err());
    }

    #[test]
    fn version_has_a_form_of_its_own() {
        for line in
            ["version -o yaml", "version --output yaml", "--log-level warn version --output=yaml"]
        {
            let cli = parse(&format!("falcoctl {line}"));
            let crate::args::Command::Version(args) = cli.command else { panic!("{line}") };
            assert_eq!(args.format, Some(crate::args::VersionFormat::Yaml), "{line}");
        }
    }

    #[test]
    fn the_last_of_several_wins() {
        let cli = parse("falcoctl --config a artifact list --config b");
        assert_eq!(cli.global.config, Some("b".into()));
    }
}
