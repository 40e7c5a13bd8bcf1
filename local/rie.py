"""AWS's own Lambda runtime on this machine, without Docker: the runtime interface emulator (RIE) that comes with the
SAM CLI, around the runtime client that AWS ships (awslambdaric). It runs built functions.

Both programs, and so this module, need Linux.
"""

import http.client
import json
import platform
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local.database import as_child, free_port
from local.functions import FunctionFailed, FunctionTimedOut
from local.template import REGION, ROOT, Function
from local.terminal import FunctionOutput

# A Python with awslambdaric and, as in Lambda, no other package that a function could import by mistake.
PYTHON = ROOT / ".venv" / "lambda" / "bin" / "python"

# The folder of `sam build` for that Python and this machine.
MACHINE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
BUILD = ROOT / ".aws-sam" / f"{sys.version_info.major}.{sys.version_info.minor}-{MACHINE}"

_INVOCATIONS = "/2015-03-31/functions/function/invocations"

# Seconds that an answer may take beyond the function's timeout: for its init, and for ending its process.
_GRACE = 30

# Starts are retried, since a port that was free a moment ago may be taken, most likely by a function's connection.
_ATTEMPTS = 5

_RAPID = re.compile(r"\d\d \w{3} \d{4} [\d:,]+ \[\w+\] \(rapid\) (.*)")
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_ABOUT_A_REQUEST = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")


def built(function: Function, build: Path = BUILD) -> list[Path]:
    """A function's import path as in Lambda, within the folder of `sam build`: its code, then its layers."""
    return [build / function.name, *(build / layer / "python" for layer in function.layers)]


class Environment:
    """One environment of a function: one process, which serves one request at a time. The first request includes its
    init.

    `path` is the function's import path, beginning with the folder of its handler; `variables` are its whole
    environment. The process ends with the thread that made it.
    """

    def __init__(
        self, function: Function, variables: Mapping[str, str], path: Sequence[Path], python: Path = PYTHON
    ) -> None:
        self.function = function
        self._variables = variables
        self._path = path
        self._python = python
        self._output = FunctionOutput(function.name)
        self._said: deque[str] = deque(maxlen=20)
        self._inits: list[float] = []
        self._init_reported = threading.Condition()
        self._one_at_a_time = threading.Lock()
        self._start()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Invokes as Invoker documents. As in Lambda, the next event after a crash or timeout gets a fresh process."""
        function = self.function
        try:
            # A second request at the same time would crash the emulator.
            with self._one_at_a_time, closing(self._connection(function.timeout + _GRACE)) as connection:
                connection.request("POST", _INVOCATIONS, json.dumps(event))
                text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise FunctionFailed("Runtime.ExitError", f"the environment is gone: {error}") from None
        if text.startswith("Task timed out after "):
            raise FunctionTimedOut(function.name)
        if not text:
            raise FunctionFailed("Runtime.ExitError", "the environment was ended")
        result = json.loads(text)
        if isinstance(result, dict) and {"errorType", "errorMessage"} <= result.keys():
            # The emulator answers 200 also when the function raised.
            where = "".join(result.get("stackTrace", []))
            raise FunctionFailed(result["errorType"], result["errorMessage"], where)
        return result

    @property
    def init(self) -> float:
        """The seconds of the last init, which runs with the first request."""
        with self._init_reported:
            self._init_reported.wait_for(lambda: self._inits, timeout=10)
            return self._inits[-1]

    @property
    def peak_memory(self) -> int:
        """The peak memory of the function's process, in KiB. The emulator reports only the configured memory."""
        status = Path(f"/proc/{self._child()}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Ends the emulator and the function, busy or not."""
        # Output of the shutdown is not shown.
        self._reading = False
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    # ------------------------------------------------------------ the emulator's process

    def _start(self) -> None:
        for _ in range(_ATTEMPTS):
            self._port = free_port()
            self._reading = True
            self._process = self._new_process()
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()
            if self._listens():
                return
            self.stop()
        raise RuntimeError("The runtime emulator does not start: " + "\n".join(self._said))

    def _new_process(self) -> subprocess.Popen[str]:
        function, path = self.function, self._path
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_REGION": REGION,
            # From 3.12 on the runtime client waits for requests in a thread, whatever Python this is.
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),
            "LAMBDA_TASK_ROOT": str(path[0]),
            # In Lambda the code's folders are read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": ":".join(map(str, path)),
            **self._variables,
        }
        command = [
            str(_emulator()),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
            *("--runtime-api-address", f"127.0.0.1:{free_port()}"),
            *("--log-level", "info"),
            *(str(self._python), "-m", "awslambdaric", function.handler),
        ]
        return subprocess.Popen(
            command,
            cwd=path[0],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # The emulator would react to Ctrl-C, which is meant for its parent.
            process_group=0,
            preexec_fn=as_child,
        )

    def _listens(self) -> bool:
        """Waits until the emulator accepts requests; False if it ended before."""
        while self._process.poll() is None:
            with suppress(OSError), closing(self._connection(1)) as connection:
                connection.connect()
                return True
            time.sleep(0.005)
        return False

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Shows the function's output, and reads the time of its init from the emulator's log."""
        for line in process.stdout or ():
            self._said.append(line.rstrip())
            if found := _INIT.search(line):
                with self._init_reported:
                    self._inits.append(float(found[1]) / 1000)
                    self._init_reported.notify_all()
            elif self._reading and not _RAPID.match(line) and not line.startswith(_ABOUT_A_REQUEST):
                # The runtime client writes a traceback as one line.
                self._output.write(line.rstrip("\r\n").replace("\r", "\n") + "\n")

    def _child(self) -> int:
        """The process that runs the function."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                _, parent = stat.read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self._process.pid:
                    return int(stat.parent.name)
        raise RuntimeError(f"{self.function.name} has no process now")


def _emulator() -> Path:
    sam = find_spec("samcli")
    if sam is None or sam.origin is None or sys.platform != "linux":
        raise RuntimeError("The runtime emulator is for Linux, and comes with the SAM CLI")
    return Path(sam.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{MACHINE}"
