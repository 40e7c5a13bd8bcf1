"""`make fsck`: checks the table of `make run`, with TENANT=<uuid> only that tenant's rows. REPAIR=1 (or --repair)
repairs damage that can be repaired. LEDGER=1 checks the numbers of all events instead.

The check uses the database of `make run` while that is running, else starts one of its own. It invokes Fsck until every
row is checked, and prints the summary to stdout as JSON. The exit status is 0 when the table is clean, 1 when damage is
left or rows were not checked, 2 when the check failed.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from local.directory import data_directory
from local.endpoints import endpoints_of
from local.functions import FunctionFailed, call
from local.template import Function, Template, lambda_environment


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
        try:
            event: dict[str, Any] = {"repair": bool(arguments or os.environ.get("REPAIR") == "1")}
            if os.environ.get("LEDGER") == "1":
                event["ledger"] = True
            if tenant := os.environ.get("TENANT"):
                event["tenant_id"] = tenant
            summary = checked(function, event)
        except FunctionFailed as failure:
            return _refused(str(failure))
    print(json.dumps(summary, indent=2))
    return 0 if summary["clean"] else 1


def checked(function: Function, event: Mapping[str, Any]) -> dict[str, Any]:
    """Invokes the function until every row is checked; returns the summary of all runs. Raises FunctionFailed."""
    whole: dict[str, Any] = call(function, event)
    after = None
    while whole["after"] not in (None, after):
        after = whole["after"]
        whole = _together(whole, call(function, {**event, "after": after}))
    return whole


def _together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of two runs, the second of which began where the first stopped."""
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
