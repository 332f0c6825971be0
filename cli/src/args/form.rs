//! The argument tree in the form of the program that was called, and what it makes of a command line.
//!
//! One tree serves both forms. Owns what differs in it (name, texts, defaults shown in help) and the
//! grammar of flags that scripts rely on: a switch may be written `--switch=true` and the last of several
//! wins.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::{ArgAction, Command, CommandFactory as _, FromArgMatches as _, ValueEnum as _};

use super::{Cli, LogFormat};
use crate::personality::{ExitCodes, Personality, Words};
use crate::settings::{Setting, TABLE};

/// Text closing the help of the compatible form.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed. Messages go to standard output, as falcoctl does.
This is eyas, called by the name falcoctl: `eyas --help` shows its own form.";

/// Help of flags that mean something else in the compatible form.
const CONFIG_HELP: &str = "Configuration file [default: /etc/falcoctl/falcoctl.yaml, which may be absent; never \
     written implicitly] [env: FALCOCTL_CONFIG]";
const STATE_DIR_HELP: &str = "Directory that holds the state files, and our store in .eyas";

/// The tree for a program called by that name.
pub(crate) fn command(personality: Personality) -> Command {
    let character = personality.character();
    let tree = Cli::command().name(character.program).version(character.version);
    match character.exit_codes {
        ExitCodes::ByClass => tree.args_override_self(true),
        ExitCodes::One => {
            let tree = tree.args_override_self(true).after_help(AFTER_HELP);
            retold(tree, Section::Install)
        }
    }
}

/// The section of the settings that counts for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Install,
    Follow,
    Driver,
}

impl Section {
    fn prefix(self) -> &'static str {
        match self {
            Self::Install => "artifact.install.",
            Self::Follow => "artifact.follow.",
            Self::Driver => "driver.",
        }
    }
}

/// Help with the defaults and variables of the compatible form, and the stream that it writes to.
fn retold(command: Command, section: Section) -> Command {
    let section = match command.get_name() {
        "follow" => Section::Follow,
        "driver" => Section::Driver,
        _ => section,
    };
    let command = command.mut_args(|argument| {
        let flag = argument.get_long().map(str::to_owned);
        let text = |help: Option<&StyledStr>| {
            help.map(|help| retold_help(&help.to_string(), flag.as_deref(), section))
        };
        let (short, long) = (text(argument.get_help()), text(argument.get_long_help()));
        let argument = match short {
            Some(short) => argument.help(short),
            None => argument,
        };
        match long {
            Some(long) => argument.long_help(long),
            None => argument,
        }
    });
    command.mut_subcommands(|below| retold(below, section))
}

fn retold_help(help: &str, flag: Option<&str>, section: Section) -> String {
    let mut text = match flag {
        Some("config") => CONFIG_HELP.to_owned(),
        Some("state-dir") => STATE_DIR_HELP.to_owned(),
        _ => help.replace("standard error", "standard output"),
    };
    if let Some(setting) = flag.and_then(|flag| of_flag(flag, section)) {
        let plain = without(&without(&text, "[default: "), "[env: ");
        let default = setting.default_as(Words::Falcoctl).replace('`', "");
        let variable = setting.key.to_ascii_uppercase().replace('.', "_");
        text = format!("{} [default: {default}] [env: FALCOCTL_{variable}]", plain.trim_end());
    }
    text.replace("EYAS_", "FALCOCTL_")
}

/// The setting that a flag stands for in a section.
fn of_flag(flag: &str, section: Section) -> Option<&'static Setting> {
    let flag = format!("--{flag}");
    let own = |setting: &&Setting| {
        let is_driver = setting.key.starts_with(Section::Driver.prefix());
        let named = setting.flag.split(", ").any(|one| one == flag);
        named && is_driver == (section == Section::Driver)
    };
    let all = || TABLE.iter().filter(own);
    all().find(|setting| setting.key.starts_with(section.prefix())).or_else(|| all().next())
}

/// A text without what stands in these brackets.
fn without(text: &str, opening: &str) -> String {
    let Some(start) = text.find(opening) else { return text.to_owned() };
    let Some(length) = text[start..].find(']') else { return text.to_owned() };
    let (before, after) = (text[..start].trim_end(), text[start + length + 1..].trim_start());
    [before, after].join(" ").trim().to_owned()
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

/// The form of messages that a command line asks for, although it is not valid: whoever reads them expects
/// that form of its refusal too.
pub(crate) fn asked_format(words: impl IntoIterator<Item = OsString>) -> Option<LogFormat> {
    let words: Vec<String> = words.into_iter().filter_map(|word| word.into_string().ok()).collect();
    let typed = words.iter().enumerate().rev().find_map(|(place, word)| {
        match word.strip_prefix("--log-format")?.strip_prefix('=') {
            Some(format) => Some(format),
            None => words.get(place + 1).map(String::as_str),
        }
    });
    typed.and_then(|typed| LogFormat::from_str(typed, true).ok())
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
    fn the_compatible_form_shows_its_own_defaults() {
        fn walk(command: &Command, all: &mut Vec<(String, String)>) {
            for argument in command.get_arguments() {
                let texts = [argument.get_help(), argument.get_long_help()];
                let flag = argument.get_long().unwrap_or_default();
                for text in texts.into_iter().flatten() {
                    let place = format!("{} --{flag}", command.get_name());
                    all.push((place, text.to_string()));
                }
            }
            for below in command.get_subcommands() {
                walk(below, all);
            }
        }
        let mut all = Vec::new();
        walk(&command(Personality::Falcoctl), &mut all);
        for (place, text) in &all {
            for ours in ["EYAS_", "/etc/eyas", "/var/lib/eyas", "XDG_", "standard error"] {
                assert!(!text.contains(ours), "{place}: {text}");
            }
        }
        let shown = |place: &str| {
            let found = all.iter().find(|(known, _)| known == place);
            found.map(|(_, text)| text.clone()).unwrap_or_default()
        };
        for (place, words) in [
            ("install --rulesfiles-dir", "[default: /etc/falco] [env: FALCOCTL_ARTIFACT_INSTALL_"),
            ("follow --rulesfiles-dir", "[default: /etc/falco] [env: FALCOCTL_ARTIFACT_FOLLOW_"),
            ("follow --plugins-dir", "[default: /usr/share/falco/plugins]"),
            ("follow --falco-versions", "[default: http://localhost:8765/versions]"),
            ("follow --every", "168h"),
            ("falcoctl --config", "/etc/falcoctl/falcoctl.yaml"),
            ("falcoctl --state-dir", "[default: /var/lib/falcoctl]"),
            ("falcoctl --log-format", "[default: color]"),
            ("driver --name", "[default: falco] [env: FALCOCTL_DRIVER_NAME]"),
        ] {
            let text = shown(place);
            assert!(text.contains(words), "{place}: {text}");
        }
        assert!(!shown("push --name").contains("DRIVER"), "{}", shown("push --name"));
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
    fn a_refusal_has_the_form_that_was_asked_for() {
        let asked = |line: &str| asked_format(line.split(' ').map(OsString::from));
        assert_eq!(asked("falcoctl --no-such --log-format=json"), Some(LogFormat::Json));
        assert_eq!(asked("falcoctl --log-format text --log-format json x"), Some(LogFormat::Json));
        for line in ["falcoctl --no-such", "falcoctl --log-format", "falcoctl --log-format=x"] {
            assert_eq!(asked(line), None, "{line}");
        }
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
