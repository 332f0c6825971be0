//! The solver: what is chosen, what is asked for it, and the words when nothing fits; held against a
//! solver that tries everything.

use eyas_artifact::{Constraint, Version};
use eyas_index::solve::{Choice, Clash, Conflict, Held, Problem, Question, Wanted};
use eyas_index::{Cause, Unmet};
use proptest::prelude::*;

use crate::world::{
    World, after, all_right, held, is_right, offered, picks, problem, this, within,
};

fn solved(world: &World, problem: &Problem) -> Vec<String> {
    let (solution, _) = world.solve(problem);
    picks(&solution.unwrap_or_else(|conflict| panic!("{conflict}")))
}

fn refused(world: &World, problem: &Problem) -> Conflict {
    world.solve(problem).0.expect_err("no solution")
}

#[test]
fn a_range_takes_the_newest_that_fits() {
    let world =
        World::default().has("a", "1.2.0", &[]).has("a", "1.9.0", &[]).has("a", "2.0.0", &[]);
    assert_eq!(solved(&world, &problem(vec![within("a", "^1")], vec![])), ["a 1.9.0"]);
    assert_eq!(solved(&world, &problem(vec![within("a", ">=1.2,<1.9")], vec![])), ["a 1.2.0"]);
    let narrow = problem(vec![within("a", "^1"), within("a", "<1.5")], vec![]);
    assert_eq!(solved(&world, &narrow), ["a 1.2.0"]);
}

#[test]
fn only_what_matters_is_asked() {
    let world =
        World::default().has("a", "1.0.0", &["b ^1"]).has("b", "1.0.0", &[]).has("b", "1.1.0", &[]);
    let plain = problem(vec![this("a", world.find("a", "1.0.0"))], vec![]);
    let (_, asked) = world.solve(&plain);
    let b: Version = "1.1.0".parse().unwrap();
    assert_eq!(
        asked,
        [
            Question::Versions("b".to_owned()),
            Question::Offer("b".to_owned(), b, Cause::DependencyOf("a".to_owned()))
        ]
    );
    // A plain reference without needs, and a need that is installed, ask nothing.
    let alone = problem(vec![this("b", world.find("b", "1.0.0"))], vec![]);
    assert_eq!(world.solve(&alone).1, []);
    let there = problem(plain.demands, vec![held("b", world.find("b", "1.0.0"))]);
    let (solution, asked) = world.solve(&there);
    assert_eq!((picks(&solution.unwrap()), asked), (vec!["a 1.0.0".to_owned()], vec![]));
}

#[test]
fn what_the_sensor_cannot_run_is_passed_over() {
    let world =
        World::default().has("a", "2.1.0", &["engine 70"]).has("a", "2.0.4", &["engine 60"]);
    assert_eq!(solved(&world, &problem(vec![within("a", "^2")], vec![])), ["a 2.0.4"]);
    let conflict = refused(&world, &problem(vec![this("a", world.find("a", "2.1.0"))], vec![]));
    assert_eq!(
        conflict.to_string(),
        "`a` 2.1.0 needs `engine_version_semver` 0.70.0, the sensor offers 0.63.0"
    );
}

#[test]
fn needs_are_brought_together() {
    let world = World::default()
        .has("a", "1.0.0", &["base 1.0.0"])
        .has("b", "1.0.0", &["base <1.5"])
        .has("base", "1.0.0", &[])
        .has("base", "1.4.0", &[])
        .has("base", "1.9.0", &[])
        .has("base", "2.0.0", &[]);
    let both = vec![this("a", world.find("a", "1.0.0")), this("b", world.find("b", "1.0.0"))];
    let (solution, asked) = world.solve(&problem(both, vec![]));
    assert_eq!(picks(&solution.unwrap()), ["a 1.0.0", "b 1.0.0", "base 1.4.0"]);
    assert_eq!(asked.len(), 2, "versions that cannot do are not looked at: {asked:?}");
    let world = world.has("c", "1.0.0", &["base ^2"]);
    let both = vec![this("a", world.find("a", "1.0.0")), this("c", world.find("c", "1.0.0"))];
    let text = refused(&world, &problem(both, vec![])).to_string();
    assert!(text.contains("no version of `base` is 1.0.0 or a later 1.x (needed by `a` 1.0.0) and `^2` (needed by `c` 1.0.0): there are 2.0.0, 1.9.0, 1.4.0, 1.0.0"), "{text}");
}

