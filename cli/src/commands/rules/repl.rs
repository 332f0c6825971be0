//! `eyas rules repl`: conditions and outputs tried by hand, on facts that are given by hand.

use std::io::{self, BufRead, IsTerminal as _, Write};

use eyas_rules::ask::answer;
use eyas_rules::compile::Program;
use eyas_rules::eval::Scratch;
use eyas_rules::fields::GivenFacts;
use eyas_rules::index::event_names;
use eyas_rules::report::render_all;
use eyas_rules::syntax::pretty;
use eyas_rules::{EngineOptions, Severity, SourceFile, load};
use serde_json::{Map, Value, json};

use super::files::read_all;
use crate::args::ReplArgs;

const PROMPT: &str = "> ";
/// Width of conditions laid out for reading, in characters.
const WIDTH: usize = 100;

const HELP: &str = "\
CONDITION            its expanded form, its events, and whether it matches the facts
%FORMAT              a text with fields, filled in with the facts
:set FIELD VALUE     give a fact; VALUE is JSON, or else a text
:unset [FIELD]       take a fact, or all of them, back
:facts               what is given
:help                this text
:quit                leave, like the end of input";

/// What has been said so far.
struct Session {
    files: Vec<SourceFile>,
    facts: Map<String, Value>,
}

/// Reads lines until the input ends or somebody leaves.
pub(super) fn repl(args: &ReplArgs) -> anyhow::Result<()> {
    let mut session = Session { files: read_all(&args.files)?, facts: Map::new() };
    let prompt = io::stdin().is_terminal();
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    if prompt {
        writeln!(out, "conditions of the rule language; `:help` tells more")?;
    }
    let mut line = Vec::new();
    loop {
        if prompt {
            out.write_all(PROMPT.as_bytes())?;
            out.flush()?;
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        match session.answer(text.trim()) {
            None => return Ok(()),
            Some(told) if told.is_empty() => {}
            Some(told) => writeln!(out, "{told}")?,
        }
        out.flush()?;
    }
}

impl Session {
    /// The answer to a line; `None` to leave.
    fn answer(&mut self, line: &str) -> Option<String> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(match word {
            "" => String::new(),
            ":quit" | ":q" | ":exit" => return None,
            ":help" | ":h" | "?" => HELP.to_owned(),
            ":facts" => self.told_facts(),
            ":set" => self.set(rest.trim()),
            ":unset" => self.unset(rest.trim()),
            word if word.starts_with(':') => format!("there is no `{word}`; `:help` tells more"),
            _ if line.contains('%') => self.filled_in(line),
            _ => self.tried(line),
        })
    }

    fn told_facts(&self) -> String {
        if self.facts.is_empty() {
            return "no facts: every field is unset".to_owned();
        }
        let told = self.facts.iter().map(|(field, value)| format!("{field} = {value}"));
        told.collect::<Vec<_>>().join("\n")
    }

    fn set(&mut self, rest: &str) -> String {
        let Some((field, value)) = rest.split_once(char::is_whitespace) else {
            return "write `:set FIELD VALUE`".to_owned();
        };
        let text = || Value::from(value.trim());
        let json = serde_json::from_str(value.trim()).unwrap_or_else(|_| text());
        // A number for a text is that text, a bare word for anything else is what is wrong.
        for value in [json, text()] {
            let mut facts = self.facts.clone();
            facts.insert(field.to_owned(), value);
            if GivenFacts::of(&facts).is_ok() {
                self.facts = facts;
                return String::new();
            }
        }
        let given = Map::from_iter([(field.to_owned(), text())]);
        match GivenFacts::of(&given) {
            Err(error) => match error.hint() {
                Some(hint) => format!("{error}: {hint}"),
                None => error.to_string(),
            },
            Ok(_) => String::new(),
        }
    }

    fn unset(&mut self, field: &str) -> String {
        if field.is_empty() {
            self.facts.clear();
        } else if self.facts.remove(field).is_none() {
            return format!("`{field}` is not given");
        }
        String::new()
    }

    fn filled_in(&self, format: &str) -> String {
        let question = json!({ "format": format!("*{format}"), "fields": self.facts });
        let answer = answer(question.to_string().as_bytes());
        let told =
            if answer["ok"] == true { &answer["output"] } else { &answer["error"]["message"] };
        told.as_str().unwrap_or_default().to_owned()
    }

    /// Loads the condition as one more rule, so that macros and lists of the files mean something.
    fn tried(&self, condition: &str) -> String {
        let rule = json!([{ "rule": "input", "desc": "-", "output": "-", "priority": "DEBUG",
            "warn_evttypes": false, "condition": condition }]);
        let mut files = self.files.clone();
        files.push(SourceFile { name: "input".to_owned(), text: rule.to_string() });
        let outcome = load(&files, &EngineOptions::default());
        let Some(rule) = outcome.rules.last().filter(|_| outcome.rule_set.is_some()) else {
            let question = json!({ "condition": condition }).to_string();
            let alone = answer(question.as_bytes());
            let errors = || outcome.reports.iter().filter(|one| one.severity == Severity::Error);
            return match errors().next() {
                Some(first) if first.file == "input" => pointed(condition, &first.message, &alone),
                _ => render_all(&errors().cloned().collect::<Vec<_>>(), &files, false),
            };
        };
        let events = eyas_rules::index::event_codes(&rule.tree).map_or_else(
            |error| error.to_string(),
            |codes| {
                if codes == eyas_rules::index::schema::all_codes() {
                    "all".to_owned()
                } else {
                    event_names(&codes).join(", ")
                }
            },
        );
        let warnings: Vec<String> = outcome
            .reports
            .iter()
            .filter(|one| one.file == "input" && one.severity != Severity::Error)
            .map(|one| format!("\nnote: {}", one.message))
            .collect();
        let verdict = match GivenFacts::of(&self.facts) {
            Ok(facts) if Program::new(&rule.ir).matches(&facts, &mut Scratch::new()) => "matches",
            Ok(_) => "does not match",
            Err(_) => "the facts are not right",
        };
        format!("{}\nevents: {events}\n{verdict}{}", pretty(&rule.tree, WIDTH), warnings.concat())
    }
}

