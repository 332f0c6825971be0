//! Plans: every action, every refusal, and no dependence on order.

use eyas_artifact::{Digest, Entry, Generation, Kind};
use eyas_index::{Action, Candidate, Cause, IndexError, Plan, PlanOptions, RefusalReason};

fn candidate(name: &str, version: &str) -> Candidate {
    let content = format!("{name} {version}");
    Candidate {
        kind: Kind::Rulesfile,
        name: name.to_owned(),
        version: version.parse().unwrap(),
        reference: format!("host/{name}:1").parse().unwrap(),
        root_digest: Digest::sha256(&content),
        manifest_digest: Digest::sha256(&content),
        signed_at: None,
        cause: Cause::Requested,
    }
}

fn installed(candidates: &[Candidate]) -> Generation {
    let mut generation = Generation::new(1, "2026-01-01T00:00:00Z");
    generation.entries = candidates
        .iter()
        .map(|candidate| Entry {
            name: candidate.name.clone(),
            kind: candidate.kind,
            reference: candidate.reference.to_string(),
            version: candidate.version.clone(),
            root_digest: candidate.root_digest,
            manifest_digest: candidate.manifest_digest,
            config_digest: candidate.manifest_digest,
            layer_digest: candidate.manifest_digest,
            signer: None,
            other_signers: Vec::new(),
            attestations: Vec::new(),
            signed_at: candidate.signed_at.clone(),
            accepted_by: None,
            reason: String::new(),
            files: Vec::new(),
        })
        .collect();
    generation
}

fn plan(
    wanted: Vec<Candidate>,
    current: &[Candidate],
    options: PlanOptions,
) -> Result<Plan, IndexError> {
    Plan::compute(wanted, Some(&installed(current)), options)
}

fn only_action(wanted: Candidate, current: Candidate, options: PlanOptions) -> Action {
    let plan = plan(vec![wanted], &[current], options).unwrap();
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.is_empty(), plan.steps[0].action == Action::Keep);
    plan.steps[0].action
}

const STRICT: PlanOptions =
    PlanOptions { allow_downgrade: false, allow_other_repository: false, reinstall: false };
const LENIENT: PlanOptions = PlanOptions { allow_downgrade: true, ..STRICT };

#[test]
fn actions() {
    let first = Plan::compute(vec![candidate("a", "1.0.0")], None, STRICT).unwrap();
    assert_eq!(first.steps[0].action, Action::Install);
    assert_eq!(first.steps[0].why.to_string(), "requested: version `1.0.0` is not installed");

    let (old, new) = (candidate("a", "1.0.0"), candidate("a", "1.1.0"));
    assert_eq!(only_action(new.clone(), old.clone(), STRICT), Action::Upgrade);
    assert_eq!(only_action(old.clone(), old.clone(), STRICT), Action::Keep);
    assert_eq!(only_action(old.clone(), new.clone(), LENIENT), Action::Downgrade);
    let again = PlanOptions { reinstall: true, ..STRICT };
    assert_eq!(only_action(old.clone(), old.clone(), again), Action::Replace);
    let moved = Candidate { manifest_digest: Digest::sha256(b"other"), ..old.clone() };
    assert_eq!(only_action(moved, old, STRICT), Action::Replace);
}

#[test]
fn other_artifacts_are_not_compared() {
    let current =
        [candidate("a", "9.0.0"), Candidate { kind: Kind::Plugin, ..candidate("b", "9.0.0") }];
    let plan = plan(vec![candidate("b", "1.0.0")], &current, STRICT).unwrap();
    assert_eq!(plan.steps[0].action, Action::Install, "same name, other kind");
}

#[test]
fn a_lower_version_is_refused_and_names_both() {
    let refused = plan(vec![candidate("a", "1.0.0")], &[candidate("a", "1.0.1")], STRICT);
    let error = refused.unwrap_err();
    let IndexError::Refused { refusals } = &error else { panic!("{error:?}") };
    assert_eq!(refusals[0].reason, RefusalReason::LowerVersion);
    let text = error.to_string();
    assert!(text.contains("`1.0.0`") && text.contains("`1.0.1`"), "{text}");
    assert!(error.hint().unwrap().contains("--allow-downgrade"));
}

