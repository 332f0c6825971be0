//! What conditions mean, operator by operator and type by type, as one table.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test that fails ends the test"
)]

use eyas_rules::check::{CheckError, Scope};
use eyas_rules::compile::compile;
use eyas_rules::eval::Scratch;
use eyas_rules::fields::{GivenFacts, StaticFields};
use eyas_rules::syntax::{Limits, parse};
use serde_json::{Value, json};

fn facts() -> GivenFacts {
    let given: Value = json!({
        "evt.type": "openat", "evt.num": 5, "evt.rawtime": 1_000_000_000_000_u64,
        "evt.is_io": true, "evt.cpu": -1, "evt.buffer": { "hex": "00414243ff" },
        "evt.rawarg.res": -22, "evt.rawarg.flags": 4_294_967_295_u64,
        "proc.name": "Nginx", "proc.pname": "init", "proc.pid": 10, "proc.vpid": 10, "proc.args": "",
        "proc.aname[1]": "sh", "proc.aname[2]": "init", "thread.cpu": 2.5, "user.uid": 4_294_967_295_u64,
        "fd.name": "/opt/Data/x.log", "fd.types": ["file", "ipv4"], "fd.sport": 22,
        "fd.cip": "10.0.0.1", "fd.sip": "2001:db8::1", "fd.cport": 40000, "fd.dev": 2049,
        "fd.sip.name": "example.org", "proc.env[A B]": "v",
    });
    let map = given.as_object().unwrap();
    GivenFacts::new(map.iter().map(|(key, value)| (key.as_str(), value))).unwrap()
}

fn compiled(condition: &str) -> Result<bool, CheckError> {
    let expr =
        parse(condition, Limits::filter()).unwrap_or_else(|error| panic!("{condition}: {error}"));
    let statics = StaticFields::from([("site".to_owned(), "lab".to_owned())]);
    let (program, _) = compile(&expr, Scope { source: "syscall", statics: &statics })?;
    Ok(program.matches(&facts(), &mut Scratch::new()))
}

