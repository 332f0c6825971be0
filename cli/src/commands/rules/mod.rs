//! `eyas rules …`: rules files checked, described, compared, tested, laid out; the language by itself.

mod check;
mod compare;
mod describe;
mod eval;
mod files;
mod layout;
mod repl;
mod trial;

pub(super) use self::eval::eval;
use crate::args::{Global, Rules};
use crate::printer::Printer;
use crate::settings::Settings;

/// Runs a `rules` command.
pub(super) fn run(
    command: &Rules,
    global: &Global,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    match command {
        Rules::Check(args) => check::check(args, printer),
        Rules::Explain(args) => describe::explain_rule(args, global, settings, printer),
        Rules::List(args) => describe::list(args, global, settings, printer),
        Rules::Diff(args) => compare::compare(args, printer),
        Rules::Fmt(args) => layout::fmt(args, printer),
        Rules::Test(args) => trial::test(args, printer),
        Rules::Eval => eval(),
        Rules::Repl(args) => repl::repl(args),
    }
}
