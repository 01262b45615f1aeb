//! [`Columns`]: where mapped values go, one column a rule.
//!
//! Mapping knows no file format: whoever keeps mapped records (a snapshot, a file sink) implements this trait, and the
//! hot path writes each value straight into its column without building a row first.

use crate::expression::Value;

/// Typed columns that are filled row by row.
pub trait Columns {
    /// Puts a value into a column of the row that is being filled; `None` and null are both empty. A column that is not
    /// mentioned before [`Columns::end_row`] is empty in that row.
    ///
    /// # Errors
    /// The value does not fit the column's type; nothing was put.
    fn append(&mut self, column: usize, value: Option<&Value<'_>>) -> Result<(), ColumnError>;

    /// Completes the row.
    fn end_row(&mut self);
}

/// A value that does not fit its column. It is an error of the record, never of the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` takes {expected}, found {found}")]
pub struct ColumnError {
    /// The column's name.
    pub column: String,
    /// What the column takes, such as `a whole number of 64 bits`.
    pub expected: &'static str,
    /// The kind of value that came; never the value itself, which may be private.
    pub found: &'static str,
}
