//! Index files: good ones, the published one, and each way to be wrong.

use std::path::PathBuf;

use eyas_index::{Index, IndexError, MAX_INDEX_BYTES, MAX_INDEX_ENTRIES, ProblemKind};

const MINIMAL: &str = "- {name: a, type: rulesfile, registry: host, repository: r/a}\n";

fn problems(text: &str) -> Vec<(u64, u64, ProblemKind)> {
    let error = Index::parse("demo", text.as_bytes()).unwrap_err();
    let IndexError::Malformed { problems, index } = error else {
        unreachable!("expected a malformed index, found {error:?}");
    };
    assert_eq!(index, "demo");
    problems.into_iter().map(|p| (p.line, p.column, p.kind)).collect()
}

#[test]
fn reads_every_field() {
    let text = "
- name: demo-rules
  type: rulesfile
  registry: registry.example.org
  repository: team/demo-rules
  description: Rules used in the examples
  home: https://example.org/demo
  keywords: [demo, example]
  license: apache-2.0
  maintainers:
    - name: Jane Doe
      email: jane@example.org
  sources:
    - https://example.org/demo/src
  unknown: {deep: [1, 2]}
  signature:
    cosign:
      certificate-oidc-issuer: https://issuer.example.org
      certificate-oidc-issuer-regexp: \"\"
      certificate-identity-regexp: https://example.org/team/.*
      ignore-tlog: true
";
    let index = Index::parse("demo", text.as_bytes()).unwrap();
    let entry = index.find("demo-rules").unwrap();
    assert_eq!(entry.kind, "rulesfile");
    assert_eq!(entry.locator(), "registry.example.org/team/demo-rules");
    assert_eq!(entry.keywords, ["demo", "example"]);
    assert_eq!(entry.maintainers[0].email, "jane@example.org");
    assert_eq!(entry.sources.len(), 1);
    assert_eq!(entry.index, "demo");
    let cosign = entry.signature.as_ref().unwrap();
    assert_eq!(cosign.issuer.as_deref(), Some("https://issuer.example.org"));
    assert_eq!(cosign.issuer_regexp, None, "an empty string is no requirement");
    assert_eq!(cosign.identity_regexp.as_deref(), Some("https://example.org/team/.*"));
    assert!(cosign.ignore_tlog);
}

#[test]
fn reads_the_published_index() {
    let shared = std::env::var_os("EYAS_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("data/falco-index.yaml");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("SKIPPED: no published index at {} (set EYAS_SHARED)", path.display());
        return;
    };
    let index = Index::parse("falcosecurity", &bytes).unwrap();
    assert_eq!(index.len(), 28);
    assert_eq!(index.iter().filter(|entry| entry.kind == "plugin").count(), 18);
    assert_eq!(index.iter().filter(|entry| entry.signature.is_some()).count(), 24);
    let rules = eyas_index::resolve(&"falco-rules:3".parse().unwrap(), &index).unwrap();
    assert_eq!(rules.to_string(), "ghcr.io/falcosecurity/rules/falco-rules:3");
}

#[test]
fn an_empty_file_is_an_empty_index() {
    for text in ["", "# only a comment\n", "[]\n", "---\n...\n", "null\n"] {
        assert!(Index::parse("demo", text.as_bytes()).unwrap().is_empty(), "`{text}`");
    }
}

#[test]
fn absent_lists_may_be_null() {
    let text = "- name: a\n  type: plugin\n  registry: h\n  repository: r\n  keywords:\n  sources: ~\n  \
                maintainers: [null]\n  signature:\n";
    let index = Index::parse("demo", text.as_bytes()).unwrap();
    assert!(index.find("a").unwrap().keywords.is_empty());
    assert_eq!(index.find("a").unwrap().signature, None);
}

#[test]
fn a_null_entry_is_an_error_with_its_position() {
    let found = problems(&format!("{MINIMAL}-\n"));
    assert!(matches!(found[0].2, ProblemKind::NullEntry { position: 2 }), "{found:?}");
    let found = problems("- null\n");
    assert_eq!((found[0].0, found[0].1), (1, 3));
    assert!(matches!(found[0].2, ProblemKind::NullEntry { position: 1 }));
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let text = format!(
        "{MINIMAL}- {{type: plugin, registry: h, repository: r}}\n- name: b\n  type: plugin\n  \
         repository: r\n{MINIMAL}- name: a/b\n  type: plugin\n  registry: h\n  repository: r\n"
    );
    let found = problems(&text);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(
        (found[0].0, &found[0].2),
        (2, &ProblemKind::MissingField { entry: "2".to_owned(), field: "name" })
    );
    assert_eq!(
        (found[1].0, &found[1].2),
        (3, &ProblemKind::MissingField { entry: "b".to_owned(), field: "registry" })
    );
    assert_eq!(
        (found[2].0, &found[2].2),
        (6, &ProblemKind::Duplicate { name: "a".to_owned(), first: 1 })
    );
    assert!(matches!(&found[3], (7, _, ProblemKind::BadName { name, .. }) if name == "a/b"));
}

#[test]
fn wrong_shapes_are_syntax_problems_with_a_place() {
    let cases: &[(&str, u64)] = &[
        ("name: a\n", 1),
        ("just text\n", 1),
        ("- just text\n", 1),
        ("- name: [a]\n", 1),
        ("- name: a\n  keywords: word\n", 2),
        ("- name: a\n   type: b\n", 2),
        ("- name: \"a\n", 0),
        ("- &a [*a]\n", 0),
        ("- name: a\n  name: b\n", 2),
    ];
    for (text, line) in cases {
        let found = problems(text);
        assert!(matches!(found[0].2, ProblemKind::Syntax(_)), "`{text}`: {found:?}");
        if *line > 0 {
            assert_eq!(found[0].0, *line, "`{text}`: {found:?}");
        }
        let error = Index::parse("demo", text.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains('\n'), "one line: {error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn other_encodings_are_refused_with_the_place() {
    let error = Index::parse("demo", b"- name: a\n  x: \xff\n").unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(2), Some(6)), "{error}");
}

#[test]
fn limits_hold_at_their_edge() {
    let full = format!("{MINIMAL}{}", "#".repeat(MAX_INDEX_BYTES - MINIMAL.len()));
    assert!(Index::parse("demo", full.as_bytes()).is_ok());
    let over = full + "#";
    assert!(matches!(
        Index::parse("demo", over.as_bytes()),
        Err(IndexError::TooLarge { limit: MAX_INDEX_BYTES, .. })
    ));

    let entries = |count: usize| {
        (0..count)
            .flat_map(|n| {
                [
                    "- {name: a".to_owned(),
                    n.to_string(),
                    ", type: t, registry: h, repository: r}\n".to_owned(),
                ]
            })
            .collect::<String>()
    };
    assert_eq!(
        Index::parse("demo", entries(MAX_INDEX_ENTRIES).as_bytes()).unwrap().len(),
        MAX_INDEX_ENTRIES
    );
    let found = problems(&entries(MAX_INDEX_ENTRIES + 1));
    assert!(matches!(found[0].2, ProblemKind::TooMany { limit: MAX_INDEX_ENTRIES }), "{found:?}");
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&["- &a", &level.to_string(), " [", &aliases, "]\n"].concat());
    }
    assert!(Index::parse("demo", text.as_bytes()).is_err());
}
