//! Values of fields on every event.

use std::collections::BTreeMap;

use crate::inputs::Capture;

#[test]
fn dump_ids() {
    let mut map: BTreeMap<u64, std::collections::BTreeSet<String>> = BTreeMap::new();
    for capture in Capture::all() {
        let mut names: BTreeMap<u64, String> = BTreeMap::new();
        for line in capture.lines("libs-head.state.jsonl.gz").unwrap() {
            names.insert(line["evt.num"].as_u64().unwrap(), line["evt.type"].as_str().unwrap().to_owned());
        }
        capture.replay(|ctx| {
            if ctx.event().ty().is_generic() {
                let id = ctx.event().int(0).unwrap_or(-1) as u64;
                let native = ctx.event().int(1).unwrap_or(-1);
                let name = names.get(&ctx.number()).cloned().unwrap_or("?".into());
                map.entry(id).or_default().insert(format!("{name} {native}"));
            }
        });
    }
    for (id, names) in map { println!("ID {id} {names:?}"); }
}
