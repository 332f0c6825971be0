//! Values of fields on every event.

use std::collections::BTreeMap;

use eyas_capture::RawEvent as _Unused;
use eyas_rules::check::Scope;
use eyas_rules::fields::StaticFields;
use eyas_rules::format::{FieldJson, Style, Template};
use serde_json::Value as Json;

use crate::inputs::Capture;

/// What the two generations and every reader agree on.
const HARD: &[&str] = &[
    "proc.name",
    "proc.exe",
    "proc.exepath",
    "proc.args",
    "proc.cmdline",
    "proc.exeline",
    "proc.aname[2]",
    "proc.loginshellid",
    "proc.sid",
    "evt.is_open_write",
    "evt.type",
    "evt.dir",
    "thread.tid",
];

#[test]
fn survey() {
    let _ = std::marker::PhantomData::<_Unused<'static>>;
    let statics = StaticFields::new();
    let scope = Scope { source: "syscall", statics: &statics };
    let mut total: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut samples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let want = std::env::var("FIELD").ok();
    for capture in Capture::all() {
        let lines: BTreeMap<u64, Json> = capture
            .lines("libs-head.state.jsonl.gz")
            .unwrap()
            .map(|line| (line["evt.num"].as_u64().unwrap(), line))
            .collect();
        let Some(first) = lines.values().next() else { continue };
        let names: Vec<String> = first.as_object().unwrap().keys().cloned().collect();
        let names: Vec<&String> =
            names.iter().filter(|name| want.as_ref().is_none_or(|w| *name == w)).collect();
        let templates: Vec<Option<Template>> =
            names.iter().map(|name| Template::compile(&format!("*%{name}"), scope).ok()).collect();
        capture.replay(|ctx| {
            let Some(line) = lines.get(&ctx.number()) else { return };
            for (name, template) in names.iter().zip(&templates) {
                let Some(template) = template else { continue };
                let found = json(&template.fields()[0].json(ctx, Style::default()));
                let expected = &line[name.as_str()];
                let count = total.entry((*name).clone()).or_default();
                count.0 += 1;
                if &found != expected {
                    count.1 += 1;
                    let list = samples.entry((*name).clone()).or_default();
                    let here = list.iter().filter(|line| line.starts_with(&capture.name)).count();
                    if here < if want.is_some() { 4 } else { 1 } {
                        list.push(format!(
                            "{} #{} {} {} found {found} expected {expected}",
                            capture.name,
                            ctx.number(),
                            line["evt.type"],
                            line["evt.args"].to_string().chars().take(160).collect::<String>()
                        ));
                    }
                }
            }
        });
    }
    for (name, (all, differ)) in &total {
        if *differ > 0 {
            let hard = if HARD.contains(&name.as_str()) { "HARD" } else { "" };
            println!("{name} {differ}/{all} {hard}");
            for sample in &samples[name] {
                println!("      {sample}");
            }
        }
    }
}

fn json(value: &FieldJson) -> Json {
    serde_json::to_value(value).unwrap()
}
