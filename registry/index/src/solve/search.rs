//! The search: depth first, in the order of preference, with every dead end remembered.
//!
//! A state holds what is chosen and which needs are open. Only choosing a version makes a branch, so
//! the depth is bounded by the number of artifacts.

use std::collections::{BTreeMap, VecDeque};

use eyas_artifact::{Constraint, Dependency, Kind, Version};

use super::{
    Answer, Choice, Clash, Conflict, Demand, Held, Known, MAX_PACKAGES, MAX_TRIES, Offered, Offers,
    Pick, Problem, Question, Solution, Wanted,
};
use crate::error::{Refusal, RefusalReason};
use crate::{Cause, check_requirements};

pub(super) fn run(problem: &Problem, offers: &dyn Offers) -> Result<Answer, Conflict> {
    let (demands, notes) = merge(&problem.demands)?;
    let mut search = Search { problem, offers, demands: &demands, clashes: Vec::new(), tries: 0 };
    let state =
        State { open: demands.keys().map(|name| Goal::Asked(name)).collect(), ..State::default() };
    match search.goals(state) {
        Ok(Some(state)) => Ok(Answer::Solved(state.solution(notes))),
        Err(Halt::Ask(question)) => Ok(Answer::Ask(question)),
        Ok(None) => Err(Conflict { clashes: search.clashes, ..Conflict::default() }),
        Err(Halt::GaveUp) => Err(Conflict {
            clashes: search.clashes,
            gave_up: Some(MAX_TRIES),
            ..Conflict::default()
        }),
    }
}

/// What is asked of one name, all requests together.
#[derive(Default)]
struct Asked<'a> {
    this: Option<&'a Offered>,
    within: Vec<Constraint>,
    cause: Option<&'a Cause>,
}

/// Requests for one name become one: of several tags the higher version counts, as long as one
/// version is not two contents.
fn merge(demands: &[Demand]) -> Result<(BTreeMap<&str, Asked<'_>>, Vec<String>), Conflict> {
    let mut merged: BTreeMap<&str, Asked<'_>> = BTreeMap::new();
    let mut notes = Vec::new();
    for Demand { name, wanted, cause } in demands {
        let asked = merged.entry(name).or_default();
        asked.cause = Some(asked.cause.map_or(cause, |first| first.min(cause)));
        let other = match wanted {
            Wanted::Within(range) => {
                asked.within.push(Constraint::Range(range.clone()));
                continue;
            }
            Wanted::This(offered) => offered,
        };
        let Some(one) = asked.this.replace(other) else { continue };
        if one.digest == other.digest {
            continue;
        }
        if one.kind != other.kind || one.version == other.version {
            let words = |offered: &Offered| {
                format!("{} {} ({})", offered.kind, offered.version, offered.digest)
            };
            let mut both = [words(one), words(other)];
            both.sort();
            let [one, other] = both;
            return Err(Conflict::of(Clash::Twice { name: name.clone(), one, other }));
        }
        if one.version > other.version {
            asked.this = Some(one);
        }
        let (low, high) = (
            one.version.clone().min(other.version.clone()),
            one.version.clone().max(other.version.clone()),
        );
        notes
            .push(format!("`{name}` is wanted as `{low}` and `{high}`: taking the higher version"));
    }
    notes.sort();
    Ok((merged, notes))
}

struct Search<'a> {
    problem: &'a Problem,
    offers: &'a dyn Offers,
    demands: &'a BTreeMap<&'a str, Asked<'a>>,
    clashes: Vec<Clash>,
    tries: usize,
}

/// Why the search stops without an answer.
enum Halt {
    Ask(Question),
    GaveUp,
}

#[derive(Clone, Default)]
struct State<'a> {
    chosen: BTreeMap<&'a str, Chosen<'a>>,
    open: VecDeque<Goal<'a>>,
}

#[derive(Clone, Copy)]
enum Goal<'a> {
    /// Something that was requested.
    Asked(&'a str),
    /// A dependency of something chosen.
    Need(Need<'a>),
}

#[derive(Clone, Copy)]
struct Need<'a> {
    by: &'a str,
    version: &'a Version,
    dependency: &'a Dependency,
}

