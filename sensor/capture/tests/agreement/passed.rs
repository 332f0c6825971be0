//! What nobody looks at changes nothing of what somebody does: values that are only made on demand come out alike.

use std::fs::File;

use eyas_abi::schema;
use eyas_capture::{Counts, Replay, Visitor};
use eyas_rules::check::Scope;
use eyas_rules::fields::StaticFields;
use eyas_rules::format::{Style, Template};
use eyas_state::{Ctx, Limits};

use crate::inputs::Capture;

/// Looks at some events, of all or of those alone that it wants.
struct Some<'w> {
    wanted: &'w [&'w str],
    wants_all: bool,
    template: Template,
    lines: Vec<Vec<u8>>,
}

impl Visitor for Some<'_> {
    fn wants(&self, code: u16) -> bool {
        self.wants_all
            || schema::by_code(code).is_some_and(|event| self.wanted.contains(&event.name))
    }

    fn event(&mut self, ctx: &Ctx<'_>) {
        if self.wanted.contains(&ctx.event().ty().name) {
            self.lines.push(self.template.render(ctx, Style::default()).text);
        }
    }
}

fn lines(capture: &Capture, wanted: &[&str], wants_all: bool) -> (Vec<Vec<u8>>, Counts) {
    let format = "*%evt.num %evt.rawtime %evt.deltatime %thread.tid %evt.type %evt.args %proc.name %proc.cmdline \
                  %proc.pname %proc.cwd %user.uid %fd.name %fd.type %proc.fdopencount %thread.vtid";
    let statics = StaticFields::new();
    let template =
        Template::compile(format, Scope { source: "syscall", statics: &statics }).unwrap();
    let mut visitor = Some { wanted, wants_all, template, lines: Vec::new() };
    let mut replay = Replay::new(File::open(&capture.path).unwrap(), Limits::default()).unwrap();
    replay.run(&mut visitor).unwrap();
    (visitor.lines, replay.counts())
}

#[test]
fn passing_over_what_nobody_wants_changes_nothing_else() {
    for capture in Capture::all() {
        for wanted in [
            &["open", "openat", "execve", "connect"][..],
            &["close", "read", "clone", "procexit"],
            &["write", "futex", "sendto", "recvfrom", "accept", "fstat"],
            &["syscall", "mmap", "switch", "signaldeliver"],
        ] {
            let (all, counts) = lines(&capture, wanted, true);
            let (some, fewer) = lines(&capture, wanted, false);
            assert_eq!(counts, fewer, "{}", capture.name);
            assert_eq!(all.len(), some.len(), "{} {wanted:?}", capture.name);
            for (all, some) in all.iter().zip(&some) {
                let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
                assert_eq!(text(all), text(some), "{}", capture.name);
            }
        }
    }
}
