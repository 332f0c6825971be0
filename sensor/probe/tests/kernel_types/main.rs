//! The objects of both architectures against the type information of real kernels.
//!
//! Always against the kernel that runs; against others too, if `EYAS_BTF` names their files:
//! `amd64=FILE:arm64=FILE`. `scripts/kernels --types` takes them out of Debian's kernels.

#[cfg(test)]
mod relocations;
#[cfg(test)]
mod types;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use aya_obj::{Object, btf::Btf};
    use eyas_probe::embedded_for;

    use crate::relocations::{self, Wanted};
    use crate::types::{FUNCTION, TYPEDEF, Types};

    const OWN: &str = "/sys/kernel/btf/vmlinux";
    /// Without these there is no probe; other hooks may be missing.
    const NEEDED: [&str; 4] =
        ["sys_exit", "sched_process_exec", "sched_process_exit", "sched_process_fork"];
    /// What the loader writes in place of an instruction whose fact the kernel does not have.
    const POISON: i32 = 0x0bad_2310;

    /// Architecture and file of each kernel to look at.
    fn kernels() -> Vec<(String, String)> {
        let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let listed = std::env::var("EYAS_BTF").unwrap_or_default();
        let listed = listed.split(':').filter_map(|entry| entry.split_once('='));
        let mut all: Vec<(String, String)> =
            listed.map(|(architecture, file)| (architecture.to_owned(), file.to_owned())).collect();
        if std::fs::exists(OWN).unwrap_or(false) {
            all.push((own.to_owned(), OWN.to_owned()));
        }
        if all.is_empty() {
            eprintln!(
                "SKIPPED: no type information of a kernel (`{OWN}` is missing, EYAS_BTF is not set)"
            );
        }
        all
    }

    #[test]
    fn every_fact_the_probe_wants_is_in_every_kernel_or_asked_for_before() {
        for (architecture, file) in kernels() {
            let wants = relocations::read(embedded_for(&architecture).unwrap());
            let kernel = Types::parse(&std::fs::read(&file).unwrap());
            let no: Vec<&Wanted> =
                wants.facts.iter().filter(|w| w.asks && !w.is_in(&kernel)).collect();
            let (there, absent): (Vec<&Wanted>, Vec<&Wanted>) = wants
                .facts
                .iter()
                .filter(|wanted| !wanted.asks)
                .partition(|wanted| wanted.is_in(&kernel));
            let missing: Vec<String> = absent
                .iter()
                .filter(|w| !w.is_shape() && !no.iter().any(|question| question.covers(w)))
                .map(ToString::to_string)
                .collect();
            assert!(
                missing.is_empty(),
                "{file}: not in this kernel, and not asked for: {missing:?}"
            );
            let broken = without_a_whole_shape(&wants.facts, &kernel);
            assert!(broken.is_empty(), "{file}: no shape of {broken:?} is whole in this kernel");
            let absent: Vec<String> = absent.iter().map(ToString::to_string).collect();
            println!(
                "{architecture} {file}: {} facts; not here: {}",
                there.len(),
                absent.join(", ")
            );
        }
    }

    /// Types that the probe knows in several shapes, none of which this kernel has with all its members.
    fn without_a_whole_shape(facts: &BTreeSet<Wanted>, kernel: &Types) -> Vec<String> {
        let mut shapes: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        for wanted in facts.iter().filter(|wanted| wanted.is_shape()) {
            let whole =
                shapes.entry(wanted.kernel_name()).or_default().entry(&wanted.root).or_insert(true);
            *whole &= wanted.is_in(kernel);
        }
        shapes
            .into_iter()
            .filter(|(_, shapes)| !shapes.values().any(|whole| *whole))
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    #[test]
    fn the_loader_relocates_every_program_and_poisons_only_what_is_absent() {
        for (architecture, file) in kernels() {
            let bytes = embedded_for(&architecture).unwrap();
            let wants = relocations::read(bytes);
            let kernel = std::fs::read(&file).unwrap();
            let mut object = Object::parse(bytes).unwrap();
            let endianness = object.endianness;
            object
                .relocate_btf(&Btf::parse(&kernel, endianness).unwrap())
                .unwrap_or_else(|error| panic!("{architecture} {file}: {error}"));
            let poisoned: usize = object
                .functions
                .values()
                .flat_map(|function| &function.instructions)
                .filter(|instruction| instruction.imm == POISON)
                .count();
            let kernel = Types::parse(&kernel);
            let absent = wants.uses.iter().filter(|wanted| !wanted.is_in(&kernel)).count();
            assert_eq!(
                poisoned, absent,
                "{architecture} {file}: instructions without a fact behind them"
            );
            println!(
                "{architecture} {file}: {} relocations, {poisoned} of them for other kernels",
                wants.uses.len()
            );
        }
    }

    #[test]
    fn every_needed_hook_is_in_every_kernel() {
        for (architecture, file) in kernels() {
            let wants = relocations::read(embedded_for(&architecture).unwrap());
            let kernel = Types::parse(&std::fs::read(&file).unwrap());
            let mut absent = Vec::new();
            for section in &wants.sections {
                let Some((kind, target)) = section.split_once('/') else { continue };
                let (name, is) = match kind {
                    "tp_btf" => (format!("btf_trace_{target}"), TYPEDEF),
                    "iter" | "iter.s" => (format!("bpf_iter_{target}"), FUNCTION),
                    _ => continue,
                };
                if !kernel.named(&name).any(|ty| ty.kind == is) {
                    absent.push(target);
                }
            }
            for needed in NEEDED {
                assert!(
                    wants.sections.contains(&format!("tp_btf/{needed}")),
                    "{needed} is not in the object"
                );
                assert!(!absent.contains(&needed), "{file}: no {needed}");
            }
            println!("{architecture} {file}: hooks that are not here: {absent:?}");
        }
    }
}
