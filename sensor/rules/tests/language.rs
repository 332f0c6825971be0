//! The language by examples of our own, asked as questions: what parses, compiles, matches, loads.
//! Each comes from a sentence of the language's description.
use eyas_rules::ask::answer;
use serde_json::{Value, json};

fn ask(question: &Value) -> Value {
    answer(question.to_string().as_bytes())
}

#[track_caller]
fn all_are(ok: bool, kind: &str, texts: &[&str]) {
    let wrong: Vec<String> = texts
        .iter()
        .map(|text| (text, ask(&json!({ kind: text }))))
        .filter(|(_, answer)| answer["ok"] != ok)
        .map(|(text, answer)| format!("{text}: {answer}"))
        .collect();
    assert!(wrong.is_empty(), "not {ok}:\n{}", wrong.join("\n"));
}

#[test]
fn what_parses() {
    all_are(
        true,
        "grammar",
        &[
            "not",
            "and",
            "not and",
            "a.b = not",
            "a.b=1",
            "a.b==x",
            "a.b != x",
            "a.b = \"\"",
            "a.b = ''",
            "a.b = 0xAAA.1",
            "a.b = a:b/c*d[e]{f}",
            "a.b < 0x1F",
            "a.b <= -1",
            "a.b > +1.5e+10",
            "a.b >= 1.",
            "a.b < val(c.d)",
            "a.b < tolower(c.d)",
            "x.y in(a)",
            "x.y in ()",
            "x.y in ( a , 'b c' , \"d\" )",
            "x.y in IDENT",
            "x.y inIDENT",
            "x.y in val(c.d)",
            "x.y intersects(a,b)",
            "x.y pmatch (a)",
            "x.y contains a",
            "x.y\tcontains\na",
            "x.y exists",
            "test.op existsand macro",
            "(a)and(b)or(c)",
            "not(not(a))",
            "not (a)",
            "not not not a",
            "p.n == oneof",
            "p.n == oneof (a, b)",
            "p.n = anyof LIST",
            "p.n == anyof and x.y exists",
            "p.n startswith allof (a)",
            "p.n glob oneof ()",
            "a.b[1] = x",
            "a.b[\"x y\"] = x",
            "a.b['x'] exists",
            "a.b[\"\"] = x",
            "tolower(a.b) = x",
            "toupper(tolower(a.b)) = x",
            "join(\",\", (a.b, \"c\", 5)) = x",
            "concat(a.b, \"c\", 5) = x",
            "getopt(a.b, \"ab:\")[a] = x",
            "len(join(\",\", ())) = 0",
            "tolower",
            "tolower and a",
            "val",
            "a.b.c.d = x",
            "a.b = 'it\\'s'",
            "a.b = \"\\x41\\n\\t\\\\ \\/ \\ \"",
            "  a.b = c  ",
            "a.b\u{8}=\u{8}c",
        ],
    );
}

#[test]
fn what_does_not_parse() {
    all_are(
        false,
        "grammar",
        &[
            "",
            " ",
            "a andb",
            "a orb",
            "a not b",
            "a b",
            "(a",
            "a)",
            "()",
            "a and",
            "and and",
            "a.b",
            "a.b =",
            "a.b = a b",
            "a.b = (a)",
            "a.b = a,b",
            "a.b = =",
            "a.b === c",
            "x.y < a",
            "x.y < \"1\"",
            "x.y < 0xAAA.1",
            "x.y containsvalue",
            "x.y contains(a)",
            "x.y contains (a)",
            "x.y in",
            "x.y in (a",
            "x.y in (a,)",
            "x.y in (,a)",
            "x.y in (a b)",
            "x.y in ((a))",
            "x.y in (val(c.d))",
            "x.y in (tolower(c.d))",
            "p.n == oneof(a)",
            "p.n ==oneof (a)",
            "p.n in oneof (a)",
            "p.n < oneof (1)",
            "a.b [1] = x",
            "a.b[1 = x",
            "a.b[] = x",
            "a.b[a b] = x",
            "a.b[[a]] = x",
            "tolower (a.b) = x",
            "tolower() = x",
            "tolower(a.b = x",
            "tolower(val(a.b)) = x",
            "val(a.b) = x",
            "a.b = val(\"c\")",
            "a.b = val(tolower(c.d))",
            "join(\",\", ((a.b))) = x",
            "a. = x",
            ".a = x",
            "1a.b = x",
            "a.1 = x",
            "a.b EXISTS",
            "a.b = 'x",
            "a.b = 'a\\\\'",
            "a.b = \"\\x4\"",
            "a.b = \"\\xzz\"",
            "a.b = \"\\q\"",
            "a.b = \"\\'\"",
            "a.b = '\\\"'",
            "a # b",
            "a; b",
        ],
    );
}

