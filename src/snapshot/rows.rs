//! Rows of the stages on their way to a journal: what callers fill in, and the columnar batch that comes of it.
//!
//! A batch of rows is built without any lock, in whatever thread has the records, and handed to
//! [`super::RunWriter::append`] whole.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Int32Builder, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::columns::ColumnBatch;
use super::views::TextViews;
use super::{SnapshotError, Stage, schema};

/// The columns that every row has of its own.
#[derive(Clone, Copy, Debug)]
pub struct RowHead<'a> {
    /// The source record's key as text.
    pub record_key: &'a str,
    /// What ties the stages of one observation together.
    pub correlation_id: &'a str,
    /// When it happened.
    pub at: Timestamp,
}

/// Rows of one stage, flow and batch, complete.
#[derive(Debug)]
pub struct Rows {
    pub(crate) stage: Stage,
    pub(crate) flow: Arc<str>,
    pub(crate) batch: u64,
    pub(crate) rows: RecordBatch,
    pub(crate) repeatable: bool,
}

impl Rows {
    /// The same rows, which another run can make again: they go straight into Parquet, without a journal.
    pub fn repeatable(mut self) -> Rows {
        self.repeatable = true;
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }
}

/// The head columns of the rows of one batch.
#[derive(Debug)]
pub struct Heads {
    run: Uuid,
    flow: Arc<str>,
    batch: u64,
    keys: StringBuilder,
    correlations: StringBuilder,
    times: TimestampMicrosecondBuilder,
    rows: usize,
}

impl Heads {
    /// No rows yet.
    pub fn new(run: Uuid, flow: &str, batch: u64) -> Heads {
        Heads {
            run,
            flow: flow.into(),
            batch,
            keys: StringBuilder::new(),
            correlations: StringBuilder::new(),
            times: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            rows: 0,
        }
    }

    /// Adds a row's.
    pub fn push(&mut self, head: &RowHead<'_>) {
        self.keys.append_value(head.record_key);
        self.correlations.append_value(head.correlation_id);
        self.times.append_value(head.at.as_microsecond());
        self.rows += 1;
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of `mapped`: these heads beside a flow's columns, of which there must be as many.
    ///
    /// # Errors
    /// There are more or fewer heads than rows.
    pub fn mapped(self, columns: &ColumnBatch) -> Result<Rows, SnapshotError> {
        let (fields, arrays) = columns.beside_head();
        self.finish(Stage::Mapped, fields, arrays)
    }

    fn finish(
        mut self,
        stage: Stage,
        fields: Vec<Field>,
        arrays: Vec<ArrayRef>,
    ) -> Result<Rows, SnapshotError> {
        let run = self.run.to_string();
        let batch = i64::try_from(self.batch).unwrap_or(i64::MAX);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                &run, self.rows,
            ))),
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                &self.flow, self.rows,
            ))),
            Arc::new(self.keys.finish()),
            Arc::new(self.correlations.finish()),
            Arc::new(Int64Array::from_value(batch, self.rows)),
            Arc::new(self.times.finish()),
        ];
        columns.extend(arrays);
        let mut all = schema::fields(schema::HEAD);
        all.extend(fields);
        let all: Vec<Field> = all
            .into_iter()
            .zip(&columns)
            .map(|(field, column)| field.with_data_type(column.data_type().clone()))
            .collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(all)), columns)
            .map_err(SnapshotError::rows(Path::new(stage.name())))?;
        Ok(Rows {
            stage,
            flow: self.flow,
            batch: self.batch,
            rows,
            repeatable: !stage.is_journaled(),
        })
    }
}

/// Rows of `extracted`.
#[derive(Debug)]
pub struct ExtractedRows {
    heads: Heads,
    raw: TextViews,
    read: StringBuilder,
    redacted: BooleanBuilder,
}

impl ExtractedRows {
    /// No rows yet.
    pub fn new(run: Uuid, flow: &str, batch: u64) -> ExtractedRows {
        ExtractedRows {
            heads: Heads::new(run, flow, batch),
            raw: TextViews::default(),
            read: StringBuilder::new(),
            redacted: BooleanBuilder::new(),
        }
    }

