//! Differences for people: one line, or all of them.

use std::fmt;

use super::{Change, ItemDiff, RuleDiff, Side};

/// Most members of a set that are listed in a line.
const MAX_MEMBERS: usize = 20;

impl RuleDiff {
    /// All differences in one line, such as `2 rules added, 1 changed; 1 list changed`.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        for (kind, diff) in [("rule", &self.rules), ("macro", &self.macros), ("list", &self.lists)]
        {
            parts.extend(counted(kind, diff));
        }
        if !self.requirements.is_empty() {
            parts.push("requirements changed".to_owned());
        }
        if parts.is_empty() {
            parts.push("no rule, macro or list differs".to_owned());
        }
        if !self.problems.is_empty() {
            parts.push(format!("{} not comparable", self.problems.len()));
        }
        parts.join("; ")
    }
}

fn counted(kind: &str, diff: &ItemDiff) -> Option<String> {
    let counts = [
        (diff.added.len(), "added"),
        (diff.removed.len(), "removed"),
        (diff.changed.len(), "changed"),
    ];
    let mut text = String::new();
    for (count, verb) in counts.into_iter().filter(|(count, _)| *count > 0) {
        if text.is_empty() {
            let ending = if count == 1 { "" } else { "s" };
            text = format!("{count} {kind}{ending} {verb}");
        } else {
            text = format!("{text}, {count} {verb}");
        }
    }
    (!text.is_empty()).then_some(text)
}

impl fmt::Display for RuleDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.requirements {
            write!(f, "~ {change}")?;
        }
        for (kind, diff) in [("rule", &self.rules), ("macro", &self.macros), ("list", &self.lists)]
        {
            for name in &diff.added {
                writeln!(f, "+ {kind} {name}")?;
            }
            for name in &diff.removed {
                writeln!(f, "- {kind} {name}")?;
            }
            for item in &diff.changed {
                writeln!(f, "~ {kind} {}", item.name)?;
                for change in &item.changes {
                    write!(f, "    {change}")?;
                }
            }
        }
        for problem in &self.problems {
            let side = match problem.side {
                Side::Old => "old",
                Side::New => "new",
            };
            writeln!(f, "! {side} {}: {}", problem.file, problem.message)?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, old, new, added, removed } = self;
        if old.is_none() && new.is_none() {
            let gone = removed.iter().map(|member| format!("-{member}"));
            let came = added.iter().map(|member| format!("+{member}"));
            let all: Vec<String> = gone.chain(came).collect();
            let shown = all.len().min(MAX_MEMBERS);
            let rest = all.len() - shown;
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            return writeln!(f, "{field}: {}{more}", all[..shown].join(" "));
        }
        let word = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
        let (old, new) = (word(old), word(new));
        if old.len() + new.len() < 60 {
            return writeln!(f, "{field}: {old} -> {new}");
        }
        writeln!(f, "{field}:\n      - {old}\n      + {new}")
    }
}
