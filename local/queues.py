"""The template's queues: SQS's operations on them, and the messages that wait in them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.event_sources import MessageQueue
from local.journal import Journal
from local.letters import MAX_BYTES, REFUSED, Answer, Letters
from local.template import Queue

# The queue whose messages are the lines of a file, for people and `make redrive`.
DEAD_LETTERS = "DeadLetters"

# SQS's limits: the messages of a batch, and seconds by which a message is delayed.
MAX_ENTRIES = 10
MAX_DELAY = 900

_ENTRY_ID = re.compile("[A-Za-z0-9_-]{1,80}")
_GROUP_OR_ONCE = re.compile("[!-~]{1,128}")

# An error code of SQS, with its explanation.
Refusal = tuple[str, str]


class Queues:
    """The queues by ARN. Their messages are in memory, except the dead letters, and with a directory in journals."""

    def __init__(self, settings: Mapping[str, Queue], letters: Letters, directory: Path | None = None) -> None:
        if directory:
            directory.mkdir(exist_ok=True)
        self.by_arn = {arn: MessageQueue(each, _journal(directory, each)) for arn, each in settings.items()}
        self._by_name = {queue.settings.name: queue for queue in self.by_arn.values()}
        self._letters = letters

    def answer(self, operation: str, request: Mapping[str, Any]) -> Answer:
        """The status and body of the answer to a request to SQS."""
        name = request["QueueUrl"].rpartition("/")[2]
        if name not in self._by_name:
            return _refused(("QueueDoesNotExist", "The specified queue does not exist."))
        if name == DEAD_LETTERS:
            return self._letters.answer(operation, request)
        queue = self._by_name[name]
        match operation:
            case "SendMessage":
                refusal = _refusal(queue.settings, request)
                return _refused(refusal) if refusal else (200, _send(queue, request))
            case "SendMessageBatch":
                return _send_batch(queue, request["Entries"])
        return 400, {"__type": "UnknownOperationException", "message": operation}


def _journal(directory: Path | None, queue: Queue) -> Journal | None:
    return Journal(directory / f"{queue.name}.jsonl") if directory and queue.name != DEAD_LETTERS else None


def _refused(refusal: Refusal) -> Answer:
    code, why = refusal
    return 400, {"__type": f"com.amazonaws.sqs#{code}", "message": why}


def _send(queue: MessageQueue, request: Mapping[str, Any]) -> dict[str, str]:
    message = queue.send(
        request["MessageBody"],
        delay=request.get("DelaySeconds", 0),
        group=request.get("MessageGroupId"),
        once=request.get("MessageDeduplicationId"),
    )
    sent = {"MessageId": message.id, "MD5OfMessageBody": message.md5}
    return sent | ({"SequenceNumber": message.sequence_number} if queue.settings.fifo else {})


def _send_batch(queue: MessageQueue, entries: Sequence[Mapping[str, Any]]) -> Answer:
    """Refuses the whole batch for its form, and else each message by itself."""
    if refusal := _refusal_of_batch(entries):
        return _refused(refusal)
    successful, failed = [], []
    for entry in entries:
        if refusal := _refusal(queue.settings, entry):
            code, why = refusal
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code, "Message": why})
        else:
            successful.append({"Id": entry["Id"], **_send(queue, entry)})
    return 200, {"Successful": successful, "Failed": failed}


def _refusal_of_batch(entries: Sequence[Mapping[str, Any]]) -> Refusal | None:
    ids = [entry["Id"] for entry in entries]
    if not entries:
        return "EmptyBatchRequest", "There are no entries in the batch."
    if len(entries) > MAX_ENTRIES:
        return (
            "TooManyEntriesInBatchRequest",
            f"A batch has at most {MAX_ENTRIES} entries, and this one {len(entries)}.",
        )
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        return "InvalidBatchEntryId", "An Id has 1 to 80 letters, digits, hyphens and underscores."
    if len(set(ids)) < len(ids):
        return "BatchEntryIdsNotDistinct", "Two entries have the same Id."
    if sum(_size(entry) for entry in entries) > MAX_BYTES:
        return "BatchRequestTooLong", f"A batch has at most {MAX_BYTES} bytes."
    return None


def _refusal(queue: Queue, entry: Mapping[str, Any]) -> Refusal | None:
    """The reason why SQS accepts no such message in this queue, or None."""
    group, once = entry.get("MessageGroupId"), entry.get("MessageDeduplicationId")
    delay = entry.get("DelaySeconds", 0)
    if not entry["MessageBody"]:
        return "MissingParameter", "The request must contain the parameter MessageBody."
    if REFUSED.search(entry["MessageBody"]):
        return "InvalidMessageContents", "A character is refused."
    if _size(entry) > MAX_BYTES:
        return "InvalidParameterValue", "A message is too long."
    if not 0 <= delay <= MAX_DELAY:
        return "InvalidParameterValue", f"DelaySeconds must be >= 0 and <= {MAX_DELAY}."
    if any(given is not None and not _GROUP_OR_ONCE.fullmatch(given) for given in (group, once)):
        return "InvalidParameterValue", "MessageGroupId and MessageDeduplicationId have 1 to 128 visible characters."
    if not queue.fifo:
        return ("InvalidParameterValue", "MessageDeduplicationId is for FIFO queues.") if once else None
    if delay:
        return "InvalidParameterValue", "DelaySeconds of a message is not for FIFO queues."
    if group is None:
        return "MissingParameter", "The request must contain the parameter MessageGroupId."
    if once is None:
        return "InvalidParameterValue", "The queue needs a MessageDeduplicationId."
    return None


def _size(entry: Mapping[str, Any]) -> int:
    """The bytes of a message. A character that UTF-8 does not have is refused later."""
    return len(entry["MessageBody"].encode(errors="replace"))
