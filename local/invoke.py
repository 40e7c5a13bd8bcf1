"""`make invoke`: runs one function on one event, without Docker.

The function uses the data of `make run`: through its database and event bus while it is running, else through temporary
ones.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from local.demo import demo
from local.directory import data_directory
from local.endpoints import endpoints_of
from local.functions import FunctionFailed, call
from local.template import Template, lambda_environment
from local.terminal import FunctionOutput


def main() -> None:
    name, path = sys.argv[1:]
    template = Template()
    if name not in template.functions:
        sys.exit(f"F={name}: there is no such function. There are {', '.join(sorted(template.functions))}.")
    if not Path(path).is_file():
        sys.exit(f"E={path}: there is no such file. Samples are in events/.")
    event = json.loads(Path(path).read_text())
    directory = data_directory()
    with endpoints_of(directory, template) as endpoints:
        function = template.functions[name]
        os.environ.update(lambda_environment(function, **endpoints))
        try:
            # Stdout has the result only; the function's own output goes to stderr.
            with redirect_stdout(FunctionOutput(name)):
                demo(directory, lambda request: call(template.functions["Provision"], request))
                result = call(function, event)
        except FunctionFailed as failure:
            sys.exit(failure.where or str(failure))
        print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
