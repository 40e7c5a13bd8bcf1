"""The queue of dead letters: SQS's operations on a file of JSON lines."""

import json
import re
import threading
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from local.directory import append

Answer = tuple[int, dict[str, Any]]

# SQS's limit for a message, and the characters that a message may not have.
MAX_BYTES = 1024 * 1024
REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Letters:
    """Dead letters in a file that the owner of the data directory writes. A line is a letter with the `queue` that it
    is in; equal lines are one letter. Only this process knows which letters are hidden.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        # By receipt, the end of the time in which the letter is hidden, in seconds since 1970.
        self._hidden: dict[str, float] = {}

    def add(self, queue: str, letter: Mapping[str, Any]) -> str:
        """Leaves a letter in the queue named `queue`. Returns its line."""
        line = json.dumps({"queue": queue, **letter}, ensure_ascii=False)
        with self._lock:
            append(self._path, line)
        return line

    def answer(self, operation: str, request: Mapping[str, Any]) -> Answer:
        """The status and body of the answer to a request to SQS."""
        match operation:
            case "SendMessage" if len(request["MessageBody"].encode()) > MAX_BYTES:
                return 400, {"__type": "com.amazonaws.sqs#InvalidParameterValue", "message": "A message is too long."}
            case "SendMessage" if REFUSED.search(request["MessageBody"]):
                return 400, {"__type": "com.amazonaws.sqs#InvalidMessageContents", "message": "A character is refused."}
            case "SendMessage":
                self.add(request["QueueUrl"].rpartition("/")[2], json.loads(request["MessageBody"]))
                return 200, {"MessageId": "sent"}
            case "ReceiveMessage":
                return 200, {"Messages": self._receive(request["MaxNumberOfMessages"], request["VisibilityTimeout"])}
            case "ChangeMessageVisibility":
                self._hidden[request["ReceiptHandle"]] = time.time() + request["VisibilityTimeout"]
                return 200, {}
            case "DeleteMessage":
                self._delete(request["ReceiptHandle"])
                return 200, {}
        return 400, {"__type": "UnknownOperationException", "message": operation}

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines(keepends=True) if self._path.exists() else []

    def _receive(self, most: int, hidden_for: int) -> list[dict[str, str]]:
        now = time.time()
        with self._lock:
            waiting = {_receipt(line): line for line in self._lines()}
            found = [receipt for receipt in waiting if self._hidden.get(receipt, 0) <= now][:most]
            self._hidden |= dict.fromkeys(found, now + hidden_for)
        return [_message(receipt, waiting[receipt]) for receipt in found]

    def _delete(self, receipt: str) -> None:
        with self._lock:
            kept = [line for line in self._lines() if _receipt(line) != receipt]
            draft = self._path.with_suffix(".new")
            draft.write_text("".join(kept))
            draft.rename(self._path)
            self._hidden.pop(receipt, None)


def _receipt(line: str) -> str:
    return sha256(line.encode()).hexdigest()


def _message(receipt: str, line: str) -> dict[str, str]:
    letter = json.loads(line)
    letter.pop("queue")
    # A letter from another queue is a message, whose text is unchanged.
    id, body = letter.get("messageId", receipt), letter.get("body") or json.dumps(letter, ensure_ascii=False)
    return {"MessageId": id, "ReceiptHandle": receipt, "Body": body}
