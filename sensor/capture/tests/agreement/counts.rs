//! Which events there are.

use std::collections::BTreeMap;

use eyas_rules::fields::{Facts, FieldArg, FieldId};

use crate::inputs::Capture;

#[test]
fn every_event_is_there_under_its_number() {
    for capture in Capture::all() {
        let summary = capture.document("libs-head.summary.json").unwrap();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let replay = capture.replay(|ctx| {
            let text = |field| {
                let value = ctx.value(field, FieldArg::None);
                value.map_or("?".into(), |v| {
                    String::from_utf8_lossy(v.as_bytes().unwrap()).into_owned()
                })
            };
            let mut name = text(FieldId::EvtType);
            if ctx.event().ty().is_generic() {
                name = "syscall".into();
            }
            *counts.entry(format!("{name} {}", text(FieldId::EvtDir))).or_default() += 1;
        });
        let expected: BTreeMap<String, u64> =
            serde_json::from_value(summary["counts"].clone()).unwrap();
        assert_eq!(counts, expected, "{}", capture.name);
        assert_eq!(summary["n_events_shown"], replay.counts().shown, "{}", capture.name);
        assert_eq!(summary["last_num"], replay.last_number(), "{}", capture.name);
        let unexplained = (replay.counts().unconvertible, replay.losses().descriptors);
        assert_eq!(unexplained, (0, 0), "{}", capture.name);
    }
}