#[test]
fn an_older_version_of_what_was_asked_may_be_the_way_out() {
    let world = World::default()
        .has("a", "1.1.0", &["base ^2"])
        .has("a", "1.0.0", &["base ^1"])
        .has("b", "1.0.0", &["base ^1"])
        .has("base", "1.0.0", &[])
        .has("base", "2.0.0", &[]);
    let both = vec![within("a", "^1"), this("b", world.find("b", "1.0.0"))];
    assert_eq!(solved(&world, &problem(both, vec![])), ["a 1.0.0", "b 1.0.0", "base 1.0.0"]);
}

#[test]
fn alternatives_count_and_what_is_installed_comes_first() {
    let world = World::default()
        .has("a", "1.0.0", &["audit 1.0.0 | audit-cloud 2.0.0"])
        .has("audit", "1.0.0", &[])
        .has("audit-cloud", "2.3.0", &[]);
    let a = || vec![this("a", world.find("a", "1.0.0"))];
    assert_eq!(solved(&world, &problem(a(), vec![])), ["a 1.0.0", "audit 1.0.0"]);
    let cloud = held("audit-cloud", world.find("audit-cloud", "2.3.0"));
    assert_eq!(solved(&world, &problem(a(), vec![cloud])), ["a 1.0.0"]);
    let mut without = world.clone();
    without.offers.remove("audit");
    without.unlisted.insert("audit".to_owned());
    assert_eq!(solved(&without, &problem(a(), vec![])), ["a 1.0.0", "audit-cloud 2.3.0"]);
    let built_in = World::default().has("a", "1.0.0", &["container 9.0.0"]);
    let alone = problem(vec![this("a", built_in.find("a", "1.0.0"))], vec![]);
    assert_eq!(solved(&built_in, &alone), ["a 1.0.0"]);
}

#[test]
fn a_registry_without_listings_still_has_the_version_that_was_named() {
    let mut world = World::default().has("a", "1.0.0", &["base 1.2.0"]).has("base", "1.2.0", &[]);
    world.unlisted.insert("base".to_owned());
    let a = vec![this("a", world.find("a", "1.0.0"))];
    assert_eq!(solved(&world, &problem(a.clone(), vec![])), ["a 1.0.0", "base 1.2.0"]);
    world.offers.remove("base");
    let conflict = refused(&world, &problem(a, vec![]));
    assert!(conflict.is_absence(), "{conflict}");
    assert!(
        conflict.to_string().contains("`base` 1.2.0 (needed by `a`) cannot be had"),
        "{conflict}"
    );
}

#[test]
fn what_stands_in_the_way_may_be_an_older_version_where_that_is_allowed() {
    let world = World::default().has("d", "1.0.0", &[]);
    let installed =
        vec![held("a", offered("a", "1.0.0", &[])), held("d", offered("d", "1.1.0", &["a ^1"]))];
    let mut wanted = problem(vec![this("a", offered("a", "2.0.0", &[]))], installed);
    let text = refused(&world, &wanted).to_string();
    assert!(text.contains("installed `d` 1.1.0 needs `a` `^1`, and 2.0.0 does not do"), "{text}");
    wanted.allow_downgrade = true;
    assert_eq!(solved(&world, &wanted), ["a 2.0.0", "d 1.0.0"]);
}

#[test]
fn nothing_is_downgraded_in_silence() {
    let world = World::default().has("a", "1.0.0", &["base ^0.5"]).has("base", "0.5.0", &[]);
    let newer = held("base", offered("base", "0.9.0", &[]));
    let mut wanted = problem(vec![this("a", world.find("a", "1.0.0"))], vec![newer]);
    let conflict = refused(&world, &wanted);
    assert!(conflict.to_string().contains("not older than the installed 0.9.0"), "{conflict}");
    wanted.allow_downgrade = true;
    assert_eq!(solved(&world, &wanted), ["a 1.0.0", "base 0.5.0"]);
    // A tag that moved back is a refusal of its own kind.
    let back = problem(
        vec![this("base", world.find("base", "0.5.0"))],
        vec![held("base", offered("base", "0.9.0", &[]))],
    );
    assert_eq!(refused(&world, &back).refusals().unwrap().len(), 1);
    // A range that the installed version is in keeps it when the registry has only older ones.
    let kept = problem(vec![within("base", "<1")], back.installed);
    assert_eq!(solved(&world, &kept), ["base 0.9.0*"]);
}

