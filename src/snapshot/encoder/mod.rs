//! [`Encoder`]: record batches to a Parquet file, columns compressed in parallel, memory bounded.
//!
//! Compression is most of the work of a run that moves text. A row group is cut into its columns, each a task for a
//! small pool of threads; finished row groups are appended in order. At most [`GROUPS_AT_ONCE`] row groups are under
//! way, so memory follows the row group's size and not the file's. How a column is encoded is decided from the first
//! row group: a dictionary only where values repeat, statistics only where they are short.

mod pool;
mod properties;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use self::pool::{Done, Pool, Task, broken};
use self::properties::properties;
use super::views::slice_bytes;

/// Row groups that may be under way at once.
const GROUPS_AT_ONCE: usize = 2;
/// A row group never has more rows.
const ROWS_AT_MOST: usize = 1 << 20;

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
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    pending_rows: usize,
    rows: u64,
    state: State<W>,
}

enum State<W: Write + Send> {
    /// Nothing was encoded yet.
    New(W),
    Open(Box<Open<W>>),
    /// An error was returned; the file cannot be completed.
    Broken,
}

impl<W: Write + Send> std::fmt::Debug for State<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            State::New(_) => "New",
            State::Open(_) => "Open",
            State::Broken => "Broken",
        })
    }
}

struct Open<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    pool: Option<Pool>,
    under_way: VecDeque<Group>,
    /// The number of the first group of `under_way`.
    first: usize,
}

/// A row group whose columns are being encoded.
struct Group {
    chunks: Vec<Option<ArrowColumnChunk>>,
}

impl<W: Write + Send> Encoder<W> {
    pub(crate) fn new(out: W, schema: SchemaRef, options: EncoderOptions) -> Encoder<W> {
        Encoder {
            schema,
            options,
            pending: Vec::new(),
            pending_bytes: 0,
            pending_rows: 0,
            rows: 0,
            state: State::New(out),
        }
    }

    /// Adds rows, whose columns must be the file's; a text column may come as views.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let length = (batch.num_rows() - offset).min(ROWS_AT_MOST - self.pending_rows);
            let slice = batch.slice(offset, length);
            offset += length;
            self.pending_bytes += slice.columns().iter().map(slice_bytes).sum::<usize>();
            self.pending_rows += length;
            self.pending.push(slice);
            if self.pending_bytes >= self.options.row_group_bytes || self.pending_rows >= ROWS_AT_MOST {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows + self.pending_rows as u64
    }

    /// What was written to, as far as it was written; `None` after an error.
    pub(crate) fn out(&self) -> Option<&W> {
        match &self.state {
            State::New(out) => Some(out),
            State::Open(open) => Some(open.writer.inner()),
            State::Broken => None,
        }
    }

    /// Completes the file.
    pub(crate) fn finish(mut self) -> Result<W, ParquetError> {
        self.flush()?;
        let open = match std::mem::replace(&mut self.state, State::Broken) {
            State::New(out) => self.open(out)?,
            State::Open(open) => *open,
            State::Broken => return Err(broken()),
        };
        open.finish()
    }

    /// Encodes what is pending as a row group.
    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.pending_rows == 0 {
            return Ok(());
        }
        let mut open = match std::mem::replace(&mut self.state, State::Broken) {
            State::New(out) => Box::new(self.open(out)?),
            State::Open(open) => open,
            State::Broken => return Err(broken()),
        };
        open.encode(&self.schema, &self.pending)?;
        self.rows += self.pending_rows as u64;
        self.pending.clear();
        self.pending_bytes = 0;
        self.pending_rows = 0;
        self.state = State::Open(open);
        Ok(())
    }

    fn open(&self, out: W) -> Result<Open<W>, ParquetError> {
        let mut properties = properties(&self.schema, &self.pending, &self.options)?;
        add_encoded_arrow_schema_to_metadata(&self.schema, &mut properties);
        let properties = Arc::new(properties);
        let parquet_schema = ArrowSchemaConverter::new()
            .with_coerce_types(properties.coerce_types())
            .convert(&self.schema)?;
        let writer = SerializedFileWriter::new(out, parquet_schema.root_schema_ptr(), properties)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&self.schema));
        Ok(Open {
            writer,
            factory,
            pool: (self.options.threads > 0).then(|| Pool::start(self.options.threads)),
            under_way: VecDeque::new(),
            first: 0,
        })
    }
}

impl<W: Write + Send> Open<W> {
    fn encode(&mut self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), ParquetError> {
        while self.under_way.len() >= GROUPS_AT_ONCE {
            self.receive()?;
        }
        let number = self.first + self.under_way.len();
        let mut writers = self.factory.create_column_writers(number)?.into_iter();
        let mut tasks = Vec::new();
        let mut leaf = 0;
        for (position, field) in schema.fields().iter().enumerate() {
            let arrays: Vec<ArrayRef> = batches
                .iter()
                .map(|batch| Arc::clone(batch.column(position)))
                .collect();
            let leaves = leaves_of(field.data_type());
            tasks.push(Task {
                group: number,
                first_leaf: leaf,
                field: Arc::clone(field),
                weight: arrays.iter().map(slice_bytes).sum(),
                writers: writers.by_ref().take(leaves).collect(),
                arrays,
            });
            leaf += leaves;
        }
        self.under_way.push_back(Group {
            chunks: (0..leaf).map(|_| None).collect(),
        });
        // The longest work first, so that no thread is left with it at the end.
        tasks.sort_by_key(|task| std::cmp::Reverse(task.weight));
        for task in tasks {
            match &self.pool {
                Some(pool) => pool.give(task)?,
                None => {
                    let done = task.run();
                    self.accept(done)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for one column.
    fn receive(&mut self) -> Result<(), ParquetError> {
        let done = match &self.pool {
            Some(pool) => pool.done.recv().map_err(|_| broken())?,
            None => return Err(broken()),
        };
        self.accept(done)
    }

    /// Takes an encoded column, and appends every row group that is complete and next.
    fn accept(&mut self, done: Done) -> Result<(), ParquetError> {
        let chunks = done.chunks?;
        let group = done
            .group
            .checked_sub(self.first)
            .and_then(|place| self.under_way.get_mut(place));
        let Some(group) = group else {
            return Err(broken());
        };
        for (chunk, place) in chunks
            .into_iter()
            .zip(group.chunks.iter_mut().skip(done.first_leaf))
        {
            *place = Some(chunk);
        }
        while self
            .under_way
            .front()
            .is_some_and(|group| group.chunks.iter().all(Option::is_some))
        {
            let Some(group) = self.under_way.pop_front() else {
                break;
            };
            self.first += 1;
            let mut row_group = self.writer.next_row_group()?;
            for chunk in group.chunks.into_iter().flatten() {
                chunk.append_to_row_group(&mut row_group)?;
            }
            row_group.close()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<W, ParquetError> {
        while !self.under_way.is_empty() {
            self.receive()?;
        }
        self.writer.into_inner()
    }
}
/// How many Parquet columns an Arrow column becomes.
fn leaves_of(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves_of(field.data_type())).sum(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => leaves_of(item.data_type()),
        _ => 1,
    }
}
#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};
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
