"""`make redrive`: sends the dead letters of `make run` again. With LEDGER=1 then the events that have had no number for
an hour, with TENANT=<uuid> those of that tenant; with TENANT and SINCE=<time>, UNTIL=<time>, all events of that span.

The functions of `make run` process them while it is running, else functions in this process (PARAMETERS= as for `make
run`). Progress goes to stderr, the summary to stdout as JSON; the exit status is 0 when nothing is left, 1 when
something is, 2 when the command failed.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from local.directory import data_directory
from local.endpoints import endpoints_of
from local.functions import FunctionFailed, call
from local.instance import parameters
from local.template import Function, Template, lambda_environment
from local.terminal import FunctionOutput


def main() -> int:
    directory = data_directory()
    if not (directory / "dynamodb").is_dir():
        print(f"{directory} holds no data of `make run`. Set DATA_DIR.", file=sys.stderr)
        return 2
    template = Template(**parameters())
    function = template.functions["Redrive"]
    with endpoints_of(directory, template) as endpoints:
        os.environ.update(lambda_environment(function, **endpoints))
        try:
            with redirect_stdout(FunctionOutput(function.name)):
                summary = redriven(function, _request())
        except FunctionFailed as failure:
            print(failure, file=sys.stderr)
            return 2
    print(json.dumps(summary, indent=2))
    counts = (summary, summary.get("events", {}))
    stays = any(each.get(name, 0) for each in counts for name in ("failed", "left"))
    return 1 if stays or not summary["complete"] else 0


def _request() -> dict[str, Any]:
    named = {"tenant_id": "TENANT", "since": "SINCE", "until": "UNTIL"}
    request: dict[str, Any] = {name: os.environ[given] for name, given in named.items() if os.environ.get(given)}
    return request | ({"ledger": True} if os.environ.get("LEDGER") == "1" else {})


def redriven(function: Function, event: Mapping[str, Any]) -> dict[str, Any]:
    """Invokes the function until it comes to the end, or no further; returns the summary of all runs. Raises
    FunctionFailed."""
    whole: dict[str, Any] = call(function, event)
    after = None
    while whole.get("after") not in (None, after):
        after = whole["after"]
        part = call(function, {**event, "after": after})
        whole = {
            **whole,
            **part,
            "events": {name: whole["events"][name] + sent for name, sent in part["events"].items()},
        }
    return whole


if __name__ == "__main__":
    sys.exit(main())
