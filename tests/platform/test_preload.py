"""The laptop edition forks its processes from one with the functions' common imports."""

import json
import os
import subprocess
import sys

from local.template import ROOT, Template
from tests.support.clock import NET

# Imports each handler in such a process, and prints the modules loaded besides the functions' own files.
IMPORTS = """
import json, sys
from importlib import import_module
import local.preload
before = set(sys.modules)
for handler in json.loads(sys.argv[1]):
    import_module(handler.rpartition(".")[0])
late = {name for name in set(sys.modules) - before if name.startswith(("atrium.", "botocore.", "pydantic."))}
sys.__stdout__.write(json.dumps(sorted(late)))
"""


def test_a_forked_process_imports_only_the_functions_own_files(template: Template) -> None:
    """Importing the packages anew takes half a second of processor time in each process."""
    handlers = [function.handler for function in template.functions.values()]
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS, json.dumps(handlers)],
        cwd=ROOT,
        env={**os.environ, "TABLE_NAME": "none"},
        capture_output=True,
        text=True,
        timeout=NET,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout) == []
