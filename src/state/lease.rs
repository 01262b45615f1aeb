//! The lease: one run per pipeline and store at a time.
//!
//! Locally it is an OS lock on a file beside the store: it has no expiry and goes with the process, however that ends.
//! Who holds it is written to a second file, so that the refused run can say so.

use std::fmt::{self, Debug};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StateError;
use crate::crash::{self, Point};

/// The right to run a pipeline, until it is dropped.
pub trait Lease: Debug + Send + Sync {
    /// The pipeline that may be run.
    fn pipeline(&self) -> &str;
}

/// Who runs a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub process: u32,
    /// Its machine.
    pub host: String,
    /// Its run.
    pub run: Uuid,
    /// Since when.
    pub since: Timestamp,
}

impl Holder {
    /// This process, for a run that begins now.
    pub fn this_process(run: Uuid, since: Timestamp) -> Self {
        Holder {
            process: std::process::id(),
            host: host_name(),
            run,
            since,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "process {} on `{}` (run `{}`, since {})",
            self.process, self.host, self.run, self.since
        )
    }
}

/// A lease held by an OS lock.
#[derive(Debug)]
pub(super) struct FileLease {
    pipeline: String,
    /// Closing it releases the lock.
    _lock: File,
    holder: PathBuf,
}

impl FileLease {
    /// Takes the lock of a pipeline beside the store at `state`.
    pub(super) fn acquire(state: &Path, pipeline: &str, holder: &Holder) -> Result<Self, StateError> {
        let path = companion(state, pipeline, "lock");
        let cannot_open = |source| StateError::CannotOpen {
            path: path.clone(),
            source,
        };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(cannot_open)?;
        match lock_patiently(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::LeaseHeld {
                    pipeline: pipeline.to_owned(),
                    holder: read_holder(state, pipeline).map(Box::new),
                });
            }
            Err(TryLockError::Error(source)) => return Err(cannot_open(source)),
        }
        crash::at(Point::LeaseLocked);
        let holder_path = companion(state, pipeline, "holder");
        write_holder(&holder_path, holder).map_err(|source| StateError::CannotOpen {
            path: holder_path.clone(),
            source,
        })?;
        crash::at(Point::LeaseNoted);
        Ok(FileLease {
            pipeline: pipeline.to_owned(),
            _lock: lock,
            holder: holder_path,
        })
    }

    /// Who holds a pipeline's lease beside the store at `state`: nobody if its lock can be had.
    pub(super) fn current(state: &Path, pipeline: &str) -> Option<Holder> {
        let lock = File::open(companion(state, pipeline, "lock")).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read_holder(state, pipeline),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

impl Lease for FileLease {
    fn pipeline(&self) -> &str {
        &self.pipeline
    }
}

impl Drop for FileLease {
    fn drop(&mut self) {
        // Before the lock goes, so that the next holder's note is never removed. A note that stays does no harm:
        // it is read only while the lock is held.
        let _ = std::fs::remove_file(&self.holder);
    }
}

/// A lease of a store that no other process can reach.
#[derive(Debug)]
pub(super) struct PrivateLease(pub(super) String);

impl Lease for PrivateLease {
    fn pipeline(&self) -> &str {
        &self.0
    }
}

/// Takes the lock; asks again for a moment, because who only looks whether it is held holds it for that moment.
fn lock_patiently(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..5 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            answer => return answer,
        }
    }
    lock.try_lock()
}

/// What of a pipeline's name stands in a file name as it is.
const IN_FILE_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The file of a pipeline beside the store: `state.db.PIPELINE.lock`.
fn companion(state: &Path, pipeline: &str, extension: &str) -> PathBuf {
    let pipeline = utf8_percent_encode(pipeline, IN_FILE_NAMES);
    let mut name = state.as_os_str().to_owned();
    name.push(format!(".{pipeline}.{extension}"));
    PathBuf::from(name)
}

fn write_holder(path: &Path, holder: &Holder) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(holder)?;
    text.push(b'\n');
    let mut file = File::create(path)?;
    file.write_all(&text)
}

/// The note of who holds the lease; `None` while it is being written.
fn read_holder(state: &Path, pipeline: &str) -> Option<Holder> {
    let text = std::fs::read(companion(state, pipeline, "holder")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The machine's name, as far as it can be told without a system call of our own.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this machine".to_owned())
}
