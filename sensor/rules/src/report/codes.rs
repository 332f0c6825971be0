//! The names of problems: those of the documented validation result, and our own finer ones.
use serde::{Serialize, Serializer};

macro_rules! codes {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal, $words:literal;)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each has its explanation as data")]
        pub enum $name { $($variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it means, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

codes! {
    /// Codes of the documented validation result.
    LoadCode {
        ErrFileRead = "LOAD_ERR_FILE_READ", "the file cannot be read";
        ErrYamlParse = "LOAD_ERR_YAML_PARSE", "the file is not YAML";
        ErrYamlValidate = "LOAD_ERR_YAML_VALIDATE", "the structure of the file is wrong";
        ErrCompileCondition = "LOAD_ERR_COMPILE_CONDITION", "a condition does not compile";
        ErrCompileOutput = "LOAD_ERR_COMPILE_OUTPUT", "an output does not compile";
        ErrValidate = "LOAD_ERR_VALIDATE", "an item is not valid here";
        ErrExtension = "LOAD_ERR_EXTENSION", "an extension item is wrong";
        UnknownSource = "LOAD_UNKNOWN_SOURCE", "unknown event source";
        UnsafeNaCheck = "LOAD_UNSAFE_NA_CHECK", "comparison with <NA>";
        NoEvttype = "LOAD_NO_EVTTYPE", "the condition does not restrict event types";
        UnknownFilter = "LOAD_UNKNOWN_FILTER", "unknown field or event type";
        UnusedMacro = "LOAD_UNUSED_MACRO", "unused macro";
        UnusedList = "LOAD_UNUSED_LIST", "unused list";
        UnknownItem = "LOAD_UNKNOWN_ITEM", "unknown item";
        UnknownKey = "LOAD_UNKNOWN_KEY", "unknown key";
        DeprecatedItem = "LOAD_DEPRECATED_ITEM", "use of something deprecated";
        WarningExtension = "LOAD_WARNING_EXTENSION", "warning of an extension item";
        AppendNoValues = "LOAD_APPEND_NO_VALUES", "appended exception without values";
        ExceptionNameNotUnique = "LOAD_EXCEPTION_NAME_NOT_UNIQUE", "exception defined twice";
        InvalidMacroName = "LOAD_INVALID_MACRO_NAME", "macro name that no condition can use";
        InvalidListName = "LOAD_INVALID_LIST_NAME", "list name that no condition can use";
        CompileCondition = "LOAD_COMPILE_CONDITION", "suspicious condition";
    }
}

codes! {
    /// Our own codes; each has a page in the documentation.
    Code {
        Unreadable = "unreadable", "the file cannot be read";
        NotYaml = "not-yaml", "the file is not YAML, or exceeds a limit";
        Structure = "structure", "a document or item has the wrong shape";
        MissingKey = "missing-key", "a required key is absent or empty";
        WrongType = "wrong-type", "a value has the wrong type";
        DuplicateKey = "duplicate-key", "a key is given twice, the first one counts";
        UnknownKey = "unknown-key", "a key that means nothing here";
        UnknownItem = "unknown-item", "an item of no known kind";
        Priority = "priority", "not a priority";
        EngineVersion = "engine-version", "the engine is too old or of another major version";
        PluginVersion = "plugin-version", "a required plugin is not there";
        Override = "override", "`override` that cannot work";
        Append = "append", "`append`, which is deprecated";
        BareEnabled = "bare-enabled", "a rule item with nothing but `enabled`";
        NotDefined = "not-defined", "a change to something that does not exist";
        SourceChange = "source-change", "a rule keeps its event source";
        UnknownSource = "unknown-source", "no such event source";
        ListName = "list-name", "a list name that no condition can use";
        MacroName = "macro-name", "a macro name that no condition can use";
        Exception = "exception", "an exception of the wrong shape";
        ExceptionNoValues = "exception-no-values", "an appended exception adds nothing";
        ExceptionTwice = "exception-twice", "two exceptions of the same name";
        UnknownMacro = "unknown-macro", "no such macro, or not visible from here";
        MacroLoop = "macro-loop", "a macro that uses itself";
        TooLarge = "too-large", "the expanded condition exceeds a limit";
        Syntax = "syntax", "the condition does not follow the grammar";
        Condition = "condition", "the condition does not compile";
        UnknownField = "unknown-field", "no such field";
        UnknownEventType = "unknown-event-type", "no such event type or system call";
        Output = "output", "the output does not compile";
        Skipped = "skipped", "the rule is dropped, as `skip-if-unknown-filter` asks";
        Suspicious = "suspicious", "valid, but hardly what was meant";
        AnyEvent = "any-event", "the rule is evaluated for nearly every event";
        Deprecated = "deprecated", "a deprecated field";
        UnusedMacro = "unused-macro", "nothing uses the macro";
        UnusedList = "unused-list", "nothing uses the list";
        LintNeverMatches = "lint-never-matches", "the rule can never match";
        LintShadowed = "lint-shadowed", "an earlier rule takes every event of this one";
        LintException = "lint-exception", "an exception that changes nothing";
    }
}
