//! What a run leaves behind: Parquet files of every stage, a manifest, and a chain of digests over all runs.
//!
//! [`RunWriter`] is a run's directory while the run goes on; rows reach it as [`Rows`], built by [`ExtractedRows`],
//! [`Heads::mapped`], [`PlannedRows`], [`LoadedRows`] and [`RejectedRows`]. [`recover`] seals a run that died,
//! [`PastRun`] reads one that ended, [`verify`] checks the whole chain. This is the only module that names Arrow and
//! Parquet types; the file connector gets its Parquet reader and writer from here.

mod chain;
mod columns;
mod encoder;
mod error;
mod journal;
mod layout;
mod manifest;
mod part;
mod past_run;
mod reader;
mod recover;
mod rows;
mod run_writer;
mod schema;
mod sink_file;
mod stage;
#[cfg(test)]
mod tests;
mod verify;
mod views;

pub use columns::{ColumnBatch, ColumnsBuilder};
pub use error::SnapshotError;
pub use manifest::{Configuration, CursorMove, FlowCounts, Manifest, ManifestFile, TornTail};
pub use past_run::{PastRun, StoredRow};
pub use reader::PartReader;
pub use recover::recover;
pub use rows::{
    ExtractedRows, Heads, LoadedRow, LoadedRows, PlannedRow, PlannedRows, RejectedRow, RejectedRows, RowHead,
    Rows,
};
pub use run_writer::{Closing, Opening, RunWriter};
pub use schema::documentation;
pub use sink_file::{ParquetFile, TextRows};
pub use stage::Stage;
pub use verify::{Finding, verify};
