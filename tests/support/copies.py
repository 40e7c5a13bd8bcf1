"""Many projects or records, written without the API."""

import json
import os

import boto3

from atrium.ids import new_id
from tests.support.client import v1_id


def copies(id: str, count: int) -> None:
    """More of what has the id, made past the API: every row whose key names it, under new ids."""
    client = boto3.client("dynamodb")
    table = os.environ["TABLE_NAME"]
    pages = client.get_paginator("scan").paginate(TableName=table)
    rows = [row for page in pages for row in page["Items"] if id in row["pk"]["S"] + row["sk"]["S"]]
    texts = [json.dumps(row) for row in rows]
    puts = [
        {"PutRequest": {"Item": json.loads(text.replace(id, new).replace(v1_id(id), v1_id(new)))}}
        for new in (new_id() for _ in range(count))
        for text in texts
    ]
    for position in range(0, len(puts), 25):
        made = client.batch_write_item(RequestItems={table: puts[position : position + 25]})
        assert not made["UnprocessedItems"]
