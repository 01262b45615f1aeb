//! [`Encoder`]: record batches to a Parquet file, columns compressed in parallel, memory bounded.
//!
//! Compression is most of the work of a run that moves text. Each column of a row group is encoded as its batches come,
//! by whichever thread of a small pool is free ([`pool::Pool`]), so that a batch is still in a core's cache when it is
//! encoded, and what is kept of a row group is compressed. Row groups are appended in order. Batches that wait for a
//! thread are bounded by [`WAITING_BYTES`] a thread, so memory does not follow the file's size. How a column is encoded
//! is decided from the first rows ([`properties`]): a dictionary only where values repeat, statistics only where they are
//! short.

mod groups;
mod pool;
mod properties;

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::errors::ParquetError;

use self::groups::{Groups, WAITING_BYTES};
use self::pool::broken;
use self::properties::{SAMPLE, properties};
use super::views::slice_bytes;

/// How a file is written.
#[derive(Clone, Debug)]
pub(crate) struct EncoderOptions {
    /// The zstd level.
    pub(crate) level: i32,
    /// A row group is closed when its values exceed this many bytes.
    pub(crate) row_group_bytes: usize,
    /// Threads that compress; with 0 the caller's thread does it.
    pub(crate) threads: usize,
    /// Key and value pairs in the file's metadata.
    pub(crate) metadata: Vec<(String, String)>,
}

/// Writes one Parquet file.
#[derive(Debug)]
pub(crate) struct Encoder<W: Write + Send> {
    schema: SchemaRef,
    options: EncoderOptions,
    rows: u64,
    state: State<W>,
}

enum State<W: Write + Send> {
    /// Nothing was encoded yet: the first rows decide how that is done.
    New {
        out: W,
        first: First,
    },
    Open(Box<Groups<W>>),
    /// An error was returned; the file cannot be completed.
    Broken,
}

impl<W: Write + Send> std::fmt::Debug for State<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            State::New { .. } => "New",
            State::Open(_) => "Open",
            State::Broken => "Broken",
        })
    }
}

/// Batches by which is decided how columns are encoded.
#[derive(Default)]
struct First {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Encoder<W> {
    pub(crate) fn new(out: W, schema: SchemaRef, options: EncoderOptions) -> Encoder<W> {
        let first = First::default();
        Encoder {
            schema,
            options,
            rows: 0,
            state: State::New { out, first },
        }
    }

    /// Adds rows, whose columns must be the file's; a text column may come as views.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if let State::New { first, .. } = &mut self.state {
            first.rows += batch.num_rows();
            first.bytes += batch.columns().iter().map(slice_bytes).sum::<usize>();
            first.batches.push(batch.clone());
            if first.rows >= SAMPLE || first.bytes >= self.options.row_group_bytes.min(WAITING_BYTES) {
                self.open()?;
            }
        } else {
            self.encode(std::slice::from_ref(batch))?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// What was written to, as far as it was written; `None` after an error.
    pub(crate) fn out(&self) -> Option<&W> {
        match &self.state {
            State::New { out, .. } => Some(out),
            State::Open(groups) => Some(groups.out()),
            State::Broken => None,
        }
    }

    /// Completes the file.
    pub(crate) fn finish(mut self) -> Result<W, ParquetError> {
        self.open()?;
        match self.state {
            State::Open(groups) => groups.finish(),
            State::New { .. } | State::Broken => Err(broken()),
        }
    }

    fn encode(&mut self, batches: &[RecordBatch]) -> Result<(), ParquetError> {
        let State::Open(mut groups) = std::mem::replace(&mut self.state, State::Broken) else {
            return Err(broken());
        };
        batches.iter().try_for_each(|batch| groups.write(batch))?;
        self.state = State::Open(groups);
        Ok(())
    }

    /// Decides how columns are encoded, unless that was done before, and begins with the first rows.
    fn open(&mut self) -> Result<(), ParquetError> {
        let (out, first) = match std::mem::replace(&mut self.state, State::Broken) {
            State::New { out, first } => (out, first),
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let properties = properties(&self.schema, &first.batches, &self.options)?;
        let groups = Groups::open(out, &self.schema, &self.options, properties)?;
        self.state = State::Open(Box::new(groups));
        self.encode(&first.batches)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn batch(from: i64, rows: i64) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("text", DataType::Utf8, true),
            Field::new("kind", DataType::Utf8, false),
        ]));
        let ids: Vec<i64> = (from..from + rows).collect();
        let texts = ids
            .iter()
            .map(|id| (id % 7 != 0).then(|| format!("{id} {}", "long text ".repeat(20))));
        let kinds = ids.iter().map(|id| if id % 2 == 0 { "even" } else { "odd" });
        RecordBatch::try_new(
            schema,
            vec![
                Arc::new(Int64Array::from(ids.clone())),
                Arc::new(texts.collect::<StringArray>()),
                Arc::new(StringArray::from_iter_values(kinds)),
            ],
        )
        .unwrap()
    }

    fn options(threads: usize, row_group_bytes: usize) -> EncoderOptions {
        EncoderOptions {
            level: 3,
            row_group_bytes,
            threads,
            metadata: vec![("run_id".to_owned(), "1".to_owned())],
        }
    }

    fn written(threads: usize, row_group_bytes: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(
            Vec::new(),
            batch(0, 1).schema(),
            options(threads, row_group_bytes),
        );
        for part in 0..20 {
            encoder.write(&batch(part * 100, 100)).unwrap();
        }
        assert_eq!(encoder.rows(), 2000);
        encoder.finish().unwrap()
    }

    #[test]
    fn threads_do_not_change_the_file() {
        assert_eq!(written(0, 50_000), written(3, 50_000));
    }

    #[test]
    fn rows_come_back_in_order_from_bounded_row_groups() {
        let file = bytes::Bytes::from(written(2, 50_000));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let metadata = Arc::clone(builder.metadata());
        assert!(metadata.num_row_groups() > 5);
        let pairs = metadata.file_metadata().key_value_metadata().unwrap();
        assert!(
            pairs
                .iter()
                .any(|pair| pair.key == "run_id" && pair.value.as_deref() == Some("1"))
        );
        let column = |position: usize| metadata.row_group(0).column(position);
        assert!(column(1).statistics().is_none(), "no statistics on long text");
        assert!(
            column(1).dictionary_page_offset().is_none(),
            "no dictionary of long text"
        );
        assert!(
            column(2).dictionary_page_offset().is_some(),
            "a dictionary where values repeat"
        );
        let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
        let read = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        let expected: Vec<RecordBatch> = (0..20).map(|part| batch(part * 100, 100)).collect();
        let expected = arrow::compute::concat_batches(&expected[0].schema(), &expected).unwrap();
        assert_eq!(read.columns(), expected.columns());
    }

    #[test]
    fn a_file_without_rows_is_readable() {
        let encoder = Encoder::new(Vec::new(), batch(0, 1).schema(), options(1, 1000));
        let file = bytes::Bytes::from(encoder.finish().unwrap());
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(builder.metadata().file_metadata().num_rows(), 0);
        assert_eq!(builder.schema().fields().len(), 3);
    }

    /// What is written to may refuse, as a full disk does; the caller learns it and nothing hangs.
    #[test]
    fn a_refused_write_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut encoder = Encoder::new(Full, batch(0, 1).schema(), options(2, 1000));
        let outcome = (0..20).try_for_each(|part| encoder.write(&batch(part * 100, 100)));
        assert!(outcome.is_err() || encoder.finish().is_err());
    }
}
