//! A registry in memory for the solver's tests, and a solver that tries everything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use eyas_artifact::{Alternative, Dependency, Digest, Kind, Requirement, Version};
use eyas_index::Cause;
use eyas_index::solve::{
    Answer, Choice, Conflict, Demand, Held, Known, Offered, Offers, Problem, Question, Solution,
    Wanted, solve,
};

/// What a registry has, and what of it was asked for already.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) offers: BTreeMap<String, Vec<Offered>>,
    listings: BTreeMap<String, Vec<Version>>,
    pub(crate) unlisted: BTreeSet<String>,
    told: RefCell<BTreeSet<String>>,
}

/// A version with needs such as `base ^1` or `base 1 | other 2`, and `engine 64` for the sensor.
pub(crate) fn offered(name: &str, version: &str, needs: &[&str]) -> Offered {
    let mut one = Offered {
        kind: Kind::Rulesfile,
        version: version.parse().unwrap(),
        digest: Digest::sha256(format!("{name} {version}")),
        dependencies: Vec::new(),
        requirements: Vec::new(),
    };
    for need in needs {
        if let Some(engine) = need.strip_prefix("engine ") {
            let version = format!("0.{engine}.0");
            one.requirements
                .push(Requirement { name: "engine_version_semver".to_owned(), version });
            continue;
        }
        let mut options = need.split(" | ").map(|option| option.split_once(' ').unwrap());
        let (name, version) = options.next().unwrap();
        let alternative = |(name, version): (&str, &str)| Alternative {
            name: name.to_owned(),
            version: version.parse().unwrap(),
        };
        one.dependencies.push(Dependency {
            name: name.to_owned(),
            version: version.parse().unwrap(),
            alternatives: options.map(alternative).collect(),
        });
    }
    one
}

impl World {
    pub(crate) fn has(mut self, name: &str, version: &str, needs: &[&str]) -> Self {
        let all = self.offers.entry(name.to_owned()).or_default();
        all.push(offered(name, version, needs));
        all.sort_by(|a, b| b.version.cmp(&a.version));
        let versions = all.iter().map(|one| one.version.clone()).collect();
        self.listings.insert(name.to_owned(), versions);
        self
    }

    pub(crate) fn find(&self, name: &str, version: &str) -> Offered {
        let version: Version = version.parse().unwrap();
        self.offers[name].iter().find(|one| one.version == version).unwrap().clone()
    }

    /// Solves, answering one question after the other. Gives what was asked too.
    pub(crate) fn solve(&self, problem: &Problem) -> (Result<Solution, Conflict>, Vec<Question>) {
        self.told.borrow_mut().clear();
        let mut asked = Vec::new();
        loop {
            match solve(problem, self) {
                Ok(Answer::Solved(solution)) => return (Ok(solution), asked),
                Err(conflict) => return (Err(conflict), asked),
                Ok(Answer::Ask(question)) => {
                    assert!(!asked.contains(&question), "{question:?} was answered");
                    self.told.borrow_mut().insert(key(&question));
                    asked.push(question);
                }
            }
        }
    }
}

fn key(question: &Question) -> String {
    match question {
        Question::Versions(name) => name.clone(),
        Question::Offer(name, version, _) => format!("{name} {version}"),
    }
}

impl Offers for World {
    fn versions(&self, name: &str) -> Known<&[Version]> {
        if self.unlisted.contains(name) {
            return Known::No("it lists nothing".to_owned());
        }
        if !self.told.borrow().contains(name) {
            return Known::NotYet;
        }
        self.listings.get(name).map_or_else(
            || Known::No(format!("nobody knows `{name}`")),
            |versions| Known::Yes(versions.as_slice()),
        )
    }

    fn offer(&self, name: &str, version: &Version) -> Known<&Offered> {
        if !self.told.borrow().contains(&format!("{name} {version}")) {
            return Known::NotYet;
        }
        let found = self.offers.get(name).into_iter().flatten().find(|one| one.version == *version);
        found.map_or_else(|| Known::No("there is no such tag".to_owned()), Known::Yes)
    }
}

/// A problem for a sensor with engine 0.63.0.
pub(crate) fn problem(demands: Vec<Demand>, installed: Vec<Held>) -> Problem {
    let offered = BTreeMap::from([("engine_version_semver".to_owned(), "0.63.0".to_owned())]);
    let built_in = vec!["container".to_owned()];
    Problem { demands, installed, offered, built_in, allow_downgrade: false, dependencies: true }
}

pub(crate) fn within(name: &str, range: &str) -> Demand {
    let wanted = Wanted::Within(range.parse().unwrap());
    Demand { name: name.to_owned(), wanted, cause: Cause::Requested }
}

