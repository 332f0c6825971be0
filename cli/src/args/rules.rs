//! `eyas rules …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Text closing `eyas rules eval --help`.
const EVAL_HELP: &str = "\
Questions:
  {\"grammar\": TEXT}                          does it parse?
  {\"condition\": TEXT, \"fields\"?: {FIELD: VALUE}}
                                             does it compile, for which events, does it match?
  {\"format\": TEXT, \"fields\"?: {…}, \"mode\"?: \"text\"|\"json\"}
                                             is it an output, what does it say?
  {\"rules\": [TEXT OF A FILE, …], \"plugins\"?: [{\"name\": …, \"version\": …}]}
                                             do these files load?
Values: null is unset, like a field that is not given; arrays for list fields; {\"hex\": …} for bytes.
Every line has an answer: {\"ok\": true, …} or {\"ok\": false, \"error\": {\"code\", \"message\", \"offset\"}}.";

/// Text closing `eyas rules test --help`.
const TEST_HELP: &str = "\
A case file is YAML and ends in `.cases`:
  - given: {proc.name: cat, proc.exepath: /bin/cat}     # holds for the cases behind
  - case: a secret is read
    event: openat
    fields: {fd.name: /etc/shadow, evt.is_open_read: true}
    matches: Sensitive file read                        # a rule, or a list of rules
    misses: [Another rule]
    says: file=/etc/shadow                              # a part of the message
  - case: a whole attack, as it was recorded
    capture: attack.scap                                # beside this file
    matches: {Sensitive file read: 3, Shell in container: }   # so often; any number of times
    misses: [Another rule]
All rules are tried, also those that are not enabled, and all matches count.";

/// Check, describe, test and compare rules files.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Compile rule files as the sensor would and report every problem
    Check(CheckArgs),
    /// Tell what a rule comes to: its condition with all names replaced, its events, what it costs
    Explain(ExplainArgs),
    /// List what the language offers, or the rules of files
    List(RulesListArgs),
    /// Tell what differs between two files or directories, by rule and not by line
    Diff(RulesDiffArgs),
    /// Lay rules files out in the usual way; their meaning never changes
    Fmt(FmtArgs),
    /// Try rules on the cases beside them, and tell which rules no case covers
    #[command(after_help = TEST_HELP)]
    Test(RulesTestArgs),
    /// Answer questions about the language: one JSON object per line on standard input, one
    /// answer line each, in order
    #[command(after_help = EVAL_HELP)]
    Eval,
    /// Try conditions and outputs by hand, line by line
    Repl(ReplArgs),
}

/// Arguments of `rules check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Rule files, in the order in which they are loaded; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Arguments of `rules explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Name of the rule
    #[arg(value_name = "RULE")]
    pub(crate) rule: String,
    /// Rules files that define it [default: the rules that are installed]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `rules list`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
#[command(group(
    clap::ArgGroup::new("what").required(true).args(["fields", "events", "operators", "rules"])
))]
pub(crate) struct RulesListArgs {
    /// Fields of conditions and outputs
    #[arg(long)]
    pub(crate) fields: bool,
    /// Event types
    #[arg(long)]
    pub(crate) events: bool,
    /// Operators and transformers
    #[arg(long)]
    pub(crate) operators: bool,
    /// Rules of the files
    #[arg(long)]
    pub(crate) rules: bool,
    /// Names of fields only
    #[arg(long, requires = "fields")]
    pub(crate) names_only: bool,
    /// Rules files, for `--rules` [default: the rules that are installed]
    #[arg(value_name = "FILE", requires = "rules")]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `rules diff`.
#[derive(Debug, Args)]
pub(crate) struct RulesDiffArgs {
    /// File or directory as it was
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// File or directory as it is
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
}

/// Arguments of `rules fmt`.
#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// Rules files, replaced by their new layout; `-` is standard input, laid out on standard output
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing; fail if a file is not in the usual layout
    #[arg(long)]
    pub(crate) check: bool,
}

/// Arguments of `rules test`.
#[derive(Debug, Args)]
pub(crate) struct RulesTestArgs {
    /// Rules files in the order in which they are loaded, case files (`.cases`), or directories
    /// with both
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Fail if a rule has no case that matches or none that does not
    #[arg(long)]
    pub(crate) covered: bool,
}

/// Arguments of `rules repl`.
#[derive(Debug, Args)]
pub(crate) struct ReplArgs {
    /// Rules files whose macros and lists conditions may use
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}
