//! The sweeps.

use std::env;
use std::thread;

use eyas_tests::{Registry, run};

use crate::host::{Files, Host, Seen, publish};
use crate::strace::{Fault, Point, inject, points, tool};

/// Points taken of each scene and fault, unless all are.
const SAMPLES: [(Fault, usize); 3] =
    [(Fault::Kill, 50), (Fault::NoSpace, 12), (Fault::InputOutput, 12)];
/// Exit code for a disk that fails.
const STORAGE: i32 = 8;
/// Exit code of a process that was killed.
const KILLED: i32 = 128 + 9;
/// What the runtime says when it is its own wake-up that fails.
const WAKER: &str = "failed to wake I/O driver";
/// What is said when it is the answer that cannot be written.
const ANSWER: &str = "the answer cannot be written to standard output";
/// Least number of points at which it is killed, in a whole run.
const ENOUGH: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Install,
    InstallPlain,
    Upgrade,
    Rollback,
    Collect,
    Follow,
}

const SCENES: [Scene; 6] = [
    Scene::Install,
    Scene::InstallPlain,
    Scene::Upgrade,
    Scene::Rollback,
    Scene::Collect,
    Scene::Follow,
];

impl Scene {
    fn has_flat(self) -> bool {
        self != Self::InstallPlain
    }

    /// What is there before.
    fn prepare(self, host: &Host) {
        let versions: &[&str] = match self {
            Self::Install | Self::InstallPlain => &[],
            Self::Upgrade | Self::Follow => &["1.0.0"],
            Self::Rollback | Self::Collect => &["1.0.0", "2.0.0"],
        };
        for version in versions {
            run(&mut host.install(version)).expect_code(0);
        }
    }

    fn command(self, host: &Host) -> std::process::Command {
        match self {
            Self::Install | Self::InstallPlain => host.install("1.0.0"),
            Self::Upgrade => host.install("2.0.0"),
            Self::Follow => host.follow("2.0.0"),
            Self::Rollback => host.rollback(),
            Self::Collect => host.gc(),
        }
    }
}

/// What the readers of a scene see before and after.
struct Expected {
    old: Seen,
    new: Seen,
}

impl Expected {
    /// Every file is the old or the new one; the store is at one of the two.
    fn check_cut(&self, seen: &Seen, at: &str) {
        assert!(
            seen.active == self.old.active || seen.active == self.new.active,
            "{at}: the store is at neither: {:?}",
            seen.active.keys()
        );
        let of = |seen: &Seen| [seen.rules.clone(), seen.assets.clone()];
        for ((now, old), new) in of(seen).iter().zip(of(&self.old)).zip(of(&self.new)) {
            check_files(now, &old, &new, at);
        }
    }
}

fn check_files(now: &Files, old: &Files, new: &Files, at: &str) {
    for (path, content) in now {
        let whole = [old, new].iter().any(|files| files.get(path) == Some(content));
        assert!(whole, "{at}: `{}` is neither the old nor the new one", path.display());
    }
    for path in old.keys().filter(|path| new.contains_key(*path)) {
        assert!(now.contains_key(path), "{at}: `{}` is missing", path.display());
    }
}

#[test]
fn killed_or_failed_at_every_write_leaves_the_old_or_the_new() {
    let Some(tool) = tool("faults::sweep") else { return };
    let registry = Registry::embedded();
    let publisher = publish(&registry);
    let whole = env::var("EYAS_FAULTS").is_ok_and(|value| value == "all");
    let swept: Vec<Swept> = thread::scope(|scope| {
        let (tool, registry, publisher) = (&tool, &registry, &publisher);
        SCENES
            .map(|scene| scope.spawn(move || sweep(scene, tool, registry, publisher, whole)))
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let sum = |of: fn(&Swept) -> usize| swept.iter().map(of).sum::<usize>();
    let (killed, taken, all) = (sum(|one| one.killed), sum(|one| one.taken), sum(|one| one.all));
    eprintln!(
        "killed at {killed} points, faults at {taken} of {all}: {SCENES:?} {swept:?}; \
         EYAS_FAULTS=all takes all"
    );
    assert!(killed >= ENOUGH, "killed at only {killed} points");
}

/// How many points there are, at how many of them a fault was made, and how many of those were kills.
#[derive(Debug, Default)]
struct Swept {
    killed: usize,
    taken: usize,
    all: usize,
}

fn sweep(
    scene: Scene,
    tool: &std::path::Path,
    registry: &Registry,
    publisher: &eyas_tests::Site,
    whole: bool,
) -> Swept {
    let host = Host::new(registry, publisher, scene.has_flat());
    scene.prepare(&host);
    host.keep();
    let old = host.seen();
    let command = scene.command(&host);
    let all = points(tool, &command, &host.site.path("trace"), &host.folders());
    let expected = Expected { old, new: host.seen() };
    assert!(all.len() > 5, "{scene:?}: only {} points", all.len());
    let mut swept = Swept { all: all.len() * SAMPLES.len(), ..Swept::default() };
    for (fault, samples) in SAMPLES {
        let step = if whole { 1 } else { all.len().div_ceil(samples).max(1) };
        for point in all.iter().step_by(step) {
            host.restore();
            let done = usize::from(one(scene, tool, &host, fault, point, &expected));
            swept.taken += done;
            swept.killed += if fault == Fault::Kill { done } else { 0 };
        }
    }
    swept
}

/// Whether the fault was one of a disk.
fn one(
    scene: Scene,
    tool: &std::path::Path,
    host: &Host,
    fault: Fault,
    point: &Point,
    expected: &Expected,
) -> bool {
    let at = format!("{scene:?}, {fault:?} at {} {}: {}", point.call, point.at, point.line);
    let finished = inject(tool, &scene.command(host), fault, point);
    // How often the runtime wakes itself differs from run to run, so that the fault may hit that.
    if finished.stderr.contains(WAKER) {
        return false;
    }
    let seen = host.seen();
    match (fault, finished.code()) {
        (Fault::Kill, KILLED) => expected.check_cut(&seen, &at),
        // What fails after everything is in place, or is only tidying, is no failure.
        (_, 0) => assert!(seen == expected.new, "{at}: not the new\n{}", finished.stderr),
        (Fault::NoSpace | Fault::InputOutput, STORAGE) => {
            assert!(seen == expected.old, "{at}: not the old\n{}", finished.stderr);
            let named = ["store", "flat"].iter().any(|name| finished.stderr.contains(name));
            assert!(named, "{at}: no file is named:\n{}", finished.stderr);
        }
        // Calls are counted for each thread, so the fault may hit a file that is read instead; that
        // is told in the words of who reads it.
        (Fault::NoSpace | Fault::InputOutput, code) if (1..STORAGE).contains(&code) => {
            // The answer is written when all is in place.
            let answer = finished.stderr.contains(ANSWER) && seen == expected.new;
            assert!(answer || seen == expected.old, "{at}: not the old\n{}", finished.stderr);
        }
        (_, code) => panic!("{at}: exit code {code}\n{}", finished.stderr),
    }
    // The next command finishes the work and leaves nothing behind.
    let again = run(&mut scene.command(host));
    assert_eq!(again.code(), 0, "{at}\nnext: {}", again.stderr);
    assert!(host.seen() == expected.new, "{at}\nnext: {}", again.stderr);
    // Where all was in place already it had nothing to write, and took no lock: tidying that failed
    // is made good by the next that does.
    if finished.code() == 0 {
        run(&mut host.gc()).expect_code(0);
    }
    assert_eq!(host.litter(), Vec::<std::path::PathBuf>::new(), "{at}");
    true
}
