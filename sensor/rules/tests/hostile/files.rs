//! Files made to cost, by kind, at any size.
use eyas_rules::report::Code;

/// One kind of file.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Writes the file, with so many of what makes it cost.
    pub(crate) write: fn(usize) -> String,
    /// As many as show that a limit holds and that work does not grow by the square.
    pub(crate) some: usize,
    /// As many as a file can hold.
    pub(crate) most: usize,
    /// The first error at either size.
    pub(crate) code: Option<Code>,
}

const fn kind(
    name: &'static str,
    write: fn(usize) -> String,
    [some, most]: [usize; 2],
    code: Option<Code>,
) -> Kind {
    Kind { name, write, some, most, code }
}

/// All kinds, by what they strain.
pub(crate) const KINDS: &[Kind] = &[
    // Expansion.
    kind("macro chain", macro_chain, [2000, 38_000], Some(Code::TooLarge)),
    kind("macro chain, short", macro_chain, [400, 400], None),
    kind("macros doubled", macros_doubled, [60, 60], Some(Code::TooLarge)),
    kind(
        "macros doubled in every rule",
        macros_doubled_in_rules,
        [130, 9_900],
        Some(Code::TooLarge),
    ),
    kind("macros in one condition", macros_in_one, [1000, 35_000], None),
    kind("parts in one condition", parts_in_one, [1000, 45_000], None),
    kind("parts in one condition, more", parts_in_one, [50_001, 350_000], Some(Code::Syntax)),
    kind("list of items", list_items, [100_001, 190_000], Some(Code::TooLarge)),
    kind("list of items, largest", list_items, [2000, 100_000], None),
    kind("list in every rule", list_in_rules, [15, 9_900], Some(Code::TooLarge)),
    kind("lists doubled", lists_doubled, [60, 60], Some(Code::TooLarge)),
    kind("empty lists doubled", empty_lists_doubled, [60, 60], Some(Code::TooLarge)),
    kind("inline items", inline_items, [100_001, 230_000], Some(Code::Syntax)),
    kind("inline items, more", inline_items, [252_000, 900_000], Some(Code::TooLarge)),
    kind("inline items, largest", inline_items, [2000, 100_000], None),
    kind("inline items in rules", inline_items_in_rules, [170, 700], Some(Code::TooLarge)),
    kind("inline items, allof", inline_allof, [2000, 100_000], None),
    // Nesting.
    kind("parentheses", parentheses, [300, 4_000_000], Some(Code::Syntax)),
    kind("negations", negations, [5000, 1_900_000], None),
    kind("calls in calls", calls, [1000, 800_000], Some(Code::Syntax)),
    kind("yaml sequences", yaml_sequences, [100, 8_000_000], Some(Code::NotYaml)),
    kind("yaml mappings", yaml_mappings, [100, 2_000_000], Some(Code::NotYaml)),
    kind("yaml dashes", yaml_dashes, [100, 4_000_000], Some(Code::NotYaml)),
    // Aliases.
    kind("alias bomb", alias_bomb, [30, 30], Some(Code::NotYaml)),
    kind("alias of a long text", alias_text, [2000, 200_000], Some(Code::NotYaml)),
    // Expressions.
    kind("regex nested repetition", regex_nested, [4, 20], Some(Code::Condition)),
    kind("regex alternatives", regex_alternatives, [500, 35_000], Some(Code::Condition)),
    kind("regex long", regex_long, [10_000, 1_600_000], Some(Code::Condition)),
    kind("regex alternatives, largest", regex_alternatives, [20, 170], None),
    kind("regex long, largest", regex_long, [100, 6000], None),
    kind("regexes at their limit", regexes_large, [5, 10_000], Some(Code::Condition)),
    kind("regexes of classes", regexes_classes, [10, 10_000], Some(Code::Condition)),
    kind("regexes, small", regexes_small, [2100, 10_000], Some(Code::Condition)),
    kind("globs", globs, [300, 10_000], None),
    kind("glob, long", glob_long, [100, 6_500], None),
    kind("contains", contains, [300, 10_000], None),
    kind("paths", paths, [1000, 100_000], None),
    // Rules.
    kind("rules", rules, [300, 10_000], None),
    kind("rules of exceptions", rules_of_exceptions, [300, 4_500], None),
    kind("rules of alike demands", rules_alike, [20, 900], None),
    kind("rules, more", rules, [10_001, 18_000], Some(Code::TooLarge)),
    kind("glob, longer", glob_long, [6600, 1_500_000], Some(Code::Condition)),
    kind("one field in many comparisons", names_in_one, [1000, 45_000], None),
    kind("outputs of too many fields", outputs, [1050, 6000], Some(Code::TooLarge)),
    kind("outputs of many fields", outputs, [10, 900], None),
    kind("rules that warn", rules_that_warn, [300, 10_000], None),
    kind("one condition that warns", one_that_warns, [1000, 22_000], None),
    kind("event types", event_types, [300, 9_000], None),
    kind("exception values", exception_values, [1000, 100_000], None),
    kind("exception tuples", exception_tuples, [1000, 15_000], None),
    kind("tags", tags, [1000, 190_000], None),
    // Names.
    kind("nearly a macro's name", nearly_macros, [500, 9_900], Some(Code::UnknownMacro)),
    kind("nearly a list's name", nearly_lists, [500, 14_000], Some(Code::NotDefined)),
    kind("nearly a field's name", nearly_fields, [100, 9_900], Some(Code::UnknownField)),
    kind("list names of several words", several_words, [500, 9_900], None),
    kind("long name", long_name, [100_000, 8_000_000], Some(Code::UnknownMacro)),
    kind("long field", long_field, [100_000, 8_000_000], Some(Code::UnknownField)),
    kind("long rule name", long_rule, [100_000, 8_000_000], Some(Code::UnknownField)),
    kind("long output field", long_output_field, [100_000, 8_000_000], Some(Code::Output)),
    kind("unknown output fields", unknown_output_fields, [7000, 700_000], Some(Code::Output)),
    kind("dotted output field", dotted_output_field, [10_000, 4_000_000], Some(Code::Output)),
    kind("output fields", output_fields, [1000, 5000], None),
    // Keys and changes.
    kind("unknown keys of lists", unknown_keys, [2000, 24_000], None),
    kind("unknown keys of a rule", unknown_rule_keys, [2000, 95_000], Some(Code::MissingKey)),
    kind("a key again and again", same_key, [2000, 95_000], None),
    kind("warnings before the error", warnings_first, [2000, 27_000], Some(Code::MissingKey)),
    kind("exceptions", exceptions, [5000, 5000], None),
    kind("exceptions, more", exceptions, [5001, 38_000], Some(Code::TooLarge)),
    kind("exceptions one by one", exceptions_one_by_one, [5001, 11_000], Some(Code::TooLarge)),
    kind("appended conditions", appended_conditions, [1000, 22_000], None),
    kind("appended tags", appended_tags, [1000, 18_000], None),
    kind("appended descriptions", appended_descriptions, [1000, 22_000], None),
    kind("appended list items", appended_items, [1000, 18_000], None),
    kind("alternatives of plugins", requirements, [2000, 38_000], None),
    kind("documents", documents, [2000, 24_000], None),
];

