//! [`StreamFacts`]: what flows and lookups are checked against, whether or not all of a stream could be compiled.

use std::sync::Arc;

use super::compiled::{PrivacyKind, RecordSchema};
use super::record_view::RecordView;
use crate::definition::Pii;
use crate::diagnostic::list;

/// What a stream can do and what its records hold.
#[derive(Debug)]
pub(super) struct StreamFacts {
    /// Its name.
    pub(super) name: String,
    /// Its record schema, where one is known.
    pub(super) schema: Option<Arc<RecordSchema>>,
    /// What its records hold, with what the connector joins.
    pub(super) view: RecordView,
    /// The path of its key; `None` for files without one.
    pub(super) key: Option<String>,
    /// Paths by which it can be found, with how many values at once.
    pub(super) find: Vec<(String, usize)>,
    /// Whether it can be read.
    pub(super) can_list: bool,
    /// Whether a record can be read by its key.
    pub(super) can_get: bool,
    /// Whether records can be created.
    pub(super) can_create: bool,
    /// Whether records can be changed.
    pub(super) can_update: bool,
    /// Whether the system decides between create and update.
    pub(super) can_upsert: bool,
    /// Whether records can be deleted.
    pub(super) can_delete: bool,
    /// Whether reading ends with everything that exists, as `mirror` needs.
    pub(super) reads_everything: bool,
    /// Whether changes to records that were read before are noticed.
    pub(super) follows_changes: bool,
    /// The parent stream's name.
    pub(super) parent: Option<String>,
    /// Whether it lies in files.
    pub(super) is_file: bool,
    /// Paths that nobody may read.
    pub(super) never: Vec<String>,
    /// Private paths.
    pub(super) private: Vec<(String, PrivacyKind)>,
    /// Whether a change by somebody else is noticed when a record is updated.
    pub(super) precondition: bool,
    /// Whether a create whose answer was lost is found again or recognised when it is sent again.
    pub(super) creates_once: bool,
    /// The path of the time by which its changes are read.
    pub(super) changed_at: Option<String>,
    /// Members that its own conditions read, such as `deleted_when`.
    pub(super) conditions: Vec<Vec<String>>,
}

impl StreamFacts {
    /// What it can be asked to do, for messages.
    pub(super) fn operations(&self) -> String {
        let operations = [
            (self.can_create, "create"),
            (self.can_update, "update"),
            (self.can_upsert, "upsert"),
            (self.can_delete, "delete"),
        ]
        .into_iter()
        .filter_map(|(can, name)| can.then_some(name));
        let operations: Vec<&str> = operations.collect();
        if operations.is_empty() {
            "the stream can only be read".to_owned()
        } else {
            format!("the stream has {}", list(operations))
        }
    }
}

/// How private a value is kept.
pub(super) fn privacy_kind(pii: &Pii) -> PrivacyKind {
    match pii {
        Pii::Mask => PrivacyKind::Mask,
        Pii::Hash => PrivacyKind::Hash,
        Pii::Drop => PrivacyKind::Drop,
        Pii::Keep => PrivacyKind::Keep,
    }
}