    /// Names the bytes that the next row is made of: a text that is part of them is not copied.
    pub fn begin_row(&mut self, source: &Bytes) {
        self.raw.begin(source);
    }

    /// Adds a record: its text as received (bytes that are not UTF-8 are replaced), the text that rules read where that
    /// is another, and whether private fields of it were masked, hashed or dropped before.
    pub fn push(&mut self, head: &RowHead<'_>, raw: &[u8], read: Option<&[u8]>, redacted: bool) {
        self.heads.push(head);
        self.raw.append(&String::from_utf8_lossy(raw));
        self.read.append_option(read.map(String::from_utf8_lossy));
        self.redacted.append_value(redacted);
    }

    /// The rows, complete.
    ///
    /// # Errors
    /// The columns do not fit together, which would be a defect of this program.
    pub fn finish(mut self) -> Result<Rows, SnapshotError> {
        let columns: Vec<ArrayRef> = vec![
            self.raw.finish(),
            Arc::new(self.read.finish()),
            Arc::new(self.redacted.finish()),
        ];
        self.heads.finish(
            Stage::Extracted,
            schema::fields(schema::own_columns(Stage::Extracted)),
            columns,
        )
    }
}

/// What was decided about a record.
#[derive(Clone, Debug, Default)]
pub struct PlannedRow<'a> {
    /// `create`, `update`, `unchanged` and so on.
    pub decision: &'a str,
    /// Target fields that change.
    pub changed_fields: &'a [String],
    /// Target fields that hold a lookup's fallback.
    pub fallback_fields: &'a [String],
    /// What the sink has, as JSON text.
    pub before: Option<&'a str>,
    /// What is written, as JSON text.
    pub after: Option<&'a str>,
    /// Whose value counted where both sides changed.
    pub winner: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Rows of `planned`.
#[derive(Debug)]
pub struct PlannedRows {
    heads: Heads,
    decision: StringBuilder,
    changed_fields: ListBuilder<StringBuilder>,
    fallback_fields: ListBuilder<StringBuilder>,
    before: StringBuilder,
    after: StringBuilder,
    winner: StringBuilder,
    reason: StringBuilder,
}

impl PlannedRows {
    /// No rows yet.
    pub fn new(run: Uuid, flow: &str, batch: u64) -> PlannedRows {
        PlannedRows {
            heads: Heads::new(run, flow, batch),
            decision: StringBuilder::new(),
            changed_fields: texts(),
            fallback_fields: texts(),
            before: StringBuilder::new(),
            after: StringBuilder::new(),
            winner: StringBuilder::new(),
            reason: StringBuilder::new(),
        }
    }

    /// Adds a decision.
    pub fn push(&mut self, head: &RowHead<'_>, row: &PlannedRow<'_>) {
        self.heads.push(head);
        self.decision.append_value(row.decision);
        for field in row.changed_fields {
            self.changed_fields.values().append_value(field);
        }
        self.changed_fields.append(true);
        for field in row.fallback_fields {
            self.fallback_fields.values().append_value(field);
        }
        self.fallback_fields.append(true);
        self.before.append_option(row.before);
        self.after.append_option(row.after);
        self.winner.append_option(row.winner);
        self.reason.append_option(row.reason);
    }

    /// The rows, complete.
    ///
    /// # Errors
    /// The columns do not fit together, which would be a defect of this program.
    pub fn finish(mut self) -> Result<Rows, SnapshotError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.decision.finish()),
            Arc::new(self.changed_fields.finish()),
            Arc::new(self.fallback_fields.finish()),
            Arc::new(self.before.finish()),
            Arc::new(self.after.finish()),
            Arc::new(self.winner.finish()),
            Arc::new(self.reason.finish()),
        ];
        self.heads.finish(
            Stage::Planned,
            schema::fields(schema::own_columns(Stage::Planned)),
            columns,
        )
    }
}

/// A column of lists of texts.
fn texts() -> ListBuilder<StringBuilder> {
    ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false))
}

/// The result of a write.
#[derive(Clone, Debug, Default)]
pub struct LoadedRow<'a> {
    /// `create`, `update`, `delete`.
    pub action: &'a str,
    /// The sink record's key.
    pub remote_key: Option<&'a str>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// How often the request was sent.
    pub attempts: u32,
    /// From the first request to the last answer, in milliseconds.
    pub latency_ms: Option<u64>,
    /// The system's message, without private values.
    pub error: Option<&'a str>,
    /// The intent's identifier.
    pub request_id: Option<&'a str>,
}

