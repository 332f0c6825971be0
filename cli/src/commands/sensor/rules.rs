//! `eyas sensor rules`: which rules are in force, and switching some on or off.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::path::Path;

use eyas_control::{Client, RuleInfo, Rules, Select, Switch};
use eyas_ops::Class;
use serde::Serialize;

use super::asked;
use crate::args::{RulesOrder, SensorRulesArgs};
use crate::exit::Failure;
use crate::printer::{Document, Printer, Table};

/// Switches what is asked for, then lists.
pub(super) fn run(args: &SensorRulesArgs, path: &Path, printer: &Printer) -> anyhow::Result<()> {
    let select = select(args);
    if select != Select::default() {
        let report = asked(path, |client| client.select(select))?;
        if !report.accepted {
            let message = report.lines().join("\n");
            return Err(Failure { class: Class::Validation, message, hint: None }.into());
        }
        for line in report.lines() {
            printer.info(line);
        }
    }
    let mut found = asked(path, Client::rules)?;
    sort(&mut found.rules, args.sort);
    Ok(printer.data(&RulesDocument(found))?)
}

/// What is to be switched: off before on, so that all but a few can be left out.
fn select(args: &SensorRulesArgs) -> Select {
    let by_rule =
        |enable| move |name: &String| Switch { enable, rule: Some(name.clone()), tag: None };
    let by_tag =
        |enable| move |name: &String| Switch { enable, rule: None, tag: Some(name.clone()) };
    let switches = args
        .disable_tag
        .iter()
        .map(by_tag(false))
        .chain(args.disable.iter().map(by_rule(false)))
        .chain(args.enable_tag.iter().map(by_tag(true)))
        .chain(args.enable.iter().map(by_rule(true)));
    Select { reset: args.reset, switches: switches.collect() }
}

fn sort(rules: &mut [RuleInfo], order: RulesOrder) {
    match order {
        RulesOrder::Evaluation => {}
        RulesOrder::Name => rules.sort_by(|a, b| a.name.cmp(&b.name)),
        RulesOrder::Matches => rules.sort_by_key(|rule| Reverse(rule.matches)),
        RulesOrder::Cost => rules.sort_by(|a, b| b.cost_seconds.total_cmp(&a.cost_seconds)),
    }
}

#[derive(Serialize)]
struct RulesDocument(Rules);

impl Document for RulesDocument {
    const KIND: &'static str = "sensor.rules";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["ENABLED", "PRIORITY", "MATCHES", "COST", "RULE"]);
        for rule in &self.0.rules {
            table.row([
                if rule.enabled { "yes" } else { "no" }.to_owned(),
                rule.priority.clone(),
                rule.matches.to_string(),
                format!("{:.3}s", rule.cost_seconds),
                rule.name.clone(),
            ]);
        }
        table.write(out)?;
        for switch in &self.0.switched {
            let verb = if switch.enable { "on" } else { "off" };
            let what = match (&switch.rule, &switch.tag) {
                (Some(rule), None) => format!("rules `{rule}`"),
                (None, Some(tag)) => format!("rules with tag `{tag}`"),
                (rule, tag) => {
                    let text = |part: &Option<String>| part.clone().unwrap_or_default();
                    format!("rules `{}` and those with tag `{}`", text(rule), text(tag))
                }
            };
            writeln!(out, "switched {verb} until the sensor ends: {what}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, matches: u64, cost_seconds: f64) -> RuleInfo {
        RuleInfo {
            name: name.into(),
            priority: "Notice".into(),
            source: "syscall".into(),
            tags: vec![],
            enabled: true,
            matches,
            cost_seconds,
            description: String::new(),
        }
    }

    #[test]
    fn rules_are_sorted_as_asked() {
        let order = |order| {
            let mut rules = [rule("b", 1, 0.5), rule("c", 9, 0.1), rule("a", 2, 0.9)];
            sort(&mut rules, order);
            rules.map(|rule| rule.name).concat()
        };
        assert_eq!(order(RulesOrder::Evaluation), "bca");
        assert_eq!(order(RulesOrder::Name), "abc");
        assert_eq!(order(RulesOrder::Matches), "cab");
        assert_eq!(order(RulesOrder::Cost), "abc");
    }
}
