//! [`Groups`]: the row groups of a file, the one that is being filled and those that are still being encoded.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::EncoderOptions;
use super::pool::{Column, Done, Pool, broken};
use crate::snapshot::views::slice_bytes;

/// Bytes that may wait for each thread to encode them.
pub(super) const WAITING_BYTES: usize = 8 << 20;
/// A row group never has more rows.
const ROWS_AT_MOST: usize = 1 << 20;

/// A file that rows are written into.
pub(super) struct Groups<W: Write + Send> {
    schema: SchemaRef,
    writer: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    /// How many Parquet columns each column becomes.
    leaves: Vec<usize>,
    row_group_bytes: usize,
    pool: Option<Pool>,
    /// Bytes that were given to the pool and are not encoded yet.
    waiting_bytes: usize,
    /// The row group that is being filled.
    filling: Option<Filling>,
    /// Row groups that are not appended yet, the one that is being filled included.
    under_way: VecDeque<Group>,
    /// The number of the first group of `under_way`.
    first: usize,
}

/// A row group that takes more rows.
struct Filling {
    columns: Vec<Arc<Column>>,
    rows: usize,
    bytes: usize,
}

/// A row group whose columns are being encoded.
struct Group {
    chunks: Vec<Option<ArrowColumnChunk>>,
}

impl<W: Write + Send> Groups<W> {
    /// Begins a file.
    pub(super) fn open(
        out: W,
        schema: &SchemaRef,
        options: &EncoderOptions,
        mut properties: WriterProperties,
    ) -> Result<Groups<W>, ParquetError> {
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let properties = Arc::new(properties);
        let parquet_schema = ArrowSchemaConverter::new()
            .with_coerce_types(properties.coerce_types())
            .convert(schema)?;
        let writer = SerializedFileWriter::new(out, parquet_schema.root_schema_ptr(), properties)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(schema));
        let fields = schema.fields().iter();
        Ok(Groups {
            schema: Arc::clone(schema),
            writer,
            factory,
            leaves: fields.map(|field| leaves_of(field.data_type())).collect(),
            row_group_bytes: options.row_group_bytes,
            pool: (options.threads > 0).then(|| Pool::start(options.threads)),
            waiting_bytes: 0,
            filling: None,
            under_way: VecDeque::new(),
            first: 0,
        })
    }

    /// What is written to.
    pub(super) fn out(&self) -> &W {
        self.writer.inner()
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let mut filling = match self.filling.take() {
                Some(filling) => filling,
                None => self.begin()?,
            };
            let rows = (batch.num_rows() - offset).min(ROWS_AT_MOST - filling.rows);
            let slice = batch.slice(offset, rows);
            offset += rows;
            filling.rows += rows;
            for (column, array) in filling.columns.iter().zip(slice.columns()) {
                let bytes = slice_bytes(array);
                filling.bytes += bytes;
                match &self.pool {
                    Some(pool) => {
                        self.waiting_bytes += bytes;
                        pool.give(column, Arc::clone(array), bytes)?;
                    }
                    None => column.encode(array)?,
                }
            }
            if filling.bytes >= self.row_group_bytes || filling.rows >= ROWS_AT_MOST {
                self.close(&filling)?;
            } else {
                self.filling = Some(filling);
            }
            self.receive()?;
        }
        Ok(())
    }

    /// Begins a row group.
    fn begin(&mut self) -> Result<Filling, ParquetError> {
        let group = self.first + self.under_way.len();
        let mut writers = self.factory.create_column_writers(group)?.into_iter();
        let mut first_leaf = 0;
        let mut columns = Vec::with_capacity(self.leaves.len());
        for (field, leaves) in self.schema.fields().iter().zip(&self.leaves) {
            let writers = writers.by_ref().take(*leaves).collect();
            columns.push(Arc::new(Column::new(group, first_leaf, field, writers)));
            first_leaf += leaves;
        }
        self.under_way.push_back(Group {
            chunks: (0..first_leaf).map(|_| None).collect(),
        });
        Ok(Filling {
            columns,
            rows: 0,
            bytes: 0,
        })
    }

    /// No more rows come into a row group.
    fn close(&mut self, filling: &Filling) -> Result<(), ParquetError> {
        for column in &filling.columns {
            match &self.pool {
                Some(pool) => pool.complete(column)?,
                None => {
                    let chunks = column.close()?;
                    self.accept(column.group, column.first_leaf, chunks)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what the threads have done, and waits while too much is left for them.
    fn receive(&mut self) -> Result<(), ParquetError> {
        while let Some(pool) = &self.pool {
            let done = if self.waiting_bytes > WAITING_BYTES * pool.threads() {
                pool.wait()?
            } else if let Some(done) = pool.done() {
                done
            } else {
                break;
            };
            self.take(done)?;
        }
        Ok(())
    }

    fn take(&mut self, done: Done) -> Result<(), ParquetError> {
        match done {
            Done::Array { bytes } => {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
                Ok(())
            }
            Done::Column {
                group,
                first_leaf,
                chunks,
            } => self.accept(group, first_leaf, chunks),
            Done::Failed(error) => Err(error),
        }
    }

    /// Takes an encoded column, and appends every row group that is complete and next.
    fn accept(
        &mut self,
        group: usize,
        first_leaf: usize,
        chunks: Vec<ArrowColumnChunk>,
    ) -> Result<(), ParquetError> {
        let group = group
            .checked_sub(self.first)
            .and_then(|place| self.under_way.get_mut(place));
        let Some(group) = group else {
            return Err(broken());
        };
        for (chunk, place) in chunks.into_iter().zip(group.chunks.iter_mut().skip(first_leaf)) {
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

    /// Completes the file.
    pub(super) fn finish(mut self) -> Result<W, ParquetError> {
        if let Some(filling) = self.filling.take() {
            self.close(&filling)?;
        }
        while !self.under_way.is_empty() {
            let done = match &self.pool {
                Some(pool) => pool.wait()?,
                None => return Err(broken()),
            };
            self.take(done)?;
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
