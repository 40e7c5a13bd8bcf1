"""Runs a handler in this process, as Lambda's runtime does, and says what that took: JSON, a line for each thing asked.

Executed by the functions' own Python with nothing but their code and the runtime's client on its path, so it imports
nothing of the project. With `first` as its argument it runs the handler once, against a table behind a socket. With
`warm` it answers the client's HTTP calls in here and runs the handler as often as each line of its input says.
"""

import importlib
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

# What the table answers when there is nothing to tell: to every write, and where what is read is not there. Functions
# read an item that does not exist while they start.
WRITES = ("TransactWriteItems", "UpdateItem")
NOTHING = {
    **dict.fromkeys(WRITES, "{}"),
    "GetItem": "{}",
    "BatchGetItem": '{"Responses":{},"UnprocessedKeys":{}}',
}

CONTEXT = SimpleNamespace(
    function_name="measured",
    memory_limit_in_mb=512,
    aws_request_id="00000000-0000-4000-8000-000000000000",
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:measured",
    get_remaining_time_in_millis=lambda: 15_000,
)


def main() -> None:
    # The output is for figures. What the function prints is written too, as in Lambda, but to nowhere.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(**figures: float) -> None:
        print(json.dumps(figures), file=output, flush=True)

    # What the runtime has loaded before it loads a handler.
    import awslambdaric.bootstrap  # type: ignore[import-not-found]  # noqa: F401

    with open(os.environ["EVENT"]) as file:  # noqa: PTH123  pathlib is not yet imported
        event = file.read()
    if sys.argv[1] == "warm":
        stub(os.environ["ANSWERS"])
    modules = len(sys.modules)
    began = time.process_time_ns()
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    loaded = time.process_time_ns()
    answer = handler(json.loads(event), CONTEXT)
    ended = time.process_time_ns()
    assert answer.get("statusCode", 200) in (200, 201, 204), answer
    say(init=(loaded - began) / 1e6, first=(ended - loaded) / 1e6, modules=len(sys.modules) - modules)
    if sys.argv[1] == "warm":
        for line in sys.stdin:
            count = int(line)
            events = [json.loads(event) for _ in range(count)]
            began = time.process_time_ns()
            for each in events:
                handler(each, CONTEXT)
            say(cpu=(time.process_time_ns() - began) / 1e3 / count)


def asked(operation: str, body: bytes) -> str:
    """What a call asks for, however it is written: keys of a batch may stand in any order."""

    def ordered(value: Any) -> Any:
        match value:
            case dict():
                return {name: ordered(item) for name, item in sorted(value.items())}
            case list():
                return sorted(map(ordered, value), key=json.dumps)
            case _:
                return value

    return f"{operation} {json.dumps(ordered(json.loads(body)))}"


def stub(answers: str) -> None:
    """Lets botocore's HTTP session answer by itself what was recorded."""
    from binascii import crc32

    from botocore.awsrequest import AWSResponse
    from botocore.httpsession import URLLib3Session

    with open(answers) as file:  # noqa: PTH123
        known: dict[str, str] = json.load(file)
    # By the bytes of the request, since comparing what they mean takes its time.
    seen: dict[bytes, bytes] = {}

    def send(session: Any, request: Any) -> Any:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        content = b"{}" if operation in WRITES else seen.get(request.body)
        if content is None:
            content = (known.get(asked(operation, request.body)) or NOTHING[operation]).encode()
            seen[request.body] = content
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


if __name__ == "__main__":
    main()
