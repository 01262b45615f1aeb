//! The tables, as forward-only migrations.
//!
//! `application_id` says that a file is ours, `user_version` how many migrations it has seen. A file that has seen more
//! than this program knows is refused; one that has seen fewer is brought forward in one transaction.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::state::StateError;

/// "CWST" in ASCII.
const APPLICATION_ID: i32 = 0x4357_5354;

/// Each brings the tables one version further. Never edited once released.
const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2];

/// The newest version that this program knows.
pub(super) fn known_version() -> u32 {
    MIGRATIONS.len() as u32
}

/// Brings the file to the newest version; makes the tables of an empty one.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StateError> {
    let failed = |source| StateError::from_sqlite(path, source);
    if check(connection, path)? == known_version() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Again, now that nobody else can migrate: another process may have done it meanwhile.
    let version = check(&transaction, path)?;
    for migration in MIGRATIONS.iter().skip(version as usize) {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    if version == 0 {
        transaction
            .execute(
                "INSERT INTO meta (name, value) VALUES ('digest_key', randomblob(32)), ('sequence', 0)",
                [],
            )
            .map_err(failed)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(failed)?;
    }
    transaction
        .pragma_update(None, "user_version", known_version())
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// The file's version; an error if it is not ours or too new.
fn check(connection: &Connection, path: &Path) -> Result<u32, StateError> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, u32>(0))
            .map_err(|source| StateError::from_sqlite(path, source))
    };
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != APPLICATION_ID as u32 && !(application == 0 && version == 0 && is_empty) {
        return Err(StateError::NotState {
            path: path.to_owned(),
        });
    }
    if version > known_version() {
        return Err(StateError::Newer {
            path: path.to_owned(),
            found: version,
            known: known_version(),
        });
    }
    Ok(version)
}

/// Times are microseconds since 1970, run ids their usual text. Tables with large rows keep their rowid: without it
/// SQLite moves such rows to overflow pages and the file doubles.
const VERSION_1: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;

CREATE TABLE flows (
    id INTEGER PRIMARY KEY,
    pipeline TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (pipeline, name)
) STRICT;

CREATE TABLE cursors (
    flow INTEGER NOT NULL REFERENCES flows (id),
    stream TEXT NOT NULL,
    cursor TEXT NOT NULL,
    selection TEXT NOT NULL,
    run TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (flow, stream)
) STRICT;

CREATE TABLE links (
    id INTEGER PRIMARY KEY,
    flow INTEGER NOT NULL REFERENCES flows (id),
    source TEXT NOT NULL,
    target TEXT,
    tombstone INTEGER NOT NULL DEFAULT 0,
    UNIQUE (flow, source),
    UNIQUE (flow, target)
) STRICT;

CREATE TABLE row_lists (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE baselines (
    link INTEGER PRIMARY KEY REFERENCES links (id) ON DELETE CASCADE,
    source_version TEXT,
    sequence INTEGER NOT NULL,
    form INTEGER NOT NULL,
    row_list INTEGER NOT NULL REFERENCES row_lists (id),
    whole BLOB NOT NULL,
    rows BLOB NOT NULL
) STRICT;

CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    flow INTEGER NOT NULL REFERENCES flows (id),
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    field TEXT,
    rule TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    value TEXT,
    record TEXT,
    as_received INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    run TEXT NOT NULL,
    waits_for_flow TEXT,
    waits_for_key TEXT,
    retry_asked INTEGER NOT NULL DEFAULT 0,
    UNIQUE (flow, key)
) STRICT;

CREATE TABLE intents (
    id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    flow TEXT NOT NULL,
    connection TEXT NOT NULL,
    stream TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT,
    source_key TEXT NOT NULL,
    request BLOB NOT NULL,
    baseline TEXT,
    create_connection TEXT,
    create_stream TEXT,
    create_key TEXT,
    first_sent INTEGER NOT NULL,
    job TEXT,
    run TEXT NOT NULL
) STRICT;
CREATE INDEX intents_by_pipeline ON intents (pipeline, id);

