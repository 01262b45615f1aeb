//! [`Cursor`]: up to where a stream has been read, between two runs.
//!
//! State keeps it as JSON text; the connector that made it is the only one that looks inside.

use jiff::Timestamp;
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
        /// When the stream was last read as a whole, by our clock.
        #[serde(default)]
        whole: Option<Timestamp>,
    },
    /// The stream was read to its end.
    Scan,
}

impl Cursor {
    /// Whether the read that ended here and began at `before` saw every record of the stream, so that the others are gone.
    pub fn saw_all(&self, before: Option<&Cursor>) -> bool {
        match (self, before) {
            (Cursor::Scan, _) => true,
            (Cursor::TimeAndKey { whole: Some(at), .. }, Some(Cursor::TimeAndKey { whole, .. })) => {
                whole.as_ref() != Some(at)
            }
            (Cursor::TimeAndKey { whole, .. }, _) => whole.is_some(),
            (Cursor::Token { .. } | Cursor::Time { .. } | Cursor::Key(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_read_of_everything_tells_what_is_gone() {
        let reached = |whole: Option<i64>| Cursor::TimeAndKey {
            time: Box::new(Cursor::Key("2026-01-01".to_owned())),
            key: Box::new(Cursor::Key("9".to_owned())),
            whole: whole.map(|at| Timestamp::from_second(at).unwrap()),
        };
        assert!(Cursor::Scan.saw_all(Some(&Cursor::Scan)));
        assert!(reached(Some(5)).saw_all(None));
        assert!(reached(Some(5)).saw_all(Some(&reached(Some(4)))));
        assert!(reached(Some(5)).saw_all(Some(&Cursor::Scan)));
        assert!(!reached(Some(5)).saw_all(Some(&reached(Some(5)))));
        assert!(!reached(None).saw_all(Some(&reached(None))));
        assert!(!Cursor::Key("9".to_owned()).saw_all(None));
        let before = r#"{"time_and_key":{"time":{"key":"a"},"key":{"key":"9"}}}"#;
        assert!(
            serde_json::from_str::<Cursor>(before).is_ok(),
            "as it was stored before"
        );
    }
}