#[test]
fn nesting_ends_at_a_hundred_levels() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(ask(&json!({ "grammar": nested(18) }))["ok"], true);
    let answer = ask(&json!({ "grammar": nested(30) }));
    assert_eq!(answer["error"]["code"], "syntax-depth");
    assert_eq!(ask(&json!({ "grammar": "(".repeat(1_000_000) }))["error"]["code"], "syntax-depth");
    assert_eq!(ask(&json!({ "grammar": format!("{}a", "not ".repeat(100_000)) }))["ok"], true);
}

#[test]
fn what_compiles() {
    all_are(
        true,
        "condition",
        &[
            "proc.name < 5",
            "proc.name in ()",
            "proc.name = \"\"",
            "proc.pid = -1",
            "proc.pid = +1",
            "proc.vmsize = -1",
            "proc.pid in (1, 2)",
            "proc.pid != oneof (1, 2)",
            "fd.sport = http",
            "fd.sport = 70000",
            "fd.sport = ''",
            "fd.sport in (http, 443)",
            "evt.is_io = true",
            "evt.is_io != anyof (true)",
            "fd.sip = ::1",
            "fd.sip in (1.2.3.4, ::1)",
            "fd.snet = 10.1.2.3/0",
            "fd.net in (10.0.0.0/8, fe80::/10)",
            "evt.type = openat",
            "evt.type in (openat, add_key)",
            "syscall.type = foo",
            "evt.buffer bcontains CAfe",
            "evt.buffer contains \"a\\x00b\"",
            "evt.buffer contains oneof (a)",
            "proc.name regex 'a{2}|[[:alpha:]]+'",
            "proc.name icontains A",
            "fd.name pmatch (/usr, '*')",
            "fd.types in (file)",
            "fd.types intersects ()",
            "fd.types exists",
            "proc.aname[2] = x",
            "proc.aname[0] = x",
            "proc.env[PATH] = x",
            "evt.arg.flags = x",
            "evt.arg[0] = x",
            "evt.rawarg.res < 0",
            "evt.rawres < 0",
            "len(proc.name) = 3",
            "len(fd.types) > 0",
            "len(evt.buffer) = 0",
            "tolower(proc.name) in (a, b)",
            "basename(proc.exepath) = val(proc.name)",
            "b64(evt.buffer) contains a",
            "join(\",\", fd.types) = x",
            "join(\"\", (proc.name, proc.pname)) = x",
            "concat(proc.name, \"-\", 5) = x",
            "proc.name = val(proc.pname)",
            "proc.pid = val(proc.ppid)",
            "proc.name in (a)",
            "proc.name startswith val(proc.pname)",
            "container.id != host",
        ],
    );
}

