//! What an object wants to know of the kernel it is loaded into: its CO-RE relocations, in words.

use std::collections::BTreeSet;

use object::{Object as _, ObjectSection as _};

use crate::types::{ARRAY, ENUM, ENUM64, STRUCT, Types, UNION};

/// A fact about a type of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// Type as the object names it; what follows three underscores tells shapes of one type apart.
    pub(crate) root: String,
    /// Members from there on; `[]` is an element of an array. One value of an enumeration. Empty for the type itself.
    pub(crate) path: Vec<String>,
    /// What the field is, as [`Types::kinds`] gives it. A field of this name that is something else is another one.
    pub(crate) kinds: Vec<u32>,
    /// The object only asks whether it is there.
    pub(crate) asks: bool,
}

impl Wanted {
    /// Name of the type in the kernel.
    pub(crate) fn kernel_name(&self) -> &str {
        self.root.split("___").next().unwrap_or_default()
    }

    pub(crate) fn is_shape(&self) -> bool {
        self.root.contains("___")
    }

    /// Where this is absent, the other one is too: it is the same, or a part of it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.root == other.root && other.path.starts_with(&self.path)
    }

    pub(crate) fn is_in(&self, kernel: &Types) -> bool {
        kernel.named(self.kernel_name()).any(|root| {
            let mut ty = root;
            for step in &self.path {
                if matches!(ty.kind, ENUM | ENUM64) {
                    return ty.members.iter().any(|(name, _)| name == step);
                }
                let next = if step == "[]" && ty.kind == ARRAY {
                    Some(kernel.plain(ty.members[0].1))
                } else {
                    kernel.member(ty, step)
                };
                let Some(next) = next else { return false };
                ty = next;
            }
            self.kinds.is_empty() || kernel.kinds(ty) == self.kinds
        })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.root)?;
        self.path.iter().try_for_each(|step| write!(f, ".{step}"))
    }
}

/// An object's relocations, and the sections with its programs.
pub(crate) struct Wants {
    pub(crate) facts: BTreeSet<Wanted>,
    pub(crate) sections: BTreeSet<String>,
    /// Relocations that are no mere question, each with what it wants.
    pub(crate) uses: Vec<Wanted>,
}

const TYPE_ID_LOCAL: u32 = 6;
/// Whether a field, a type or a value of an enumeration exists.
const QUESTIONS: [u32; 3] = [2, 8, 10];

pub(crate) fn read(bytes: &[u8]) -> Wants {
    let elf = object::File::parse(bytes).unwrap();
    let section = |name| elf.section_by_name(name).unwrap().data().unwrap();
    let types = Types::parse(section(".BTF"));
    let extension = section(".BTF.ext");
    let word = |at: usize| u32::from_le_bytes(extension[at..at + 4].try_into().unwrap());
    let start = (word(4) + word(24)) as usize;
    let (end, size) = (start + word(28) as usize, word(start) as usize);
    let mut at = start + 4;
    let (mut facts, mut uses) = (BTreeSet::new(), Vec::new());
    while at < end {
        let count = word(at + 4) as usize;
        for record in (0..count).map(|index| at + 8 + size * index) {
            let (id, access, kind) = (word(record + 4), word(record + 8), word(record + 12));
            if kind == TYPE_ID_LOCAL {
                continue;
            }
            let wanted = wanted(&types, id, &types.text(access), kind);
            if !wanted.asks {
                uses.push(wanted.clone());
            }
            facts.insert(wanted);
        }
        at += 8 + size * count;
    }
    let sections =
        elf.sections().filter_map(|section| Some(section.name().ok()?.to_owned())).collect();
    Wants { facts, sections, uses }
}

fn wanted(types: &Types, id: u32, access: &str, kind: u32) -> Wanted {
    let root = types.plain(id);
    let steps: Vec<usize> = access.split(':').map(|step| step.parse().unwrap()).collect();
    let mut path = Vec::new();
    if matches!(root.kind, ENUM | ENUM64) {
        path.push(root.members[steps[0]].0.clone());
    }
    let mut ty = root;
    for step in &steps[1..] {
        match ty.kind {
            STRUCT | UNION => {
                let (name, id) = &ty.members[*step];
                if !name.is_empty() {
                    path.push(name.clone());
                }
                ty = types.plain(*id);
            }
            ARRAY => {
                path.push("[]".to_owned());
                ty = types.plain(ty.members[0].1);
            }
            kind => panic!("access `{access}` into `{}` of kind {kind}", root.name),
        }
    }
    let field = !path.is_empty() && !matches!(root.kind, ENUM | ENUM64);
    let kinds = if field { types.kinds(ty) } else { Vec::new() };
    Wanted { root: root.name.clone(), path, kinds, asks: QUESTIONS.contains(&kind) }
}
