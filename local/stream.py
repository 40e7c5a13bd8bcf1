"""Reads the table's stream from DynamoDB Local: each event source at its own pace, from its stored position.

The engine keeps the stream in the table's file, so shards, stream records and sequence numbers survive restarts and
kills. Only iterators must be requested again.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.directory import write_privately
from local.event_sources import Record
from local.template import REGION, EventSource

# Delivers stream records of a shard; yields sequence numbers up to which all records are done.
Deliver = Callable[[str, list[Record]], Iterator[str]]

# Stands for a sequence number when the shard is closed and all its records are done.
_ENDED = "ended"


class StreamReader:
    """Reads the stream for one event source. `file` stores its position; `flush` waits until the records that the
    engine has shown are on disk.
    """

    def __init__(self, client: Any, stream: str, source: EventSource, file: Path, flush: Callable[[], None]) -> None:
        self._client = client
        self._stream = stream
        self._source = source
        self._file = file
        self._flush = flush
        # By shard, the sequence number up to which all records are done.
        self._positions: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        # By shard, the iterator of the next read.
        self._iterators: dict[str, str] = {}

    def poll(self, deliver: Deliver) -> None:
        """Reads and delivers the new records of each open shard. Raises BotoCoreError and ClientError when the engine
        fails; the next poll continues at the position.
        """
        try:
            if not self._iterators:
                self._open_shards()
            for shard, iterator in list(self._iterators.items()):
                self._read(shard, iterator, deliver)
        except (BotoCoreError, ClientError):
            self._iterators.clear()
            raise

    def _read(self, shard: str, iterator: str, deliver: Deliver) -> None:
        page = self._client.get_records(ShardIterator=iterator)
        if page["Records"]:
            # The engine shows a change a moment before it commits it. A change that a kill undoes must not be
            # delivered: after a restart its sequence number belongs to another change, which would be skipped.
            self._flush()
            for position in deliver(shard, [self._as_in_lambda(record) for record in page["Records"]]):
                self._keep(shard, position)
        if page.get("NextShardIterator"):
            self._iterators[shard] = page["NextShardIterator"]
        else:
            self._keep(shard, _ENDED)
            self._iterators.clear()  # the next poll opens its children

    def _open_shards(self) -> None:
        """Opens every unfinished shard; a child shard waits for its parent."""
        known = bool(self._positions)
        shards = {shard["ShardId"]: shard.get("ParentShardId") for shard in self._shards()}
        self._positions = {shard: position for shard, position in self._positions.items() if shard in shards}
        for shard, parent in shards.items():
            position = self._positions.get(shard)
            waits = parent is not None and parent in shards and self._positions.get(parent) != _ENDED
            if waits or position == _ENDED:
                continue
            start = "TRIM_HORIZON" if known else self._source.starting_position
            self._iterators[shard] = self._iterator(shard, start, position)

    def _shards(self) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            found = self._client.describe_stream(StreamArn=self._stream, **more)["StreamDescription"]
            yield from found["Shards"]
            if "LastEvaluatedShardId" not in found:
                return
            more = {"ExclusiveStartShardId": found["LastEvaluatedShardId"]}

    def _iterator(self, shard: str, start: str, position: str | None) -> str:
        where = {"StreamArn": self._stream, "ShardId": shard}
        if position is not None:
            try:
                after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
                return str(self._client.get_shard_iterator(**where, **after)["ShardIterator"])
            except self._client.exceptions.TrimmedDataAccessException:
                start = "TRIM_HORIZON"  # the position is older than a day, which is as long as the stream keeps records
        return str(self._client.get_shard_iterator(**where, ShardIteratorType=start)["ShardIterator"])

    def _keep(self, shard: str, position: str) -> None:
        if self._positions.get(shard) != position:
            self._positions[shard] = position
            write_privately(self._file, self._positions)

    def _as_in_lambda(self, record: Record) -> Record:
        change = {
            **record["dynamodb"],
            "ApproximateCreationDateTime": int(record["dynamodb"]["ApproximateCreationDateTime"].timestamp()),
        }
        return {**record, "awsRegion": REGION, "dynamodb": change, "eventSourceARN": self._source.source}