#[test]
fn what_is_installed_keeps_working() {
    let world = World::default()
        .has("rules", "1.0.0", &["plugin ^1"])
        .has("plugin", "1.0.0", &[])
        .has("plugin", "2.0.0", &[]);
    let there = || {
        vec![
            held("plugin", world.find("plugin", "1.0.0")),
            held("rules", world.find("rules", "1.0.0")),
        ]
    };
    let newer = || vec![this("plugin", world.find("plugin", "2.0.0"))];
    let conflict = refused(&world, &problem(newer(), there()));
    let text = conflict.to_string();
    assert!(
        text.starts_with("installed `rules` 1.0.0 needs `plugin` `^1`, and 2.0.0 does not do"),
        "{text}"
    );
    // A newer version of it that goes along is brought along.
    let world = world.clone().has("rules", "1.1.0", &["plugin ^2"]);
    let (solution, _) = world.solve(&problem(newer(), there()));
    let solution = solution.unwrap();
    assert_eq!(picks(&solution), ["plugin 2.0.0", "rules 1.1.0"]);
    assert_eq!(solution.picks[1].cause, Cause::FitsWith("plugin".to_owned()));
    // What was broken before is not made our business.
    let broken = vec![held("rules", offered("rules", "0.9.0", &["gone 1.0.0"]))];
    assert_eq!(solved(&world, &problem(newer(), broken)), ["plugin 2.0.0"]);
}

#[test]
fn a_pin_is_not_moved() {
    let world = World::default().has("a", "1.1.0", &["base ^2"]).has("base", "1.0.0", &[]).has(
        "base",
        "2.0.0",
        &[],
    );
    let pinned = || vec![Held { pinned: true, ..held("base", world.find("base", "1.0.0")) }];
    for demand in [
        this("base", world.find("base", "2.0.0")),
        within("base", "^2"),
        this("a", world.find("a", "1.1.0")),
    ] {
        let conflict = refused(&world, &problem(vec![demand], pinned()));
        assert!(conflict.to_string().contains("`base` is pinned at 1.0.0"), "{conflict}");
    }
    let same = problem(vec![within("base", "*")], pinned());
    let (solution, asked) = world.solve(&same);
    assert_eq!((picks(&solution.unwrap()), asked), (vec!["base 1.0.0*".to_owned()], vec![]));
}

#[test]
fn two_requests_for_one_name() {
    let (old, new) = (offered("a", "1.0.0", &[]), offered("a", "1.2.0", &[]));
    let world = World::default();
    let (solution, _) =
        world.solve(&problem(vec![this("a", new.clone()), this("a", old.clone())], vec![]));
    let solution = solution.unwrap();
    assert_eq!(picks(&solution), ["a 1.2.0"]);
    assert_eq!(solution.notes, ["`a` is wanted as `1.0.0` and `1.2.0`: taking the higher version"]);
    // One version with two contents cannot be decided.
    let mut other = old.clone();
    other.digest = new.digest;
    let conflict =
        refused(&world, &problem(vec![this("a", old.clone()), this("a", other)], vec![]));
    assert!(matches!(conflict.clashes[0], Clash::Twice { .. }), "{conflict}");
    let both = vec![this("a", old), within("a", "^2")];
    assert!(matches!(refused(&world, &problem(both, vec![])).clashes[0], Clash::Twice { .. }));
}

#[test]
fn a_search_without_end_is_given_up_and_says_so() {
    // Every version of ten artifacts needs what none of the others can have.
    let mut world = World::default();
    for name in 0..10 {
        for minor in 0..10 {
            world = world.has(
                &format!("p{name}"),
                &format!("1.{minor}.0"),
                &["q ^1 | r ^1", "never ^1 | nowhere ^1"],
            );
        }
    }
    world = world.has("q", "1.0.0", &[]).has("r", "1.0.0", &[]);
    let demands = (0..10).map(|name| within(&format!("p{name}"), "^1")).collect();
    let conflict = refused(&world, &problem(demands, vec![]));
    assert_eq!(conflict.gave_up, Some(eyas_index::solve::MAX_TRIES));
    assert!(conflict.to_string().contains("there may be one"), "{conflict}");
}

