"""`make fsck`: checks the table of `make run`, and with REPAIR=1 (or --repair) repairs what it can; with TENANT=<uuid>
only that tenant's rows.

Through its database while it runs, else with one of its own. It goes on until all is checked. The summary goes to
stdout as JSON; the status is 0 when the table is clean, 1 when damage is left or not all was looked at, 2 when it could
not be checked.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import boto3

from local.directory import data_directory
from local.endpoints import endpoints_of
from local.functions import FunctionFailed, call
from local.template import Function, Template, create_table, lambda_environment


def main() -> int:
    arguments = sys.argv[1:]
    if arguments not in ([], ["--repair"]):
        return _refused("The only argument is --repair.")
    directory = data_directory()
    if not (directory / "dynamodb").is_dir():
        return _refused(f"{directory} holds no data of `make run`. Set DATA_DIR.")
    template = Template()
    function = template.functions["Fsck"]
    with endpoints_of(directory, template) as endpoints:
        os.environ.update(lambda_environment(function, **endpoints))
        create_table(boto3.client("dynamodb"), template.table)
        try:
            event: dict[str, Any] = {"repair": bool(arguments or os.environ.get("REPAIR") == "1")}
            if tenant := os.environ.get("TENANT"):
                event["tenant_id"] = tenant
            summary = checked(function, event)
        except FunctionFailed as failure:
            return _refused(str(failure))
    print(json.dumps(summary, indent=2))
    return 0 if summary["clean"] else 1


def checked(function: Function, event: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of as many runs of the function as it takes. Raises FunctionFailed."""
    whole: dict[str, Any] = call(function, event)
    after = None
    while whole["after"] not in (None, after):
        after = whole["after"]
        whole = _together(whole, call(function, {**event, "after": after}))
    return whole


def _together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of two runs of which one has gone on where the other stopped."""
    counts = {
        name: dict(sorted((Counter(first[name]) + Counter(second[name])).items()))
        for name in ("rows", "damage", "repaired", "left")
    }
    return {
        **second,
        **counts,
        "clean": second["complete"] and not counts["left"],
        "unsettled": first["unsettled"] + second["unsettled"],
        "details": [*first["details"], *second["details"]],
    }


def _refused(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