/// A mistake below its place, where the place is known.
fn pointed(condition: &str, message: &str, alone: &Value) -> String {
    let offset = alone["error"]["offset"].as_u64().unwrap_or_default() as usize;
    let hint = alone["error"]["hint"].as_str().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let before = condition.get(..offset).map_or(0, |text| text.chars().count());
    format!("{condition}\n{}^ {message}{hint}", " ".repeat(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(text: &str) -> Session {
        let files = match text {
            "" => Vec::new(),
            text => vec![SourceFile { name: "f".to_owned(), text: text.to_owned() }],
        };
        Session { files, facts: Map::new() }
    }

    fn say(session: &mut Session, line: &str) -> String {
        session.answer(line).expect("it goes on")
    }

    #[test]
    fn facts_are_given_and_taken_back() {
        let mut session = session("");
        assert!(say(&mut session, "proc.name = cat").ends_with("does not match"));
        assert_eq!(say(&mut session, ":set proc.name cat"), "");
        assert_eq!(say(&mut session, ":set proc.pid 7"), "");
        assert_eq!(say(&mut session, ":facts"), "proc.name = \"cat\"\nproc.pid = 7");
        assert!(say(&mut session, "proc.name = cat and proc.pid = 7").ends_with("\nmatches"));
        assert_eq!(say(&mut session, "by %proc.name %fd.name"), "by cat <NA>");
        assert!(say(&mut session, ":set proc.pid x").contains("is not a value of `proc.pid`"));
        assert!(say(&mut session, ":set proc.nam x").contains("did you mean `proc.name`"));
        say(&mut session, ":unset");
        assert!(say(&mut session, ":facts").starts_with("no facts"));
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let mut session = session("");
        let told = say(&mut session, "proc.name = a andx");
        assert!(
            told.starts_with("proc.name = a andx\n                 ^ expected a blank"),
            "{told}"
        );
        assert!(say(&mut session, ":what").contains("there is no `:what`"));
        assert!(session.answer(":quit").is_none());
    }

    #[test]
    fn names_of_the_files_mean_something() {
        let mut session =
            session("- list: l\n  items: [a, b]\n- macro: m\n  condition: (proc.name in (l))\n");
        let told = say(&mut session, "m and evt.type = open");
        assert!(
            told.starts_with("proc.name in (a, b)\nand evt.type = open\nevents: open\n"),
            "{told}"
        );
    }
}
