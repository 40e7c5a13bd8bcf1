"""The queue DeadLetters: what could not be processed, as letters in the forms of Lambda, of the bus and of a queue."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atrium.errors import Unavailable
from atrium.models import timestamp
from atrium.settings import settings
from atrium.store.engine.client import bears_any_failure

# As many letters as SQS hands out at a time.
_AT_ONCE = 10

# Characters that JSON has as they are and SQS takes in no message.
_NOT_IN_MESSAGES = re.compile("[\ufffe\uffff]")


class Letter(NamedTuple):
    """A letter that was received; `receipt` is what SQS wants to hear of it."""

    id: str
    receipt: str
    body: str


class DeadLetters:
    """The queue of a URL. Every method raises Unavailable."""

    def __init__(self, url: str, client: Any) -> None:
        self._url = url
        self._client = client

    def leave(self, record: Mapping[str, Any], condition: str, context: Any) -> None:
        """Leaves a record of the stream that a function, whose `context` it is, cannot process: in the form of Lambda's
        own letters about events that are lost otherwise. Of the image before the change it keeps what tells the change
        from a repair, so that any item of a table fits into a message, which takes 1 MiB.
        """
        change = dict(record["dynamodb"])
        if "OldImage" in change:
            change["OldImage"] = {
                name: change["OldImage"][name] for name in ("sequence",) if name in change["OldImage"]
            }
        letter = {
            "version": "1.0",
            "timestamp": timestamp(datetime.now(UTC)),
            "requestContext": {
                "requestId": context.aws_request_id,
                "functionArn": context.invoked_function_arn,
                "condition": condition,
                "approximateInvokeCount": 1,
            },
            # Sent again, what fails is reported: another letter about it would have the first one taken for done.
            "requestPayload": {"redriven": True, "Records": [{**record, "dynamodb": change}]},
        }
        body = json.dumps(letter, ensure_ascii=False, separators=(",", ":"))
        text = _NOT_IN_MESSAGES.sub(lambda found: f"\\u{ord(found[0]):04x}", body)
        self._ask("send_message", MessageBody=text)

    def receive(self, hidden_for: int) -> list[Letter]:
        """Some of the letters that wait, hidden from other readers for so many seconds; none where none is left."""
        # Without waiting, SQS asks some of its servers, and what is on the others seems not to be there.
        answer = self._ask(
            "receive_message", MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=1, VisibilityTimeout=hidden_for
        )
        return [Letter(each["MessageId"], each["ReceiptHandle"], each["Body"]) for each in answer.get("Messages", [])]

    def delete(self, letter: Letter) -> None:
        self._ask("delete_message", ReceiptHandle=letter.receipt)

    def put_back(self, letter: Letter) -> None:
        """Lets a letter be seen again."""
        self._ask("change_message_visibility", ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def _ask(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(QueueUrl=self._url, **parameters)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error
        return answer


@cache
def dead_letters() -> DeadLetters:
    """This stack's."""
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return DeadLetters(settings().dead_letters, bears_any_failure(boto3.client("sqs", config=config)))
