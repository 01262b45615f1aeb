#!/usr/bin/env python3
"""The crosswalk job in Polars' streaming engine: with_polars.py DIRECTORY OUT.parquet"""

import sys

import polars as pl

directory, out = sys.argv[1:3]
PRIORITIES = {"low": "low", "normal": "normal", "high": "high", "urgent": "high"}
STATES = {"new": "open", "open": "open", "pending": "in_progress", "hold": "in_progress", "solved": "closed", "closed": "closed"}
READ = {
    "id": pl.Int64, "subject": pl.String, "description": pl.String, "assignee_id": pl.Int64, "priority": pl.String,
    "status": pl.String, "requester_id": pl.Int64, "created_at": pl.String, "updated_at": pl.String,
}


def lower_email(name, members):
    frame = pl.read_ndjson(f"{directory}/{name}.ndjson", schema=members)
    return frame.select("id", email=pl.col("email").str.to_lowercase())


def instant(name):
    return pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC").alias(name)


people = lower_email("people", {"id": pl.Int64, "name": pl.String, "email": pl.String, "role": pl.String})
agents = lower_email("agents", {"id": pl.Int64, "username": pl.String, "email": pl.String, "enabled": pl.Boolean})
agents = agents.group_by("email").agg(pl.col("id").min())
assignees = people.join(agents, on="email").select(assignee_id="id", assigned_to="id_right").lazy()
requesters = people.select(requester_id="id", requester_email="email").lazy()

tickets = pl.scan_lines(f"{directory}/tickets.ndjson", name="raw")
tickets = tickets.with_columns(ticket=pl.col("raw").str.json_decode(pl.Struct(READ))).unnest("ticket")
joined = tickets.join(assignees, on="assignee_id", how="left").join(requesters, on="requester_id", how="left")
joined.select(
    pl.col("id").alias("ticket_id"),
    "subject",
    "description",
    pl.col("assigned_to").fill_null(1),
    pl.col("priority").fill_null("normal").replace_strict(PRIORITIES, return_dtype=pl.String),
    pl.col("status").replace_strict(STATES, return_dtype=pl.String),
    "requester_email",
    instant("created_at"),
    instant("updated_at"),
    "raw",
).sink_parquet(out, compression="zstd", compression_level=3, engine="streaming", maintain_order=False)
