//! What holds for every condition: nothing panics, and logic is logic.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test that fails ends the test"
)]

use std::fmt::Write as _;
use std::sync::LazyLock;

use eyas_rules::check::{Scope, check};
use eyas_rules::compile::{Program, compile};
use eyas_rules::eval::{Matching, Rule, RuleSetBuilder, RuleSetOptions, Scratch, by_definition};
use eyas_rules::fields::{GivenFacts, StaticFields};
use eyas_rules::format::{RuleOutput, RuleView, Style, Template};
use eyas_rules::index::{event_codes, rule_codes, system_calls};
use eyas_rules::syntax::{Limits, canonical, parse, pretty, readable};
use proptest::prelude::*;
use serde_json::json;

fn program(condition: &str) -> Option<Program> {
    let statics = StaticFields::new();
    let expr = parse(condition, Limits::filter()).ok()?;
    let compiled = compile(&expr, Scope { source: "syscall", statics: &statics });
    compiled.ok().map(|(program, _)| program)
}

fn matches(condition: &str, facts: &GivenFacts) -> bool {
    let program = program(condition).unwrap_or_else(|| panic!("`{condition}` does not compile"));
    program.matches(facts, &mut Scratch::new())
}

fn facts() -> GivenFacts {
    let given = json!({
        "evt.type": "openat", "proc.name": "cat", "proc.pid": 7, "fd.name": "/etc/shadow",
        "fd.sip": "10.1.2.3", "fd.cip": "10.0.0.1", "fd.sport": 443, "fd.cport": 4000,
        "fd.types": ["file", "ipv4"], "evt.is_io": true, "evt.buffer": {"hex": "0061ff"},
        "evt.rawarg.flags": 3, "proc.aname[1]": "bash", "proc.aname[2]": "systemd",
    });
    let map = given.as_object().unwrap();
    GivenFacts::new(map.iter().map(|(key, value)| (key.as_str(), value))).unwrap()
}

/// Comparisons that compile, of every type and with set and unset fields.
const LEAVES: &[&str] = &[
    "evt.type = openat",
    "evt.type in (open, close)",
    "proc.name = cat",
    "proc.name in (cat, dog)",
    "proc.name != dog",
    "proc.name != cat",
    "user.name = root",
    "fd.types in (file, ipv4)",
    "fd.types intersects (pipe, ipv6)",
    "evt.buffer = a",
    "evt.buffer != a",
    "proc.name startswith anyof (c, d)",
    "proc.pid > 7",
    "proc.pid <= 7",
    "proc.aname = systemd",
    "proc.aname in (bash, cat)",
    "proc.aname != bash",
    "proc.aname != cat",
    "proc.aname in (cat, dog)",
    "proc.aexe = x",
    "proc.aexe != x",
    "proc.pname exists",
    "fd.name pmatch (/etc, /usr/*/x)",
    "fd.name glob /etc/*",
    "fd.name regex '/etc/(passwd|shadow)'",
    "fd.ip = 10.1.2.3",
    "fd.ip != 10.1.2.3",
    "fd.net in (10.0.0.0/8, 192.168.0.0/16)",
    "fd.port in (443)",
    "fd.types intersects (ipv4)",
    "fd.types in (file)",
    "evt.is_io = false",
    "evt.buffer bcontains 61ff",
    "evt.rawarg.flags != 3",
    "tolower(proc.name) = val(proc.name)",
    "len(fd.types) = 2",
    "user.name != root",
    "evt.num = 0",
    "fd.name startswith /etc",
    "fd.name startswith /usr",
    "fd.name startswith anyof (/etc/sh, /var, /a, /b, /c, /d, /e, /etc/shadow)",
    "fd.name endswith shadow",
    "fd.name endswith anyof (dow, x, y, z, w, v, u, t)",
    "fd.name endswith passwd",
    "fd.name contains etc",
    "fd.name contains t",
    "fd.name contains anyof (passwd, c/s, q, r, sh, /, c/, x)",
    "fd.name contains zzz",
    "fd.name contains \"\"",
    "fd.name icontains SHADOW",
    "fd.name icontains anyof (ETC, y, SHA, q, r, TC/, x, HADOW)",
    "fd.name icontains zz",
    "fd.name icontains Z",
    "fd.name contains oneof (etc, shadow)",
    "fd.name contains allof (etc, shadow)",
    "user.name contains root",
    "toupper(proc.name) startswith C",
    "toupper(proc.name) startswith D",
    "toupper(proc.name) startswith anyof (CA, X, B, C, CAT, E, F, G)",
    "toupper(proc.name) = CAT",
    "len(fd.name) > 3",
    "len(fd.name) > 30",
];

