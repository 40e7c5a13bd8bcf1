"""`make redrive`: sends the dead letters of `make run` again.

The functions of `make run` process them while it is running, else functions in this process (PARAMETERS= as for `make
run`). The summary goes to stdout as JSON; the exit status is 0 when no letter is left, 1 when letters are left, 2 when
the command failed.
"""

import json
import os
import sys
from contextlib import redirect_stdout

import boto3

from local.directory import data_directory
from local.endpoints import endpoints_of
from local.functions import FunctionFailed, call
from local.instance import parameters
from local.template import Template, create_table, lambda_environment
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
        create_table(boto3.client("dynamodb"), template.table)
        try:
            with redirect_stdout(FunctionOutput(function.name)):
                summary = call(function, {})
        except FunctionFailed as failure:
            print(failure, file=sys.stderr)
            return 2
    print(json.dumps(summary, indent=2))
    return 0 if summary["complete"] and not summary["failed"] + summary["left"] else 1


if __name__ == "__main__":
    sys.exit(main())
