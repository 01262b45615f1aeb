//! The threads that encode and compress columns.
//!
//! A column's arrays are encoded in order, by one thread at a time: the thread that takes a column stays with it until
//! nothing of it waits, while its tables are in the core's cache.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;

/// One column of one row group.
pub(super) struct Column {
    pub(super) group: usize,
    pub(super) first_leaf: usize,
    field: FieldRef,
    /// Held while something is encoded.
    writers: Mutex<Vec<ArrowColumnWriter>>,
    queue: Mutex<Queue>,
}

/// What is to be done for a column.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(ArrayRef, usize)>,
    /// Nothing will be added.
    complete: bool,
    /// A thread is at it, or will be.
    taken: bool,
}

/// What a thread has done.
pub(super) enum Done {
    /// An array of so many bytes was encoded.
    Array { bytes: usize },
    /// All of a column is encoded.
    Column {
        group: usize,
        first_leaf: usize,
        chunks: Vec<ArrowColumnChunk>,
    },
    /// A column cannot be encoded.
    Failed(ParquetError),
}

impl Column {
    pub(super) fn new(
        group: usize,
        first_leaf: usize,
        field: &FieldRef,
        writers: Vec<ArrowColumnWriter>,
    ) -> Column {
        Column {
            group,
            first_leaf,
            field: Arc::clone(field),
            writers: Mutex::new(writers),
            queue: Mutex::default(),
        }
    }

    /// Encodes an array behind what was encoded before.
    pub(super) fn encode(&self, array: &ArrayRef) -> Result<(), ParquetError> {
        let leaves = compute_leaves(&self.field, array)?;
        let mut writers = lock(&self.writers);
        leaves
            .iter()
            .zip(&mut *writers)
            .try_for_each(|(leaf, writer)| writer.write(leaf))
    }

    /// The column, complete.
    pub(super) fn close(&self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let writers = std::mem::take(&mut *lock(&self.writers));
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }

    /// Does what is to be done, and tells of it; false when nobody listens any more.
    fn work(&self, done: &Sender<Done>) -> bool {
        loop {
            let next = {
                let mut queue = lock(&self.queue);
                let next = queue.waiting.pop_front();
                if next.is_none() && !queue.complete {
                    queue.taken = false;
                    return true;
                }
                next
            };
            let is_last = next.is_none();
            // A panic of the library becomes an error, so that nobody waits for this column for ever.
            let outcome = catch_unwind(AssertUnwindSafe(|| match next {
                Some((array, bytes)) => self.encode(&array).map(|()| Done::Array { bytes }),
                None => self.close().map(|chunks| Done::Column {
                    group: self.group,
                    first_leaf: self.first_leaf,
                    chunks,
                }),
            }));
            let outcome = outcome.unwrap_or_else(|_| Err(broken()));
            let failed = outcome.is_err();
            if done.send(outcome.unwrap_or_else(Done::Failed)).is_err() {
                return false;
            }
            if is_last || failed {
                return true;
            }
        }
    }
}

/// Threads that encode columns.
pub(super) struct Pool {
    columns: Option<Sender<Arc<Column>>>,
    done: Receiver<Done>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(threads: usize) -> Pool {
        let (columns, ready) = channel::<Arc<Column>>();
        let (sender, done) = channel();
        let ready = Arc::new(Mutex::new(ready));
        let threads = (0..threads)
            .map(|_| {
                let ready = Arc::clone(&ready);
                let done = sender.clone();
                std::thread::spawn(move || {
                    loop {
                        let column = lock(&ready).recv();
                        match column {
                            Ok(column) if column.work(&done) => {}
                            Ok(_) | Err(_) => return,
                        }
                    }
                })
            })
            .collect();
        Pool {
            columns: Some(columns),
            done,
            threads,
        }
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Has an array of so many bytes encoded.
    pub(super) fn give(
        &self,
        column: &Arc<Column>,
        array: ArrayRef,
        bytes: usize,
    ) -> Result<(), ParquetError> {
        self.queue(column, |queue| queue.waiting.push_back((array, bytes)))
    }

    /// Has a column closed once all of it is encoded.
    pub(super) fn complete(&self, column: &Arc<Column>) -> Result<(), ParquetError> {
        self.queue(column, |queue| queue.complete = true)
    }

    fn queue(&self, column: &Arc<Column>, add: impl FnOnce(&mut Queue)) -> Result<(), ParquetError> {
        let was_taken = {
            let mut queue = lock(&column.queue);
            add(&mut queue);
            std::mem::replace(&mut queue.taken, true)
        };
        if was_taken {
            return Ok(());
        }
        let columns = self.columns.as_ref().ok_or_else(broken)?;
        columns.send(Arc::clone(column)).map_err(|_| broken())
    }

    /// The next thing that was done, if it is there already.
    pub(super) fn done(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    /// Waits for the next thing that is done.
    pub(super) fn wait(&self) -> Result<Done, ParquetError> {
        self.done.recv().map_err(|_| broken())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.columns = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; its column is missing, which the caller has noticed.
            let _ = thread.join();
        }
    }
}

/// A lock whose holder panicked guards a file that is given up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn broken() -> ParquetError {
    ParquetError::General("an earlier failure left the file incomplete".to_owned())
}
