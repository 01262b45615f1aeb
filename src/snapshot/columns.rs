//! [`ColumnsBuilder`]: mapped values straight into Arrow builders, and [`ColumnBatch`], what comes of it.
//!
//! The builder implements `mapping::Columns`, so the hot path copies each value once, from the record's bytes into its
//! column. A batch is cheap to clone: a file sink and the `mapped` snapshot share the same columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, BooleanBuilder, Date32Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;

use super::schema::{Kind, target_fields};
use super::views::{TextViews, slice_bytes};
use super::{SnapshotError, schema};
use crate::compile::compiled::Column;
use crate::expression::Value;
use crate::mapping::{ColumnError, Columns};

/// A text column of one batch stays below this many bytes, because Arrow counts its offsets in 31 bits.
const TEXT_BYTES_AT_MOST: usize = 1 << 30;

/// Fills the target columns of a flow, row by row.
#[derive(Debug)]
pub struct ColumnsBuilder {
    schema: SchemaRef,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    /// Rows that were begun and given up; they are left out at the end.
    discarded: Vec<usize>,
    scratch: Vec<u8>,
}

/// Some rows of a flow's target columns.
#[derive(Clone, Debug)]
pub struct ColumnBatch {
    pub(crate) batch: RecordBatch,
}

impl ColumnsBuilder {
    /// A builder for a flow's columns, in the order of its rules.
    pub fn new(columns: &[Column]) -> ColumnsBuilder {
        ColumnsBuilder::with_capacity(columns, 0)
    }

    /// A builder for about so many rows.
    pub fn with_capacity(columns: &[Column], rows: usize) -> ColumnsBuilder {
        ColumnsBuilder {
            schema: Arc::new(Schema::new(target_fields(columns, false))),
            builders: columns
                .iter()
                .map(|column| ColumnBuilder::new(Kind::of(&column.column_type), rows))
                .collect(),
            rows: 0,
            discarded: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Names the bytes that the next row is made of: JSON texts that are part of them are not copied.
    pub fn begin_row(&mut self, source: &Bytes) {
        for builder in &mut self.builders {
            if let ColumnBuilder::Json(builder) = builder {
                builder.begin(source);
            }
        }
    }

    /// How many rows were begun, discarded ones included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Gives up the row that is being filled, because one of its values does not fit.
    pub fn discard_row(&mut self) {
        self.discarded.push(self.rows);
        self.end_row();
    }

    /// The rows as a batch.
    ///
    /// # Errors
    /// The columns do not fit together, which would be a defect of this program.
    pub fn finish(mut self) -> Result<ColumnBatch, SnapshotError> {
        let columns: Vec<ArrayRef> = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let nowhere = std::path::Path::new("columns");
        let fields = self.schema.fields().iter().zip(&columns);
        let fields: Vec<Field> = fields
            .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let mut batch = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(SnapshotError::rows(nowhere))?;
        if !self.discarded.is_empty() {
            let kept: BooleanArray = (0..self.rows)
                .map(|row| Some(self.discarded.binary_search(&row).is_err()))
                .collect();
            batch =
                arrow::compute::filter_record_batch(&batch, &kept).map_err(SnapshotError::rows(nowhere))?;
        }
        Ok(ColumnBatch { batch })
    }
}

impl Columns for ColumnsBuilder {
    fn append(&mut self, column: usize, value: Option<&Value<'_>>) -> Result<(), ColumnError> {
        let Some(builder) = self.builders.get_mut(column) else {
            return Ok(());
        };
        builder.pad(self.rows);
        builder
            .append(value.unwrap_or(&Value::Null), &mut self.scratch)
            .map_err(|(expected, found)| ColumnError {
                column: self
                    .schema
                    .fields()
                    .get(column)
                    .map(|field| field.name().clone())
                    .unwrap_or_default(),
                expected,
                found,
            })
    }

    fn end_row(&mut self) {
        self.rows += 1;
        for builder in &mut self.builders {
            builder.pad(self.rows);
        }
    }
}

impl ColumnBatch {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// About how many bytes its values take.
    pub fn bytes(&self) -> usize {
        self.batch.columns().iter().map(slice_bytes).sum()
    }

    /// The same columns under the names that they have beside the head of `mapped`.
    pub(crate) fn beside_head(&self) -> (Vec<Field>, Vec<ArrayRef>) {
        let fields = self
            .batch
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let taken = schema::HEAD.iter().any(|head| head.name == field.name());
                let name = if taken {
                    format!("{}_", field.name())
                } else {
                    field.name().clone()
                };
                Field::new(name, field.data_type().clone(), true)
            })
            .collect();
        (fields, self.batch.columns().to_vec())
    }
}