#[derive(Clone)]
struct Chosen<'a> {
    offered: &'a Offered,
    keep: bool,
    /// None for what was not asked for and merely stays.
    cause: Option<Cause>,
}

/// One way to have an artifact.
enum Way<'a> {
    Keep(&'a Held),
    Take(&'a Version),
}

type Outcome<'a> = Result<Option<State<'a>>, Halt>;

impl<'a> State<'a> {
    fn solution(self, notes: Vec<String>) -> Solution {
        let pick = |(name, Chosen { offered, keep, cause }): (&str, Chosen<'_>)| {
            let choice = if keep { Choice::Keep } else { Choice::Take(offered.digest) };
            let version = offered.version.clone();
            cause.map(|cause| Pick { name: name.to_owned(), version, choice, cause })
        };
        Solution { picks: self.chosen.into_iter().filter_map(pick).collect(), notes }
    }

    /// What is open and can be met by this name only: it will be asked of its version anyway.
    fn sole_needs(&self, name: &str) -> Vec<Need<'a>> {
        let needs = self.open.iter().filter_map(|goal| match goal {
            Goal::Need(need) => Some(*need),
            Goal::Asked(_) => None,
        });
        let sole = |need: &Need<'_>| {
            need.dependency.name == name && need.dependency.alternatives.is_empty()
        };
        needs.filter(sole).collect()
    }
}

impl<'a> Search<'a> {
    /// Works through what is open; branches where a version has to be chosen.
    fn goals(&mut self, mut state: State<'a>) -> Outcome<'a> {
        while let Some(goal) = state.open.pop_front() {
            match goal {
                Goal::Asked(name) if state.chosen.contains_key(name) => {}
                Goal::Asked(name) => return self.asked(state, name),
                Goal::Need(need) if self.is_met(&state, need.dependency) => {}
                Goal::Need(need) => return self.need(&state, need),
            }
        }
        self.installed(state)
    }

    fn asked(&mut self, state: State<'a>, name: &'a str) -> Outcome<'a> {
        let demands = self.demands;
        let Some(asked) = demands.get(name) else { return self.goals(state) };
        let cause = asked.cause.cloned().unwrap_or(Cause::Requested);
        let mut wanted: Vec<(Constraint, String)> =
            asked.within.iter().map(|one| (one.clone(), cause.to_string())).collect();
        if let Some(this) = asked.this {
            if let Some((constraint, by)) = wanted.iter().find(|one| !one.0.allows(&this.version)) {
                let one = format!("`{constraint}` ({by})");
                let other = format!("version {}", this.version);
                self.clash(Clash::Twice { name: name.to_owned(), one, other });
                return Ok(None);
            }
            return self.take(state, name, this, cause);
        }
        let held = self.held(name, None);
        wanted.extend(state.sole_needs(name).into_iter().map(told));
        let fits = |version: &Version| wanted.iter().all(|(one, _)| one.allows(version));
        let mut ways = Vec::new();
        if let Some(held) = held.filter(|held| held.pinned) {
            if !fits(&held.offered.version) {
                self.pinned(held, &wanted);
                return Ok(None);
            }
            ways.push(Way::Keep(held));
        } else {
            // What is installed may do although nothing else can be had.
            let available = self.versions(name, &cause.to_string())?;
            ways = self.newest_first(held, available.unwrap_or_default(), &fits);
            if let Some(available) = available.filter(|_| ways.is_empty()) {
                self.no_version(name, wanted.clone(), available, held);
            }
        }
        self.first_of(&state, name, ways, &cause)
    }

