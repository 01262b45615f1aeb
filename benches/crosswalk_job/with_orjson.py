#!/usr/bin/env python3
"""The crosswalk job by hand in Python: orjson parses, pyarrow writes. with_orjson.py DIRECTORY OUT.parquet

It is also the reference that `compare.py` holds the other outputs against.
"""

import sys
from datetime import datetime

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

directory, out = sys.argv[1:3]
PRIORITIES = {"low": "low", "normal": "normal", "high": "high", "urgent": "high", None: "normal"}
STATES = {"new": "open", "open": "open", "pending": "in_progress", "hold": "in_progress", "solved": "closed", "closed": "closed"}
INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([
    ("ticket_id", pa.int64()), ("subject", pa.string()), ("description", pa.string()), ("assigned_to", pa.int64()),
    ("priority", pa.string()), ("status", pa.string()), ("requester_email", pa.string()), ("created_at", INSTANT),
    ("updated_at", INSTANT), ("raw", pa.string()),
])


def records(name):
    with open(f"{directory}/{name}.ndjson", "rb") as lines:
        for line in lines:
            yield line.rstrip(b"\n"), orjson.loads(line)


emails = {person["id"]: person["email"] and person["email"].lower() for _, person in records("people")}
agents = {}
for _, agent in records("agents"):
    agents.setdefault(agent["email"].lower(), agent["id"])
assigned = {person: agents.get(email, 1) for person, email in emails.items()}

with pq.ParquetWriter(out, SCHEMA, compression="zstd", compression_level=3, use_dictionary=["priority", "status"]) as file:
    columns = [[] for _ in SCHEMA]

    def write():
        if columns[0]:
            file.write_batch(pa.record_batch([pa.array(column, field.type) for column, field in zip(columns, SCHEMA)], schema=SCHEMA))
        for column in columns:
            column.clear()

    for line, ticket in records("tickets"):
        row = (
            ticket["id"], ticket["subject"], ticket["description"], assigned.get(ticket["assignee_id"], 1),
            PRIORITIES[ticket["priority"]], STATES[ticket["status"]], emails.get(ticket["requester_id"]),
            datetime.fromisoformat(ticket["created_at"]), datetime.fromisoformat(ticket["updated_at"]), line.decode(),
        )
        for column, value in zip(columns, row):
            column.append(value)
        if len(columns[0]) == 20_000:
            write()
    write()