#[test]
fn one_set_has_a_limit() {
    use eyas_index::solve::MAX_PACKAGES;
    let mut world = World::default();
    for at in 0..MAX_PACKAGES {
        world = world.has(&format!("p{at}"), "1.0.0", &[format!("p{} ^1", at + 1).as_str()]);
    }
    let chain = |from: usize| {
        let name = format!("p{from}");
        problem(vec![this(&name, world.find(&name, "1.0.0"))], vec![])
    };
    let last = format!("p{MAX_PACKAGES}");
    let world = world.clone().has(&last, "1.0.0", &[]);
    assert_eq!(solved(&world, &chain(1)).len(), MAX_PACKAGES);
    let conflict = refused(&world, &chain(0));
    assert!(matches!(conflict.clashes[0], Clash::TooMany { .. }), "{conflict}");
}

/// A small world: up to four names with up to three versions each.
fn worlds() -> impl Strategy<Value = (World, Problem)> {
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    let version = prop::sample::select(vec!["1.0.0", "1.1.0", "2.0.0"]);
    let constraint =
        prop::sample::select(vec!["1.0.0", "1.1.0", "2.0.0", "^1", "<2", ">=1.1", "=1.1.0", "*"]);
    let option =
        (name.clone(), constraint.clone()).prop_map(|(name, wanted)| format!("{name} {wanted}"));
    let need = prop::collection::vec(option, 1..3).prop_map(|options| options.join(" | "));
    let needs = prop::collection::vec(
        prop_oneof![4 => need, 1 => Just("engine 70".to_owned()), 1 => Just("engine 60".to_owned())],
        0..3,
    );
    let offers = prop::collection::btree_map((name.clone(), version.clone()), needs.clone(), 0..9);
    let demand =
        (name.clone(), prop_oneof![constraint.clone().prop_map(Ok), version.clone().prop_map(Err)]);
    let demands = prop::collection::vec(demand, 1..3);
    let installed =
        prop::collection::btree_map(name, (version, needs, prop::bool::weighted(0.2)), 0..3);
    (offers, demands, installed, any::<bool>()).prop_map(|(offers, demands, installed, lenient)| {
        let text =
            |needs: &[String]| needs.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let mut world = World::default();
        for ((name, version), needs) in &offers {
            world = world.has(name, version, &text(needs).lines().collect::<Vec<_>>());
        }
        let demands = demands
            .into_iter()
            .map(|(name, wanted)| match wanted {
                Ok(range) if range.parse::<Version>().is_err() => within(name, range),
                Ok(version) | Err(version) => {
                    let found = world
                        .offers
                        .get(name)
                        .into_iter()
                        .flatten()
                        .find(|one| one.version == version.parse().unwrap());
                    this(name, found.cloned().unwrap_or_else(|| offered(name, version, &[])))
                }
            })
            .collect();
        let installed = installed
            .into_iter()
            .map(|(name, (version, needs, pinned))| {
                let needs = text(&needs);
                let fresh = offered(name, version, &needs.lines().collect::<Vec<_>>());
                // The same version of the same name has the same needs wherever it is.
                let known = world
                    .offers
                    .get(name)
                    .into_iter()
                    .flatten()
                    .find(|one| one.digest == fresh.digest);
                Held { pinned, ..held(name, known.cloned().unwrap_or(fresh)) }
            })
            .collect();
        let problem = Problem { allow_downgrade: lenient, ..problem(demands, installed) };
        (world, problem)
    })
}

