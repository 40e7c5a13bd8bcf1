"""Records requests and the table's answers once on DynamoDB Local, and replays the answers at once, so that only the
functions' own time is measured.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atrium.store.engine import table as tables
from benchmarks.inside import WRITES, asked
from local.functions import Invoker, call
from local.template import ROOT, Function, Template
from tests.support.client import World
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.world import inline


@dataclass
class Recording:
    """The table's `answers` by `asked`, and the last event of each function. `environment` is that of the functions,
    without the table's address. `through` invokes them.
    """

    through: Invoker = call
    environment: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    events: dict[str, Any] = field(default_factory=dict)

    def invoke(self, function: Function, event: Mapping[str, Any]) -> Any:
        self.events[function.name] = event
        return self.through(function, event)

    def watch(self, client: Any) -> None:
        """Records all answers to the client from now on."""
        session = client._endpoint.http_session
        send = session.send

        def recording(request: Any) -> Any:
            answer = send(request)
            operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
            if operation not in WRITES:
                # The first answer is kept, since the later answers of a list name other rows, which were never read.
                self.answers.setdefault(asked(operation, request.body), answer.content.decode())
            return answer

        session.send = recording


@contextmanager
def recording_world(
    template: Template, engine: str, directory: Path, invoke: Invoker = call
) -> Iterator[tuple[World, Recording]]:
    """A world whose functions' calls are recorded."""
    recording = Recording(invoke)
    with inline(template, engine, directory, recording.invoke) as world:
        client = tables.table()._client
        recording.watch(client)
        variables = template.functions["Provision"].environment
        recording.environment = {**variables, "TABLE_NAME": tables.table().name}
        yield world, recording


def ask_every_route(world: World) -> None:
    """Sends a successful request to each route; first to the lists of projects, while there are few projects."""
    for route in sorted(EVERY_ROUTE, key=lambda route: not route.endswith("ListProjects")):
        project = a_project(world)
        answer = world(*EVERY_ROUTE[route](world, project))
        assert answer.status in (200, 201, 204), (route, answer)


# ---------------------------------------------------------------- a table that answers at once


@contextmanager
def instant_table(answers: Path, certificate: Path | None = None) -> Iterator[str]:
    """Runs the table as a process; yields its URL."""
    command = [sys.executable, "-m", "benchmarks.dynamodb", str(answers), *([str(certificate)] if certificate else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"{'https' if certificate else 'http'}://localhost:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def certify(directory: Path) -> tuple[Path, str]:
    """Makes a file with a certificate for localhost and its key, and the root certificate as text. Sizes are AWS's."""
    now = datetime.now(UTC)

    def certificate(
        name: str, key: Any, by: str, signed_with: Any, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, by)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signed_with, hashes.SHA256())

    root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    authority = x509.BasicConstraints(ca=True, path_length=None)
    root = certificate("Atrium benchmark", root_key, "Atrium benchmark", root_key, authority)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = certificate("localhost", key, "Atrium benchmark", root_key, names, identifier)
    path = directory / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + leaf.public_bytes(Encoding.PEM))
    return path, root.public_bytes(Encoding.PEM).decode()
