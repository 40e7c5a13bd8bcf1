"""Runs a handler in this process as Lambda's runtime does, and prints a line of JSON with the figures of each command.

The functions' own Python executes this file with only their code and the runtime client on its path, so the file
imports nothing of the project. CASES are the events, each with the table's answers. With the argument `first` it runs
the handler once, against a table behind a socket. With `warm` it answers the client's HTTP calls in this process, and
reads commands from its input: `handler 1 60` runs the handler on the second case 60 times; `sdk 1 60` lets the SDK
alone parse that case's answers 60 times.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

# The table's empty answers: to every write, and to reads of items that do not exist. A starting function reads one.
WRITES = ("TransactWriteItems", "UpdateItem")
NOTHING = {
    **dict.fromkeys(WRITES, "{}"),
    "GetItem": "{}",
    "BatchGetItem": '{"Responses":{},"UnprocessedKeys":{}}',
}

UNCOUNTED = 3

CONTEXT = SimpleNamespace(
    function_name="measured",
    memory_limit_in_mb=512,
    aws_request_id="00000000-0000-4000-8000-000000000000",
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:measured",
    get_remaining_time_in_millis=lambda: 15_000,
)


def main() -> None:
    # The output is for figures only. The function's own output is written, as in Lambda, but discarded.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(**figures: float) -> None:
        print(json.dumps(figures), file=output, flush=True)

    # The runtime has loaded this module before it loads a handler.
    import awslambdaric.bootstrap  # type: ignore[import-not-found]  # noqa: F401

    cases = json.loads(os.environ["CASES"])
    events = [read(event) for event, _ in cases]
    warm = sys.argv[1] == "warm"
    table = Stub([json.loads(read(answers)) for _, answers in cases]) if warm else None
    modules = len(sys.modules)
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    loaded = time.process_time_ns()
    answer = handler(json.loads(events[0]), CONTEXT)
    ended = time.process_time_ns()
    assert answer.get("statusCode", 200) in (200, 201, 204), answer
    # Processor time is counted from the start of the interpreter.
    say(init=loaded / 1e6, first=(ended - loaded) / 1e6, modules=len(sys.modules) - modules)
    if table:
        for line in sys.stdin:
            what, case, count = line.split()
            table.case = int(case)
            table.answered.clear()
            todo: list[Callable[[], object]]
            if what == "sdk":
                handler(json.loads(events[table.case]), CONTEXT)
                todo = [partial(parse, parsings(table.answered))] * int(count)
            else:
                todo = [partial(handler, json.loads(events[table.case]), CONTEXT) for _ in range(int(count))]
            # Not counted, since the processor's caches still hold the data of another process.
            for each in todo[:UNCOUNTED]:
                each()
            began = time.process_time_ns()
            for each in todo:
                each()
            say(cpu=(time.process_time_ns() - began) / 1e3 / len(todo))


def read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123  pathlib is not yet imported
        return file.read()


def asked(operation: str, body: bytes) -> str:
    """The content of a call in a canonical form, since the keys of a batch may come in any order."""

    def ordered(value: Any) -> Any:
        match value:
            case dict():
                return {name: ordered(item) for name, item in sorted(value.items())}
            case list():
                return sorted(map(ordered, value), key=json.dumps)
            case _:
                return value

    return f"{operation} {json.dumps(ordered(json.loads(body)))}"


class Stub:
    """Makes botocore's HTTP session return the recorded answers of each case. `answered` lists the operation and body
    of each answer.
    """

    def __init__(self, known: list[dict[str, str]]) -> None:
        from binascii import crc32

        from botocore.awsrequest import AWSResponse
        from botocore.httpsession import URLLib3Session

        self.case = 0
        self.answered: list[tuple[str, bytes]] = []
        # Looked up by the bytes of the request, since parsing them would take time.
        seen: list[dict[bytes, bytes]] = [{} for _ in known]

        def send(session: Any, request: Any) -> Any:
            operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
            content = b"{}" if operation in WRITES else seen[self.case].get(request.body)
            if content is None:
                text = known[self.case].get(asked(operation, request.body)) or NOTHING[operation]
                content = seen[self.case][request.body] = text.encode()
            self.answered.append((operation, content))
            headers = {
                "Content-Type": "application/x-amz-json-1.0",
                "Content-Length": str(len(content)),
                "x-amzn-RequestId": "A" * 52,
                "x-amz-crc32": str(crc32(content)),
            }
            answer: Any = AWSResponse(request.url, 200, headers, None)  # type: ignore[arg-type]
            answer._content = content
            return answer

        URLLib3Session.send = send  # type: ignore[method-assign,assignment]


def parsings(answered: list[tuple[str, bytes]]) -> list[tuple[Any, Any, Any]]:
    """For each answer, the SDK's parser and its arguments: response and shape."""
    from botocore.parsers import create_parser
    from botocore.session import get_session

    service = get_session().get_service_model("dynamodb")
    parser = create_parser(service.resolved_protocol)
    return [
        (parser, {"status_code": 200, "headers": {}, "body": body}, service.operation_model(operation).output_shape)
        for operation, body in answered
    ]


def parse(given: list[tuple[Any, Any, Any]]) -> None:
    for parser, response, shape in given:
        parser.parse(response, shape)


if __name__ == "__main__":
    main()
