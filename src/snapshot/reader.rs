//! Reading Parquet: rows as JSON objects, a batch at a time.
//!
//! The file connector reads sources with it, `preview`, `run --from-run` and audits read past runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::writer::{LineDelimited, WriterBuilder};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::SnapshotError;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 4096;

/// An open Parquet file.
pub struct PartReader {
    path: PathBuf,
    schema: SchemaRef,
    rows: u64,
    batches: ParquetRecordBatchReader,
}

impl std::fmt::Debug for PartReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PartReader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl PartReader {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read or is not Parquet.
    pub fn open(path: &Path) -> Result<PartReader, SnapshotError> {
        let file = File::open(path).map_err(SnapshotError::file("open", path))?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(SnapshotError::parquet("read", path))?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        let schema = builder.schema().clone();
        let batches = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(SnapshotError::parquet("read", path))?;
        Ok(PartReader {
            path: path.to_owned(),
            schema,
            rows,
            batches,
        })
    }

    /// How many rows the file has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows in columnar form.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SnapshotError> {
        self.batches
            .next()
            .transpose()
            .map_err(SnapshotError::rows(&self.path))
    }

    /// The next rows, each as the text of a JSON object with every column, nulls included; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged, or has a column of a type that JSON cannot hold.
    pub fn next_objects(&mut self) -> Result<Option<Vec<Bytes>>, SnapshotError> {
        let Some(batch) = self.next_batch()? else {
            return Ok(None);
        };
        let batch = in_utc(&batch).map_err(SnapshotError::rows(&self.path))?;
        let mut text = Vec::new();
        {
            let mut writer = WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, LineDelimited>(&mut text);
            writer.write(&batch).map_err(SnapshotError::rows(&self.path))?;
            writer.finish().map_err(SnapshotError::rows(&self.path))?;
        }
        let text = Bytes::from(text);
        let mut objects = Vec::with_capacity(batch.num_rows());
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &text) {
            objects.push(text.slice(start..end));
            start = end + 1;
        }
        Ok(Some(objects))
    }
}

/// The same rows with every time zone named as an offset. Instants are kept in UTC whatever zone a column names, and
/// the JSON writer knows no names of zones.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let data_type = type_in_utc(field.data_type());
        let column = if data_type == *field.data_type() {
            Arc::clone(column)
        } else {
            cast(column, &data_type)?
        };
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn type_in_utc(data_type: &DataType) -> DataType {
    let inner = |field: &Arc<Field>| {
        Arc::new(Field::new(
            field.name(),
            type_in_utc(field.data_type()),
            field.is_nullable(),
        ))
    };
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}
