//! [`Cursor`]: up to where a stream has been read, between two runs.
//!
//! State keeps it as JSON text; the connector that made it is the only one that looks inside.

use serde::{Deserialize, Serialize};

/// Up to where a stream has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// An opaque token of the system.
    Token {
        /// The token for the next request.
        token: String,
        /// The latest record time read, from which to start over if the system forgets the token.
        watermark: Option<String>,
    },
    /// A change time. The next read begins at it, inclusive.
    Time {
        /// The latest change time read, as the system wrote it.
        at: String,
        /// Marks of the records read at (or, with an overlap, shortly before) that time: key and digest, so that a
        /// record which changed again within the same instant is read again.
        seen: Vec<String>,
    },
    /// The largest key read.
    Key(String),
    /// A change time, and the largest key for records that have no such time yet.
    TimeAndKey {
        /// Of the records that were changed.
        time: Box<Cursor>,
        /// Of the new ones.
        key: Box<Cursor>,
    },
    /// The stream was read to its end.
    Scan,
}
