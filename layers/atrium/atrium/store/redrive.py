"""Sending again: for each letter in DeadLetters an invocation of the function that failed, or was not reached, on
what it was about; and records for the publisher, in the place of those that the stream lost. So what is done twice is
done once, and what is allowed is what that function may, as the first time.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atrium import keys
from atrium.store.engine.client import bears_any_failure
from atrium.store.letters import Letter
from atrium.telemetry import say, what_failed

# A little more than the longest of the functions may take.
LONGEST_SECONDS = 310

# What one invocation has of the stream's records, in bytes of JSON: Lambda takes 6 MB, a record may have 1.6.
_MAX_PAYLOAD_BYTES = 4_000_000

Record = dict[str, Any]


class _FailedAgain(Exception):
    """The function failed, or said that it did."""


class _NotSent(Exception):
    """There is nothing that could be sent."""


def publish_again(records: Sequence[Mapping[str, Any]]) -> set[str]:
    """Gives records of roots to the publisher. Returns the positions of those that it did not publish."""
    try:
        result = _invoke(os.environ["PUBLISH_EVENTS"], {"redriven": True, "Records": records})
    except (_FailedAgain, ClientError, BotoCoreError) as error:
        say("Not published again", "ERROR", **what_failed(error))
        return {record["dynamodb"]["SequenceNumber"] for record in records}
    return {each["itemIdentifier"] for each in result["batchItemFailures"]}


def send_again(letter: Letter) -> tuple[str, str]:
    """What became of a letter: "sent", "failed" again, or "left" since there is nothing to send; and why."""
    try:
        for function, event in _invocations(letter):
            result = _invoke(function, event)
            if isinstance(result, dict) and result.get("batchItemFailures"):
                raise _FailedAgain(f"{function} says why in its log")
    except _FailedAgain as failure:
        return "failed", str(failure)
    except _NotSent as reason:
        return "left", str(reason)
    except ClientError as error:
        return "failed", f"AWS said {error.response['Error']['Code']}"
    except BotoCoreError as error:
        return "failed", type(error).__name__
    return "sent", ""


def _invocations(letter: Letter) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The functions to invoke, in turn, and on what. Raises _NotSent."""
    try:
        body = json.loads(letter.body)
    except ValueError:
        body = None
    # As it came: parsed and written again, a number may be spelled otherwise.
    message = {"messageId": letter.id, "body": letter.body}
    match body:
        case {"DDBStreamBatchInfo": place, "requestContext": {"functionArn": str(arn)}}:
            yield from _of_the_stream(_name(arn), place)
        case {"requestPayload": {"Records": [*_]} as payload}:
            yield os.environ["PUBLISH_EVENTS"], payload
        case {"requestPayload": {"detail-type": "project.created"} as payload}:
            yield os.environ["ADD_VIEWER"], payload
        case {"source": "atrium", "detail": {}} | {"due": {}} | {"recover": {}}:
            # Either rule may have missed the event. Both functions do once what they did before.
            if body.get("detail-type") == "project.created":
                yield os.environ["ADD_VIEWER"], body
            yield os.environ["FAN_OUT_EVENTS"], {"Records": [message]}
        case {"detail-type": "project.requested"}:
            yield os.environ["CREATE_PROJECT_FROM_EVENT"], {"Records": [message]}
        case _:
            raise _NotSent("Not a letter of a kind that is known")


def _of_the_stream(function: str, place: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A letter that only says where in the stream the records are, which has them for a day."""
    if function == os.environ["PUBLISH_EVENTS"]:
        wanted = is_change
    elif function == os.environ["PURGE_DELETED"]:
        wanted = is_deletion
    else:
        raise _NotSent("Of a function of another stack")
    batch: list[Record] = []
    size = 0
    for record in _records(place):
        if wanted(record):
            more = len(json.dumps(record))
            if batch and size + more > _MAX_PAYLOAD_BYTES:
                yield function, {"redriven": True, "Records": batch}
                batch, size = [], 0
            batch.append(record)
            size += more
    if batch:
        yield function, {"redriven": True, "Records": batch}


# What the template's filters let through, but for the pulse.


def is_change(record: Mapping[str, Any]) -> bool:
    """Whether a record of the stream is one of PublishEvents."""
    change = record["dynamodb"]
    counted = "N" in change.get("NewImage", {}).get("sequence", {})
    return record["eventName"] != "REMOVE" and keys.is_root(change["Keys"]["sk"]["S"]) and counted


def is_deletion(record: Mapping[str, Any]) -> bool:
    """Whether a record of the stream is one of PurgeDeleted."""
    return bool(record["eventName"] == "INSERT" and record["dynamodb"]["Keys"]["pk"]["S"].startswith(keys.PURGE_PREFIX))


def _records(place: Mapping[str, Any]) -> Iterator[Record]:
    """All records of a place in the stream, as Lambda has them. Raises _NotSent once the stream has forgotten one."""
    client = _streams()
    last = int(place["endSequenceNumber"])
    try:
        iterator = client.get_shard_iterator(
            StreamArn=place["streamArn"],
            ShardId=place["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=place["startSequenceNumber"],
        )["ShardIterator"]
        while iterator:
            page = client.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                position = int(record["dynamodb"]["SequenceNumber"])
                if position > last:
                    return
                created = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
                change = {**record["dynamodb"], "ApproximateCreationDateTime": int(created)}
                yield {**record, "dynamodb": change}
                if position == last:
                    return
            iterator = page.get("NextShardIterator")
    except (client.exceptions.TrimmedDataAccessException, client.exceptions.ResourceNotFoundException):
        raise _NotSent("The stream has forgotten what it is about") from None


def _name(arn: str) -> str:
    """The function's name in an ARN, which may name a version, too."""
    return arn.split(":")[6]


def _invoke(function: str, event: Mapping[str, Any]) -> Any:
    """The function's result. Raises _FailedAgain."""
    answer = _lambdas().invoke(FunctionName=function, Payload=json.dumps(event))
    result = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise _FailedAgain(f"{function} raised {result.get('errorType')}")
    return result


@cache
def _streams() -> Any:
    config = Config(connect_timeout=1, read_timeout=10, retries={"total_max_attempts": 3})
    return bears_any_failure(boto3.client("dynamodbstreams", config=config))


@cache
def _lambdas() -> Any:
    # One attempt: one that takes its time would be made again beside itself.
    config = Config(connect_timeout=1, read_timeout=LONGEST_SECONDS, retries={"total_max_attempts": 1})
    return bears_any_failure(boto3.client("lambda", config=config))
