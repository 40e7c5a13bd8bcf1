"""`make sam-local`: connects functions in the containers of `sam local` with the data of `make run`, while both are
running. See docs/sam-local.md.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import DockerException
from samtranslator.yaml_helper import yaml_parse

from local.directory import data_directory, write_privately
from local.rie import MACHINE
from local.template import ROOT, Template, lambda_environment

FOLDER = ROOT / ".aws-sam" / "local"

# The name of this machine's loopback in containers that run in a virtual machine.
LOOPBACK = "host.docker.internal"

_IP_FREEBIND = 15


def main() -> None:
    published = data_directory() / "endpoints.json"
    if not published.exists():
        sys.exit("Nothing runs here that functions could use. Start it: make run")
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(json.loads(published.read_text()), sys.argv[1] or this_machine()))


def this_machine() -> str:
    """The host by which containers reach this machine: its address in their network, or LOOPBACK. Exits if there is
    neither.
    """
    if sys.platform != "linux":
        return LOOPBACK
    try:
        engine = docker.from_env()
        about = engine.info()
        if about["OperatingSystem"] == "Docker Desktop":
            return LOOPBACK
        # The first is Podman's field, the second Docker's.
        if about.get("Rootless") or "name=rootless" in (about["SecurityOptions"] or ()):
            sys.exit(
                "These containers run without root, where this machine has no address: say HOST= (docs/sam-local.md)."
            )
        return str(engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])
    except DockerException:
        sys.exit(
            "Neither Docker nor Podman answers. DOCKER_HOST says where one does; without it, /var/run/docker.sock."
        )


async def serve(endpoints: dict[str, str], host: str) -> None:
    """Serves until cancelled. Opens doors at `host` to those services on the loopback that containers cannot reach."""
    ports = {name: urlsplit(endpoints[name]).port or 80 for name in ("dynamodb", "eventbridge")}
    if is_address(host):
        ports = {name: await door(host, port) for name, port in ports.items()}
    prepare(FOLDER, {**endpoints, **{name: f"http://{host}:{port}" for name, port in ports.items()}})
    print(f"`sam local` finds this machine at {host}. Leave this running; Ctrl-C ends it.", flush=True)
    await asyncio.Event().wait()


def is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(IPv4Address(host))
    return False


async def door(address: str, port: int) -> int:
    """Opens a port at the address, and returns it; connections to it are forwarded to a port of the loopback."""

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            within_reader, within_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # `make run` has ended
            writer.close()
        else:
            await asyncio.gather(hand_on(reader, within_writer), hand_on(within_reader, writer))

    sock = socket.socket()
    if sys.platform == "linux":
        # Podman creates its network with the first container; this option allows to listen on the address before that.
        sock.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
    sock.bind((address, 0))
    await asyncio.start_server(enter, sock=sock)
    opened: int = sock.getsockname()[1]
    return opened


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies data until either side ends."""
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def prepare(folder: Path, endpoints: Mapping[str, str]) -> None:
    """Writes a template and an environment file into `folder`, beside the built template. `endpoints` are those of an
    instance, with the host by which containers reach it.
    """
    variables = lambda_environment(Template().functions["Provision"], **endpoints)
    template = yaml_parse((folder / "template.yaml").read_text())
    common: dict[str, Any] = template["Globals"]["Function"]
    common["Architectures"] = [MACHINE]
    # SAM passes a variable of the file to a function only if the template has that variable.
    common["Environment"]["Variables"] |= dict.fromkeys(variables, "see --env-vars")
    (folder / "sam.json").write_text(json.dumps(template, indent=1))
    write_privately(folder / "env.json", {"Parameters": variables})


if __name__ == "__main__":
    main()
