"""The stream of a crowd's table, in Lambda's form."""

from collections.abc import Iterable, Iterator
from typing import Any

import boto3

from atrium.keys import is_root
from local.template import REGION, TABLE_NAME
from tests.support.world import KEY, Crowd

Record = dict[str, Any]


class Stream:
    """The records from now on, or with TRIM_HORIZON all that are kept; shard after shard."""

    def __init__(self, crowd: Crowd, start: str = "LATEST") -> None:
        self._client = boto3.client(
            "dynamodbstreams",
            endpoint_url=crowd.client.meta.endpoint_url,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key="unused",
        )
        arn = crowd.client.describe_table(TableName=TABLE_NAME)["Table"]["LatestStreamArn"]
        shards = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterators: dict[str, str | None] = {
            shard["ShardId"]: self._client.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=start
            )["ShardIterator"]
            for shard in shards
        }

    def records(self) -> Iterator[Record]:
        """Those that were not given yet."""
        for shard, iterator in self._iterators.items():
            empty = 0
            while iterator and empty < 3:
                page = self._client.get_records(ShardIterator=iterator)
                yield from page["Records"]
                empty = 0 if page["Records"] else empty + 1
                iterator = page.get("NextShardIterator")
            self._iterators[shard] = iterator


def changes(records: Iterable[Record]) -> Iterator[Record]:
    """Those of roots that match the template's filter."""
    for record in records:
        change = record["dynamodb"]
        if is_root(change["Keys"]["sk"]["S"]) and "sequence" in change.get("NewImage", {}):
            yield record
