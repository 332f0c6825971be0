//! Names, merging and search.

use eyas_artifact::Digest;
use eyas_index::{Index, IndexError, resolve};

fn index(name: &str, entries: &[(&str, &str, &str)]) -> Index {
    let text: String = entries
        .iter()
        .flat_map(|(name, repository, keywords)| {
            [
                "- {name: ",
                name,
                ", type: rulesfile, registry: Registry.example.org, repository: ",
                repository,
                ", keywords: [",
                keywords,
                "]}\n",
            ]
        })
        .collect();
    Index::parse(name, text.as_bytes()).unwrap()
}

#[test]
fn a_name_becomes_a_reference() {
    let known = index("one", &[("demo", "team/demo", "")]);
    let digest = Digest::sha256(b"x");
    let cases = [
        ("demo".to_owned(), "registry.example.org/team/demo:latest".to_owned()),
        ("demo:1.2".to_owned(), "registry.example.org/team/demo:1.2".to_owned()),
        (format!("demo@{digest}"), format!("registry.example.org/team/demo@{digest}")),
        (format!("demo:1@{digest}"), format!("registry.example.org/team/demo@{digest}")),
        ("host/path".to_owned(), "host/path:latest".to_owned()),
        ("host/path:2".to_owned(), "host/path:2".to_owned()),
        (format!("host/path@{digest}"), format!("host/path@{digest}")),
    ];
    for (name, expected) in cases {
        let reference = resolve(&name.parse().unwrap(), &known).unwrap();
        assert_eq!(reference.to_string(), expected, "{name}");
    }
}

#[test]
fn full_references_need_no_index() {
    let none = Index::default();
    assert!(resolve(&"host/demo".parse().unwrap(), &none).is_ok());
    let error = resolve(&"demo".parse().unwrap(), &none).unwrap_err();
    assert!(error.hint().unwrap().contains("eyas index add"), "{error}");
}

#[test]
fn an_unknown_name_comes_with_names_like_it() {
    let known =
        index("one", &[("falco-rules", "a", ""), ("falco-rule", "b", ""), ("zzz", "c", "")]);
    let error = resolve(&"falco-ruels".parse().unwrap(), &known).unwrap_err();
    match &error {
        IndexError::UnknownName { similar, .. } => assert_eq!(similar.len(), 2, "{similar:?}"),
        other => panic!("{other:?}"),
    }
    assert!(error.hint().unwrap().contains("falco-rules"));
    let far = resolve(&"qqqqqqqq".parse().unwrap(), &known).unwrap_err();
    assert!(far.hint().unwrap().contains("eyas index update"));
}

#[test]
fn an_entry_that_makes_no_reference_is_named() {
    let text = "- {name: a, type: t, registry: 'https://h', repository: r}\n";
    let known = Index::parse("one", text.as_bytes()).unwrap();
    let error = resolve(&"a".parse().unwrap(), &known).unwrap_err().to_string();
    assert!(error.starts_with("entry `a` of index `one`: "), "{error}");
}

#[test]
fn a_later_index_wins() {
    let merged = Index::merge([
        index("one", &[("demo", "one/demo", ""), ("only", "one/only", "")]),
        index("two", &[("demo", "two/demo", "")]),
    ]);
    assert_eq!(merged.len(), 2);
    assert_eq!(merged.find("demo").unwrap().repository, "two/demo");
    assert_eq!(merged.find("demo").unwrap().index, "two");
    assert_eq!(merged.find("only").unwrap().index, "one");
}

#[test]
fn entries_are_found_by_where_they_live() {
    let known =
        index("one", &[("demo", "team/demo", ""), ("alias", "team/demo", ""), ("x", "x", "")]);
    let reference = "registry.example.org/team/demo:7".parse().unwrap();
    let names: Vec<&str> = known.at(&reference).map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["alias", "demo"]);
}

#[test]
fn search_scores_names_and_reads_keywords() {
    let known = index(
        "one",
        &[
            ("cloudtrail", "a", "audit, aws"),
            ("cloudtrail-rules", "b", "AWS"),
            ("json", "c", "parser"),
        ],
    );
    let names = |words: &[&str], score| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        known.search(&words, score).iter().map(|hit| hit.entry.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["CloudTrail"], 0.65), ["cloudtrail"]);
    assert_eq!(names(&["cloudtrail"], 0.6), ["cloudtrail", "cloudtrail-rules"]);
    assert_eq!(names(&["aws"], 1.0), ["cloudtrail", "cloudtrail-rules"]);
    assert_eq!(names(&["jso", "nothing"], 0.75), ["json"]);
    assert_eq!(names(&["jso"], 0.76), Vec::<String>::new(), "the edge: 3 of 4 letters is 0.75");
    assert_eq!(names(&[], 0.65), Vec::<String>::new());
    assert_eq!(names(&["pars"], 1.0), ["json"], "part of a keyword");
}
