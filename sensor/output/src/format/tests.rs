//! The documented lines, letter for letter, and properties that hold for any alert.

use proptest::prelude::*;

use super::*;

const AT: u64 = 1_700_000_000_746_609_046;

fn alert() -> RenderedAlert {
    RenderedAlert {
        rule: "Write below binary dir".into(),
        priority: "Error",
        source: "syscall".into(),
        tags: vec!["mitre".to_owned(), "filesystem".to_owned()].into(),
        message: "File below a known binary directory opened for writing (user=root \
                  file=/bin/hack)"
            .into(),
        output_fields: vec![
            ("user.name".into(), text("root")),
            ("fd.name".into(), FieldJson::Text(b"/bin/h\xffck".to_vec())),
            ("proc.pid".into(), FieldJson::Int(-7)),
            ("proc.pname".into(), FieldJson::Null),
            ("evt.failed".into(), FieldJson::Bool(false)),
            ("fd.types".into(), FieldJson::List(vec![text("file"), FieldJson::Uint(2)])),
        ],
    }
}

fn text(text: &str) -> FieldJson {
    FieldJson::Text(text.as_bytes().to_vec())
}

fn json() -> Format {
    Format { json: true, hostname: "host-1".into(), ..Format::default() }
}

#[test]
fn text_line() {
    assert_eq!(
        Format::default().line(AT, &alert()),
        "22:13:20.746609046: Error File below a known binary directory opened for writing \
         (user=root file=/bin/hack)"
    );
    let iso = Format { time_iso_8601: true, ..Format::default() };
    assert!(
        iso.line(AT, &alert()).starts_with("2023-11-14T22:13:20.746609046+0000: Error File below")
    );
}

#[test]
fn text_is_escaped_like_the_inside_of_a_json_string() {
    let message = "a \"b\" c:\\d\ttab\nfeed\u{1}\u{7f} h\u{e9}".into();
    assert_eq!(
        Format::default().line(AT, &RenderedAlert { message, ..alert() }),
        "22:13:20.746609046: Error a \\\"b\\\" c:\\\\d\\ttab\\nfeed\\u0001\u{7f} h\u{e9}"
    );
}

#[test]
fn json_line_has_sorted_keys_and_every_field() {
    assert_eq!(
        json().line(AT, &alert()),
        concat!(
            r#"{"hostname":"host-1","output":"22:13:20.746609046: Error File below a known "#,
            r#"binary directory opened for writing (user=root file=/bin/hack)","#,
            r#""output_fields":{"evt.failed":false,"evt.time":1700000000746609046,"#,
            "\"fd.name\":\"/bin/h\u{fffd}ck\",\"fd.types\":[\"file\",2],\"proc.pid\":-7,",
            r#""proc.pname":null,"user.name":"root"},"priority":"Error","#,
            r#""rule":"Write below binary dir","source":"syscall","#,
            r#""tags":["filesystem","mitre"],"time":"2023-11-14T22:13:20.746609046Z"}"#
        )
    );
}

#[test]
fn every_switch_takes_or_gives_its_key() {
    let keys = |format: Format| -> Vec<String> {
        let line = format.line(AT, &alert());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    };
    let all = ["hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time"];
    assert_eq!(keys(json()), all);
    let without = |key: &str| all.iter().copied().filter(|k| *k != key).collect::<Vec<_>>();
    assert_eq!(keys(Format { include_output: false, ..json() }), without("output"));
    assert_eq!(keys(Format { include_fields: false, ..json() }), without("output_fields"));
    assert_eq!(keys(Format { include_tags: false, ..json() }), without("tags"));
    let with_message = keys(Format { include_message: true, ..json() });
    assert_eq!(with_message.len(), all.len() + 1);
    assert!(with_message.contains(&"message".to_owned()));
    let iso = Format { time_iso_8601: true, ..json() }.line(AT, &alert());
    assert!(iso.contains(r#""evt.time.iso8601":1700000000746609046"#));
}

#[test]
fn internal_lines() {
    let internal = Internal {
        time_ns: AT,
        rule: "Falco internal: syscall event drop".into(),
        priority: "Debug",
        message: "syscall event drop. 3 system calls dropped in last second.".into(),
        fields: vec![("n_evts".into(), FieldJson::Uint(12)), ("ebpf_enabled".into(), text("1"))],
    };
    assert_eq!(
        Format::default().internal_line(&internal),
        "22:13:20.746609046: Debug syscall event drop. 3 system calls dropped in last second. \
         (ebpf_enabled=\"1\" n_evts=12)"
    );
    assert_eq!(
        json().internal_line(&internal),
        concat!(
            r#"{"hostname":"host-1","output":"syscall event drop. 3 system calls dropped in last "#,
            r#"second.","output_fields":{"ebpf_enabled":"1","n_evts":12},"priority":"Debug","#,
            r#""rule":"Falco internal: syscall event drop","source":"internal","#,
            r#""time":"2023-11-14T22:13:20.746609046Z"}"#
        )
    );
    let odd = Internal { message: "rule a\nb".into(), fields: Vec::new(), ..internal };
    assert_eq!(Format::default().internal_line(&odd), r"22:13:20.746609046: Debug rule a\nb ()");
}

fn any_field() -> impl Strategy<Value = FieldJson> {
    let leaf = prop_oneof![
        Just(FieldJson::Null),
        any::<bool>().prop_map(FieldJson::Bool),
        any::<i64>().prop_map(FieldJson::Int),
        any::<u64>().prop_map(FieldJson::Uint),
        any::<f64>().prop_map(FieldJson::Double),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(FieldJson::Text),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(FieldJson::List)
    })
}

proptest! {
    #[test]
    fn any_alert_is_one_line_that_parses_back(
        time_ns: u64,
        rule: String,
        message: String,
        names in prop::collection::vec((".{0,8}", any_field()), 0..6),
    ) {
        let alert = RenderedAlert {
            rule: rule.as_str().into(),
            message: message.clone(),
            output_fields: names,
            ..alert()
        };
        let text = Format::default().line(time_ns, &alert);
        prop_assert!(!text.contains('\n'));
        let unescaped: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        prop_assert!(unescaped.ends_with(&message));
        let line = json().line(time_ns, &alert);
        prop_assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["rule"].as_str(), Some(rule.as_str()));
        prop_assert_eq!(value["output"].as_str(), Some(unescaped.as_str()));
        for (name, _) in &alert.output_fields {
            prop_assert!(value["output_fields"].get(name).is_some());
        }
    }
}
