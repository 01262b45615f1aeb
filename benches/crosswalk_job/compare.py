#!/usr/bin/env python3
"""Whether outputs of the crosswalk job hold the same tickets: compare.py REFERENCE.parquet OUTPUT.parquet..."""

import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def column(path, name, order):
    values = pq.read_table(path, columns=[name])[name]
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", "UTC"))
    elif not pa.types.is_integer(values.type):
        values = values.cast(pa.large_string())
    return values.combine_chunks().take(order)


reference, outputs = sys.argv[1], sys.argv[2:]
names = pq.read_schema(reference).names
wrong = 0
for output in outputs:
    orders = [pc.sort_indices(pq.read_table(path, columns=["ticket_id"])["ticket_id"]) for path in (reference, output)]
    different = [
        name for name in names
        if not column(reference, name, orders[0]).equals(column(output, name, orders[1]))
    ] if len(orders[0]) == len(orders[1]) else ["the number of rows"]
    wrong += bool(different)
    print(f"{output}: {'equal' if not different else 'DIFFERENT in ' + ', '.join(different)}")
sys.exit(1 if wrong else 0)