#[test]
fn what_does_not_compile() {
    all_are(
        false,
        "condition",
        &[
            "some_macro",
            "no.such = 1",
            "proc.nam = a",
            "proc.name.x = a",
            "proc.name[1] = a",
            "proc.aname[-1] = a",
            "proc.aname[x] = a",
            "proc.aname[\"\"] = a",
            "evt.arg = a",
            "evt.arg.nothing = a",
            "proc.pid = 0x10",
            "proc.pid < 0x10",
            "proc.pid < 1.5",
            "proc.pid = a",
            "proc.pid = ''",
            "proc.pid = 99999999999999999999",
            "proc.pid contains 1",
            "proc.pid glob 1",
            "proc.pid startswith oneof (1)",
            "fd.sport = -1",
            "fd.sport = nosuchservice",
            "fd.sport contains 1",
            "evt.is_io = True",
            "evt.is_io = 1",
            "evt.is_io < 1",
            "fd.sip = 1.2.3",
            "fd.sip = a",
            "fd.sip < 1",
            "fd.snet = 10.0.0.0",
            "fd.snet = 10.0.0.0/33",
            "fd.snet = fe80::/129",
            "evt.type = foo",
            "evt.type startswith exec",
            "evt.type in (openat, foo)",
            "evt.buffer < 5",
            "evt.buffer icontains a",
            "evt.buffer glob a",
            "evt.buffer bcontains a",
            "evt.buffer bcontains zz",
            "proc.name bcontains 61",
            "proc.name = \"a\\x00b\"",
            "proc.name regex '('",
            "proc.name regex '(?=a)'",
            "proc.name regex '\\\\d'",
            "proc.name regex '(a)\\\\1'",
            "fd.types = file",
            "fd.types contains file",
            "fd.types < 1",
            "join(\",\", proc.name) = x",
            "fd.types = anyof (file)",
            "len(proc.pid) = 1",
            "len(proc.name) = a",
            "tolower(proc.pid) = a",
            "tolower(proc.name, proc.name) = a",
            "tolower(proc.name)[0] = a",
            "concat(proc.name) = a",
            "concat(proc.name, fd.types) = a",
            "join(\",\") = a",
            "join(proc.pid, fd.types) = a",
            "proc.name = val(proc.pid)",
            "proc.name = val(fd.types)",
            "proc.name regex val(proc.pname)",
            "proc.name pmatch val(proc.pname)",
            "fd.snet = val(fd.snet)",
            "fd.ip = val(fd.sip)",
            "proc.name = val(no.such)",
            "tolower(evt.type) = openat",
            "evt.type = val(proc.name)",
        ],
    );
}

