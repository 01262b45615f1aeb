//! A compiled connector becomes requests: HTTP and files, behind one [`Connection`].
//!
//! A connection reads the pages of a stream ([`Connection::read`]), finds single records, and writes: a write is first
//! prepared (pure, exact bytes, what an intent stores) and then executed. It knows no pipeline beyond the compiled
//! connection it was made from, no vendor, and decides nothing about records.

mod context;
mod cursor;
mod error;
pub mod file;
mod reader;
mod write;

pub use context::{ConnectionContext, HttpOptions};
pub use cursor::Cursor;
pub use error::{ConnectorError, Stop};
pub use reader::{Page, ReadRequest, Reader};
pub use write::{Operation, Prepared, PreparedMany, WriteIntent, WriteOutcome};