static FACTS: LazyLock<GivenFacts> = LazyLock::new(facts);

/// What each leaf says of the facts.
static LEAF_TRUTHS: LazyLock<Vec<bool>> =
    LazyLock::new(|| LEAVES.iter().map(|leaf| matches(leaf, &FACTS)).collect());

/// A tree over the leaves.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (0..LEAVES.len()).prop_map(Tree::Leaf);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Tree::And),
            proptest::collection::vec(inner, 2..4).prop_map(Tree::Or),
        ]
    })
}

impl Tree {
    fn text(&self, out: &mut String) {
        match self {
            Self::Leaf(place) => out.push_str(LEAVES[*place]),
            Self::Not(inner) => {
                out.push_str("not (");
                inner.text(out);
                out.push(')');
            }
            Self::And(parts) => Self::group(parts, " and ", out),
            Self::Or(parts) => Self::group(parts, " or ", out),
        }
    }

    fn group(parts: &[Self], joint: &str, out: &mut String) {
        out.push('(');
        for (n, part) in parts.iter().enumerate() {
            let _ = write!(out, "{}", if n > 0 { joint } else { "" });
            part.text(out);
        }
        out.push(')');
    }

    /// The truth by its definition, from the truths of the leaves.
    fn truth(&self, leaves: &[bool]) -> bool {
        match self {
            Self::Leaf(place) => leaves[*place],
            Self::Not(inner) => !inner.truth(leaves),
            Self::And(parts) => parts.iter().all(|part| part.truth(leaves)),
            Self::Or(parts) => parts.iter().any(|part| part.truth(leaves)),
        }
    }
}

/// Fragments of the language, to be thrown together.
const TOKENS: &[&str] = &[
    "proc.name",
    "fd.ip",
    "fd.net",
    "evt.rawarg.res",
    "evt.buffer",
    "proc.aname",
    "fd.types",
    "evt.around[5]",
    "thread.cpu",
    "evt.arg.flags",
    "static.x",
    " = ",
    " != ",
    " in ",
    " < ",
    " contains ",
    " glob ",
    " regex ",
    " pmatch ",
    " intersects ",
    " bcontains ",
    " exists",
    " oneof ",
    " allof ",
    "(",
    ")",
    ",",
    "val(",
    "tolower(",
    "len(",
    "join(",
    "getopt(",
    "b64(",
    "[",
    "]",
    "\"",
    "a",
    "1",
    "-1",
    "10.0.0.0/8",
    "::1",
    "61ff",
    "[[:x",
    "{1,",
    "\\",
    "true",
    " and ",
    " or ",
    "not ",
    "é",
    "%",
    "evt.num",
    "evt.type",
    "*",
];

