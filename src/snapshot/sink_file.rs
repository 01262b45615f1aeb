//! [`ParquetFile`]: a file sink's Parquet, and the text forms of a batch of columns.
//!
//! Unlike parts, such a file is somebody's result and not evidence: it is written at zstd level 3 by several threads,
//! has the flow's columns and nothing else, and a value of a column without a type is plain text where it is text.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};

use super::encoder::{Encoder, EncoderOptions};
use super::schema::{Kind, target_fields};
use super::{ColumnBatch, SnapshotError};
use crate::compile::compiled::Column;

/// The zstd level of files that others read often.
const LEVEL: i32 = 3;
const ROW_GROUP_BYTES: usize = 32 << 20;
/// More threads than this would wait for the one that makes the rows.
const THREADS_AT_MOST: usize = 8;

/// A Parquet file of a flow's columns.
#[derive(Debug)]
pub struct ParquetFile<W: Write + Send> {
    kinds: Vec<Kind>,
    encoder: Encoder<W>,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file.
    pub fn new(out: W, columns: &[Column]) -> ParquetFile<W> {
        let schema: SchemaRef = Arc::new(Schema::new(target_fields(columns, false)));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let options = EncoderOptions {
            level: LEVEL,
            row_group_bytes: ROW_GROUP_BYTES,
            threads: threads.min(THREADS_AT_MOST),
            metadata: Vec::new(),
        };
        ParquetFile {
            kinds: kinds(columns),
            encoder: Encoder::new(out, schema, options),
        }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// What is written to refused.
    pub fn write(&mut self, columns: &ColumnBatch, path: &Path) -> Result<(), SnapshotError> {
        let arrays: Vec<ArrayRef> = columns
            .batch
            .columns()
            .iter()
            .zip(&self.kinds)
            .map(|(array, kind)| {
                if *kind == Kind::Value {
                    unquoted(array)
                } else {
                    Arc::clone(array)
                }
            })
            .collect();
        let batch =
            RecordBatch::try_new(columns.batch.schema(), arrays).map_err(SnapshotError::rows(path))?;
        self.encoder
            .write(&batch)
            .map_err(SnapshotError::parquet("write", path))
    }

    /// Completes the file.
    ///
    /// # Errors
    /// What is written to refused.
    pub fn finish(self, path: &Path) -> Result<W, SnapshotError> {
        self.encoder
            .finish()
            .map_err(SnapshotError::parquet("complete", path))
    }
}

fn kinds(columns: &[Column]) -> Vec<Kind> {
    columns
        .iter()
        .map(|column| Kind::of(&column.column_type))
        .collect()
}

/// JSON texts that are text, without quotes and escapes.
fn unquoted(array: &ArrayRef) -> ArrayRef {
    let texts = array.as_string::<i32>().iter();
    Arc::new(texts.map(|text| text.map(plain)).collect::<StringArray>())
}

/// A JSON value as plain text: text without its quotes, everything else as it is.
fn plain(json: &str) -> String {
    if json.starts_with('"')
        && let Ok(text) = serde_json::from_str(json)
    {
        return text;
    }
    json.to_owned()
}

/// Writes batches of columns as text: newline-delimited JSON or CSV.
#[derive(Debug)]
pub struct TextRows {
    kinds: Vec<Kind>,
    names: Vec<String>,
    object: Vec<Member>,
}

/// A member of the object that a row becomes; dotted names nest.
#[derive(Debug, PartialEq, Eq)]
enum Member {
    Column { name: String, column: usize },
    Object { name: String, members: Vec<Member> },
}

impl TextRows {
    /// For a flow's columns.
    pub fn new(columns: &[Column]) -> TextRows {
        let mut object = Vec::new();
        for (position, column) in columns.iter().enumerate() {
            nest(&mut object, &segments(&column.name), position);
        }
        TextRows {
            kinds: kinds(columns),
            names: columns.iter().map(|column| column.name.clone()).collect(),
            object,
        }
    }

    /// Appends each row as one line of JSON; dotted names become nested objects, numbers keep their digits.
    pub fn ndjson(&self, columns: &ColumnBatch, out: &mut Vec<u8>) {
        for row in 0..columns.rows() {
            self.members(&self.object, columns, row, out);
            out.push(b'\n');
        }
    }

    fn members(&self, members: &[Member], columns: &ColumnBatch, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (position, member) in members.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            match member {
                Member::Column { name, column } => {
                    json_text(name, out);
                    out.push(b':');
                    match self.cell(columns, *column, row) {
                        None => out.extend_from_slice(b"null"),
                        Some((text, true)) => json_text(&text, out),
                        // A line end outside a string is white space, and would end the record's line.
                        Some((text, false)) => {
                            out.extend(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
                        }
                    }
                }
                Member::Object { name, members } => {
                    json_text(name, out);
                    out.push(b':');
                    self.members(members, columns, row, out);
                }
            }
        }
        out.push(b'}');
    }

