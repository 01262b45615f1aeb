//! Files written, read, found and left alone.

use std::path::Path as FilePath;

use proptest::prelude::*;

use super::*;
use crate::compile::compiled::{Compression, FileFormat, WritePolicy};
use crate::connector::{Cursor, Page};
use crate::expression::TargetType;
use crate::mapping::Columns;
use crate::snapshot::{ColumnBatch, ColumnsBuilder};

fn connection(
    directory: &FilePath,
    path: &str,
    format: FileFormat,
    compression: Compression,
) -> FileConnection {
    FileConnection {
        name: "files".to_owned(),
        directory: directory.to_owned(),
        streams: vec![Some(StreamFile {
            name: "rows".to_owned(),
            key: Path::parse("$.id").unwrap(),
            file: FileStream {
                path: path.to_owned(),
                format,
                compression,
            },
            find: vec![Path::parse("$.name").unwrap()],
        })],
    }
}

fn columns() -> Vec<Column> {
    [("id", TargetType::Integer), ("name", TargetType::Text)]
        .into_iter()
        .map(|(name, column_type)| Column {
            name: name.to_owned(),
            column_type,
            write: WritePolicy::Always,
        })
        .collect()
}

fn batch(rows: &[(i64, Option<String>)]) -> ColumnBatch {
    let mut builder = ColumnsBuilder::new(&columns());
    for (id, name) in rows {
        builder.append(0, Some(&Value::from(*id))).unwrap();
        builder
            .append(1, name.as_deref().map(Value::text).as_ref())
            .unwrap();
        builder.end_row();
    }
    builder.finish().unwrap()
}

fn read_all(connection: &FileConnection) -> Result<Vec<Page>, ConnectorError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut reader = connection.read(0, ReadRequest::default());
        let mut pages = Vec::new();
        while let Some(page) = reader.next().await? {
            pages.push(page);
        }
        Ok(pages)
    })
}

fn texts(pages: &[Page]) -> Vec<String> {
    let records = pages.iter().flat_map(|page| &page.records);
    records
        .map(|record| String::from_utf8(record.received().to_vec()).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_a_sink_writes_a_stream_reads(
        rows in prop::collection::vec((any::<i64>(), prop::option::of("[a-zé\",\\\\\n\r ]{0,12}")), 0..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let all = [FileFormat::Ndjson, FileFormat::Csv, FileFormat::Parquet];
        for (format, compression) in all.into_iter().flat_map(|format| {
            [Compression::None, Compression::Gzip, Compression::Zstd].map(|compression| (format, compression))
        }) {
            let connection = connection(directory.path(), "deep/rows", format, compression);
            let mut sink = connection.open_sink(0, &columns()).unwrap();
            for part in rows.chunks(7) {
                sink.append(&batch(part)).unwrap();
            }
            prop_assert_eq!(sink.commit().unwrap().rows, rows.len() as u64);
            let pages = read_all(&connection).unwrap();
            let read: Vec<(i64, Option<String>)> = pages.iter().flat_map(|page| &page.records).map(|record| {
                let value = record.value().unwrap();
                let id = match value.get("id").unwrap() {
                    Value::Number(number) => number.as_i64().unwrap(),
                    other => other.as_text().unwrap().parse().unwrap(),
                };
                (id, value.get("name").unwrap().as_text().map(str::to_owned))
            }).collect();
            prop_assert_eq!(&read, &rows, "{:?} {:?}", format, compression);
            let last = pages.last().unwrap();
            prop_assert!(last.last && last.cursor == Some(Cursor::Scan));
        }
    }
}

#[test]
fn a_line_that_is_no_record_says_where_it_is_and_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("a.ndjson"),
        "{\"id\":1}\r\n\n{\"id\":\n{\"id\":2}",
    )
    .unwrap();
    let connection = connection(
        directory.path(),
        "*.ndjson",
        FileFormat::Ndjson,
        Compression::None,
    );
    let pages = read_all(&connection).unwrap();
    assert_eq!(texts(&pages), ["{\"id\":1}", "{\"id\":", "{\"id\":2}"]);
    let message = pages[0].records[1].value().unwrap_err().to_string();
    assert!(
        message.contains("line 3 of `") && message.contains("a.ndjson`"),
        "{message}"
    );
    assert!(pages[0].records[2].value().is_ok());
}

