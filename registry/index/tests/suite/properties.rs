//! Properties that hold for any input.

use eyas_artifact::{Digest, Kind};
use eyas_index::{Candidate, Cause, Entry, Index, Plan, PlanOptions, remove, upsert};
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Index::parse("x", &bytes);
    }

    #[test]
    fn near_indexes_do_not_panic(text in "(- |  |name|type|: |\\[|\\]|\\{|\\}|a|\n|#|\"|'|&x|\\*x|~|,){0,60}") {
        let _ = Index::parse("x", text.as_bytes());
        if let Ok(edited) = upsert(&text, &Entry::new("new", "t", "h", "r")) {
            prop_assert!(Index::parse("x", edited.as_bytes()).unwrap().find("new").is_some());
        }
    }

    #[test]
    fn any_text_survives_being_written(
        description in "\\PC{0,120}",
        home in "[ -~]{0,60}",
        keywords in proptest::collection::vec("[ -~äß\n\t]{1,20}", 0..4),
    ) {
        let entry = Entry { description, home, keywords, ..Entry::new("a", "t", "h", "r") };
        let text = upsert("- {name: z, type: t, registry: h, repository: r}\n", &entry).unwrap();
        let index = Index::parse("", text.as_bytes()).unwrap();
        prop_assert_eq!(index.find("a").unwrap(), &entry);
        prop_assert_eq!(Index::parse("", remove(&text, "a").unwrap().as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_requests(
        wanted in proptest::collection::vec((0u8..4, 0u64..3, any::<bool>()), 0..8),
        seed in any::<u64>(),
    ) {
        let candidates: Vec<Candidate> = wanted.into_iter().map(candidate).collect();
        let mut shuffled = candidates.clone();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let one = Plan::compute(candidates, None, PlanOptions::default());
        let other = Plan::compute(shuffled, None, PlanOptions::default());
        prop_assert_eq!(one, other);
    }
}

fn candidate((name, minor, needed): (u8, u64, bool)) -> Candidate {
    let name = format!("artifact-{name}");
    let version = eyas_artifact::Version::new(1, minor, 0);
    Candidate {
        kind: Kind::Plugin,
        reference: format!("host/{name}:1").parse().unwrap(),
        root_digest: Digest::sha256(b"root"),
        manifest_digest: Digest::sha256(format!("{name} {version}")),
        name,
        version,
        signed_at: None,
        cause: if needed { Cause::DependencyOf("x".to_owned()) } else { Cause::Requested },
    }
}
