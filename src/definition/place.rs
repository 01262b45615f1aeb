//! Which names a template sees, for every place in which one may stand.
//!
//! This is the one table of it: `compile` refuses what it does not list, and the reference page prints it.

/// A place in which a template may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table below describes each of them")]
pub enum Place {
    ConnectionSetting,
    FilePath,
    Since,
    Condition,
    Rule,
    RuleStep,
    LookupMatch,
    CreateRule,
    CreateRuleStep,
    Instead,
    Require,
    RemoteRule,
    RemoteRuleStep,
    RemoteRequire,
    LocalRule,
    LocalRuleStep,
    LocalRequire,
    SettingDefault,
    Address,
    Header,
    Auth,
    LimitRate,
    LimitKey,
    JobPoll,
    List,
    Page,
    Start,
    Token,
    Get,
    Find,
    Write,
    WriteMany,
    WriteItem,
    Added,
    StreamCondition,
}

/// One line of the table.
#[derive(Debug)]
pub struct PlaceNames {
    /// The place.
    pub place: Place,
    /// Where that is in a file.
    pub position: &'static str,
    /// The names that a template sees there.
    pub names: &'static [&'static str],
}

/// What each name stands for.
pub const NAMES: &[(&str, &str)] = &[
    ("env", "environment variables"),
    ("secret", "environment variables whose values are never shown"),
    ("params", "the pipeline's params"),
    (
        "connections",
        "connections by name; `connections.NAME.settings` are that connection's settings",
    ),
    (
        "record",
        "the source record, with what was joined to it; in a connector, the record",
    ),
    (
        "remote",
        "in a two-way flow, the record of the remote side, with what was joined to it",
    ),
    (
        "local",
        "in a two-way flow, the record of the local side, with what was joined to it",
    ),
    (
        "value",
        "the value that the steps before made; in a connector's `find`, what is searched for",
    ),
    ("given", "what the rule gave to the lookup"),
    ("target", "the target's record as it stands, or null"),
    ("fields", "what would be written, nested as the target has it"),
    (
        "settings",
        "the connection's settings; in `auth`, with the variant's own",
    ),
    ("run", "the run: `run.id`"),
    ("record_key", "the key of the record that is written"),
    ("key", "the key of the record that is read or written"),
    ("values", "all that is searched for in one request"),
    (
        "spellings",
        "all that is searched for, each as given and in lower case",
    ),
    ("parent", "the parent's record"),
    (
        "since",
        "where reading starts: a time, or the key for `growing_key`",
    ),
    ("token", "the opaque token where the last read ended"),
    ("last", "the last record of the page before"),
    ("before", "the target's record as it was read"),
    ("intent", "an id of this write, the same when it is tried again"),
    ("items", "the items of a bulk write"),
    ("item", "the element, below `each` and `as`"),
    ("job", "the job that is asked after: `job.id`"),
];

