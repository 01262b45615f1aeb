#!/usr/bin/env python3
"""Extraction over HTTP with requests and orjson: with_requests.py ADDRESS OUT.parquet [write|parse]

`write` keeps each ticket's text in Parquet (zstd level 1, as snapshots are), `parse` only fetches and parses.
"""

import sys

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import requests

address, out, variant = sys.argv[1], sys.argv[2], (sys.argv[3:] or ["write"])[0]
ROWS_AT_ONCE = 10_000
SCHEMA = pa.schema([("record_key", pa.string()), ("raw", pa.string())])
session, cursor, count = requests.Session(), "0", 0
keys, texts = [], []
writer = pq.ParquetWriter(
    out, SCHEMA, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=False
) if variant == "write" else None


def flush():
    writer.write_table(pa.table([keys, texts], schema=SCHEMA))
    keys.clear()
    texts.clear()


while cursor is not None:
    answer = session.get(address, params={"cursor": cursor})
    answer.raise_for_status()
    page = orjson.loads(answer.content)
    count += len(page["tickets"])
    if writer:
        for ticket in page["tickets"]:
            keys.append(str(ticket["id"]))
            texts.append(orjson.dumps(ticket).decode())
        if len(keys) >= ROWS_AT_ONCE:
            flush()
    cursor = None if page["end_of_stream"] else page["after_cursor"]
if writer:
    flush()
    writer.close()
print(count)
