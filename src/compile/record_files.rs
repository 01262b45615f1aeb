//! Finding and reading record schema files, each once.
//!
//! `schema: records/x.json` is searched beside the file that names it, then as `schemas/records/x.json` in that file's
//! folder and every folder above it, the nearest first.

use std::cell::RefCell;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::checks::Checks;
use super::compiled::RecordSchema;
use super::pointer::Pointer;
use super::record_schema::{ReadSchema, read_record_schema};
use crate::diagnostic::Code;

/// The record schemas that were read so far.
#[derive(Debug, Default)]
pub(super) struct RecordFiles {
    schemas: RefCell<IndexMap<PathBuf, Option<Arc<RecordSchema>>>>,
    sources: RefCell<IndexMap<String, String>>,
}

impl RecordFiles {
    /// Reads the schema that a stream names.
    pub(super) fn read(
        &self,
        checks: &Checks<'_>,
        at: &Pointer,
        named_by: &FilePath,
        name: &str,
    ) -> Option<Arc<RecordSchema>> {
        let Some(path) = search(named_by, name) else {
            checks.error(Code::BadRecordSchema, at, |report| {
                report.message(format!("there is no record schema `{name}`")).note(format!(
                    "it is searched beside this file and as `schemas/{name}` in this file's folder and those above it"
                ))
            });
            return None;
        };
        if let Some(known) = self.schemas.borrow().get(&path) {
            return known.clone();
        }
        let schema = match read_record_schema(&path) {
            Ok(ReadSchema { schema, files }) => {
                for (file, text) in files {
                    let name = FilePath::new(name).with_file_name(file.file_name().unwrap_or_default());
                    self.sources
                        .borrow_mut()
                        .insert(name.display().to_string(), digest(&text));
                }
                Some(Arc::new(schema))
            }
            Err(error) => {
                checks.error(Code::BadRecordSchema, at, |report| {
                    report.message(error.to_string())
                });
                None
            }
        };
        self.schemas.borrow_mut().insert(path, schema.clone());
        schema
    }

    /// Name and digest of every schema file that was read.
    pub(super) fn sources(&self) -> Vec<(String, String)> {
        self.sources
            .borrow()
            .iter()
            .map(|(name, digest)| (name.clone(), digest.clone()))
            .collect()
    }
}

/// The digest by which a configuration file is known.
pub(super) fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn search(named_by: &FilePath, name: &str) -> Option<PathBuf> {
    let folder = named_by.parent().map_or_else(PathBuf::new, FilePath::to_owned);
    let beside = folder.join(name);
    if beside.is_file() {
        return Some(beside);
    }
    // A relative folder has fewer ancestors than the folders that really lie above it.
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    folder
        .ancestors()
        .map(|above| above.join("schemas").join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_schema_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("schemas/records")).unwrap();
        std::fs::create_dir_all(root.join("mappings/connectors/records")).unwrap();
        std::fs::write(root.join("schemas/records/a.json"), "{}").unwrap();
        let connector = root.join("mappings/connectors/x.yaml");
        assert_eq!(
            search(&connector, "records/a.json"),
            Some(root.join("schemas/records/a.json"))
        );
        std::fs::write(root.join("mappings/connectors/records/a.json"), "{}").unwrap();
        assert_eq!(
            search(&connector, "records/a.json"),
            Some(root.join("mappings/connectors/records/a.json"))
        );
        assert_eq!(search(&connector, "records/b.json"), None);
    }
}
