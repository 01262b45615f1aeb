//! What one record costs: cutting a page into records, reading the members that rules name, filling columns, and
//! writing them as Parquet.
//!
//! `cargo bench --bench records`. The whole job, beside other tools, is `benches/crosswalk_job.md`.

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark of its own input may end where that is wrong"
)]

use std::hint::black_box;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crosswalk::compile::compiled::{Column, WritePolicy};
use crosswalk::expression::{Path, Projection, Record, TargetType, Value, parse_json, split_records};
use crosswalk::mapping::Columns;
use crosswalk::snapshot::{ColumnBatch, ColumnsBuilder, ParquetFile};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: usize = 1000;
const READ: [&str; 6] = [
    "id",
    "subject",
    "description",
    "status",
    "assignee_id",
    "updated_at",
];

/// A ticket of about two kilobytes, most of which no rule reads.
fn record(number: usize) -> String {
    let words = "the export failed again when we opened the report, please check the attached \\\"log\\\"\\n";
    let fields: Vec<String> = (0..20)
        .map(|field| format!("{{\"id\":{},\"value\":\"option {field}\"}}", 360_000 + field))
        .collect();
    format!(
        "{{\"id\":{number},\"url\":\"https://helpdesk.example/tickets/{number}\",\"subject\":\"Export {number} fails\",\
         \"description\":\"{}\",\"status\":\"{}\",\"assignee_id\":{},\"updated_at\":\"2026-11-20T10:00:{:02}Z\",\
         \"tags\":[\"export\",\"report\"],\"custom_fields\":[{}],\"satisfaction\":{{\"score\":\"good\"}}}}",
        words.repeat(3 + number % 7),
        ["new", "open", "closed"][number % 3],
        number % 50,
        number % 60,
        fields.join(",")
    )
}

fn columns() -> Vec<Column> {
    [
        TargetType::Integer,
        TargetType::Text,
        TargetType::Text,
        TargetType::Text,
        TargetType::Integer,
        TargetType::Time(Arc::default()),
    ]
    .into_iter()
    .zip(READ)
    .map(|(column_type, name)| Column {
        name: name.to_owned(),
        column_type,
        write: WritePolicy::Always,
    })
    .collect()
}

fn projection() -> Projection {
    let mut projection = Projection::new();
    for name in READ {
        projection.add_path(&Path::parse(&format!("$.{name}")).expect("a path"));
    }
    projection
}

fn filled(records: &[Record], columns: &[Column], projection: &Projection) -> ColumnBatch {
    let mut builder = ColumnsBuilder::new(columns);
    for record in records {
        let value = record.project(projection).expect("a record");
        for (column, name) in READ.iter().enumerate() {
            let cell = value.get(name);
            let time = match cell {
                Some(Value::Text(text)) if *name == "updated_at" => {
                    Some(Value::Time(text.parse().expect("a time")))
                }
                _ => None,
            };
            builder
                .append(column, time.as_ref().or(cell))
                .expect("a value that fits");
        }
        builder.end_row();
    }
    builder.finish().expect("a batch")
}

fn benchmarks(criterion: &mut Criterion) {
    let texts: Vec<String> = (0..RECORDS).map(record).collect();
    let page = Bytes::from(format!(
        "{{\"tickets\":[{}],\"count\":{RECORDS}}}",
        texts.join(",")
    ));
    let at = Path::parse("$.tickets").expect("a path");
    let records: Vec<Record> = split_records(&page, &at)
        .expect("a page")
        .into_iter()
        .map(Record::new)
        .collect();
    let (columns, projection) = (columns(), projection());
    let batch = filled(&records, &columns, &projection);

    let mut group = criterion.benchmark_group("a page of 1000 records");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("cut into records", |bench| {
        bench.iter(|| black_box(split_records(&page, &at).expect("a page")));
    });
    group.bench_function("parse whole", |bench| {
        bench.iter(|| {
            records
                .iter()
                .map(|record| parse_json(record.text()).expect("a record"))
                .for_each(drop)
        });
    });
    group.bench_function("parse what rules read", |bench| {
        bench.iter(|| {
            records
                .iter()
                .map(|record| record.project(&projection).expect("a record"))
                .for_each(drop)
        });
    });
    group.bench_function("parse and fill columns", |bench| {
        bench.iter(|| black_box(filled(&records, &columns, &projection)));
    });
    group.bench_function("write as Parquet", |bench| {
        bench.iter_batched(
            || ParquetFile::new(Vec::new(), &columns),
            |mut file| {
                let path = FilePath::new("bench.parquet");
                file.write(&batch, path).expect("rows");
                black_box(file.finish(path).expect("a file"))
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(records, benchmarks);
criterion_main!(records);
