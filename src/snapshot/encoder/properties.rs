//! How the columns of a file are encoded, decided from its first rows.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::EncoderOptions;

/// From this average length on, a text is neither put into a dictionary nor into statistics.
const LONG_TEXT: usize = 96;
/// Bytes of a page before compression. The tables with which zstd searches a page of this size stay in a core's cache.
const PAGE_BYTES: usize = 256 << 10;
/// How many values of a column decide about its encoding.
pub(super) const SAMPLE: usize = 4096;
/// The file's properties, by what the first rows look like.
pub(super) fn properties(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    options: &EncoderOptions,
) -> Result<WriterProperties, ParquetError> {
    let metadata = options
        .metadata
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("crosswalk version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(options.level)?))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(metadata));
    for (position, field) in schema.fields().iter().enumerate() {
        let path = ColumnPath::from(field.name().clone());
        let sample = Sample::of(batches, position);
        if sample.is_long() {
            // The lengths apart from the texts: the writer keeps its buffer from page to page, and both compress better.
            builder = builder
                .set_column_encoding(path.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        } else if !sample.repeats() {
            builder = builder.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(builder.build())
}

/// What the first values of a column look like.
#[derive(Default)]
struct Sample {
    values: usize,
    bytes: usize,
    distinct: usize,
}

impl Sample {
    fn of(batches: &[RecordBatch], column: usize) -> Sample {
        let mut sample = Sample::default();
        let mut seen: HashSet<&[u8]> = HashSet::new();
        let mut numbers: HashSet<i64> = HashSet::new();
        for batch in batches {
            let array = batch.column(column);
            match array.data_type() {
                DataType::Utf8 => sample.texts(array.as_string::<i32>().iter(), &mut seen),
                DataType::Utf8View => sample.texts(array.as_string_view().iter(), &mut seen),
                DataType::Int64 => {
                    let values = array.as_primitive::<Int64Type>();
                    for number in values.iter().flatten().take(SAMPLE - sample.values) {
                        sample.values += 1;
                        numbers.insert(number);
                    }
                }
                DataType::Timestamp(..) => {
                    let values = array.as_primitive_opt::<TimestampMicrosecondType>();
                    for number in values
                        .into_iter()
                        .flatten()
                        .flatten()
                        .take(SAMPLE - sample.values)
                    {
                        sample.values += 1;
                        numbers.insert(number);
                    }
                }
                _ => {}
            }
            if sample.values >= SAMPLE {
                break;
            }
        }
        sample.distinct += seen.len() + numbers.len();
        sample
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = Option<&'t str>>, seen: &mut HashSet<&'t [u8]>) {
        for text in texts.flatten().take(SAMPLE - self.values) {
            self.values += 1;
            self.bytes += text.len();
            if text.len() < LONG_TEXT {
                seen.insert(text.as_bytes());
            } else {
                self.distinct += 1;
            }
        }
    }

    fn is_long(&self) -> bool {
        self.values > 0 && self.bytes / self.values >= LONG_TEXT
    }

    /// Whether a dictionary is worth its making. Few values say little; then it costs little as well.
    fn repeats(&self) -> bool {
        self.values < 64 || self.distinct * 2 <= self.values
    }
}
