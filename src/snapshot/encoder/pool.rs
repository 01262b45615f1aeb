//! The threads that encode and compress columns.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;

/// One column of one row group.
pub(super) struct Task {
    pub(super) group: usize,
    pub(super) first_leaf: usize,
    pub(super) field: FieldRef,
    pub(super) weight: usize,
    pub(super) writers: Vec<ArrowColumnWriter>,
    pub(super) arrays: Vec<ArrayRef>,
}

pub(super) struct Done {
    pub(super) group: usize,
    pub(super) first_leaf: usize,
    pub(super) chunks: Result<Vec<ArrowColumnChunk>, ParquetError>,
}

impl Task {
    /// A panic of the library becomes an error, so that nobody waits for this column for ever.
    pub(super) fn run(mut self) -> Done {
        let (group, first_leaf) = (self.group, self.first_leaf);
        let chunks = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.encode()));
        Done {
            group,
            first_leaf,
            chunks: chunks.unwrap_or_else(|_| Err(broken())),
        }
    }

    fn encode(&mut self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        // An array is dropped as soon as it is encoded.
        for array in self.arrays.drain(..) {
            for (leaf, writer) in compute_leaves(&self.field, &array)?.iter().zip(&mut self.writers) {
                writer.write(leaf)?;
            }
        }
        self.writers.drain(..).map(ArrowColumnWriter::close).collect()
    }
}

/// Threads that encode columns.
pub(super) struct Pool {
    tasks: Option<Sender<Task>>,
    pub(super) done: Receiver<Done>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(threads: usize) -> Pool {
        let (tasks, waiting) = channel::<Task>();
        let (finished, done) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = (0..threads)
            .map(|_| {
                let waiting = Arc::clone(&waiting);
                let finished = finished.clone();
                std::thread::spawn(move || {
                    loop {
                        let task = match waiting.lock() {
                            Ok(waiting) => waiting.recv(),
                            Err(_) => return,
                        };
                        let Ok(task) = task else { return };
                        if finished.send(task.run()).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        Pool {
            tasks: Some(tasks),
            done,
            threads,
        }
    }

    pub(super) fn give(&self, task: Task) -> Result<(), ParquetError> {
        let tasks = self.tasks.as_ref().ok_or_else(broken)?;
        tasks.send(task).map_err(|_| broken())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; its row group is missing, which the caller has noticed.
            let _ = thread.join();
        }
    }
}

pub(super) fn broken() -> ParquetError {
    ParquetError::General("an earlier failure left the file incomplete".to_owned())
}
