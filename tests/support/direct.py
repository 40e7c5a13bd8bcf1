"""The engine past the SDK, which would take most of the time of a test that reads a whole table again and again."""

import json
import os
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from atrium.keys import Key
from local.template import REGION
from tests.support.proxy import sent

# Of one call.
_MAX_WRITTEN = 25


class Direct:
    """A table as the engine at `endpoint` has it, in the form that is sent. `key` is the access key id that the engine
    takes.
    """

    def __init__(self, endpoint: str, key: str, name: str) -> None:
        self.name = name
        self._connection = HTTPConnection(urlsplit(endpoint).netloc)
        credential = f"{key}/20260101/{REGION}/dynamodb/aws4_request"
        self._headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=none",
        }

    def call(self, operation: str, params: Any) -> tuple[str | None, Any]:
        """The code of the error, None for none, and the answer."""
        headers = {**self._headers, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        response = sent(self._connection, headers, json.dumps(params).encode())
        answer = json.loads(response.read())
        return (None if response.status == 200 else answer["__type"].rpartition("#")[2]), answer

    def answer(self, operation: str, **params: Any) -> Any:
        error, answer = self.call(operation, params)
        assert error is None, answer
        return answer

    def items(self) -> dict[Key, Any]:
        """All of them."""
        return {key_of(item): item for page in self._pages() for item in page["Items"]}

    def _pages(self) -> Iterator[Any]:
        start: dict[str, Any] = {}
        while True:
            page = self.answer("Scan", TableName=self.name, ConsistentRead=True, **start)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def write(self, puts: Sequence[Any], deletes: Sequence[Key] = ()) -> None:
        """Puts items, and deletes others."""
        writes: list[Any] = [{"PutRequest": {"Item": item}} for item in puts]
        writes += [{"DeleteRequest": {"Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}} for key in deletes]
        for first in range(0, len(writes), _MAX_WRITTEN):
            batch = writes[first : first + _MAX_WRITTEN]
            assert not self.answer("BatchWriteItem", RequestItems={self.name: batch})["UnprocessedItems"]

    def close(self) -> None:
        self._connection.close()


def direct() -> Direct:
    """The table of the world that runs."""
    return Direct(*(os.environ[name] for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ACCESS_KEY_ID", "TABLE_NAME")))


def key_of(item: Any) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])