    /// Appends the header of a CSV file.
    pub fn csv_header(&self, out: &mut Vec<u8>) {
        for (position, name) in self.names.iter().enumerate() {
            csv_field(position, Some(name), out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends each row as a CSV record; null is an empty field, empty text a quoted one.
    pub fn csv(&self, columns: &ColumnBatch, out: &mut Vec<u8>) {
        for row in 0..columns.rows() {
            for column in 0..self.names.len() {
                let text = self
                    .cell(columns, column, row)
                    .map(|(text, _)| match self.kinds.get(column) {
                        Some(Kind::Value) => plain(&text),
                        _ => text.into_owned(),
                    });
                csv_field(column, text.as_deref(), out);
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// A cell as text, and whether that is text and not JSON already; `None` for null.
    fn cell<'b>(
        &self,
        columns: &'b ColumnBatch,
        column: usize,
        row: usize,
    ) -> Option<(std::borrow::Cow<'b, str>, bool)> {
        let array = columns.batch.columns().get(column)?;
        if array.is_null(row) {
            return None;
        }
        Some(match self.kinds.get(column)? {
            Kind::Text | Kind::Texts => (array.as_string_view().value(row).into(), true),
            Kind::Value | Kind::Decimal => (array.as_string::<i32>().value(row).into(), false),
            Kind::Json => (array.as_string_view().value(row).into(), false),
            Kind::Integer | Kind::SmallInteger => (
                array.as_primitive::<Int64Type>().value(row).to_string().into(),
                false,
            ),
            Kind::Boolean => (
                (if array.as_boolean().value(row) {
                    "true"
                } else {
                    "false"
                })
                .into(),
                false,
            ),
            Kind::Time => {
                let microseconds = array.as_primitive::<TimestampMicrosecondType>().value(row);
                (
                    jiff::Timestamp::from_microsecond(microseconds)
                        .ok()?
                        .to_string()
                        .into(),
                    true,
                )
            }
            Kind::Date => {
                let days = array.as_primitive::<Date32Type>().value(row);
                let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?);
                (date.ok()?.to_string().into(), true)
            }
        })
    }
}

/// The parts of a dotted name; `['a.b']` is one part with a real dot.
fn segments(name: &str) -> Vec<&str> {
    match name.strip_prefix("['").and_then(|name| name.strip_suffix("']")) {
        Some(literal) => vec![literal],
        None => name.split('.').collect(),
    }
}

fn nest(members: &mut Vec<Member>, segments: &[&str], column: usize) {
    match segments {
        [] => {}
        [name] => members.push(Member::Column {
            name: (*name).to_owned(),
            column,
        }),
        [first, rest @ ..] => {
            for member in members.iter_mut() {
                if let Member::Object { name, members } = member
                    && name == first
                {
                    return nest(members, rest, column);
                }
            }
            let mut inner = Vec::new();
            nest(&mut inner, rest, column);
            members.push(Member::Object {
                name: (*first).to_owned(),
                members: inner,
            });
        }
    }
}

fn json_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

fn csv_field(position: usize, text: Option<&str>, out: &mut Vec<u8>) {
    if position > 0 {
        out.push(b',');
    }
    let Some(text) = text else { return };
    if !text.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compiled::WritePolicy;
    use crate::expression::{TargetType, Value, parse_json};
    use crate::mapping::Columns;
    use crate::snapshot::ColumnsBuilder;

    fn column(name: &str, column_type: TargetType) -> Column {
        Column {
            name: name.to_owned(),
            column_type,
            write: WritePolicy::Always,
        }
    }

    #[test]
    fn rows_become_json_lines_and_csv() {
        let columns = [
            column("id", TargetType::Integer),
            column("status.id", TargetType::Text),
            column("price", TargetType::Decimal),
            column("status.name", TargetType::Any),
            column("at", TargetType::Time(Arc::default())),
            column("day", TargetType::Date),
            column("['a.b']", TargetType::Boolean),
        ];
        let mut builder = ColumnsBuilder::new(&columns);
        let numbers = parse_json(b"[7, 1.10]").unwrap();
        let Value::List(numbers) = &numbers else { panic!() };
        builder.append(0, Some(&numbers[0])).unwrap();
        builder.append(1, Some(&Value::text("a \"b\", c"))).unwrap();
        builder.append(2, Some(&numbers[1])).unwrap();
        builder.append(3, Some(&Value::text("x"))).unwrap();
        builder
            .append(4, Some(&Value::Time("2026-11-20T10:00:00.5Z".parse().unwrap())))
            .unwrap();
        builder.append(5, Some(&Value::text("2024-02-29"))).unwrap();
        builder.append(6, Some(&Value::Bool(true))).unwrap();
        builder.end_row();
        builder.append(1, Some(&Value::text(""))).unwrap();
        builder
            .append(3, Some(&Value::List(vec![Value::from(1)])))
            .unwrap();
        builder.end_row();
        let batch = builder.finish().unwrap();
        let rows = TextRows::new(&columns);
        let mut json = Vec::new();
        rows.ndjson(&batch, &mut json);
        let expected = concat!(
            r#"{"id":7,"status":{"id":"a \"b\", c","name":"x"},"price":1.10,"at":"2026-11-20T10:00:00.5Z","day":"2024-02-29","a.b":true}"#,
            "\n",
            r#"{"id":null,"status":{"id":"","name":[1]},"price":null,"at":null,"day":null,"a.b":null}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(json).unwrap(), expected);
        let mut csv = Vec::new();
        rows.csv_header(&mut csv);
        rows.csv(&batch, &mut csv);
        let expected = "id,status.id,price,status.name,at,day,['a.b']\r\n\
             7,\"a \"\"b\"\", c\",1.10,x,2026-11-20T10:00:00.5Z,2024-02-29,true\r\n,\"\",,[1],,,\r\n";
        assert_eq!(String::from_utf8(csv).unwrap(), expected);
    }
}