#[test]
fn what_matches() {
    let fields = json!({
        "proc.name": "Cat", "proc.pname": "", "proc.pid": 7, "proc.vmsize": 18_446_744_073_709_551_615_u64,
        "fd.name": "/etc/ssh/sshd_config", "fd.types": ["file", "ipv4"], "fd.sip": "10.1.2.3",
        "fd.cip": "::1", "fd.sport": 443, "evt.is_io": true, "evt.buffer": {"hex": "00ff61"},
        "proc.aname[1]": "bash", "proc.aname[2]": "init", "user.name": "<NA>",
    });
    for (condition, wanted) in [
        ("proc.pname exists", true),
        ("proc.exe exists", false),
        ("proc.exe != a", false),
        ("not proc.exe = a", true),
        ("not (proc.exe != a or proc.exe exists)", true),
        ("proc.exe = <NA>", false),
        ("user.name = <NA>", true),
        ("proc.pname = ''", true),
        ("proc.pname contains ''", true),
        ("proc.name = cat", false),
        ("proc.name icontains CA", true),
        ("proc.name iglob cA?", true),
        ("proc.name glob ca?", false),
        ("proc.name < 5", false),
        ("proc.name > 5", true),
        ("proc.name in (a, Cat)", true),
        ("proc.name in ()", false),
        ("not proc.name in ()", true),
        ("proc.name = oneof ()", false),
        ("proc.name != allof ()", false),
        ("proc.name = oneof (Cat, Cat)", false),
        ("proc.name startswith oneof (C, Ca)", false),
        ("proc.name startswith anyof (C, x)", true),
        ("proc.name contains allof (C, t)", true),
        ("proc.name != oneof (Cat, x)", true),
        ("proc.vmsize = -1", true),
        ("proc.vmsize > 5", true),
        ("fd.types in (file)", false),
        ("fd.types in (file, ipv4, x)", true),
        ("fd.types intersects (x, file)", true),
        ("fd.types intersects (x)", false),
        ("fd.types in ()", false),
        ("fd.sip = 10.1.2.3", true),
        ("fd.sip != ::1", true),
        ("fd.sip = ::1", false),
        ("fd.snet = 10.0.0.0/8", true),
        ("fd.snet != fe80::/10", true),
        ("fd.net in (192.168.0.0/16, 10.0.0.0/8)", true),
        ("fd.sport = https", true),
        ("fd.sport in (http, https)", true),
        ("fd.name glob /etc/*", true),
        ("fd.name glob '*/sshd[!a-z]config'", true),
        ("fd.name regex ssh", false),
        ("fd.name regex '.*ssh.*'", true),
        ("fd.name pmatch (/etc/ss)", false),
        ("fd.name pmatch (/x, /etc/ssh/)", true),
        ("fd.name pmatch (/*/ssh)", true),
        ("fd.name pmatch (/)", true),
        ("fd.name pmatch (/etc/ssh/sshd_config/x)", false),
        ("evt.buffer bcontains ff61", true),
        ("evt.buffer bstartswith 00FF", true),
        ("evt.buffer endswith a", true),
        ("evt.buffer = \"\\x00\\xffa\"", true),
        ("proc.aname = init", true),
        ("proc.aname[1] = init", false),
        ("proc.aname in (Cat)", false),
        ("len(proc.name) = 3", true),
        ("len(fd.types) = 2", true),
        ("len(evt.buffer) = 3", true),
        ("len(proc.exe) = 0", false),
        ("tolower(proc.name) = cat", true),
        ("basename(fd.name) = sshd_config", true),
        ("join(\"-\", fd.types) = file-ipv4", true),
        ("join(\"-\", (proc.name, proc.exe)) exists", false),
        ("join(\",\", ()) = ''", true),
        ("concat(proc.name, \"x\", 5) = Catx5", true),
        ("proc.name = proc.name", false),
        ("proc.name = val(proc.name)", true),
        ("proc.name != val(proc.exe)", false),
        ("fd.name contains val(proc.pname)", true),
        ("proc.name in (Cat) and not proc.pid = 8 or proc.exe exists", true),
    ] {
        let found = ask(&json!({ "condition": condition, "fields": fields }));
        assert_eq!(found["match"], json!(wanted), "{condition}: {found}");
    }
}

const RULE: &str =
    "- rule: r\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";

/// Loads files; gives the error codes, the warning codes and the answer.
fn loaded(files: &[&str]) -> (Vec<String>, Vec<String>, Value) {
    let answer = ask(&json!({ "rules": files }));
    let codes = |kind: &str| -> Vec<String> {
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        results
            .iter()
            .flat_map(|result| result[kind].as_array().cloned().unwrap_or_default())
            .filter_map(|problem| problem["code"].as_str().map(str::to_owned))
            .collect()
    };
    (codes("errors"), codes("warnings"), answer.clone())
}