#[test]
fn a_prerelease_of_the_installed_version_is_lower() {
    assert!(plan(vec![candidate("a", "1.0.0-rc1")], &[candidate("a", "1.0.0")], STRICT).is_err());
}

#[test]
fn one_refusal_refuses_the_plan_and_all_are_told() {
    let wanted = vec![candidate("a", "1.0.0"), candidate("b", "1.0.0"), candidate("c", "2.0.0")];
    let current = [candidate("a", "2.0.0"), candidate("b", "2.0.0"), candidate("c", "1.0.0")];
    match plan(wanted, &current, STRICT) {
        Err(IndexError::Refused { refusals }) => {
            let names: Vec<&str> = refusals.iter().map(|refusal| refusal.name.as_str()).collect();
            assert_eq!(names, ["a", "b"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_older_signature_is_refused_by_time_not_by_text() {
    let signed = |version: &str, at: &str| Candidate {
        signed_at: Some(at.to_owned()),
        ..candidate("a", version)
    };
    let cases = [
        // (installed, found, refused)
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", true),
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", false),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", false),
        // As text the fraction sorts before the `Z`.
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", false),
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", true),
        // The same instant in another zone.
        ("2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00", false),
        ("not a time", "2026-01-01T00:00:00Z", false),
    ];
    for (before, after, refused) in cases {
        let result = plan(vec![signed("1.1.0", after)], &[signed("1.0.0", before)], STRICT);
        assert_eq!(result.is_err(), refused, "{before} then {after}: {result:?}");
    }
    // The version decides even when the signature is newer.
    let replayed = signed("0.9.0", "2027-01-01T00:00:00Z");
    assert!(plan(vec![replayed], &[signed("1.0.0", "2026-01-01T00:00:00Z")], STRICT).is_err());
    // Same version, re-published content with an older signature.
    let older = Candidate {
        manifest_digest: Digest::sha256(b"older"),
        ..signed("1.0.0", "2025-01-01T00:00:00Z")
    };
    assert!(plan(vec![older], &[signed("1.0.0", "2026-01-01T00:00:00Z")], STRICT).is_err());
}

#[test]
fn one_version_without_a_time_is_not_newer_than_one_with() {
    let timed =
        Candidate { signed_at: Some("2026-01-01T00:00:00Z".to_owned()), ..candidate("a", "1.0.0") };
    let other = Candidate { manifest_digest: Digest::sha256(b"other"), ..candidate("a", "1.0.0") };
    let error = plan(vec![other.clone()], std::slice::from_ref(&timed), STRICT).unwrap_err();
    assert!(error.to_string().contains("nothing tells when"), "{error}");
    let downgrade = only_action(other.clone(), timed.clone(), LENIENT);
    assert_eq!(downgrade, Action::Downgrade);
    assert_eq!(only_action(timed.clone(), other, STRICT), Action::Replace);
    assert_eq!(only_action(candidate("a", "1.0.1"), timed, STRICT), Action::Upgrade);
}

#[test]
fn another_repository_does_not_take_over_a_name() {
    let here = candidate("a", "1.0.0");
    let there = Candidate { reference: "host/evil:1".parse().unwrap(), ..candidate("a", "1.1.0") };
    for options in [STRICT, LENIENT] {
        let error = plan(vec![there.clone()], std::slice::from_ref(&here), options).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`host/evil`") && text.contains("`host/a`"), "{text}");
        assert!(error.hint().unwrap().contains("--allow-other-repository"), "{:?}", error.hint());
    }
    let allowed = PlanOptions { allow_other_repository: true, ..STRICT };
    assert_eq!(only_action(there.clone(), here.clone(), allowed), Action::Upgrade);
    let older = Candidate { version: "0.9.0".parse().unwrap(), ..there };
    assert!(plan(vec![older], std::slice::from_ref(&here), allowed).is_err(), "still no downgrade");
    let tagged = Candidate { reference: "HOST/a:2".parse().unwrap(), ..candidate("a", "1.1.0") };
    assert_eq!(only_action(tagged, here, STRICT), Action::Upgrade, "a tag is no repository");
}

#[test]
fn a_dependency_never_downgrades_what_is_installed() {
    let needed =
        Candidate { cause: Cause::DependencyOf("b".to_owned()), ..candidate("a", "0.5.0") };
    assert!(plan(vec![needed], &[candidate("a", "0.9.0")], STRICT).is_err());
}
