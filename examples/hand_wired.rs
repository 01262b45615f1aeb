//! The crosswalk job wired by hand: what the library's parts cost without a run around them.
//!
//! `cargo run --release --example hand_wired -- DIRECTORY OUT.parquet [threads]`; see `benches/crosswalk_job.md`.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement may end where its input is not as it should be"
)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::Path as FilePath;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crosswalk::compile::compiled::{Column, WritePolicy};
use crosswalk::expression::{Path, Projection, Record, TargetType, Value};
use crosswalk::mapping::Columns;
use crosswalk::snapshot::{ColumnBatch, ColumnsBuilder, ParquetFile};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap();
    let out = arguments.next().unwrap();
    let threads: usize = arguments.next().map_or(2, |threads| threads.parse().unwrap());
    let time = TargetType::Time(Arc::default());
    let columns: Vec<Column> = [
        ("ticket_id", TargetType::Integer),
        ("subject", TargetType::Text),
        ("description", TargetType::Text),
        ("assigned_to", TargetType::Integer),
        ("priority", TargetType::Text),
        ("status", TargetType::Text),
        ("requester_email", TargetType::Text),
        ("created_at", time.clone()),
        ("updated_at", time),
        ("raw", TargetType::Json),
    ]
    .into_iter()
    .map(|(name, column_type)| Column {
        name: name.to_owned(),
        column_type,
        write: WritePolicy::Always,
    })
    .collect();
    let mut projection = Projection::new();
    for name in [
        "id",
        "subject",
        "description",
        "assignee_id",
        "priority",
        "status",
        "requester_id",
        "created_at",
        "updated_at",
    ] {
        projection.add_path(&Path::parse(&format!("$.{name}")).unwrap());
    }
    let mut emails: HashMap<String, String> = HashMap::new();
    for line in std::fs::read_to_string(format!("{directory}/users.ndjson"))
        .unwrap()
        .lines()
    {
        let user: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(email) = user["email"].as_str() {
            emails.insert(user["id"].to_string(), email.to_lowercase());
        }
    }
    let mut owners: HashMap<String, i64> = HashMap::new();
    for line in std::fs::read_to_string(format!("{directory}/oro_users.ndjson"))
        .unwrap()
        .lines()
    {
        let user: serde_json::Value = serde_json::from_str(line).unwrap();
        owners
            .entry(user["email"].as_str().unwrap().to_lowercase())
            .or_insert(user["id"].to_string().parse().unwrap());
    }
    let mut file = ParquetFile::new(
        BufWriter::with_capacity(1 << 18, File::create(&out).unwrap()),
        &columns,
    );
    let (pages, waiting) = sync_channel::<(usize, Vec<Bytes>)>(2);
    let waiting = Mutex::new(waiting);
    let (mapped, batches) = sync_channel::<(usize, ColumnBatch)>(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let pages = pages;
            let mut input = File::open(format!("{directory}/tickets.ndjson")).unwrap();
            let mut rest = Bytes::new();
            for number in 0.. {
                let mut buffer = Vec::with_capacity(rest.len() + (4 << 20));
                buffer.extend_from_slice(&rest);
                let read = input.by_ref().take(4 << 20).read_to_end(&mut buffer).unwrap();
                let text = Bytes::from(buffer);
                let mut start = 0;
                let mut lines = Vec::new();
                for end in memchr::memchr_iter(b'\n', &text) {
                    lines.push(text.slice(start..end));
                    start = end + 1;
                }
                rest = text.slice(start..);
                if read == 0 {
                    break;
                }
                pages.send((number, lines)).unwrap();
            }
        });
        for _ in 0..threads {
            let mapped = mapped.clone();
            let (waiting, columns, projection, emails, owners) =
                (&waiting, &columns, &projection, &emails, &owners);
            scope.spawn(move || {
                loop {
                    let page = waiting.lock().unwrap().recv();
                    let Ok((number, lines)) = page else { return };
                    let mut builder = ColumnsBuilder::new(columns);
                    for line in lines {
                        let record = Record::new(line);
                        let value = record.project(projection).unwrap();
                        map(&record, &value, &mut builder, emails, owners);
                    }
                    mapped.send((number, builder.finish().unwrap())).unwrap();
                }
            });
        }
        drop(mapped);
        let mut early = HashMap::new();
        let mut next = 0;
        for (number, batch) in batches {
            early.insert(number, batch);
            while let Some(batch) = early.remove(&next) {
                file.write(&batch, FilePath::new(&out)).unwrap();
                next += 1;
            }
        }
    });
    file.finish(FilePath::new(&out)).unwrap();
}

fn map(
    record: &Record,
    value: &Value<'_>,
    out: &mut ColumnsBuilder,
    emails: &HashMap<String, String>,
    owners: &HashMap<String, i64>,
) {
    let key = |name: &str| match value.get(name) {
        Some(Value::Number(number)) => Some(number.digits().to_owned()),
        _ => None,
    };
    out.append(0, value.get("id")).unwrap();
    out.append(1, value.get("subject")).unwrap();
    out.append(2, value.get("description")).unwrap();
    let owner = key("assignee_id")
        .and_then(|id| emails.get(&id))
        .and_then(|email| owners.get(email))
        .copied();
    out.append(3, Some(&Value::from(owner.unwrap_or(1)))).unwrap();
    let priority = match value.get("priority").and_then(Value::as_text) {
        None | Some("normal") => "normal",
        Some("low") => "low",
        Some("high" | "urgent") => "high",
        Some(_) => panic!(),
    };
    out.append(4, Some(&Value::text(priority))).unwrap();
    let status = match value.get("status").and_then(Value::as_text) {
        Some("new" | "open") => "open",
        Some("pending" | "hold") => "in_progress",
        Some("solved" | "closed") => "closed",
        _ => panic!(),
    };
    out.append(5, Some(&Value::text(status))).unwrap();
    let requester = key("requester_id")
        .and_then(|id| emails.get(&id))
        .map(|email| Value::text(email.as_str()));
    out.append(6, requester.as_ref()).unwrap();
    for (column, name) in [(7, "created_at"), (8, "updated_at")] {
        let time = value.get(name).and_then(Value::as_text).unwrap().parse().unwrap();
        out.append(column, Some(&Value::Time(time))).unwrap();
    }
    let raw = std::str::from_utf8(record.received()).unwrap();
    out.append(9, Some(&Value::text(raw))).unwrap();
    out.end_row();
}
