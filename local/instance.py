"""A running instance: database, functions, gateway, automation and two demo tenants. It ends everything that it
started.
"""

import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from local.automation import Automation, Log, at_once
from local.bus import Bus, served
from local.database import database, new_access_key_id
from local.demo import demo
from local.directory import data_directory, owned, published, require_layout, webhook_key
from local.environments import Environments
from local.functions import Workers
from local.gateway import Gateway
from local.issuer import AUDIENCE, ISSUER, Issuer, jwks_served
from local.queues import Queues
from local.server import Server
from local.template import EventSource, Template, create_table, lambda_environment

WORKERS = 8
ENVIRONMENTS = 16


def main() -> None:
    port = os.environ.get("PORT") or "3000"
    if not port.isdecimal() or int(port) > 65_535:
        sys.exit(f"PORT={port} is no port.")
    directory = data_directory()
    # A second signal may arrive during the shutdown; everything below is still closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with ExitStack() as stack:
            if not stack.enter_context(owned(directory)):
                sys.exit(f"{directory} is in use by another instance. Stop it, or set DATA_DIR.")
            require_layout(directory)
            sock = stack.enter_context(listening_socket(int(port)))
            dev = directory / "dev.json"
            dev.unlink(missing_ok=True)
            serve(stack, directory, sock, dev)
    except KeyboardInterrupt:
        pass


def serve(stack: ExitStack, directory: Path, sock: socket.socket, dev: Path) -> None:
    """Serves until a signal ends it."""
    key = new_access_key_id()
    engine = stack.enter_context(database(directory / "dynamodb", key))
    # These steps need no answer from the engine, and run while it starts.
    jwks_url = stack.enter_context(jwks_served(Issuer(directory)))
    issuer = {"JwtIssuer": ISSUER, "JwtAudience": AUDIENCE, "JwtJwks": jwks_url}
    template = Template(**{**issuer, **parameters()})
    function = template.functions["Provision"]
    bus = Bus(lambda event: automation.take(event))
    log = Log(directory)
    queues = Queues(template.queues, log.letters, directory / "queues")
    key_file = webhook_key(directory)
    stack.enter_context(served(bus, key, queues, lambda name, event: invoke(template.functions[name], event), key_file))
    endpoints = {"dynamodb": engine.endpoint, "eventbridge": bus.url, "access_key_id": key}
    workers = runtime(lambda_environment(function, **endpoints), template.event_sources)
    stack.callback(workers.stop)
    invoke = engine.durable(workers)
    automation = Automation(template, invoke, log, queues)
    stack.callback(automation.stop)
    engine.wait_until_ready()
    create_table(engine.client(), template.table)
    stack.enter_context(published(directory / "endpoints.json", endpoints))
    base_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    demonstration = {"base_url": base_url, **demo(directory, lambda event: invoke(function, event))}
    gateway = Gateway(template.api, template.functions, invoke, template.stage)

    automation.start(engine, directory)

    def ready() -> None:
        stack.enter_context(published(dev, demonstration))
        print(welcome(demonstration, directory), flush=True)

    Server(gateway, ready).run(sockets=[sock])


def runtime(variables: Mapping[str, str], sources: Sequence[EventSource]) -> Workers | Environments:
    """The runner of the functions: of the source tree or, with RUNTIME=lambda, of the build in Lambda's own runtime.
    Functions of which an event source says how many run at a time have so many processes of their own.
    """
    name = os.environ.get("RUNTIME", "")
    if name not in ("", "lambda"):
        sys.exit(f"RUNTIME={name}: there is no such runtime. There is lambda; without RUNTIME, the code runs as it is.")
    own = {source.function.name: at_once(source) for source in sources if source.concurrency is not None}
    return Environments(variables, ENVIRONMENTS) if name else Workers(variables, WORKERS, own)


def parameters() -> dict[str, str]:
    """Values for the template's parameters: PARAMETERS="CorsOrigin=http://localhost:5173 …", as `sam deploy` takes
    them.
    """
    return {
        name: value for name, _, value in (pair.partition("=") for pair in os.environ.get("PARAMETERS", "").split())
    }


@contextmanager
def listening_socket(port: int) -> Iterator[socket.socket]:
    """A socket bound before anything else starts, so that a port in use is reported at once."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            sys.exit(f"Port {port} is in use. Set another one: PORT=3001 make run")
        yield sock


def welcome(demonstration: Any, directory: Path) -> str:
    acme = demonstration["tenants"]["acme"]
    changes = "What runs was built." if os.environ.get("RUNTIME") else "Changes of the code take effect at once."
    url, token, space = demonstration["base_url"], acme["principals"]["owner"]["token"], acme["spaces"]["default"]
    return f"""
Atrium serves {url}, and its reference {url}/docs

  TOKEN={token}
  curl {url}/projects -H "Authorization: Bearer $TOKEN"
  curl {url}/projects -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{{"projectName":"Apollo","clientName":"Acme","description":"To the moon"}}'
  curl {url}/v1/spaces/{space}/projects -H "Authorization: Bearer $TOKEN"

From a command line: cli/atrium whoami, and cli/atrium --help
A bearer token may be an access token, too: TOKEN=$(make -s token SUB=viewer@acme.example)
More callers, spaces and roles: {directory / "dev.json"}. Events are appended to {directory / "events.jsonl"}.
{changes} Ctrl-C stops everything.
"""