proptest! {
    #[test]
    fn a_condition_is_as_true_as_its_parts_make_it(tree in trees()) {
        let mut text = String::new();
        tree.text(&mut text);
        prop_assert_eq!(matches(&text, &FACTS), tree.truth(&LEAF_TRUTHS), "{}", text);
    }

    #[test]
    fn rules_together_answer_like_each_by_its_definition(
        all in proptest::collection::vec(trees(), 1..6),
    ) {
        let statics = StaticFields::new();
        let scope = Scope { source: "syscall", statics: &statics };
        let mut builder = RuleSetBuilder::new(RuleSetOptions {
            matching: Matching::All,
            ..RuleSetOptions::default()
        });
        let mut wanted = Vec::new();
        for (n, tree) in all.iter().enumerate() {
            let mut text = String::new();
            tree.text(&mut text);
            let expr = parse(&text, Limits::rule(eyas_rules::syntax::ast::TextId(0))).unwrap();
            let checked = check(&expr, scope).unwrap();
            if by_definition(&checked.ir, &*FACTS) {
                wanted.push(n);
            }
            let view = RuleView { name: "r", source: "syscall", tags: &[] };
            let output = RuleOutput::compile(view, "o", &[], scope).unwrap();
            let rule = Rule {
                name: n.to_string().into(),
                description: String::new(),
                priority: "Debug",
                source: "syscall".into(),
                tags: [].into(),
                enabled: true,
                capture: false,
                capture_duration: 0,
            };
            let codes = rule_codes(&expr, "syscall").unwrap();
            builder.add(rule, &checked.ir, output, codes, system_calls(&expr).unwrap());
        }
        let rules = builder.build();
        let mut scratch = Scratch::new();
        // Twice: what an event leaves behind must mean nothing to the next.
        for _ in 0..2 {
            let found: Vec<usize> =
                rules.eval(&*FACTS, &mut scratch).iter().map(|id| id.0 as usize).collect();
            prop_assert_eq!(&found, &wanted);
        }
    }

    #[test]
    fn a_tree_prints_and_reads_back(tree in trees(), width in 10..120_usize) {
        let mut text = String::new();
        tree.text(&mut text);
        let limits = Limits::rule(eyas_rules::syntax::ast::TextId(0));
        let expr = parse(&text, limits).unwrap();
        for printed in [readable(&expr), pretty(&expr, width)] {
            let again = parse(&printed, limits).unwrap();
            prop_assert_eq!(canonical(&again), canonical(&expr), "{}", printed);
            prop_assert_eq!(readable(&again), readable(&expr));
        }
    }

    #[test]
    fn an_event_that_matches_is_in_the_inferred_set(tree in trees()) {
        let mut text = String::new();
        tree.text(&mut text);
        let expr = parse(&text, Limits::rule(eyas_rules::syntax::ast::TextId(0))).unwrap();
        if matches(&text, &FACTS) {
            prop_assert!(event_codes(&expr).unwrap().contains(307), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_compiler_or_a_program_panic(
        picks in proptest::collection::vec(0..TOKENS.len(), 0..14),
    ) {
        let text: String = picks.into_iter().map(|pick| TOKENS[pick]).collect();
        if let Some(program) = program(&text) {
            let _ = program.matches(&*FACTS, &mut Scratch::new());
        }
        let statics = StaticFields::new();
        let scope = Scope { source: "syscall", statics: &statics };
        if let Ok(template) = Template::compile(&format!("%{text}"), scope) {
            let _ = template.render(&*FACTS, Style::default());
        }
    }

    #[test]
    fn any_text_as_a_value_is_taken_or_refused(value in "\\PC{0,12}", place in 0..LEAVES.len()) {
        let field = LEAVES[place].split(' ').next().unwrap_or_default();
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        for operator in ["=", "glob", "regex", "contains", "pmatch", "<"] {
            let text = if operator == "pmatch" {
                format!("{field} {operator} (\"{quoted}\")")
            } else {
                format!("{field} {operator} \"{quoted}\"")
            };
            if let Some(program) = program(&text) {
                let _ = program.matches(&*FACTS, &mut Scratch::new());
            }
        }
    }
}

#[test]
fn deep_trees_are_checked_and_evaluated_without_running_out_of_stack() {
    let depth = 190;
    let text = format!("{}proc.name = cat{}", "not (".repeat(depth), ")".repeat(depth));
    let expr = parse(&text, Limits::rule(eyas_rules::syntax::ast::TextId(0)));
    let Ok(expr) = expr else { panic!("{:?}", expr.err()) };
    let statics = StaticFields::new();
    let checked = check(&expr, Scope { source: "syscall", statics: &statics }).unwrap();
    let program = Program::new(&checked.ir);
    assert!(program.matches(&*FACTS, &mut Scratch::new()));
}
