//! The codes: one list of everything that can be wrong with a file.
//!
//! A code is stable: it is printed, searched for, suppressed by editors and named in documentation, so it is never
//! reused or renumbered. Below CW020 are the text and YAML itself, from CW020 the shape of a file; checks of what the
//! words mean (`compile`) begin at CW040.

use std::fmt;

/// Defines [`Code`] from the one list.
macro_rules! codes {
    ($( $(#[doc = $doc:literal])* $name:ident = $number:literal, $title:literal; )*) => {
        /// What kind of mistake a diagnostic reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $( $(#[doc = $doc])* $name, )*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The stable code, such as `CW020`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $number,)* }
            }

            /// What kind of mistake it is, in a line.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// What it means and why it is refused, in a few sentences.
            #[must_use]
            pub fn explanation(self) -> String {
                match self {
                    $(Code::$name => [$($doc),*].map(str::trim).join(" "),)*
                }
            }
        }
    };
}

codes! {
    /// The file does not exist, may not be read, or is not UTF-8 text.
    FileUnreadable = "CW001", "the file cannot be read";
    /// The text is not YAML. Indentation and unclosed quotes or brackets are the usual reasons.
    Syntax = "CW002", "the file is not valid YAML";
    /// A map has the same key twice. YAML readers disagree on which one counts, so neither does.
    DuplicateKey = "CW003", "the same key twice";
    /// `<<` merges maps in some YAML readers and is a key in others. A plain alias (`fields: *rows`) is allowed.
    MergeKey = "CW004", "merge keys are not allowed";
    /// A key must be text. An unquoted template looks like a map inside a map to YAML.
    KeyNotText = "CW005", "a key that is not text";
    /// A path with brackets, or a template, must be quoted: to YAML brackets and braces begin a list or a map.
    Unquoted = "CW006", "a path or template that must be quoted";
    /// ` #` begins a comment in YAML, even inside a path or a template; what follows it is not read.
    CutByComment = "CW007", "a comment cuts a value short";
    /// `0123` is 123 to one YAML reader, 83 to another and text to a third.
    LeadingZero = "CW008", "a number with a leading zero";
    /// Other YAML readers take `yes`, `no`, `on`, `off`, `null` and `~` as keys for booleans or null.
    AmbiguousKey = "CW009", "a key that other readers take for something else";
    /// Tags such as `!env` mean nothing here.
    Tag = "CW010", "tags are not allowed";
    /// A file holds exactly one YAML document, and its top is a map.
    NotOneMap = "CW011", "the file is not one map";
    /// Aliases repeat so much that the file would become too large or would contain itself.
    AliasTooLarge = "CW012", "aliases that repeat too much";
    /// A number has more digits than YAML readers keep. Quoted, it is text and keeps them.
    LossyNumber = "CW013", "a number that would lose digits";

    /// The word is not known at this place.
    UnknownWord = "CW020", "unknown word";
    /// A word is missing that this place needs.
    MissingWord = "CW021", "missing word";
    /// The value is of another kind than this place expects, such as a list instead of a text.
    WrongKind = "CW022", "the wrong kind of value";
    /// The value is not one of the words that this place knows.
    NotAChoice = "CW023", "not one of the choices";
    /// A map or list has more or fewer entries than this place allows.
    WrongCount = "CW024", "the wrong number of entries";
    /// The text is not written as this place expects, such as a path that does not begin with `$`.
    MalformedText = "CW025", "the wrong kind of text";
    /// The number is out of the range that this place allows.
    OutOfRange = "CW026", "a number out of range";
    /// A word stands without a value.
    NoValue = "CW027", "a word without a value";
    /// The value cannot be read, for a reason that the reader gives.
    Unreadable = "CW028", "a value that cannot be read";

    /// No file describes the connector that a connection names. It is searched as `connectors/NAME.yaml` beside
    /// the pipeline, then in the folders given on the command line; `file` is built in.
    UnknownConnector = "CW040", "no such connector";
    /// The connector, or the way to sign in, has no setting of that name.
    UnknownSetting = "CW041", "no such setting";
    /// A setting that is required has no value.
    MissingSetting = "CW042", "a setting is missing";
    /// The value of a setting or a param is not of the type that it is declared with.
    SettingType = "CW043", "a setting or param of another type";
    /// The connector has no way to sign in of that name.
    UnknownAuth = "CW044", "no such way to sign in";
    /// A connection picks one of its connector's ways to sign in, and each of those has exactly one scheme.
    MissingAuth = "CW045", "no way to sign in";
    /// What is used here still works, but the connector says why it should not be used any more.
    Deprecated = "CW046", "no longer recommended";
    /// Only the settings below `auth` are kept secret; other settings are seen by templates and snapshots.
    SecretOutsideAuth = "CW047", "a secret that would be shown";
    /// A connection reads an environment variable or a secret that is not set. `NAME_FILE` may name a file that
    /// holds the value.
    MissingEnvironment = "CW048", "a missing environment variable";
    /// `--set` names a param that the pipeline does not have.
    UnknownParam = "CW049", "no such param";
    /// A param without a default must be set with `--set`.
    MissingParam = "CW050", "a param without a value";
    /// The text is not a JSONPath (RFC 9535).
    BadPath = "CW051", "a wrong path";
    /// The text in `{{ }}` is not an expression, or uses a filter, function or test that does not exist.
    BadTemplate = "CW052", "a wrong template";
    /// A template reads a name that its place does not see, or a member of it that does not exist.
    UnknownVariable = "CW053", "a name that is not seen here";
    /// A path that may select several nodes needs `take`, `each` or a target that is a list.
    SeveralNodes = "CW054", "several values where one is needed";
    /// A request needs one method, a path, parameters that are texts, and the values that it is for.
    WrongRequest = "CW055", "a request that cannot be sent";
    /// A rate is a number of requests in a time, such as `100 per minute`.
    BadRate = "CW056", "a limit that limits nothing";
    /// A request draws from a budget that the connector does not have.
    UnknownLimit = "CW057", "no such limit";
    /// A request starts a job that the connector does not describe.
    UnknownJob = "CW058", "no such job";
    /// The way to the next page does not fit the request, so that records would be lost or read for ever.
    WrongPaging = "CW059", "paging that does not fit";
    /// The cursor does not fit the list that it is for, so that changes would be lost.
    WrongChanges = "CW060", "changes that do not fit";
    /// The file does not exist or is not a JSON Schema of a record.
    BadRecordSchema = "CW061", "a record schema that cannot be used";
    /// The pipeline has no connection of that name.
    UnknownConnection = "CW062", "no such connection";
    /// The connection has no stream of that name.
    UnknownStream = "CW063", "no such stream";
    /// The stream does not describe the operation that the flow or lookup needs.
    MissingOperation = "CW064", "the stream cannot do that";
    /// The pipeline has no enum table of that name.
    UnknownEnum = "CW065", "no such enum table";
    /// The pipeline has no lookup of that name.
    UnknownLookup = "CW066", "no such lookup";
    /// The pipeline has no flow of that name.
    UnknownFlow = "CW067", "no such flow";
    /// The type is neither built in nor one of the pipeline's `types`.
    UnknownType = "CW068", "no such type";
    /// The record schema is closed and does not list the field that is read.
    UnknownField = "CW069", "no such field in the source";
    /// The record schema is closed and does not list the field that is written.
    UnknownTarget = "CW070", "no such field in the target";
    /// The record schema says that the system sets this field itself.
    ReadOnlyTarget = "CW071", "a field that cannot be written";
    /// The flow creates records, and a field that the target requires would be missing.
    MissingTarget = "CW072", "a required field without a rule";
    /// An enum table or a constant gives a value that the target's record schema does not list.
    EnumOutput = "CW073", "a value that the target does not list";
    /// An enum table translates a value that the source's record schema does not list, or leaves out one that it
    /// does.
    EnumInput = "CW074", "a value that the source does not list";
    /// Two rules write the same field, or one writes a part of what another one writes.
    TwiceDefined = "CW075", "two rules for one thing";
    /// The stream cannot be searched by that path. What it can be found by is listed; a lookup may also read it
    /// whole.
    NotFindable = "CW076", "cannot be found by that";
    /// Nobody can guess what a record means whose reference is not found, so the lookup must say it.
    MissingOnNone = "CW077", "a lookup that does not say what if nothing is found";
    /// Creating a record of the one needs the other, which needs the one.
    LookupCycle = "CW078", "lookups that need each other";
    /// Flows run in the order of their `link` and `of`; these have none.
    FlowCycle = "CW079", "flows that wait for each other";
    /// Each word of a rule is a step; some exclude each other, and some need another one.
    RuleSteps = "CW080", "words that do not go together";
    /// The action needs something that this rule does not have.
    ActionDoesNotFit = "CW081", "an action that means nothing here";
    /// The connector removes this field before anything is mapped.
    NeverMapped = "CW082", "a field that nobody may read";
    /// A flow may mask more than the stream says, never less.
    PiiLoosened = "CW083", "personal data shown more openly than the connector allows";
    /// The flow's mode needs something that the flow or its streams do not have.
    ModeDoesNotFit = "CW084", "a mode that does not fit";
    /// Nothing refers to it, so it may be a mistake or a leftover.
    Unused = "CW085", "something that is never used";
    /// The file's format, compression or key does not allow what is asked of it.
    FileStream = "CW086", "a file that cannot be a stream";
    /// A file of this language begins with `pipeline:`, `connector:` or `tests:` beside `version:`.
    WrongKindOfFile = "CW087", "neither a pipeline, a connector nor tests";
    /// The constant, or the type that a rule asks for, is not one that the target takes.
    TypeDoesNotFit = "CW088", "a type that the target does not take";
    /// `of` names the flow whose linked records are the parents of this flow's records.
    WrongChildren = "CW089", "a flow whose parent does not fit";
    /// The system offers no precondition, so a change made between our reading and our writing would be
    /// overwritten.
    NotAtomic = "CW090", "a window between reading and writing";
    /// A row of a two-way flow names two fields, or one and a direction in which it travels.
    NowhereRow = "CW091", "a row that goes nowhere";
    /// A record that a two-way flow created is found again by what `pair` wrote into it, by `match`, or by what the
    /// connector says of its `create`; else a lost answer leaves a record that nobody knows.
    NotFoundAgain = "CW092", "a created record that could not be found again";
    /// What `pair` writes must hold the other record's key, so that it belongs to one record only.
    BadPair = "CW093", "a pair that does not name the other record";
    /// What one direction writes is refused or undone by the other one.
    NoRoundTrip = "CW094", "a value that does not come back";
    /// Who changed last is told by the time of the record's change, not the field's.
    RecordTime = "CW095", "newest is told by record, not by field";
    /// A flow that is disabled makes no links, and what it linked before stays.
    DisabledFlow = "CW096", "a flow that is disabled";

    /// The flow has no row of that name, or no row that writes that field, so no test can expect anything of it.
    UnknownRow = "CW110", "no such row or field in the flow";
    /// A mapping test needs what its flow works on, and an expectation that this flow can meet.
    WrongCase = "CW111", "a test that cannot be judged";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ascending_and_explained() {
        for pair in Code::ALL.windows(2) {
            assert!(
                pair[0].as_str() < pair[1].as_str(),
                "{} before {}",
                pair[0],
                pair[1]
            );
        }
        for code in Code::ALL {
            assert_eq!(code.as_str().len(), 5);
            assert!(
                !code.explanation().is_empty() && !code.title().ends_with('.'),
                "{code}"
            );
        }
    }
}
