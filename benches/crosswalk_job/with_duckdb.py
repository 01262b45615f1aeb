#!/usr/bin/env python3
"""The crosswalk job in DuckDB: with_duckdb.py DIRECTORY OUT.parquet [strict|paths]

`strict` transforms each line into a struct, `paths` extracts member by member; take the better one.
"""

import sys

import duckdb

directory, out, variant = sys.argv[1], sys.argv[2], (sys.argv[3:] or ["strict"])[0]
NUMBERS, TEXTS = ["id", "assignee_id", "requester_id"], ["subject", "description", "priority", "status", "created_at", "updated_at"]
if variant == "strict":
    shape = ", ".join([f'"{name}": "BIGINT"' for name in NUMBERS] + [f'"{name}": "VARCHAR"' for name in TEXTS])
    source = f"SELECT json::VARCHAR AS raw, unnest(json_transform_strict(json, '{{{shape}}}')) FROM lines"
else:
    members = [f"(json ->> '$.{name}')::BIGINT AS {name}" for name in NUMBERS] + [f"json ->> '$.{name}' AS {name}" for name in TEXTS]
    source = f"SELECT json::VARCHAR AS raw, {', '.join(members)} FROM lines"

session = duckdb.connect()
session.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
session.execute(f"""
    CREATE VIEW lines AS SELECT json FROM read_ndjson_objects('{directory}/tickets.ndjson');
    CREATE TABLE person AS
        SELECT id, lower(email) AS email
        FROM read_ndjson('{directory}/people.ndjson', columns = {{id: 'BIGINT', email: 'VARCHAR'}});
    CREATE TABLE agent AS
        SELECT lower(email) AS email, min(id) AS id
        FROM read_ndjson('{directory}/agents.ndjson', columns = {{id: 'BIGINT', email: 'VARCHAR'}})
        GROUP BY 1;
    CREATE TABLE assignee AS SELECT person.id, agent.id AS agent FROM person JOIN agent USING (email);
""")
session.execute(f"""
    COPY (
        SELECT
            ticket.id AS ticket_id,
            subject,
            description,
            coalesce(assignee.agent, 1)::BIGINT AS assigned_to,
            CASE
                WHEN priority IS NULL THEN 'normal'
                WHEN priority IN ('low', 'normal', 'high') THEN priority
                WHEN priority = 'urgent' THEN 'high'
                ELSE error('unknown priority ' || priority)
            END AS priority,
            CASE
                WHEN status IN ('new', 'open') THEN 'open'
                WHEN status IN ('pending', 'hold') THEN 'in_progress'
                WHEN status IN ('solved', 'closed') THEN 'closed'
                ELSE error('unknown status')
            END AS status,
            requester.email AS requester_email,
            created_at::TIMESTAMPTZ AS created_at,
            updated_at::TIMESTAMPTZ AS updated_at,
            raw
        FROM ({source}) AS ticket
        LEFT JOIN assignee ON assignee.id = ticket.assignee_id
        LEFT JOIN person AS requester ON requester.id = ticket.requester_id
    ) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)
""")