/// The table.
pub const PLACES: &[PlaceNames] = &[
    line(
        Place::ConnectionSetting,
        "a connection's `settings` and `auth`",
        &["env", "secret"],
    ),
    line(Place::FilePath, "a file stream's `path`", &["env", "params"]),
    line(
        Place::Since,
        "a flow's `since` and `direction`, and `enabled`",
        &["params"],
    ),
    line(
        Place::Condition,
        "`where` of a flow or lookup",
        &["params", "connections"],
    ),
    line(
        Place::Rule,
        "a flow's `when`, `match`, `join` and rules",
        &["record", "params", "connections"],
    ),
    line(
        Place::RuleStep,
        "`then` and `as` of a rule",
        &["value", "record", "params", "connections"],
    ),
    line(
        Place::LookupMatch,
        "`match` and `prefer` of a lookup",
        &["given", "params", "connections"],
    ),
    line(
        Place::CreateRule,
        "rules below a lookup's `create`",
        &["given", "params", "connections"],
    ),
    line(
        Place::CreateRuleStep,
        "`then` and `as` below a lookup's `create`",
        &["value", "given", "params", "connections"],
    ),
    line(Place::Instead, "a lookup's `instead`", &["params", "connections"]),
    line(
        Place::Require,
        "`require`",
        &["record", "target", "fields", "params", "connections"],
    ),
    line(
        Place::RemoteRule,
        "what a two-way flow makes of its remote record",
        &["remote", "params", "connections"],
    ),
    line(
        Place::RemoteRuleStep,
        "`then` and `as` in what a two-way flow makes of its remote record",
        &["value", "remote", "params", "connections"],
    ),
    line(
        Place::RemoteRequire,
        "`require` of a two-way flow's local record",
        &["remote", "target", "fields", "params", "connections"],
    ),
    line(
        Place::LocalRule,
        "what a two-way flow makes of its local record",
        &["local", "params", "connections"],
    ),
    line(
        Place::LocalRuleStep,
        "`then` and `as` in what a two-way flow makes of its local record",
        &["value", "local", "params", "connections"],
    ),
    line(
        Place::LocalRequire,
        "`require` of a two-way flow's remote record",
        &["local", "target", "fields", "params", "connections"],
    ),
    line(Place::SettingDefault, "`default` of a setting", &["settings"]),
    line(
        Place::Address,
        "a connector's `base_url`, and the names of `map_of`",
        &["settings"],
    ),
    line(
        Place::Header,
        "a connector's `headers`",
        &["settings", "run", "record_key"],
    ),
    line(Place::Auth, "a connector's `auth`", &["settings"]),
    line(Place::LimitRate, "`rate` of a limit", &["settings"]),
    line(Place::LimitKey, "`each` of a limit", &["settings", "key"]),
    line(Place::JobPoll, "`poll` of a job", &["settings", "job"]),
    line(
        Place::List,
        "`list` of a stream, and `check`",
        &["settings", "parent"],
    ),
    line(
        Place::Page,
        "the following pages of `after_key`",
        &["settings", "last"],
    ),
    line(
        Place::Start,
        "`changes`, where reading starts",
        &["settings", "since"],
    ),
    line(
        Place::Token,
        "`changes`, where reading goes on",
        &["settings", "token"],
    ),
    line(Place::Get, "`get` of a stream", &["settings", "key"]),
    line(
        Place::Find,
        "`find` of a stream",
        &["settings", "value", "values", "spellings"],
    ),
    line(
        Place::Write,
        "`create`, `update`, `upsert`, `delete` of a stream",
        &["settings", "key", "fields", "before", "intent"],
    ),
    line(
        Place::WriteMany,
        "`create_many`, `update_many` of a stream",
        &["settings", "items"],
    ),
    line(
        Place::WriteItem,
        "`item` of a bulk write",
        &["settings", "key", "before"],
    ),
    line(Place::Added, "`shape.add` of a stream", &["settings", "parent"]),
    line(
        Place::StreamCondition,
        "`deleted_when`, `erased_when`, `frozen_when`",
        &["record"],
    ),
];

const fn line(place: Place, position: &'static str, names: &'static [&'static str]) -> PlaceNames {
    PlaceNames {
        place,
        position,
        names,
    }
}

impl Place {
    /// This place's line of the table.
    pub fn line(self) -> &'static PlaceNames {
        const NONE: PlaceNames = line(Place::Address, "here", &[]);
        PLACES.iter().find(|line| line.place == self).unwrap_or(&NONE)
    }

    /// The names that a template sees here.
    pub fn names(self) -> &'static [&'static str] {
        self.line().names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_table_is_explained_and_used() {
        for line in PLACES {
            for name in line.names {
                assert!(
                    NAMES.iter().any(|(known, _)| known == name),
                    "`{name}` is not explained"
                );
            }
        }
        for (name, _) in NAMES {
            let used = PLACES.iter().any(|line| line.names.contains(name));
            assert!(used || *name == "item", "`{name}` is seen nowhere");
        }
    }

    #[test]
    fn credentials_are_seen_in_connections_only() {
        for line in PLACES {
            assert!(!line.names.contains(&"secret") || line.place == Place::ConnectionSetting);
        }
    }
}
