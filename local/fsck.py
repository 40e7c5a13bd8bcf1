"""`make fsck`: checks the table of `make run`, and with REPAIR=1 (or --repair) repairs what it can.

Through its database while it runs, else with one of its own. The summary goes to stdout as JSON; the status is 0 when
the table is clean, 1 when damage is left or not all was looked at, 2 when it could not be checked.
"""

import json
import os
import sys

import boto3

from local.directory import data_directory
from local.endpoints import endpoints_of
from local.functions import FunctionFailed, call
from local.template import Template, create_table, lambda_environment


def main() -> int:
    arguments = sys.argv[1:]
    if arguments not in ([], ["--repair"]):
        return _refused("The only argument is --repair.")
    directory = data_directory()
    if not (directory / "dynamodb").is_dir():
        return _refused(f"{directory} holds no data of `make run`. Set DATA_DIR.")
    template = Template()
    function = template.functions["Fsck"]
    with endpoints_of(directory) as endpoints:
        os.environ.update(lambda_environment(function, **endpoints))
        create_table(boto3.client("dynamodb"), template.table)
        try:
            summary = call(function, {"repair": bool(arguments or os.environ.get("REPAIR") == "1")})
        except FunctionFailed as failure:
            return _refused(str(failure))
    print(json.dumps(summary, indent=2))
    return 0 if summary["clean"] else 1


def _refused(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
