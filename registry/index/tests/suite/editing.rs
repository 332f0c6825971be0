//! Entries written into index texts: what changes and what must not.

use eyas_index::{CosignSection, Entry, Index, IndexError, Maintainer, remove, upsert};

const TEXT: &str = "\
# Index of the demo team.

- name: first   # the oldest
  type: rulesfile
  registry: host
  repository: team/first
  description: \"quoted: yes\"

# The second one has a comment above.
- name: second
  type: plugin
  registry: host
  repository: team/second
  keywords:
    - one
    # inside the second
    - two

# Last words.
";

fn entry(name: &str) -> Entry {
    Entry {
        description: "text with: colon, # sign and 'quotes'".to_owned(),
        keywords: vec!["true".to_owned(), "1.0".to_owned(), "a b".to_owned()],
        maintainers: vec![Maintainer { name: "J".to_owned(), email: "j@example.org".to_owned() }],
        sources: vec!["https://example.org/a".to_owned()],
        signature: Some(CosignSection {
            key: Some("cosign.pub".to_owned()),
            ignore_tlog: true,
            ..CosignSection::default()
        }),
        ..Entry::new(name, "rulesfile", "host", &["team/", name].concat())
    }
}

/// What the edited text says about an entry, as if it had never been in a file.
fn read(text: &str, name: &str) -> Entry {
    let index = Index::parse("x", text.as_bytes()).unwrap();
    Entry { index: String::new(), ..index.find(name).unwrap().clone() }
}

#[test]
fn a_new_entry_is_appended_before_the_last_words() {
    let edited = upsert(TEXT, &entry("third")).unwrap();
    assert_eq!(read(&edited, "third"), entry("third"));
    assert!(edited.starts_with(TEXT.split("\n# Last").next().unwrap()), "{edited}");
    assert!(edited.ends_with("\n# Last words.\n"), "{edited}");
}

#[test]
fn a_replaced_entry_leaves_all_others_byte_for_byte() {
    let edited = upsert(TEXT, &entry("first")).unwrap();
    assert_eq!(read(&edited, "first"), entry("first"));
    let tail = "\n# The second one has a comment above.\n- name: second\n";
    assert_eq!(edited.split_once(tail).unwrap().1, TEXT.split_once(tail).unwrap().1);
    assert!(edited.starts_with("# Index of the demo team.\n\n- name: first\n"), "{edited}");

    let edited = upsert(TEXT, &entry("second")).unwrap();
    let (head, _) = TEXT.split_once("- name: second").unwrap();
    assert!(edited.starts_with(head), "{edited}");
    assert!(edited.ends_with("\n\n# Last words.\n"), "{edited}");
    assert!(!edited.contains("inside the second"), "its own comments go with it");
}

#[test]
fn an_entry_that_is_there_already_changes_nothing() {
    let same = read(TEXT, "second");
    assert_eq!(upsert(TEXT, &same).unwrap(), TEXT);
    let once = upsert(TEXT, &entry("third")).unwrap();
    assert_eq!(upsert(&once, &entry("third")).unwrap(), once);
}

#[test]
fn removal_takes_the_entry_alone() {
    let edited = remove(TEXT, "first").unwrap();
    assert!(edited.contains("# Index of the demo team.") && edited.contains("# The second one"));
    assert_eq!(Index::parse("x", edited.as_bytes()).unwrap().len(), 1);
    assert_eq!(remove(TEXT, "unknown").unwrap(), TEXT);
}

#[test]
fn an_empty_text_gets_its_first_entry() {
    for text in ["", "# mine\n", "# mine", "[]\n", "---\n"] {
        let edited = upsert(text, &entry("only")).unwrap();
        assert_eq!(read(&edited, "only"), entry("only"), "from `{text}`");
        assert_eq!(text.contains("# mine"), edited.contains("# mine\n"), "`{edited}`");
    }
}

#[test]
fn indented_lists_and_lone_dashes_keep_their_form() {
    let indented = "  - name: a\n    type: t\n    registry: h\n    repository: r\n";
    let edited = upsert(indented, &entry("b")).unwrap();
    assert!(edited.starts_with(indented) && edited.contains("\n  - name: b\n"), "{edited}");
    let lone = "-\n  # about a\n  name: a\n  type: t\n  registry: h\n  repository: r\n- {name: c, type: t, registry: h, repository: r}";
    let edited = upsert(lone, &entry("a")).unwrap();
    assert!(edited.ends_with("- {name: c, type: t, registry: h, repository: r}"), "{edited}");
    assert_eq!(read(&edited, "a"), entry("a"));
    let edited = upsert(lone, &entry("b")).unwrap();
    assert_eq!(read(&edited, "b"), entry("b"), "a missing final line feed is added");
}

#[test]
fn a_flow_list_is_refused_rather_than_mangled() {
    let flow = "[{name: a, type: t, registry: h, repository: r}]\n";
    let error = upsert(flow, &entry("b")).unwrap_err();
    assert!(matches!(error, IndexError::Edit { line: 1, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("block list"));
}

#[test]
fn a_malformed_index_is_not_edited() {
    assert!(matches!(upsert("- null\n", &entry("b")), Err(IndexError::Malformed { .. })));
}
