"""EventBridge's PutEvents, behind a URL on this machine, with the operations of SQS, Lambda and KMS that functions
call.
"""

import hmac
import json
import re
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from local.functions import FunctionFailed, FunctionThrottled, FunctionTimedOut
from local.loopback import UNRECOGNIZED, Handler, listening, signed_with
from local.queues import Queues
from local.template import ACCOUNT, REGION

Entry = Mapping[str, Any]


_INVOCATION = re.compile("/2015-03-31/functions/([^/]+)/invocations")

# EventBridge's limits for one PutEvents.
MAX_ENTRIES = 10
MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class Event:
    """An event on the bus named `bus`, in EventBridge's envelope. `detail` is the JSON text as it was sent, on one
    line; parsing it would turn 1.10 into 1.1.
    """

    bus: str
    envelope: dict[str, Any]
    detail: str

    @property
    def text(self) -> str:
        """The envelope as JSON."""
        around = {name: value for name, value in self.envelope.items() if name != "detail"}
        return f'{json.dumps(around)[:-1]}, "detail": {self.detail}}}'


Take = Callable[[Event], object]


class Bus:
    """Hands each event to `take` before it answers the sender.

    Tests set hooks that imitate faults of a network and a service. `before` returns the indices of entries to refuse;
    `after` runs between taking the entries and sending the answer. An exception from either becomes an answer of 500, a
    ConnectionError a connection that closes without an answer.
    """

    def __init__(self, take: Take) -> None:
        self.url = ""
        self.before: Callable[[Sequence[Entry]], Collection[int]] = lambda _: ()
        self.after: Callable[[Sequence[Entry]], object] = lambda _: None
        self._take = take
        # Events are taken one at a time.
        self._lock = threading.Lock()

    def put_events(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and body of the answer to PutEvents."""
        entries = request["Entries"]
        if not 1 <= len(entries) <= MAX_ENTRIES or sum(map(_size, entries)) > MAX_BYTES:
            return 400, {"__type": "ValidationException", "message": "too many entries, or too large ones"}
        refused = self.before(entries)
        results = [
            _error("InternalFailure", "injected") if place in refused else self._put(entry)
            for place, entry in enumerate(entries)
        ]
        self.after(entries)
        return 200, {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    def _put(self, entry: Entry) -> dict[str, str]:
        if not entry.get("Source") or not entry.get("DetailType"):
            return _error("InvalidArgument", "Source and DetailType are required.")
        bus = entry.get("EventBusName", "default").rpartition("/")[2]
        # In JSON a line feed can only be white space between values; strings contain none.
        text = entry.get("Detail", "").replace("\n", " ").replace("\r", " ")
        try:
            detail = json.loads(text)
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return _error("MalformedDetail", "Detail is malformed.")
        envelope = {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": ACCOUNT,
            "time": instant(entry.get("Time", time.time())),
            "region": REGION,
            "resources": entry.get("Resources", []),
            "detail": detail,
        }
        with self._lock:
            self._take(Event(bus, envelope, text))
        return {"EventId": str(envelope["id"])}


# Invokes the function of a name. Raises FunctionFailed and FunctionTimedOut.
Invoke = Callable[[str, Any], Any]


@contextmanager
def served(
    bus: Bus, key: str, queues: Queues | None = None, invoke: Invoke | None = None, key_file: Path | None = None
) -> Iterator[Bus]:
    """Serves a bus at its `url`, on a free port of the loopback, for requests signed with an access key id. The same
    URL serves queues, Lambda's Invoke, and KMS's GenerateMac with the bytes of a key file, if they are given.
    """

    class Endpoint(Handler):
        def answer(self) -> None:
            if not self.headers.get("Authorization", "").startswith(signed_with(key)):
                self.refuse(403, "UnrecognizedClientException", UNRECOGNIZED)
                return
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service, _, operation = self.headers.get("X-Amz-Target", "").rpartition(".")
            headers: dict[str, str] = {}
            try:
                if operation == "PutEvents":
                    status, answer = bus.put_events(body)
                elif service == "AmazonSQS" and queues is not None:
                    status, answer = queues.answer(operation, body)
                elif operation == "GenerateMac" and key_file is not None:
                    status, answer = 200, _mac(body, key_file.read_bytes())
                elif (invoked := _INVOCATION.fullmatch(self.path)) and invoke is not None:
                    status, answer, headers = _invoked(invoke, unquote(invoked[1]).rpartition(":")[2], body)
                else:
                    status, answer = 400, {"__type": "UnknownOperationException", "message": operation}
            except ConnectionError:
                self.close_connection = True
                return
            except Exception as error:
                status, answer = 500, {"__type": "InternalException", "message": str(error)}
            self.reply(status, json.dumps(answer).encode(), Content_Type="application/x-amz-json-1.1", **headers)

    with listening(Endpoint, "bus") as bus.url:
        yield bus


def _invoked(invoke: Invoke, name: str, event: Any) -> tuple[int, Any, dict[str, str]]:
    """The status, body and headers of the answer to Invoke."""
    try:
        return 200, invoke(name, event), {}
    except FunctionThrottled as error:
        return 429, {"Type": "User", "message": str(error)}, {"X_Amzn_ErrorType": error.error_type}
    except FunctionFailed as error:
        failure = {"errorType": error.error_type, "errorMessage": error.message}
    except FunctionTimedOut:
        failure = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out"}
    return 200, failure, {"X_Amz_Function_Error": "Unhandled"}


def _mac(request: Mapping[str, Any], key: bytes) -> dict[str, str]:
    """The body of the answer to GenerateMac with HMAC_SHA_256; one key stands for all."""
    mac = hmac.digest(key, b64decode(request["Message"]), "sha256")
    return {"Mac": b64encode(mac).decode(), "MacAlgorithm": request["MacAlgorithm"], "KeyId": request["KeyId"]}


def instant(seconds: float) -> str:
    """A time in seconds since 1970, spelled as in the bus's envelopes."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _size(entry: Entry) -> int:
    """The size of an entry as EventBridge counts it: the texts in UTF-8, and 14 bytes for a time."""
    texts = sum(len(entry.get(name, "").encode()) for name in ("Source", "DetailType", "Detail"))
    resources = sum(len(resource.encode()) for resource in entry.get("Resources", []))
    return texts + resources + (14 if "Time" in entry else 0)


def _error(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}