    /// Newest first; what is installed has its place among them.
    fn newest_first(
        &self,
        held: Option<&'a Held>,
        available: &'a [Version],
        fits: &dyn Fn(&Version) -> bool,
    ) -> Vec<Way<'a>> {
        let floor = held.map(|held| &held.offered.version);
        let mut ways: Vec<Way<'a>> = available
            .iter()
            .filter(|version| fits(version) && Some(*version) != floor)
            .filter(|version| {
                self.problem.allow_downgrade || floor.is_none_or(|floor| *version > floor)
            })
            .map(Way::Take)
            .collect();
        if let Some(held) = held.filter(|held| fits(&held.offered.version)) {
            let newer = |way: &Way<'_>| matches!(way, Way::Take(version) if **version > held.offered.version);
            let place = ways.iter().position(|way| !newer(way)).unwrap_or(ways.len());
            ways.insert(place, Way::Keep(held));
        }
        ways
    }

    fn first_of(
        &mut self,
        state: &State<'a>,
        name: &'a str,
        ways: Vec<Way<'a>>,
        cause: &Cause,
    ) -> Outcome<'a> {
        for way in ways {
            let next = match way {
                Way::Keep(held) => self.keep(state.clone(), held, Some(cause.clone()))?,
                Way::Take(version) => match self.offer(name, version, cause)? {
                    Some(offered) => self.take(state.clone(), name, offered, cause.clone())?,
                    None => None,
                },
            };
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// Whether what is chosen, or built into the sensor, does for a dependency.
    fn is_met(&self, state: &State<'a>, dependency: &Dependency) -> bool {
        options(dependency).any(|(name, wanted)| {
            self.problem.built_in.iter().any(|built_in| built_in == name)
                || state.chosen.get(name).is_some_and(|one| wanted.allows(&one.offered.version))
        })
    }

    /// What is installed does first, then the newest of the dependency, then of its alternatives.
    fn need(&mut self, state: &State<'a>, need: Need<'a>) -> Outcome<'a> {
        let mut open = Vec::new();
        for (name, wanted) in options(need.dependency) {
            match state.chosen.get(name) {
                Some(chosen) => {
                    let found = chosen.offered.version.clone();
                    self.clash(mismatch(need, name, wanted, found, false));
                }
                None => open.push((name, wanted)),
            }
        }
        for &(name, wanted) in &open {
            let Some(held) = self.held(name, None) else { continue };
            let others = state.sole_needs(name);
            let version = &held.offered.version;
            let fits = wanted.allows(version)
                && others.iter().all(|need| need.dependency.version.allows(version));
            if fits && let Some(done) = self.keep(state.clone(), held, None)? {
                return Ok(Some(done));
            }
        }
        for (name, wanted) in open {
            let done = self.fetch(state, name, wanted, need)?;
            if done.is_some() {
                return Ok(done);
            }
        }
        Ok(None)
    }

    /// A dependency that is not installed in a version that does.
    fn fetch(
        &mut self,
        state: &State<'a>,
        name: &'a str,
        wanted: &'a Constraint,
        need: Need<'a>,
    ) -> Outcome<'a> {
        let cause = Cause::DependencyOf(need.by.to_owned());
        let mut all = vec![(wanted.clone(), told(need).1)];
        all.extend(state.sole_needs(name).into_iter().map(told));
        let fits = |version: &Version| all.iter().all(|(one, _)| one.allows(version));
        let held = self.held(name, None);
        if let Some(held) = held.filter(|held| held.pinned) {
            self.pinned(held, &all);
            return Ok(None);
        }
        let available: &'a [Version] = match self.offers.versions(name) {
            Known::Yes(available) => available,
            Known::NotYet => return Err(Halt::Ask(Question::Versions(name.to_owned()))),
            // A registry that lists nothing may still have the version that was named.
            Known::No(reason) => {
                let Some(plain) = wanted.plain() else {
                    self.unavailable(name, None, &told(need).1, reason);
                    return Ok(None);
                };
                std::slice::from_ref(plain)
            }
        };
        let ways: Vec<Way<'a>> = self.newest_first(held, available, &fits);
        // What is installed was tried before.
        let ways: Vec<Way<'a>> =
            ways.into_iter().filter(|way| matches!(way, Way::Take(_))).collect();
        // Where the installed one fits, something else was in its way and is told of.
        if ways.is_empty() && !held.is_some_and(|held| fits(&held.offered.version)) {
            self.no_version(name, all, available, held);
        }
        self.first_of(state, name, ways, &cause)
    }

    fn keep(&mut self, mut state: State<'a>, held: &'a Held, cause: Option<Cause>) -> Outcome<'a> {
        self.count()?;
        state.chosen.insert(&held.name, Chosen { offered: &held.offered, keep: true, cause });
        self.goals(state)
    }

    fn take(
        &mut self,
        mut state: State<'a>,
        name: &'a str,
        offered: &'a Offered,
        cause: Cause,
    ) -> Outcome<'a> {
        self.count()?;
        let held = self.held(name, Some(offered.kind));
        let same = held.is_some_and(|held| held.offered.digest == offered.digest);
        if !same && !self.may_take(name, offered, held) {
            return Ok(None);
        }
        if state.chosen.len() == MAX_PACKAGES {
            self.clash(Clash::TooMany { limit: MAX_PACKAGES });
            return Ok(None);
        }
        state.chosen.insert(name, Chosen { offered, keep: false, cause: Some(cause) });
        if self.problem.dependencies {
            let need = |dependency| Need { by: name, version: &offered.version, dependency };
            state.open.extend(offered.dependencies.iter().map(need).map(Goal::Need));
        }
        self.goals(state)
    }

    fn may_take(&mut self, name: &str, offered: &Offered, held: Option<&Held>) -> bool {
        let version = &offered.version;
        if let Some(held) = held {
            if held.pinned {
                self.clash(Clash::Pinned {
                    name: name.to_owned(),
                    version: held.offered.version.clone(),
                    wanted: format!("{version} ({})", offered.digest),
                });
                return false;
            }
            if *version < held.offered.version && !self.problem.allow_downgrade {
                self.clash(Clash::Downgrade(Refusal {
                    kind: offered.kind,
                    name: name.to_owned(),
                    installed: held.offered.version.clone(),
                    found: version.clone(),
                    reason: RefusalReason::LowerVersion,
                }));
                return false;
            }
        }
        let unmet = check_requirements(&offered.requirements, &self.problem.offered);
        let met = unmet.is_empty();
        for unmet in unmet {
            let (name, version) = (name.to_owned(), version.clone());
            self.clash(Clash::Requirement { name, version, unmet });
        }
        met
    }

    /// The last step: what stays installed must still have what it needs. What lacks something
    /// already lacks it without us.
    fn installed(&mut self, state: State<'a>) -> Outcome<'a> {
        if !self.problem.dependencies {
            return Ok(Some(state));
        }
        let problem = self.problem;
        let stays = |held: &&Held| {
            state
                .chosen
                .get(held.name.as_str())
                .is_none_or(|chosen| chosen.keep || chosen.offered.kind != held.offered.kind)
        };
        let mut held: Vec<&'a Held> = problem.installed.iter().filter(stays).collect();
        held.sort_by(|a, b| (&a.name, a.offered.kind).cmp(&(&b.name, b.offered.kind)));
        for held in held {
            let Some(broken) =
                held.offered.dependencies.iter().find(|one| self.breaks(&state, one))
            else {
                continue;
            };
            return self.make_room(&state, held, broken);
        }
        Ok(Some(state))
    }

    /// Whether a dependency held before and would not any more.
    fn breaks(&self, state: &State<'a>, dependency: &Dependency) -> bool {
        let before = |name: &str, wanted: &Constraint| {
            let mut all = self.problem.installed.iter().filter(|held| held.name == name);
            all.any(|held| wanted.allows(&held.offered.version))
        };
        let after = |name: &str, wanted: &Constraint| match state.chosen.get(name) {
            Some(chosen) => wanted.allows(&chosen.offered.version),
            None => before(name, wanted),
        };
        let met = |by: &dyn Fn(&str, &Constraint) -> bool| {
            options(dependency).any(|(name, wanted)| by(name, wanted))
        };
        !self.is_met(state, dependency) && met(&before) && !met(&after)
    }

    /// Something installed needs what is about to change; another version of it may not.
    fn make_room(
        &mut self,
        state: &State<'a>,
        held: &'a Held,
        broken: &'a Dependency,
    ) -> Outcome<'a> {
        let need = Need { by: &held.name, version: &held.offered.version, dependency: broken };
        let mut culprit = None;
        for (name, wanted) in options(broken) {
            if let Some(chosen) = state.chosen.get(name) {
                culprit = Some(name);
                let found = chosen.offered.version.clone();
                self.clash(mismatch(need, name, wanted, found, true));
            }
        }
        // An alternative may be had beside it.
        if let Some(done) = self.need(state, need)? {
            return Ok(Some(done));
        }
        let chosen = state.chosen.contains_key(held.name.as_str());
        if held.pinned || chosen {
            return Ok(None);
        }
        let cause = Cause::FitsWith(culprit.unwrap_or(&broken.name).to_owned());
        let Some(available) = self.versions(&held.name, &cause.to_string())? else {
            return Ok(None);
        };
        let ways = self.newest_first(Some(held), available, &|_| true);
        // As it is it does not do; an older one is among them only where that is allowed.
        let others = |way: &Way<'_>| matches!(way, Way::Take(_));
        let ways = ways.into_iter().filter(others).collect();
        self.first_of(state, &held.name, ways, &cause)
    }

    fn held(&self, name: &str, kind: Option<Kind>) -> Option<&'a Held> {
        let mut all = self.problem.installed.iter().filter(|held| held.name == name);
        all.find(|held| kind.is_none_or(|kind| held.offered.kind == kind))
    }

    fn versions(&mut self, name: &str, by: &str) -> Result<Option<&'a [Version]>, Halt> {
        match self.offers.versions(name) {
            Known::Yes(available) => Ok(Some(available)),
            Known::NotYet => Err(Halt::Ask(Question::Versions(name.to_owned()))),
            Known::No(reason) => {
                self.unavailable(name, None, by, reason);
                Ok(None)
            }
        }
    }

    fn offer(
        &mut self,
        name: &str,
        version: &Version,
        cause: &Cause,
    ) -> Result<Option<&'a Offered>, Halt> {
        match self.offers.offer(name, version) {
            Known::Yes(offered) => Ok(Some(offered)),
            Known::NotYet => {
                let (name, version) = (name.to_owned(), version.clone());
                Err(Halt::Ask(Question::Offer(name, version, cause.clone())))
            }
            Known::No(reason) => {
                self.unavailable(name, Some(version), &cause.to_string(), reason);
                Ok(None)
            }
        }
    }

    fn count(&mut self) -> Result<(), Halt> {
        self.tries += 1;
        if self.tries > MAX_TRIES { Err(Halt::GaveUp) } else { Ok(()) }
    }

    fn clash(&mut self, clash: Clash) {
        if !self.clashes.contains(&clash) {
            self.clashes.push(clash);
        }
    }

    fn unavailable(&mut self, name: &str, version: Option<&Version>, by: &str, reason: String) {
        let (name, by, version) = (name.to_owned(), by.to_owned(), version.cloned());
        self.clash(Clash::Unavailable { name, version, by, reason });
    }

    fn pinned(&mut self, held: &Held, wanted: &[(Constraint, String)]) {
        let wanted: Vec<String> =
            wanted.iter().map(|(constraint, by)| format!("`{constraint}` ({by})")).collect();
        self.clash(Clash::Pinned {
            name: held.name.clone(),
            version: held.offered.version.clone(),
            wanted: wanted.join(" and "),
        });
    }

    fn no_version(
        &mut self,
        name: &str,
        wanted: Vec<(Constraint, String)>,
        available: &[Version],
        held: Option<&Held>,
    ) {
        let installed =
            held.filter(|_| !self.problem.allow_downgrade).map(|held| held.offered.version.clone());
        let (name, available) = (name.to_owned(), available.to_vec());
        self.clash(Clash::NoVersion { name, wanted, available, installed });
    }
}

/// A dependency and its alternatives, in order of preference.
fn options(dependency: &Dependency) -> impl Iterator<Item = (&str, &Constraint)> {
    let alternatives = dependency.alternatives.iter();
    std::iter::once((dependency.name.as_str(), &dependency.version))
        .chain(alternatives.map(|one| (one.name.as_str(), &one.version)))
}

/// What a need asks, and in whose name.
fn told(need: Need<'_>) -> (Constraint, String) {
    let by = format!("needed by `{}` {}", need.by, need.version);
    (need.dependency.version.clone(), by)
}

fn mismatch(
    need: Need<'_>,
    name: &str,
    wanted: &Constraint,
    found: Version,
    by_installed: bool,
) -> Clash {
    Clash::Dependency {
        by: need.by.to_owned(),
        by_version: need.version.clone(),
        by_installed,
        name: name.to_owned(),
        wanted: wanted.clone(),
        found,
    }
}