/// Whether what a clash says is so.
fn is_true(clash: &Clash, world: &World, problem: &Problem) -> bool {
    let all = || {
        let asked = problem.demands.iter().filter_map(|demand| match &demand.wanted {
            Wanted::This(offered) => Some((demand.name.as_str(), offered)),
            Wanted::Within(_) => None,
        });
        let listed = world
            .offers
            .iter()
            .flat_map(|(name, all)| all.iter().map(move |one| (name.as_str(), one)));
        let there = problem.installed.iter().map(|held| (held.name.as_str(), &held.offered));
        asked.chain(listed).chain(there)
    };
    match clash {
        Clash::Requirement { name, version, unmet: Unmet { name: what, required, offered } } => {
            all().any(|(other, one)| {
                other == name
                    && one.version == *version
                    && one
                        .requirements
                        .iter()
                        .any(|own| own.name == *what && own.version == *required)
            }) && problem.offered.get(what) == offered.as_ref()
        }
        Clash::Dependency { by, by_version, name, wanted, found, .. } => {
            let needs = |one: &eyas_index::solve::Offered| {
                one.dependencies.iter().any(|own| {
                    (own.name == *name && own.version == *wanted)
                        || own
                            .alternatives
                            .iter()
                            .any(|own| own.name == *name && own.version == *wanted)
                })
            };
            all().any(|(other, one)| other == by && one.version == *by_version && needs(one))
                && !wanted.allows(found)
        }
        Clash::NoVersion { wanted, available, installed, .. } => !available.iter().any(|version| {
            wanted.iter().all(|(constraint, _): &(Constraint, String)| constraint.allows(version))
                && installed.as_ref().is_none_or(|floor| version > floor)
        }),
        Clash::Unavailable { name, version, .. } => !world
            .offers
            .get(name)
            .into_iter()
            .flatten()
            .any(|one| version.as_ref().is_none_or(|version| one.version == *version)),
        Clash::Downgrade(refusal) => refusal.found < refusal.installed && !problem.allow_downgrade,
        Clash::Pinned { name, .. } => {
            problem.installed.iter().any(|held| held.name == *name && held.pinned)
        }
        Clash::Twice { name, .. } => {
            problem.demands.iter().filter(|demand| demand.name == *name).count() > 1
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn it_finds_what_trying_everything_finds((world, problem) in worlds()) {
        let right = all_right(&world, &problem);
        let (found, _) = world.solve(&problem);
        match found {
            Ok(solution) => {
                let set = after(&world, &problem, &solution);
                // Of several tags for one name the higher counts; the lower one is then not met.
                let noted = !solution.notes.is_empty();
                prop_assert!(noted || is_right(&problem, &set), "{:?} for {:?}", solution, problem);
                prop_assert!(noted || !right.is_empty());
                // The newest of the first name that was asked for, over all solutions.
                let first = problem.demands.iter().map(|demand| &demand.name).min().unwrap();
                let best = right.iter().filter_map(|set| set.get(first)).map(|one| &one.version).max();
                let range = problem.demands.iter().all(|demand| matches!(demand.wanted, Wanted::Within(_)));
                if range {
                    prop_assert_eq!(set.get(first).map(|one| &one.version), best);
                }
            }
            Err(conflict) => {
                prop_assert!(right.is_empty(), "{} although {:?}", conflict, right[0]);
                prop_assert!(!conflict.clashes.is_empty());
                for clash in &conflict.clashes {
                    prop_assert!(is_true(clash, &world, &problem), "{:?}", clash);
                }
            }
        }
    }

    #[test]
    fn the_order_of_requests_does_not_matter((world, problem) in worlds()) {
        let mut turned = problem.clone();
        turned.demands.reverse();
        turned.installed.reverse();
        let (one, other) = (world.solve(&problem).0, world.solve(&turned).0);
        prop_assert_eq!(one.is_ok(), other.is_ok());
        if let (Ok(one), Ok(other)) = (one, other) {
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn nothing_changes_that_need_not((world, problem) in worlds()) {
        // What is there already and right as a whole stays as it is, unless something newer is asked for.
        let (found, _) = world.solve(&problem);
        let Ok(solution) = found else { return Ok(()) };
        for pick in &solution.picks {
            let asked = problem.demands.iter().any(|demand| demand.name == pick.name);
            let needless = problem.installed.iter().any(|held| {
                held.name == pick.name && pick.choice == Choice::Take(held.offered.digest)
            });
            prop_assert!(asked || !needless, "{:?}", pick);
        }
    }
}
