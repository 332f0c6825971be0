//! The programs that stand at tracepoints: which there are, which of them this kernel takes, and which run.
//!
//! Without the first group there is no probe. The second closes gaps where the kernel lets it. The third runs only
//! while somebody asks for its event, because its tracepoint is hit all the time.

use std::fmt;

use aya::programs::BtfTracePoint;
use aya::programs::tp_btf::BtfTracePointLinkId;
use aya::{Btf, Ebpf};
use aya_obj::btf::BtfKind;

use crate::error::ProbeError;
use crate::load::{Walk, chain, program, refused};
use crate::verify::{Programs, Task};

/// Programs with the tracepoint they belong to, in the order in which they are attached: new tasks must be known
/// before what they do.
const NEEDED: &[(&str, &str)] = &[
    ("process_exit", "sched_process_exit"),
    ("process_exec", "sched_process_exec"),
    ("process_fork", "sched_process_fork"),
    ("sys_exit", "sys_exit"),
];

/// A program that not every kernel takes.
#[derive(Debug)]
struct Extra {
    program: &'static str,
    /// The names that its tracepoint has had, newest first.
    tracepoints: &'static [&'static str],
    /// A structure that kernels have since they give the tracepoint what the program reads, and which that is.
    since: Option<(&'static str, &'static str)>,
    /// The event that it makes and nothing else does; it runs only while this is asked for.
    event: Option<&'static str>,
    /// What is missing without it.
    gives: &'static str,
}

/// Before, these tracepoints carry no request.
const REQUESTS: Option<(&str, &str)> = Some(("io_cqe", "Linux 5.19"));

const EXTRA: &[Extra] = &[
    Extra {
        program: "uring_submit",
        // 6.4 renamed it.
        tracepoints: &["io_uring_submit_req", "io_uring_submit_sqe"],
        since: REQUESTS,
        event: None,
        gives: "names in requests of io_uring",
    },
    Extra {
        program: "uring_complete",
        tracepoints: &["io_uring_complete"],
        since: REQUESTS,
        event: None,
        gives: "requests of io_uring",
    },
    Extra {
        program: "signal",
        tracepoints: &["signal_deliver"],
        since: None,
        event: Some("signaldeliver"),
        gives: "`signaldeliver` events",
    },
    Extra {
        program: "fault_user",
        tracepoints: &["page_fault_user"],
        since: None,
        event: Some("page_fault"),
        gives: "`page_fault` events of programs",
    },
    Extra {
        program: "fault_kernel",
        tracepoints: &["page_fault_kernel"],
        since: None,
        event: Some("page_fault"),
        gives: "`page_fault` events of the kernel",
    },
    Extra {
        program: "context_switch",
        tracepoints: &["sched_switch"],
        since: None,
        event: Some("switch"),
        gives: "`switch` events",
    },
];

/// What a program that is not needed gives, and whether the kernel took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Name of the program in the object.
    pub program: &'static str,
    /// What is missing without it.
    pub gives: &'static str,
    /// Why it does not run; `None` if the kernel took it.
    pub missing: Option<Missing>,
}

