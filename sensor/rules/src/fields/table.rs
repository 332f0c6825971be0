//! The table of all fields and the types of its columns.
//!
//! The rows are generated from `fields.tsv` by the build script; this file owns what a column means.

include!(concat!(env!("OUT_DIR"), "/fields.rs"));

/// What is known of a field before any event is seen.
#[derive(Debug)]
pub struct Field {
    /// Position in the table.
    pub id: FieldId,
    /// Name as written in rules, without argument.
    pub name: &'static str,
    /// Type of the value, or of each element of a list.
    pub ty: FieldType,
    /// Which arguments it takes.
    pub argument: ArgumentRule,
    /// Restrictions and listing marks.
    pub flags: Flags,
    /// How a number is printed.
    pub print: Print,
    /// For events of which source it exists.
    pub source: FieldSource,
    /// One line for listings.
    pub description: &'static str,
}

/// Type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text without NUL bytes, not necessarily UTF-8.
    Charbuf,
    /// Bytes.
    Bytebuf,
    /// True or false.
    Bool,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// Floating point.
    Double,
    /// A duration, unsigned nanoseconds unless the name says seconds.
    Reltime,
    /// A point in time, unsigned nanoseconds since the epoch unless the name says seconds.
    Abstime,
    /// Port number; a literal may be a service name.
    Port,
    /// IPv4 or IPv6 address.
    Ipaddr,
    /// IPv4 or IPv6 network; the value is an address.
    Ipnet,
    /// Type of an event parameter, known from the event schema.
    Dyn,
}

impl FieldType {
    /// The type's name in field listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Charbuf => "charbuf",
            Self::Bytebuf => "bytebuf",
            Self::Bool => "bool",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Double => "double",
            Self::Reltime => "reltime",
            Self::Abstime => "abstime",
            Self::Port => "port",
            Self::Ipaddr => "ipaddr",
            Self::Ipnet => "ipnet",
            Self::Dyn => "dyn",
        }
    }
}

/// Which arguments a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentRule {
    /// Without an argument the field does not exist.
    pub required: bool,
    /// Accepted spellings.
    pub forms: Forms,
}

impl ArgumentRule {
    /// No argument at all.
    pub const NONE: Self = Self { required: false, forms: Forms(0) };

    /// How the argument is written, for listings: `[N]`, `[KEY]`, `.NAME`, empty if there is none.
    pub fn shape(self) -> &'static str {
        let has = |form| self.forms.has(form);
        match (has(Forms::INDEX), has(Forms::KEY), has(Forms::TAIL), has(Forms::PATH)) {
            (true, true, ..) => "[N] or [KEY]",
            (true, _, true, _) => "[N] or .NAME",
            (true, ..) => "[N]",
            (_, true, true, _) => "[KEY] or .NAME",
            (_, true, ..) => "[KEY]",
            (_, _, true, _) => ".NAME",
            (.., true) => ".src or .dst",
            _ => "",
        }
    }
}

/// Accepted spellings of an argument, a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms(u8);

impl Forms {
    /// `field[3]`.
    pub const INDEX: Self = Self(1);
    /// `field[key]`.
    pub const KEY: Self = Self(2);
    /// `field.name`.
    pub const TAIL: Self = Self(4);
    /// `field.src` or `field.dst`.
    pub const PATH: Self = Self(8);

    /// Whether `form` is accepted.
    pub fn has(self, form: Self) -> bool {
        self.0 & form.0 != 0
    }
}

/// Restrictions and listing marks of a field, a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// No restriction.
    pub const NONE: Self = Self(0);
    /// Renders as unset in outputs.
    pub const FILTER_ONLY: Self = Self(1);
    /// For outputs of other tools; never set in a condition.
    pub const PRINT_ONLY: Self = Self(2);
    /// Neither takes a field on the right-hand side nor is one.
    pub const NO_RHS: Self = Self(4);
    /// Cannot be the input of a transformer.
    pub const NO_TRANSFORMER: Self = Self(8);
    /// Internal, left out of listings.
    pub const HIDDEN: Self = Self(16);
    /// Kept for old rules, left out of listings.
    pub const DEPRECATED: Self = Self(32);
    /// The value is a list.
    pub const LIST: Self = Self(64);
    /// Appended to outputs when suggested output is on.
    pub const SUGGESTED: Self = Self(128);

    /// Whether `flag` is set.
    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

/// How a number is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// Decimal, or the natural form of other types.
    Natural,
    /// Upper-case hexadecimal without prefix.
    Hex,
    /// Decimal with at least nine digits.
    Padded9,
}

/// For events of which source a field exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// Every source.
    Any,
    /// Kernel events.
    Syscall,
    /// Events of any plugin that carries JSON.
    Plugin,
    /// Kubernetes audit events.
    K8sAudit,
}

impl FieldSource {
    /// Whether rules of event source `source` may use the field.
    pub fn covers(self, source: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Syscall => source == "syscall",
            Self::Plugin => source != "syscall",
            Self::K8sAudit => source == "k8s_audit",
        }
    }
}

impl FieldId {
    /// The table row.
    pub fn field(self) -> &'static Field {
        &FIELDS[self as usize]
    }

    /// Name as written in rules, without argument.
    pub fn name(self) -> &'static str {
        self.field().name
    }

    /// Without an index it is about every ancestor, one after the other.
    pub fn is_of_ancestors(self) -> bool {
        matches!(
            self,
            Self::ProcAname
                | Self::ProcAexe
                | Self::ProcAexepath
                | Self::ProcAcmdline
                | Self::ProcApid
                | Self::ProcAenv
        )
    }
}

/// The field of exactly this name.
pub fn find(name: &str) -> Option<FieldId> {
    let at = BY_NAME.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(BY_NAME[at].1)
}

/// Fields appended to outputs when suggested output is on, in output order.
pub fn suggested() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.flags.has(Flags::SUGGESTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_index_the_table() {
        for (position, field) in FIELDS.iter().enumerate() {
            assert_eq!(field.id as usize, position, "{}", field.name);
            assert_eq!(find(field.name), Some(field.id), "{}", field.name);
        }
    }

    #[test]
    fn only_whole_names_are_found() {
        assert_eq!(find("proc.nam"), None);
        assert_eq!(find("proc.names"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn suggested_fields_come_in_their_documented_order() {
        let names: Vec<_> = suggested().map(|field| field.name).collect();
        assert_eq!(
            names,
            [
                "container.id",
                "container.name",
                "container.image.repository",
                "container.image.tag",
                "k8s.pod.name",
                "k8s.ns.name",
                "k8smeta.pod.name",
                "k8smeta.ns.name",
            ]
        );
    }

    #[test]
    fn sources_are_kept_apart() {
        assert!(FieldId::EvtNum.field().source.covers("k8s_audit"));
        assert!(!FieldId::ProcName.field().source.covers("k8s_audit"));
        assert!(!find("ka.verb").is_some_and(|id| id.field().source.covers("syscall")));
    }

    #[test]
    fn flags_of_known_rows() {
        let ip = FieldId::FdIp.field();
        assert!(ip.flags.has(Flags::FILTER_ONLY) && ip.flags.has(Flags::NO_RHS));
        assert!(FieldId::FdTypes.field().flags.has(Flags::LIST));
        assert!(FieldId::EvtDir.field().flags.has(Flags::DEPRECATED));
        assert_eq!(FieldId::FdDev.field().print, Print::Hex);
        assert_eq!(FieldId::EvtReltimeNs.field().print, Print::Padded9);
    }
}
