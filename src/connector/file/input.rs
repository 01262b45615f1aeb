//! Finding a stream's files and opening them, decompressed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::compile::compiled::{Compression, FileStream};
use crate::connector::ConnectorError;

/// One file of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Standard,
    File(PathBuf),
}

impl Input {
    /// How messages call it.
    pub(super) fn name(&self) -> String {
        match self {
            Input::Standard => "-".to_owned(),
            Input::File(path) => path.display().to_string(),
        }
    }

    /// Its decompressed bytes.
    pub(super) fn open(&self, compression: Compression) -> Result<Box<dyn Read + Send>, ConnectorError> {
        let raw: Box<dyn Read + Send> = match self {
            Input::Standard => Box::new(std::io::stdin()),
            Input::File(path) => Box::new(File::open(path).map_err(file_error(path, "read"))?),
        };
        let buffered = |raw| BufReader::with_capacity(1 << 16, raw);
        Ok(match compression {
            Compression::None => raw,
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(raw))),
            Compression::Zstd => Box::new(
                zstd::stream::read::Decoder::with_buffer(buffered(raw))
                    .map_err(file_error(Path::new(&self.name()), "read"))?,
            ),
        })
    }
}

/// The files of a stream, in name order.
///
/// # Errors
/// The directory of a pattern cannot be read, or no file fits the pattern.
pub(super) fn inputs(directory: &Path, stream: &FileStream) -> Result<Vec<Input>, ConnectorError> {
    if stream.path == "-" {
        return Ok(vec![Input::Standard]);
    }
    let path = directory.join(&stream.path);
    let pattern = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if !pattern.contains('*') {
        return Ok(vec![Input::File(path)]);
    }
    let parent = or_here(path.parent().unwrap_or(directory));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(file_error(parent, "read"))? {
        let entry = entry.map_err(file_error(parent, "read"))?;
        let fits = entry
            .file_name()
            .to_str()
            .is_some_and(|name| fits(&pattern, name));
        if fits && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    if found.is_empty() {
        let none = std::io::Error::new(std::io::ErrorKind::NotFound, "no file fits the pattern");
        return Err(file_error(&path, "read")(none));
    }
    found.sort();
    Ok(found.into_iter().map(Input::File).collect())
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    if !rest.contains('*') {
        return name.ends_with(rest);
    }
    (0..=name.len()).any(|from| name.get(from..).is_some_and(|name| fits(rest, name)))
}

/// An empty path is the current directory.
pub(super) fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// Wraps an answer of the file system.
pub(super) fn file_error(
    path: &Path,
    operation: &'static str,
) -> impl FnOnce(std::io::Error) -> ConnectorError {
    let path = path.display().to_string();
    move |source| ConnectorError::File {
        path,
        operation,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compiled::FileFormat;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("*.ndjson", "a.ndjson", true),
            ("*.ndjson", "a.json", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "ac", false),
            ("ä*", "ä", true),
            ("*é*", "caféx", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_of_a_pattern_come_in_name_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "a.txt"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let stream = |path: &str| FileStream {
            path: path.to_owned(),
            format: FileFormat::Csv,
            compression: Compression::None,
        };
        let found = inputs(directory.path(), &stream("*.csv")).unwrap();
        let expected = ["a.csv", "b.csv"].map(|name| Input::File(directory.path().join(name)));
        assert_eq!(found, expected);
        let error = inputs(directory.path(), &stream("*.json")).unwrap_err();
        assert!(error.to_string().contains("no file fits the pattern"));
        assert_eq!(inputs(directory.path(), &stream("-")).unwrap(), [Input::Standard]);
    }
}