/// Why a program that is not needed does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The kernel does not have what it stands on.
    Absent(String),
    /// The kernel has that, and refused the program all the same: a fault of the probe.
    Refused(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

/// What the kernel said of one program.
#[derive(Debug)]
pub(crate) enum Verified {
    /// Of one without which there is no probe.
    Needed(Result<(), ProbeError>),
    /// Of one that the probe can do without.
    Extra(Result<(), Missing>),
    /// Which walk over tasks it took.
    Snapshot(Option<Walk>),
}

/// The state of every program at a tracepoint.
#[derive(Debug)]
pub(crate) struct Hooks {
    extra: Vec<Loaded>,
    attached: bool,
}

#[derive(Debug)]
struct Loaded {
    hook: &'static Extra,
    missing: Option<Missing>,
    /// Somebody asks for its event, or it has none of its own.
    wanted: bool,
    link: Option<BtfTracePointLinkId>,
}

impl Hooks {
    /// What has to be verified of them, the largest first.
    pub(crate) fn tasks<'t>(
        programs: &mut Programs<'t>,
        btf: &'t Btf,
    ) -> Result<Vec<Task<'t, Verified>>, ProbeError> {
        let mut tasks: Vec<Task<'t, Verified>> = Vec::new();
        for hook in EXTRA {
            let program: Result<&mut BtfTracePoint, _> = programs.take(hook.program);
            tasks.push(Box::new(move || {
                let refused = |error: ProbeError| Missing::Refused(error.to_string());
                let taken = program.map_err(refused);
                Verified::Extra(taken.and_then(|program| load_extra(program, btf, hook)))
            }));
        }
        for (name, tracepoint) in NEEDED {
            tasks.push(needed(programs, name, tracepoint, btf)?);
        }
        Ok(tasks)
    }

    /// What became of those that are not needed, in the order of their tasks.
    pub(crate) fn new(extra: Vec<Result<(), Missing>>) -> Self {
        let loaded = |(hook, taken): (&'static Extra, Result<(), Missing>)| Loaded {
            hook,
            missing: taken.err(),
            wanted: hook.event.is_none(),
            link: None,
        };
        Self { extra: EXTRA.iter().zip(extra).map(loaded).collect(), attached: false }
    }

    /// Lets those that are needed and those that are wanted run.
    pub(crate) fn attach(&mut self, bpf: &mut Ebpf) -> Result<(), ProbeError> {
        for (name, _) in NEEDED {
            attach_one(program(bpf, name)?, name)?;
        }
        self.attached = true;
        self.follow(bpf)
    }

    /// Lets exactly those run whose events are among the names, besides those that always do.
    pub(crate) fn want(&mut self, bpf: &mut Ebpf, names: &[&str]) -> Result<(), ProbeError> {
        for loaded in &mut self.extra {
            loaded.wanted = loaded.hook.event.is_none_or(|event| names.contains(&event));
        }
        if self.attached { self.follow(bpf) } else { Ok(()) }
    }

    /// What the kernel took of those that are not needed.
    pub(crate) fn features(&self) -> Vec<Feature> {
        let feature = |loaded: &Loaded| Feature {
            program: loaded.hook.program,
            gives: loaded.hook.gives,
            missing: loaded.missing.clone(),
        };
        self.extra.iter().map(feature).collect()
    }

    fn follow(&mut self, bpf: &mut Ebpf) -> Result<(), ProbeError> {
        for loaded in self.extra.iter_mut().filter(|loaded| loaded.missing.is_none()) {
            let name = loaded.hook.program;
            match (loaded.wanted, loaded.link.take()) {
                (true, None) => loaded.link = Some(attach_one(program(bpf, name)?, name)?),
                (false, Some(link)) => program(bpf, name)?.detach(link).map_err(|error| {
                    ProbeError::Attach { program: name.to_owned(), reason: chain(&error) }
                })?,
                (_, link) => loaded.link = link,
            }
        }
        Ok(())
    }
}

/// The verification of a program without which there is no probe.
pub(crate) fn needed<'t>(
    programs: &mut Programs<'t>,
    name: &'static str,
    tracepoint: &'static str,
    btf: &'t Btf,
) -> Result<Task<'t, Verified>, ProbeError> {
    let program: &mut BtfTracePoint = programs.take(name)?;
    Ok(Box::new(move || {
        let taken = program.load(tracepoint, btf);
        Verified::Needed(taken.map_err(|error| refused(name, &error)))
    }))
}

fn attach_one(program: &mut BtfTracePoint, name: &str) -> Result<BtfTracePointLinkId, ProbeError> {
    program
        .attach()
        .map_err(|error| ProbeError::Attach { program: name.to_owned(), reason: chain(&error) })
}

/// Tries the names of the tracepoint. What the kernel says of one that it has counts more than that it lacks others.
fn load_extra(program: &mut BtfTracePoint, btf: &Btf, hook: &Extra) -> Result<(), Missing> {
    if let Some((structure, release)) = hook.since
        && btf.id_by_type_name_kind(structure, BtfKind::Struct).is_err()
    {
        let why = format!("the kernel's tracepoints carry too little; {release} or newer does");
        return Err(Missing::Absent(why));
    }
    let names = hook.tracepoints.join("`, `");
    let mut reason = Missing::Absent(format!("the kernel has no tracepoint `{names}`"));
    for tracepoint in hook.tracepoints {
        let known = btf.id_by_type_name_kind(&format!("btf_trace_{tracepoint}"), BtfKind::Typedef);
        if known.is_err() {
            continue;
        }
        match program.load(tracepoint, btf) {
            Ok(()) => return Ok(()),
            Err(error) => reason = Missing::Refused(refused(hook.program, &error).to_string()),
        }
    }
    Err(reason)
}
