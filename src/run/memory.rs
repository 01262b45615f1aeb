//! What connections remember of their accounts between runs, kept beside the answers of lookups.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::connector::Memory;
use crate::state::{CachedLookup, State};

/// Stands for a lookup's name, which cannot begin like this.
const TAKES_CHANGES: &str = "(changes)";

/// What one account's connection remembers.
#[derive(Debug)]
pub(crate) struct AccountMemory {
    /// The store.
    pub(crate) state: Arc<dyn State>,
    /// What identifies the account.
    pub(crate) account: String,
}

impl Memory for AccountMemory {
    fn takes_changes(&self, stream: &str) -> Option<bool> {
        let kept = self
            .state
            .cached_lookups(&self.account, TAKES_CHANGES, &[stream], Timestamp::now());
        match kept {
            Ok(mut kept) => Some(kept.remove(stream)?.found? == "true"),
            Err(error) => {
                tracing::warn!(%error, stream, "What is known of the account cannot be read: it is asked.");
                None
            }
        }
    }

    fn note_changes(&self, stream: &str, is_taken: bool, believed_for: Duration) {
        let now = Timestamp::now();
        let note = CachedLookup {
            key: stream.to_owned(),
            found: Some(is_taken.to_string()),
            expires: now.checked_add(believed_for).unwrap_or(now),
        };
        if let Err(error) = self
            .state
            .put_cached_lookups(&self.account, TAKES_CHANGES, &[note])
        {
            tracing::warn!(%error, stream, "What was learned of the account cannot be kept: the next run asks again.");
        }
    }
}