/// One column.
#[derive(Debug)]
enum ColumnBuilder {
    /// In blocks, which need not be copied to grow.
    Text(TextViews),
    Value(StringBuilder),
    /// Often the record whole.
    Json(TextViews),
    Decimal(StringBuilder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

/// What a column takes and what came.
type Misfit = (&'static str, &'static str);

impl ColumnBuilder {
    fn new(kind: Kind, rows: usize) -> ColumnBuilder {
        match kind {
            Kind::Text | Kind::Texts => ColumnBuilder::Text(TextViews::with_capacity(rows)),
            Kind::Value => ColumnBuilder::Value(StringBuilder::new()),
            Kind::Json => ColumnBuilder::Json(TextViews::with_capacity(rows)),
            Kind::Decimal => ColumnBuilder::Decimal(StringBuilder::new()),
            Kind::Integer | Kind::SmallInteger => ColumnBuilder::Integer(Int64Builder::new()),
            Kind::Boolean => ColumnBuilder::Boolean(BooleanBuilder::new()),
            Kind::Time => ColumnBuilder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Date => ColumnBuilder::Date(Date32Builder::new()),
        }
    }

    fn append(&mut self, value: &Value<'_>, scratch: &mut Vec<u8>) -> Result<(), Misfit> {
        if value.is_null() {
            self.append_null();
            return Ok(());
        }
        match (self, value) {
            (ColumnBuilder::Text(builder) | ColumnBuilder::Json(builder), Value::Text(text)) => {
                push_view(builder, text)?;
            }
            (ColumnBuilder::Text(builder), Value::Number(number)) => push_view(builder, number.digits())?,
            (ColumnBuilder::Decimal(builder), Value::Number(number)) => push(builder, number.digits())?,
            (ColumnBuilder::Text(builder), Value::Time(time)) => push_view(builder, &time.to_string())?,
            (ColumnBuilder::Text(_), other) => return Err(("text", kind_of(other))),
            (ColumnBuilder::Decimal(_), other) => return Err(("a number", kind_of(other))),
            (ColumnBuilder::Value(builder), other) => push(builder, json_text(other, scratch)?)?,
            (ColumnBuilder::Json(builder), other) => push_view(builder, json_text(other, scratch)?)?,
            (ColumnBuilder::Integer(builder), Value::Number(number)) => {
                let integer = number
                    .as_i64()
                    .ok_or(("a whole number of 64 bits", "another number"))?;
                builder.append_value(integer);
            }
            (ColumnBuilder::Integer(_), other) => return Err(("a whole number of 64 bits", kind_of(other))),
            (ColumnBuilder::Boolean(builder), Value::Bool(boolean)) => builder.append_value(*boolean),
            (ColumnBuilder::Boolean(_), other) => return Err(("true or false", kind_of(other))),
            (ColumnBuilder::Time(builder), Value::Time(time)) => builder.append_value(time.as_microsecond()),
            (ColumnBuilder::Time(_), other) => return Err(("a time", kind_of(other))),
            (ColumnBuilder::Date(builder), Value::Text(text)) => {
                let date: jiff::civil::Date = text.parse().map_err(|_| ("a date", "other text"))?;
                builder.append_value(days_since_1970(date).ok_or(("a date", "a date out of range"))?);
            }
            (ColumnBuilder::Date(_), other) => return Err(("a date", kind_of(other))),
        }
        Ok(())
    }

    /// Empties cells up to a row, and takes back a cell that was put twice into one row: the first counts.
    fn pad(&mut self, rows: usize) {
        while self.len() < rows {
            self.append_null();
        }
    }

    fn append_null(&mut self) {
        match self {
            ColumnBuilder::Value(builder) | ColumnBuilder::Decimal(builder) => builder.append_null(),
            ColumnBuilder::Text(builder) | ColumnBuilder::Json(builder) => builder.append_null(),
            ColumnBuilder::Integer(builder) => builder.append_null(),
            ColumnBuilder::Boolean(builder) => builder.append_null(),
            ColumnBuilder::Time(builder) => builder.append_null(),
            ColumnBuilder::Date(builder) => builder.append_null(),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            ColumnBuilder::Value(builder) | ColumnBuilder::Decimal(builder) => builder.len(),
            ColumnBuilder::Text(builder) | ColumnBuilder::Json(builder) => builder.len(),
            ColumnBuilder::Integer(builder) => builder.len(),
            ColumnBuilder::Boolean(builder) => builder.len(),
            ColumnBuilder::Time(builder) => builder.len(),
            ColumnBuilder::Date(builder) => builder.len(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Value(builder) | ColumnBuilder::Decimal(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Text(builder) | ColumnBuilder::Json(builder) => builder.finish(),
            ColumnBuilder::Integer(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Time(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
        }
    }
}

fn push(builder: &mut StringBuilder, text: &str) -> Result<(), Misfit> {
    if builder.values_slice().len().saturating_add(text.len()) > TEXT_BYTES_AT_MOST {
        return Err(("at most one gibibyte a batch", "more text"));
    }
    builder.append_value(text);
    Ok(())
}

fn push_view(builder: &mut TextViews, text: &str) -> Result<(), Misfit> {
    if builder.bytes().saturating_add(text.len()) > TEXT_BYTES_AT_MOST {
        return Err(("at most one gibibyte a batch", "more text"));
    }
    builder.append(text);
    Ok(())
}

fn json_text<'s>(value: &Value<'_>, scratch: &'s mut Vec<u8>) -> Result<&'s str, Misfit> {
    scratch.clear();
    value.write_json(scratch);
    std::str::from_utf8(scratch).map_err(|_| ("JSON", "bytes that are not UTF-8"))
}

/// The day's number since 1 January 1970.
pub(crate) fn days_since_1970(date: jiff::civil::Date) -> Option<i32> {
    let span = jiff::civil::date(1970, 1, 1).until(date).ok()?;
    Some(span.get_days())
}

/// What a value is, in words, without the value.
fn kind_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::Time(_) => "a time",
        Value::List(_) => "a list",
        Value::Map(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::compile::compiled::WritePolicy;
    use crate::expression::TargetType;

    fn columns() -> Vec<Column> {
        [
            ("id", TargetType::Integer),
            ("name", TargetType::Text),
            ("tags", TargetType::List),
        ]
        .into_iter()
        .map(|(name, column_type)| Column {
            name: name.to_owned(),
            column_type,
            write: WritePolicy::Always,
        })
        .collect()
    }

    #[test]
    fn a_row_that_does_not_fit_leaves_no_trace() {
        let mut builder = ColumnsBuilder::new(&columns());
        builder.append(0, Some(&Value::from(1))).unwrap();
        builder.append(1, Some(&Value::text("one"))).unwrap();
        builder.end_row();
        builder.append(1, Some(&Value::text("two"))).unwrap();
        let error = builder.append(0, Some(&Value::text("x"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `id` takes a whole number of 64 bits, found text"
        );
        builder.discard_row();
        builder.append(0, Some(&Value::from(3))).unwrap();
        builder
            .append(2, Some(&Value::List(vec![Value::text("a"), Value::from(2)])))
            .unwrap();
        builder.end_row();
        let batch = builder.finish().unwrap().batch;
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 3]);
        assert!(batch.column(1).is_null(1));
        assert_eq!(batch.column(2).as_string::<i32>().value(1), "[\"a\",2]");
    }

    #[test]
    fn days_count_from_1970() {
        assert_eq!(days_since_1970(jiff::civil::date(1970, 1, 2)), Some(1));
        assert_eq!(days_since_1970(jiff::civil::date(1969, 12, 31)), Some(-1));
        assert_eq!(days_since_1970(jiff::civil::date(2026, 11, 20)), Some(20777));
    }
}