#[test]
fn what_does_not_load() {
    let with = |more: &str| format!("{RULE}{more}");
    for (text, code) in [
        ("a: b\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- a\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- [".to_owned(), "LOAD_ERR_YAML_PARSE"),
        ("- rule: r\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- rule: r\n  enabled: true\n".to_owned(), "LOAD_ERR_VALIDATE"),
        ("- rule: r\n  condition: a\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- macro: m\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- macro: m\n  condition: a and\n".to_owned(), "LOAD_ERR_COMPILE_CONDITION"),
        ("- macro: m\n  condition: m\n".to_owned(), "LOAD_ERR_VALIDATE"),
        ("- list: l\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- list: l\n  items: x\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        ("- list: l\n  items: [x]\n  append: true\n".to_owned(), "LOAD_ERR_VALIDATE"),
        ("- required_engine_version: 64\n".to_owned(), "LOAD_ERR_VALIDATE"),
        ("- required_engine_version: 1.0.0\n".to_owned(), "LOAD_ERR_VALIDATE"),
        ("- required_engine_version: new\n".to_owned(), "LOAD_ERR_YAML_VALIDATE"),
        (with("  source: ''\n"), "LOAD_ERR_YAML_VALIDATE"),
        (with("  enabled: perhaps\n"), "LOAD_ERR_YAML_VALIDATE"),
        (with("  exceptions: x\n"), "LOAD_ERR_YAML_VALIDATE"),
        (with("  exceptions: [{fields: proc.name}]\n"), "LOAD_ERR_YAML_VALIDATE"),
        (with("  exceptions: [{name: e}]\n"), "LOAD_ERR_YAML_VALIDATE"),
        (with("  exceptions: [{name: e, fields: no.such}]\n"), "LOAD_ERR_VALIDATE"),
        (
            with("  exceptions: [{name: e, fields: [proc.name, proc.pid], comps: [=]}]\n"),
            "LOAD_ERR_VALIDATE",
        ),
        (with("  exceptions: [{name: e, fields: proc.name, comps: like}]\n"), "LOAD_ERR_VALIDATE"),
        (RULE.replace("INFO", "LOUD"), "LOAD_ERR_YAML_VALIDATE"),
        (RULE.replace("output: o", "output: 100% sure"), "LOAD_ERR_COMPILE_OUTPUT"),
        (RULE.replace("evt.type = open", "no.such = 1"), "LOAD_ERR_COMPILE_CONDITION"),
        (RULE.replace("evt.type = open", "m"), "LOAD_ERR_VALIDATE"),
        (
            with(
                "- rule: r\n  append: true\n  override: {condition: append}\n  condition: and a\n",
            ),
            "LOAD_ERR_YAML_VALIDATE",
        ),
        (with("- rule: r\n  override: {condition: append}\n"), "LOAD_ERR_YAML_VALIDATE"),
        (
            with("- rule: r\n  override: {desc: replace}\n  desc: x\n  output: y\n"),
            "LOAD_ERR_YAML_VALIDATE",
        ),
        (
            with("- rule: r\n  override: {priority: append}\n  priority: INFO\n"),
            "LOAD_ERR_YAML_VALIDATE",
        ),
        (with("- rule: r\n  append: true\n"), "LOAD_ERR_VALIDATE"),
        (
            with("- rule: r\n  append: true\n  source: k8s_audit\n  condition: and a\n"),
            "LOAD_ERR_VALIDATE",
        ),
    ] {
        let (errors, _, answer) = loaded(&[&text]);
        assert_eq!(errors, [code], "{text}{answer}");
        assert_eq!(answer["ok"], false, "{text}");
    }
}

#[test]
fn what_loads_and_what_becomes_of_it() {
    let change = |text: &str| {
        let (errors, _, answer) = loaded(&[RULE, text]);
        assert_eq!(errors, Vec::<String>::new(), "{text}{answer}");
        (answer["conditions"]["r"].clone(), answer["outputs"]["r"].clone())
    };
    for (text, condition, output) in [
        ("- null\n---\n---\n- nothing: x\n", "evt.type = open", "o"),
        (
            "- rule: r\n  override: {condition: append, output: append}\n  condition: and proc.pid = 1\n  output: p\n",
            "(evt.type = open and proc.pid = 1)",
            "o p",
        ),
        (
            "- rule: r\n  override: {condition: replace}\n  condition: proc.pid = 2\n",
            "proc.pid = 2",
            "o",
        ),
        (
            "- rule: r\n  append: true\n  condition: or proc.pid = 3\n  enabled: false\n",
            "(evt.type = open or proc.pid = 3)",
            "o",
        ),
        (
            "- rule: r\n  override: {exceptions: append}\n  exceptions:\n    - {name: e, fields: proc.name, values: [a, 'b c']}\n",
            "(evt.type = open and not proc.name in (a, \"b c\"))",
            "o",
        ),
        (
            "- rule: r\n  override: {exceptions: replace}\n  exceptions:\n    - {name: e, fields: [proc.name, proc.pid], values: [[a, 1], [b, 2]]}\n",
            "(evt.type = open and not ((proc.name = a and proc.pid = 1) or (proc.name = b and proc.pid = 2)))",
            "o",
        ),
        (
            "- list: l\n  items: [a, k]\n- list: k\n  items: [b]\n- list: l\n  items: [c]\n  append: true\n\
             - rule: r\n  override: {condition: append}\n  condition: and proc.name in (l)\n",
            "(evt.type = open and proc.name in (a, b, c))",
            "o",
        ),
        (
            "- list: l\n  items: []\n- rule: r\n  override: {condition: append}\n  condition: and proc.name in (a, l, b)\n",
            "(evt.type = open and proc.name in (a, b))",
            "o",
        ),
        (
            "- macro: m\n  condition: proc.pid = 1\n- macro: m\n  condition: or proc.pid = 2\n  append: true\n\
             - rule: r\n  override: {condition: append}\n  condition: and (m)\n",
            "(evt.type = open and (proc.pid = 1 or proc.pid = 2))",
            "o",
        ),
    ] {
        let (found, text_found) = change(text);
        assert_eq!((found, text_found), (condition.into(), output.into()), "{text}");
    }
    let answer = loaded(&[RULE, "- rule: r\n  enabled: false\n"]).2;
    assert_eq!(answer["enabled"], json!([]));
    for version in ["0.63.0", "63", "0.26.0-rc1", "31"] {
        let text = format!("- required_engine_version: {version}\n");
        assert_eq!(loaded(&[&text]).2["ok"], true, "{version}");
    }
}

#[test]
fn what_is_warned_of() {
    for (text, code) in [
        (RULE.replace("evt.type = open", "proc.pid = 1"), "LOAD_NO_EVTTYPE"),
        (RULE.replace("output: o", "output: o\n  colour: red"), "LOAD_UNKNOWN_KEY"),
        (format!("{RULE}- macro: m\n  condition: proc.pid = 1\n"), "LOAD_UNUSED_MACRO"),
        (format!("{RULE}- list: l\n  items: [a]\n"), "LOAD_UNUSED_LIST"),
        ("- nothing: x\n".to_owned(), "LOAD_UNKNOWN_ITEM"),
        (format!("{RULE}  source: martian\n"), "LOAD_UNKNOWN_SOURCE"),
        (
            RULE.replace("evt.type = open", "evt.type = open and proc.name = proc.pname"),
            "LOAD_COMPILE_CONDITION",
        ),
        (
            RULE.replace("evt.type = open", "evt.type = open and proc.name regex cat"),
            "LOAD_COMPILE_CONDITION",
        ),
        (
            RULE.replace("evt.type = open", "evt.type = open and evt.dir = <"),
            "LOAD_DEPRECATED_ITEM",
        ),
        (
            RULE.replace(
                "evt.type = open",
                "evt.type = open and no.such = 1\n  skip-if-unknown-filter: true",
            ),
            "LOAD_UNKNOWN_FILTER",
        ),
        (format!("{RULE}- rule: r\n  enabled: false\n"), "LOAD_DEPRECATED_ITEM"),
        ("- list: a b\n  items: [x]\n".to_owned(), "LOAD_INVALID_LIST_NAME"),
        ("- macro: a-b\n  condition: proc.pid = 1\n".to_owned(), "LOAD_INVALID_MACRO_NAME"),
    ] {
        let (errors, warnings, _) = loaded(&[&text]);
        assert_eq!(errors, Vec::<String>::new(), "{text}");
        assert!(warnings.iter().any(|one| one == code), "{text}: {warnings:?}");
    }
}