/// Rows of `loaded`.
#[derive(Debug)]
pub struct LoadedRows {
    heads: Heads,
    action: StringBuilder,
    remote_key: StringBuilder,
    status: Int32Builder,
    attempts: Int32Builder,
    latency_ms: Int64Builder,
    error: StringBuilder,
    request_id: StringBuilder,
}

impl LoadedRows {
    /// No rows yet.
    pub fn new(run: Uuid, flow: &str, batch: u64) -> LoadedRows {
        LoadedRows {
            heads: Heads::new(run, flow, batch),
            action: StringBuilder::new(),
            remote_key: StringBuilder::new(),
            status: Int32Builder::new(),
            attempts: Int32Builder::new(),
            latency_ms: Int64Builder::new(),
            error: StringBuilder::new(),
            request_id: StringBuilder::new(),
        }
    }

    /// Adds a result.
    pub fn push(&mut self, head: &RowHead<'_>, row: &LoadedRow<'_>) {
        self.heads.push(head);
        self.action.append_value(row.action);
        self.remote_key.append_option(row.remote_key);
        self.status.append_option(row.status.map(i32::from));
        self.attempts
            .append_value(i32::try_from(row.attempts).unwrap_or(i32::MAX));
        let latency = row
            .latency_ms
            .map(|milliseconds| i64::try_from(milliseconds).unwrap_or(i64::MAX));
        self.latency_ms.append_option(latency);
        self.error.append_option(row.error);
        self.request_id.append_option(row.request_id);
    }

    /// The rows, complete.
    ///
    /// # Errors
    /// The columns do not fit together, which would be a defect of this program.
    pub fn finish(mut self) -> Result<Rows, SnapshotError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.action.finish()),
            Arc::new(self.remote_key.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.attempts.finish()),
            Arc::new(self.latency_ms.finish()),
            Arc::new(self.error.finish()),
            Arc::new(self.request_id.finish()),
        ];
        self.heads.finish(
            Stage::Loaded,
            schema::fields(schema::own_columns(Stage::Loaded)),
            columns,
        )
    }
}

/// Why a record was rejected, held or made to wait.
#[derive(Clone, Debug, Default)]
pub struct RejectedRow<'a> {
    /// The target field.
    pub field: Option<&'a str>,
    /// The rule or step.
    pub rule: Option<&'a str>,
    /// A stable word.
    pub code: &'a str,
    /// A sentence.
    pub reason: &'a str,
    /// The value, masked where it is private.
    pub value: Option<&'a str>,
}

/// Rows of `rejected`.
#[derive(Debug)]
pub struct RejectedRows {
    heads: Heads,
    field: StringBuilder,
    rule: StringBuilder,
    code: StringBuilder,
    reason: StringBuilder,
    value: StringBuilder,
}

impl RejectedRows {
    /// No rows yet.
    pub fn new(run: Uuid, flow: &str, batch: u64) -> RejectedRows {
        RejectedRows {
            heads: Heads::new(run, flow, batch),
            field: StringBuilder::new(),
            rule: StringBuilder::new(),
            code: StringBuilder::new(),
            reason: StringBuilder::new(),
            value: StringBuilder::new(),
        }
    }

    /// Adds a reject.
    pub fn push(&mut self, head: &RowHead<'_>, row: &RejectedRow<'_>) {
        self.heads.push(head);
        self.field.append_option(row.field);
        self.rule.append_option(row.rule);
        self.code.append_value(row.code);
        self.reason.append_value(row.reason);
        self.value.append_option(row.value);
    }

    /// The rows, complete.
    ///
    /// # Errors
    /// The columns do not fit together, which would be a defect of this program.
    pub fn finish(mut self) -> Result<Rows, SnapshotError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.field.finish()),
            Arc::new(self.rule.finish()),
            Arc::new(self.code.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.value.finish()),
        ];
        self.heads.finish(
            Stage::Rejected,
            schema::fields(schema::own_columns(Stage::Rejected)),
            columns,
        )
    }
}