fn assert_all(expected: bool, conditions: &[&str]) {
    for condition in conditions {
        let found = compiled(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
        assert_eq!(found, expected, "{condition}");
    }
}

#[test]
fn texts() {
    assert_all(
        true,
        &[
            "proc.name = Nginx",
            "proc.name != nginx",
            "proc.name in (a, Nginx)",
            "proc.name intersects (Nginx)",
            "proc.name contains gin",
            "proc.name contains ''",
            "proc.name icontains NGI",
            "proc.name startswith Ng",
            "proc.name endswith inx",
            "proc.name glob N*x",
            "proc.name iglob n?INX",
            "proc.name regex '[A-Z][a-z]+'",
            "proc.args = ''",
            "proc.args exists",
            "fd.name pmatch (/usr, /opt/*)",
            "static.site = lab",
            "proc.env['A B'] = v",
        ],
    );
    assert_all(
        false,
        &[
            "proc.name = nginx",
            "proc.name in ()",
            "proc.name contains gix",
            "proc.name icontains gix",
            "proc.name startswith gin",
            "proc.name glob n*",
            "proc.name regex ginx",
            "fd.name pmatch (/op, /opt/Data/x)",
            "static.site != lab",
        ],
    );
}

#[test]
fn numbers_times_and_ports() {
    assert_all(
        true,
        &[
            "proc.pid = 10",
            "proc.pid > -1",
            "proc.pid in (9, 10)",
            "proc.pid != anyof (10, 11)",
            "evt.cpu < 0",
            "evt.cpu = 65535",
            "user.uid = -1",
            "thread.cpu > 2",
            "thread.cpu < 3",
            "fd.sport = ssh",
            "fd.sport in (21, 22)",
            "fd.dev > 2048",
            "evt.rawtime >= 1000000000000",
            "evt.rawarg.res = -22",
            "evt.rawarg.flags = -1",
            "evt.rawarg.flags in (7, -1)",
            "evt.around[1000000000000] = 0",
            "evt.around[1005000000000] = 5000",
        ],
    );
    assert_all(
        false,
        &[
            "proc.pid < 10",
            "proc.pid = allof (10, 11)",
            "thread.cpu = 2",
            "thread.cpu in (2, 3)",
            "fd.sport > 22",
            "evt.rawarg.res > 0",
            "evt.around[1005000000001] = 5000",
        ],
    );
}

#[test]
fn truths_bytes_and_lists() {
    assert_all(
        true,
        &[
            "evt.is_io = true",
            "evt.is_io in (true, false)",
            "evt.buffer contains ABC",
            "evt.buffer bcontains 414243",
            "evt.buffer bstartswith 0041",
            "evt.buffer endswith \"\\xff\"",
            "fd.types in (file, ipv4, pipe)",
            "fd.types intersects (ipv4)",
            "fd.types exists",
        ],
    );
    assert_all(
        false,
        &[
            "evt.is_io != true",
            "evt.buffer startswith ABC",
            "evt.buffer bcontains ffff",
            "fd.types in (file)",
            "fd.types in ()",
            "fd.types intersects (pipe)",
        ],
    );
}

#[test]
fn addresses_of_either_family() {
    assert_all(
        true,
        &[
            "fd.cip = 10.0.0.1",
            "fd.cip != ::1",
            "fd.sip in (::1, 2001:db8::1)",
            "fd.snet = 2001:db8::/32",
            "fd.cnet in (192.168.0.0/16, 10.0.0.0/8)",
            "fd.cnet != 2001:db8::/32",
            "fd.ip = 10.0.0.1",
            "fd.ip = 2001:db8::1",
            "fd.ip in (1.1.1.1, 10.0.0.1)",
            "fd.ip != 1.1.1.1",
            "fd.net in (1.0.0.0/8, 10.0.0.0/8)",
            "fd.port = 40000 and fd.port = 22",
            "fd.port < 100",
            "fd.ip != allof (1.1.1.1, 2.2.2.2)",
            "fd.ip exists",
        ],
    );
    assert_all(
        false,
        &[
            "fd.cip = ::1",
            "fd.ip != 10.0.0.1",
            "fd.port != 22",
            "fd.net = 11.0.0.0/8",
            "fd.ip != allof (1.1.1.1, 10.0.0.1)",
        ],
    );
}

#[test]
fn names_of_addresses_compare_as_text_when_known() {
    assert_all(true, &["fd.sip.name = example.org", "fd.sip.name endswith .org"]);
    assert_all(false, &["fd.sip.name != example.org", "fd.cip.name = x", "fd.cip.name endswith x"]);
    assert_all(true, &["fd.cip.name != x"]);
}

#[test]
fn what_is_unset_never_holds() {
    for operator in ["= x", "!= x", "in (x)", "contains x", "exists", "= val(proc.name)"] {
        assert_all(false, &[&format!("user.name {operator}")]);
        assert_all(true, &[&format!("not user.name {operator}")]);
    }
    assert_all(false, &["proc.name = val(user.name)", "proc.name != val(user.name)"]);
    assert_all(false, &["len(user.name) = 0", "concat(user.name, 'x') = x"]);
    assert_all(false, &["join(',', (proc.name, user.name)) exists"]);
}

#[test]
fn any_ancestor_will_do() {
    assert_all(true, &["proc.aname = init", "proc.aname != sh", "proc.aname[2] = init"]);
    assert_all(true, &["proc.aname in (sh)", "proc.aname exists", "proc.aname startswith in"]);
    assert_all(false, &["proc.aname = Nginx", "proc.aname[3] exists", "proc.aexe exists"]);
}

#[test]
fn fields_and_transformers_on_either_side() {
    assert_all(
        true,
        &[
            "proc.pid = val(proc.vpid)",
            "tolower(proc.name) = nginx",
            "toupper(proc.name) = toupper(proc.name)",
            "fd.name endswith val(fd.name)",
            "basename(fd.name) = x.log",
            "len(fd.name) = 15",
            "len(fd.types) = 2",
            "tolower(fd.types) in (file, ipv4)",
            "join('-', (proc.name, proc.pid)) = Nginx-10",
            "join(',', fd.types) = 'file,ipv4'",
            "join(',', ()) = ''",
            "concat(proc.name, '/', proc.pname) = Nginx/init",
            "b64('TmdpbngK') startswith Nginx",
            "getopt(('-ab', 'v'), 'ab:') intersects (v)",
            "getopt(('-ab', 'v'), 'ab:')[b] = v",
        ],
    );
    assert_all(
        false,
        &["proc.name = val(proc.pname)", "b64('*') exists", "getopt(('-a'), 'b')[b] exists"],
    );
}

#[test]
fn what_does_not_fit_is_refused_in_plain_words() {
    for (condition, message) in [
        ("proc.nme = a", "unknown field `proc.nme`"),
        ("proc.pid = abc", "`abc` is not a signed integer, the type of `proc.pid`"),
        (
            "proc.pid contains 1",
            "operator `contains` does not apply to `proc.pid`, which is a signed integer",
        ),
        ("fd.types = a", "operator `=` does not apply to `fd.types`, which is a list of text"),
        ("fd.net = 10.0.0.1", "`10.0.0.1` is not an IP network, the type of `fd.net`"),
        ("evt.type = opne", "unknown event type `opne`"),
        ("evt.arg.nothing = a", "unknown event argument `nothing`"),
        (
            "proc.name = val(proc.pid)",
            "`proc.name` cannot be compared with a field by `=`: `val(proc.pid)` is a signed integer, the left side is text",
        ),
        (
            "proc.name regex val(proc.pname)",
            "`proc.name` cannot be compared with a field by `regex`: the operator takes written values only",
        ),
        ("len(proc.pid) = 1", "`len`: takes one text, one byte buffer or one list"),
        ("tolower(proc.aname) = a", "`tolower`: cannot take the field `proc.aname`"),
        ("proc.name regex '('", "`(` is not a valid regular expression: unclosed group"),
        ("a_macro", "undefined macro `a_macro`"),
    ] {
        let error = compiled(condition).unwrap_err();
        assert_eq!(error.to_string(), message, "{condition}");
        assert!(error.span().range().end <= condition.len(), "{condition}");
    }
    assert_eq!(
        compiled("fd.net = 10.0.0.1").unwrap_err().hint().unwrap(),
        "write it with its mask, as in `10.0.0.0/8`"
    );
    assert!(compiled("proc.nme = a").unwrap_err().is_unknown_filter());
    assert!(compiled("evt.type = opne").unwrap_err().is_unknown_filter());
    assert!(!compiled("evt.arg.nothing = a").unwrap_err().is_unknown_filter());
}