#[test]
fn elements_of_an_array_are_records() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("a.json"),
        "[ {\"id\": 1.10}, \n{\"id\": 2} ]\n",
    )
    .unwrap();
    let connection = connection(directory.path(), "a.json", FileFormat::Json, Compression::None);
    assert_eq!(
        texts(&read_all(&connection).unwrap()),
        ["{\"id\": 1.10}", "{\"id\": 2}"]
    );
    std::fs::write(directory.path().join("a.json"), "[{\"id\": 1}").unwrap();
    let error = read_all(&connection).unwrap_err().to_string();
    assert!(error.contains("the array has no end"), "{error}");
}

#[test]
fn records_are_found_by_key_and_by_field() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "{\"id\":1,\"name\":\"a\"}\n{\"id\":\"2\",\"name\":\"b\"}\n{\"id\":3,\"name\":\"b\"}\n";
    std::fs::write(directory.path().join("rows"), lines).unwrap();
    let connection = connection(directory.path(), "rows", FileFormat::Ndjson, Compression::None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let received = |record: &Record| String::from_utf8(record.received().to_vec()).unwrap();
    runtime.block_on(async {
        let two = connection.get(0, "2").await.unwrap().unwrap();
        assert_eq!(received(&two), "{\"id\":\"2\",\"name\":\"b\"}");
        assert!(connection.get(0, "4").await.unwrap().is_none());
        let named = connection.find(0, 0, &[Value::text("b")]).await.unwrap();
        assert_eq!(named.len(), 2);
        let error = connection.find(0, 1, &[]).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Unsupported { .. }));
    });
}

/// Whoever names no key counts records.
#[test]
fn records_without_a_key_are_asked_for_by_their_number() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.csv", "b.csv"] {
        std::fs::write(directory.path().join(name), format!("name\n{name} 1\n{name} 2\n")).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (path, key, expected) in [("a.csv", "2", "a.csv 2"), ("*.csv", "b.csv:1", "b.csv 1")] {
        let mut connection = connection(directory.path(), path, FileFormat::Csv, Compression::None);
        connection.streams[0].as_mut().unwrap().key = Path::parse("$").unwrap();
        let found = runtime.block_on(connection.get(0, key)).unwrap().unwrap();
        assert_eq!(
            found.value().unwrap().get("name").and_then(Value::as_text),
            Some(expected)
        );
    }
}

#[test]
fn a_sink_that_is_not_committed_leaves_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    for format in [FileFormat::Ndjson, FileFormat::Csv, FileFormat::Parquet] {
        let connection = connection(directory.path(), "rows", format, Compression::None);
        std::fs::write(directory.path().join("rows"), "before").unwrap();
        let mut sink = connection.open_sink(0, &columns()).unwrap();
        sink.append(&batch(&[(1, None)])).unwrap();
        sink.abort();
        let mut dropped = connection.open_sink(0, &columns()).unwrap();
        dropped.append(&batch(&[(1, None)])).unwrap();
        drop(dropped);
        assert_eq!(
            std::fs::read_to_string(directory.path().join("rows")).unwrap(),
            "before"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (path, format) in [("a.json", FileFormat::Json), ("*.csv", FileFormat::Csv)] {
        let connection = connection(directory.path(), path, format, Compression::None);
        let error = connection.open_sink(0, &columns()).unwrap_err();
        assert!(matches!(error, ConnectorError::Unsupported { .. }), "{error}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let missing = connection(directory.path(), "no.csv", FileFormat::Csv, Compression::None);
    assert!(read_all(&missing).unwrap_err().to_string().contains("no.csv"));
}