const EVENT: &str = "evt.type = open";

fn rule(name: &str, condition: &str) -> String {
    format!("- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
}

fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn joined(count: usize, by: &str, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(by)
}

fn macro_(name: &str, condition: &str) -> String {
    format!("- macro: {name}\n  condition: {condition}\n")
}

fn macro_chain(count: usize) -> String {
    let links = each(count - 1, |n| macro_(&format!("m{}", n + 1), &format!("m{n}")));
    macro_("m0", EVENT) + &links + &rule("r", &format!("m{}", count - 1))
}

fn doubled(count: usize) -> String {
    macro_("m0", EVENT)
        + &each(count - 1, |n| macro_(&format!("m{}", n + 1), &format!("m{n} or m{n}")))
}

fn macros_doubled(count: usize) -> String {
    doubled(count) + &rule("r", &format!("m{}", count - 1))
}

fn macros_doubled_in_rules(count: usize) -> String {
    doubled(12) + &each(count, |n| rule(&format!("r{n}"), "m10"))
}

fn macros_in_one(count: usize) -> String {
    let used = joined(count, " or ", |n| format!("m{n}"));
    each(count, |n| macro_(&format!("m{n}"), &format!("proc.pid = {n}")))
        + &rule("r", &format!("{EVENT} and ({used})"))
}

fn parts_in_one(count: usize) -> String {
    let parts = joined(count, " or ", |n| format!("proc.pid = {n}"));
    rule("r", &format!("{EVENT} and ({parts})"))
}

fn names_in_one(count: usize) -> String {
    let parts = joined(count, " or ", |n| format!("proc.name = a{n}"));
    rule("r", &format!("{EVENT} and ({parts})"))
}

fn list_items(count: usize) -> String {
    let items = joined(count, ", ", |n| format!("i{n}"));
    format!("- list: l\n  items: [{items}]\n")
        + &rule("r", &format!("{EVENT} and proc.name in (l)"))
}

fn list_in_rules(count: usize) -> String {
    let items = joined(20_000, ", ", |n| format!("item-of-the-list-{n}"));
    let rules = each(count, |n| {
        rule(&format!("r{n}"), &format!("{EVENT} and proc.name in (l) and proc.pid = {n}"))
    });
    format!("- list: l\n  items: [{items}]\n{rules}")
}

fn lists_doubled(count: usize) -> String {
    let lists = each(count - 1, |n| format!("- list: l{}\n  items: [l{n}, l{n}]\n", n + 1));
    format!("- list: l0\n  items: [a]\n{lists}")
        + &rule("r", &format!("{EVENT} and proc.name in (l{})", count - 1))
}

fn empty_lists_doubled(count: usize) -> String {
    lists_doubled(count).replace("[a]", "[]")
}

fn inline_items(count: usize) -> String {
    let items = joined(count, ",", |n| format!("i{n}"));
    rule("r", &format!("{EVENT} and proc.name in ({items})"))
}

fn inline_items_in_rules(count: usize) -> String {
    let items = joined(1500, ",", |n| format!("i{n}"));
    each(count, |n| rule(&format!("r{n}"), &format!("{EVENT} and proc.name in (x{n},{items})")))
}

fn inline_allof(count: usize) -> String {
    let items = joined(count, ",", |n| format!("i{n}"));
    rule("r", &format!("{EVENT} and proc.name contains oneof ({items})"))
}

fn parentheses(count: usize) -> String {
    rule("r", &format!("{}{EVENT}{}", "(".repeat(count), ")".repeat(count)))
}

fn negations(count: usize) -> String {
    rule("r", &format!("{EVENT} and {}proc.name = a", "not ".repeat(count)))
}

fn calls(count: usize) -> String {
    rule(
        "r",
        &format!("{EVENT} and {}proc.name{} = a", "tolower(".repeat(count), ")".repeat(count)),
    )
}

fn yaml_sequences(count: usize) -> String {
    "[".repeat(count)
}

fn yaml_mappings(count: usize) -> String {
    "{a: ".repeat(count)
}

fn yaml_dashes(count: usize) -> String {
    "- ".repeat(count)
}

fn alias_bomb(count: usize) -> String {
    let levels = each(count - 1, |n| format!("- &a{} [*a{n}, *a{n}, *a{n}, *a{n}]\n", n + 1));
    format!("- &a0 [x, x, x, x]\n{levels}")
}

fn alias_text(count: usize) -> String {
    let uses = joined(count, ", ", |_| "*a".to_owned());
    format!("- list: l\n  items: [&a {}, {uses}]\n", "x".repeat(40_000))
}

fn regex(name: &str, pattern: &str) -> String {
    rule(name, &format!("{EVENT} and proc.name regex '{pattern}'"))
}

fn regex_nested(count: usize) -> String {
    regex("r", &format!("{}a{}", "(".repeat(count), "{100})".repeat(count)))
}

fn regex_alternatives(count: usize) -> String {
    regex(
        "r",
        &format!("({})+({})+", joined(count * 20, "|", |n| format!("word{n}")), "[a-z]{1000}"),
    )
}

fn regex_long(count: usize) -> String {
    regex("r", &"[^ä]".repeat(count))
}

fn regexes_large(count: usize) -> String {
    each(count, |n| regex(&format!("r{n}"), &format!("{n}([a-f]{{200}}){{200}}")))
}

fn regexes_classes(count: usize) -> String {
    each(count, |n| regex(&format!("r{n}"), &format!("{n}[^ä]{{1000}}")))
}

fn regexes_small(count: usize) -> String {
    each(count, |n| regex(&format!("r{n}"), &format!("{n}.*[a-z]+")))
}

fn globs(count: usize) -> String {
    each(count, |n| rule(&format!("r{n}"), &format!("{EVENT} and fd.name glob '*{n}*[a-z]*{n}'")))
}

fn glob_long(count: usize) -> String {
    rule("r", &format!("{EVENT} and fd.name glob '{}'", "[a]*?".repeat(count)))
}

fn contains(count: usize) -> String {
    each(count, |n| rule(&format!("r{n}"), &format!("{EVENT} and fd.name contains '{n}a{n}b{n}'")))
}

fn paths(count: usize) -> String {
    let items = joined(count, ",", |n| format!("/a/{n}/*/{n}"));
    rule("r", &format!("{EVENT} and fd.name pmatch ({items})"))
}

fn rules(count: usize) -> String {
    each(count, |n| rule(&format!("r{n}"), &format!("{EVENT} and proc.pid = {n}")))
}

fn rules_of_exceptions(count: usize) -> String {
    each(count, |n| {
        rule(&format!("r{n}"), EVENT)
            + &format!(
                "  exceptions:\n    - {{name: e, fields: [proc.name, fd.name], comps: [=, in], values: [[a, [b, c]], [d{n}, [e, f]], [g, [h]]]}}\n"
            )
    })
}

fn rules_alike(count: usize) -> String {
    let common = joined(250, " and ", |n| format!("proc.aname[{n}] != a"));
    each(count, |n| rule(&format!("r{n}"), &format!("{EVENT} and {common} and proc.pid = {n}")))
}

fn outputs(count: usize) -> String {
    let fields = "%proc.name %fd.name %user.name ".repeat(40);
    each(count, |n| rule(&format!("r{n}"), EVENT).replace(": o\n", &format!(": '{n} {fields}'\n")))
}

fn rules_that_warn(count: usize) -> String {
    each(count, |n| rule(&format!("r{n}"), &format!("proc.name = 'a{n} ' and evt.dir = <")))
}

fn one_that_warns(count: usize) -> String {
    let parts = joined(count, " or ", |n| format!("proc.args startswith {n} or evt.dir = <"));
    rule("r", &format!("{EVENT} and ({parts})"))
}

fn event_types(count: usize) -> String {
    let types = "open, openat, openat2, connect, accept, execve, execveat, clone, fork, vfork";
    each(count, |n| {
        rule(
            &format!("r{n}"),
            &format!(
                "evt.type in ({types}) and not evt.type in ({types}, read) and proc.pid = {n} or evt.type = open"
            ),
        )
    })
}

fn exception_values(count: usize) -> String {
    let values = joined(count, ", ", |n| format!("v{n}"));
    rule("r", &format!("{EVENT} and proc.name in (a, b)"))
        + &format!(
            "  exceptions:\n    - {{name: e, fields: proc.name, comps: in, values: [{values}]}}\n"
        )
}

fn exception_tuples(count: usize) -> String {
    let values = joined(count, ", ", |n| format!("[v{n}, w{n}]"));
    rule("r", &format!("{EVENT} and proc.name in (a, b)"))
        + &format!(
            "  exceptions:\n    - {{name: e, fields: [proc.name, fd.name], comps: [=, =], values: [{values}]}}\n"
        )
}

fn tags(count: usize) -> String {
    rule("r", EVENT) + &format!("  tags: [{}]\n", joined(count, ", ", |n| format!("t{n}")))
}

fn nearly_macros(count: usize) -> String {
    each(count, |n| macro_(&format!("mac_{n:06}"), EVENT))
        + &each(count, |n| rule(&format!("r{n}"), &format!("mak_{n:06}")))
}

fn nearly_lists(count: usize) -> String {
    each(count, |n| format!("- list: lis_{n:06}\n  items: [a]\n"))
        + &each(count, |n| format!("- list: lik_{n:06}\n  items: [a]\n  append: true\n"))
}

fn nearly_fields(count: usize) -> String {
    let unknown = joined(20, " and ", |n| format!("proc.nam{n} = 1"));
    each(count, |n| rule(&format!("r{n}"), &unknown))
}

fn several_words(count: usize) -> String {
    each(count, |n| format!("- list: a b{n}\n  items: [x{n}]\n"))
        + &each(count, |n| rule(&format!("r{n}"), &format!("{EVENT} and proc.name in (a b1)")))
}

fn long(count: usize) -> String {
    "a".repeat(count)
}

fn long_name(count: usize) -> String {
    rule("r", &long(count))
}

fn long_field(count: usize) -> String {
    rule("r", &format!("{EVENT} and proc.{} = 1", long(count)))
}

fn long_rule(count: usize) -> String {
    rule(&long(count), "no.such = 1 and no.more = 1")
}

fn output(text: &str) -> String {
    rule("r", EVENT).replace(": o\n", &format!(": '{text}'\n"))
}

fn long_output_field(count: usize) -> String {
    output(&format!("%proc.{}", long(count)))
}

fn unknown_output_fields(count: usize) -> String {
    output(&"%proc.namee".repeat(count))
}

fn dotted_output_field(count: usize) -> String {
    output(&format!("%proc{}", ".a".repeat(count)))
}

fn output_fields(count: usize) -> String {
    output(&"%proc.name ".repeat(count))
}

fn unknown_keys(count: usize) -> String {
    each(count, |n| format!("- list: l{n}\n  items: [a]\n  itemz: 1\n"))
}

fn unknown_rule_keys(count: usize) -> String {
    format!("- rule: r\n{}", each(count, |n| format!("  k{n}: 1\n")))
}

fn same_key(count: usize) -> String {
    rule("r", EVENT) + &each(count, |_| "  desc: d\n".to_owned())
}

fn warnings_first(count: usize) -> String {
    each(count, |n| format!("- macro: m{n}\n  condition: {EVENT}\n  key: 1\n")) + "- macro: m\n"
}

fn exceptions(count: usize) -> String {
    let all = each(count, |n| format!("    - {{name: e{n}, fields: proc.name}}\n"));
    format!("{}  exceptions:\n{all}", rule("r", EVENT))
}

fn exceptions_one_by_one(count: usize) -> String {
    let change = |n| {
        format!(
            "- rule: r\n  exceptions: [{{name: e{n}, fields: proc.name, values: [a]}}]\n  \
             override: {{exceptions: append}}\n"
        )
    };
    rule("r", EVENT) + &each(count, change)
}

fn changes(count: usize, change: &str) -> String {
    let one = |n: usize| format!("- rule: r\n  {}\n", change.replace('N', &n.to_string()));
    rule("r", EVENT) + &each(count, one)
}

fn appended_conditions(count: usize) -> String {
    changes(count, "condition: or evt.type = close\n  override: {condition: append}")
}

fn appended_tags(count: usize) -> String {
    changes(count, "tags: [tN]\n  override: {tags: append}")
}

fn appended_descriptions(count: usize) -> String {
    changes(count, "desc: N\n  override: {desc: append}")
}

fn appended_items(count: usize) -> String {
    "- list: l\n  items: [a]\n".to_owned()
        + &each(count, |n| format!("- list: l\n  items: [b{n}]\n  override: {{items: append}}\n"))
        + &rule("r", &format!("{EVENT} and proc.name in (l)"))
}

fn requirements(count: usize) -> String {
    let all = each(count, |n| format!("      - {{name: p{n}, version: 1.0.0}}\n"));
    format!(
        "- required_plugin_versions:\n  - name: a\n    version: 1.0.0\n    alternatives:\n{all}"
    )
}

fn documents(count: usize) -> String {
    each(count, |n| format!("---\n- list: l{n}\n  items: [a]\n"))
}