CREATE TABLE creates (
    connection TEXT NOT NULL,
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    run TEXT NOT NULL,
    claimed INTEGER NOT NULL,
    created_key TEXT,
    created INTEGER,
    PRIMARY KEY (connection, stream, key)
) STRICT;

CREATE TABLE lookup_cache (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    lookup TEXT NOT NULL,
    key TEXT NOT NULL,
    found TEXT,
    expires INTEGER NOT NULL,
    UNIQUE (scope, lookup, key)
) STRICT;
CREATE INDEX lookup_cache_by_expiry ON lookup_cache (expires);

CREATE TABLE fallbacks (
    flow INTEGER NOT NULL REFERENCES flows (id),
    source TEXT NOT NULL,
    row TEXT NOT NULL,
    lookup TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (flow, source, row)
) STRICT;
CREATE INDEX fallbacks_by_key ON fallbacks (flow, lookup, key);

CREATE TABLE budgets (
    connection TEXT NOT NULL,
    name TEXT NOT NULL,
    remaining REAL NOT NULL,
    at INTEGER NOT NULL,
    paused_until INTEGER,
    PRIMARY KEY (connection, name)
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    started INTEGER NOT NULL,
    continues TEXT,
    ended INTEGER,
    ending TEXT,
    counts TEXT
) STRICT;
CREATE INDEX runs_by_pipeline ON runs (pipeline, started);
";

/// Two-way flows: what is remembered of linked pairs, and what intents, queue and fallbacks say of them.
const VERSION_2: &str = "
CREATE TABLE pairs (
    link INTEGER PRIMARY KEY REFERENCES links (id) ON DELETE CASCADE,
    remote_version TEXT,
    remote_sequence INTEGER NOT NULL,
    remote_own INTEGER NOT NULL,
    local_version TEXT,
    local_sequence INTEGER NOT NULL,
    local_own INTEGER NOT NULL,
    form INTEGER NOT NULL,
    row_list INTEGER NOT NULL REFERENCES row_lists (id),
    rows BLOB NOT NULL
) STRICT;

ALTER TABLE intents ADD COLUMN pair TEXT;

ALTER TABLE queue ADD COLUMN held_rows TEXT;

ALTER TABLE fallbacks RENAME TO one_way_fallbacks;
DROP INDEX fallbacks_by_key;
CREATE TABLE fallbacks (
    flow INTEGER NOT NULL REFERENCES flows (id),
    source TEXT NOT NULL,
    row TEXT NOT NULL,
    side TEXT NOT NULL,
    lookup TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (flow, source, row, side)
) STRICT;
CREATE INDEX fallbacks_by_key ON fallbacks (flow, lookup, key);
INSERT INTO fallbacks (flow, source, row, side, lookup, key)
    SELECT flow, source, row, '', lookup, key FROM one_way_fallbacks;
DROP TABLE one_way_fallbacks;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_first_version_keeps_what_it_holds() {
        let path = Path::new(":memory:");
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(VERSION_1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO flows VALUES (1, 'helpdesk-crm', 'cases');
                 INSERT INTO links (flow, source, target) VALUES (1, '7', 'a');
                 INSERT INTO fallbacks VALUES (1, '7', 'owner', 'people', 'ann');
                 PRAGMA user_version = 1;",
            )
            .unwrap();
        connection
            .pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        migrate(&mut connection, path).unwrap();
        migrate(&mut connection, path).unwrap();
        assert_eq!(check(&connection, path).unwrap(), known_version());
        let kept: (String, String) = connection
            .query_row(
                "SELECT links.target, fallbacks.key FROM links JOIN fallbacks USING (flow, source) WHERE side = ''",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(kept, ("a".to_owned(), "ann".to_owned()));
    }
}