pub(crate) fn this(name: &str, offered: Offered) -> Demand {
    Demand { name: name.to_owned(), wanted: Wanted::This(offered), cause: Cause::Requested }
}

pub(crate) fn held(name: &str, offered: Offered) -> Held {
    Held { name: name.to_owned(), offered, pinned: false }
}

/// `name version`, with a star on what is kept.
pub(crate) fn picks(solution: &Solution) -> Vec<String> {
    let one = |pick: &eyas_index::solve::Pick| {
        let star = if pick.choice == Choice::Keep { "*" } else { "" };
        format!("{} {}{star}", pick.name, pick.version)
    };
    solution.picks.iter().map(one).collect()
}

/// A whole set: what would be there after an install.
pub(crate) type Set = BTreeMap<String, Offered>;

/// What would be installed if a solution were carried out.
pub(crate) fn after(world: &World, problem: &Problem, solution: &Solution) -> Set {
    let mut set: Set =
        problem.installed.iter().map(|held| (held.name.clone(), held.offered.clone())).collect();
    for pick in &solution.picks {
        if let Choice::Take(digest) = pick.choice {
            let asked = problem.demands.iter().filter_map(|demand| match &demand.wanted {
                Wanted::This(offered) if demand.name == pick.name => Some(offered),
                _ => None,
            });
            let mut all = world.offers.get(&pick.name).into_iter().flatten().chain(asked);
            let offered = all.find(|one| one.digest == digest).expect("an offer").clone();
            set.insert(pick.name.clone(), offered);
        }
    }
    set
}

/// Whether a set meets everything that is asked of it, told independently of the solver.
pub(crate) fn is_right(problem: &Problem, set: &Set) -> bool {
    let before: Set =
        problem.installed.iter().map(|held| (held.name.clone(), held.offered.clone())).collect();
    let met = |dependency: &Dependency, set: &Set| {
        let here = |name: &str, wanted: &eyas_artifact::Constraint| {
            problem.built_in.iter().any(|built_in| built_in == name)
                || set.get(name).is_some_and(|one| wanted.allows(&one.version))
        };
        here(&dependency.name, &dependency.version)
            || dependency.alternatives.iter().any(|one| here(&one.name, &one.version))
    };
    let asked = problem.demands.iter().all(|demand| {
        set.get(&demand.name).is_some_and(|one| match &demand.wanted {
            Wanted::This(offered) => one.digest == offered.digest,
            Wanted::Within(range) => range.contains(&one.version),
        })
    });
    asked
        && problem.installed.iter().all(|held| set.contains_key(&held.name))
        && set.iter().all(|(name, one)| {
            let was = before.get(name);
            let asked_again = problem
                .demands
                .iter()
                .any(|demand| demand.name == *name && matches!(demand.wanted, Wanted::This(_)));
            if was.is_some_and(|was| was.digest == one.digest) {
                return one
                    .dependencies
                    .iter()
                    .all(|one| met(one, set) || (!asked_again && !met(one, &before)));
            }
            let pinned = problem.installed.iter().any(|held| held.name == *name && held.pinned);
            let older = was.is_some_and(|was| one.version < was.version);
            !pinned
                && (!older || problem.allow_downgrade)
                && one.dependencies.iter().all(|one| met(one, set))
                && eyas_index::check_requirements(&one.requirements, &problem.offered).is_empty()
        })
}

/// Every set that meets everything, by trying all of them.
pub(crate) fn all_right(world: &World, problem: &Problem) -> Vec<Set> {
    let mut names: BTreeSet<&String> = world.offers.keys().collect();
    names.extend(problem.installed.iter().map(|held| &held.name));
    names.extend(problem.demands.iter().map(|demand| &demand.name));
    let mut sets = vec![Set::new()];
    for name in names {
        let mut choices: Vec<Option<Offered>> = vec![None];
        choices.extend(world.offers.get(name).into_iter().flatten().cloned().map(Some));
        let known = problem.installed.iter().filter(|held| held.name == *name);
        choices.extend(known.map(|held| Some(held.offered.clone())));
        choices.extend(problem.demands.iter().filter(|demand| demand.name == *name).filter_map(
            |demand| match &demand.wanted {
                Wanted::This(offered) => Some(Some(offered.clone())),
                Wanted::Within(_) => None,
            },
        ));
        sets = sets
            .into_iter()
            .flat_map(|set| {
                choices.iter().map(move |choice| {
                    let mut set = set.clone();
                    set.extend(choice.clone().map(|choice| (name.clone(), choice)));
                    set
                })
            })
            .collect();
    }
    sets.retain(|set| is_right(problem, set));
    sets
}
