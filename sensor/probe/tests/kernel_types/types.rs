//! Type information as the kernel and compilers write it (BTF, as of Linux 6.12): names, members, what refers to what.

/// One type. Kinds that nobody asks for keep only their name.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) kind: u32,
    pub(crate) name: String,
    /// Size or referred type, as the kind wants it.
    pub(crate) value: u32,
    /// Members of structures and unions with their types; values of enumerations.
    pub(crate) members: Vec<(String, u32)>,
}

pub(crate) const ARRAY: u32 = 3;
pub(crate) const STRUCT: u32 = 4;
pub(crate) const UNION: u32 = 5;
pub(crate) const ENUM: u32 = 6;
pub(crate) const TYPEDEF: u32 = 8;
pub(crate) const FUNCTION: u32 = 12;
pub(crate) const ENUM64: u32 = 19;

pub(crate) struct Types {
    strings: Vec<u8>,
    all: Vec<Type>,
}

impl Types {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..2], [0x9f, 0xeb], "no type information");
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let header = word(4) as usize;
        let start = header + word(8) as usize;
        let end = start + word(12) as usize;
        let strings = header + word(16) as usize;
        let strings = bytes[strings..strings + word(20) as usize].to_vec();
        let nothing = Type { kind: 0, name: "void".to_owned(), value: 0, members: Vec::new() };
        let mut types = Self { strings, all: vec![nothing] };
        let mut at = start;
        while at < end {
            let (info, value) = (word(at + 4), word(at + 8));
            let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let body = at + 12;
            let member = |size: usize, index: usize| body + size * index;
            let (members, trailer) = match kind {
                STRUCT | UNION => (
                    (0..count)
                        .map(|i| (types.text(word(member(12, i))), word(member(12, i) + 4)))
                        .collect(),
                    12 * count,
                ),
                ENUM => {
                    ((0..count).map(|i| (types.text(word(member(8, i))), 0)).collect(), 8 * count)
                }
                ENUM64 => {
                    ((0..count).map(|i| (types.text(word(member(12, i))), 0)).collect(), 12 * count)
                }
                ARRAY => (vec![(String::new(), word(body))], 12),
                1 | 14 | 17 => (Vec::new(), 4),
                13 => (Vec::new(), 8 * count),
                15 => (Vec::new(), 12 * count),
                _ => (Vec::new(), 0),
            };
            types.all.push(Type { kind, name: types.text(word(at)), value, members });
            at = body + trailer;
        }
        types
    }

    pub(crate) fn text(&self, at: u32) -> String {
        let rest = &self.strings[at as usize..];
        let end = rest.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }

    pub(crate) fn get(&self, id: u32) -> &Type {
        &self.all[id as usize]
    }

    /// The type behind typedefs and qualifiers.
    pub(crate) fn plain(&self, mut id: u32) -> &Type {
        loop {
            let ty = self.get(id);
            // typedef, volatile, const, restrict, type tag
            if !matches!(ty.kind, TYPEDEF | 9 | 10 | 11 | 18) {
                return ty;
            }
            id = ty.value;
        }
    }

    /// What loaders compare of two fields: the kind, and that of the elements of arrays. Structures and unions are one
    /// kind to them, and so are the two kinds of enumerations.
    pub(crate) fn kinds(&self, ty: &Type) -> Vec<u32> {
        match ty.kind {
            ARRAY => [vec![ARRAY], self.kinds(self.plain(ty.members[0].1))].concat(),
            UNION => vec![STRUCT],
            ENUM64 => vec![ENUM],
            kind => vec![kind],
        }
    }

    /// Every type of this name.
    pub(crate) fn named<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t Type> {
        self.all.iter().filter(move |ty| ty.name == name)
    }

    /// The type of a member, also of one inside nameless structures and unions.
    pub(crate) fn member(&self, ty: &Type, name: &str) -> Option<&Type> {
        // an array's only entry is the type of its elements, whose members are not its own
        if !matches!(ty.kind, STRUCT | UNION) {
            return None;
        }
        ty.members.iter().find_map(|(member, id)| {
            let inner = self.plain(*id);
            if member == name {
                Some(inner)
            } else if member.is_empty() && matches!(inner.kind, STRUCT | UNION) {
                self.member(inner, name)
            } else {
                None
            }
        })
    }
}
