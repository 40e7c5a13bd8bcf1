"""`make run` as seen by a person and a tool: its ports, dev.json, welcome text and log."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from atrium.ids import new_ids
from atrium.keys import LAYOUT
from atrium.keys import event as event_key
from local.database import free_port
from local.template import ROOT, TABLE_NAME
from tests.support.client import A_UUID, AN_ID, curls, flat_id, v1_id
from tests.support.clock import NET
from tests.support.command import environment
from tests.support.processes import Instance, running, wait_for
from tests.support.requests import FLAT
from tests.support.rows import Rows


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("run")) as made:
        yield made


def test_dev_json_holds_addresses_roles_tenants_and_credentials(instance: Instance) -> None:
    dev = instance.dev
    assert (instance.directory / "dev.json").stat().st_mode & 0o777 == 0o600
    assert dev["base_url"] == f"http://127.0.0.1:{instance.port}"
    assert list(dev) == ["base_url", "roles", "tenants"]
    assert dev["roles"] == dict.fromkeys(("viewer", "contributor", "manager", "owner"), A_UUID)
    assert list(dev["tenants"]) == ["acme", "globex"]
    for tenant in dev["tenants"].values():
        assert tenant["tenant_id"] == A_UUID == tenant["spaces"]["default"]
        assert list(tenant["spaces"]) == ["default", "research"]
        assert list(tenant["principals"]) == ["owner", "contributor", "viewer", "outsider"]
        for name, principal in tenant["principals"].items():
            assert list(principal) == ["principal_id", "id", "tenant_role", "token", "api_key"]
            assert principal["tenant_role"] == ("admin" if name == "owner" else "member")
            assert (principal["principal_id"], principal["id"]) == (A_UUID, AN_ID)


def test_the_key_of_webhooks_is_a_file_that_only_its_owner_may_read(instance: Instance) -> None:
    path = instance.directory / "webhook-key"
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (32, 0o600)


def asked(
    url: str, headers: Sequence[tuple[str, str]], method: str = "GET", target: str = "/", body: bytes = b""
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and content (parsed, if JSON) of the answer to a request with only these headers."""
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=NET)) as connection:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        content: Any = answer.read()
        with suppress(ValueError):
            content = json.loads(content)
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


@dataclass
class Service:
    """One of an instance's ports, and a request answered with 200 if its headers are right."""

    url: str
    method: str
    target: str
    body: bytes
    headers: list[tuple[str, str]]

    def asked(self, *headers: tuple[str, str]) -> tuple[int, dict[str, str], Any]:
        return asked(self.url, headers, self.method, self.target, self.body)


def signature(key: str) -> tuple[str, str]:
    scope = f"{key}/20260101/us-east-1/any/aws4_request"
    return ("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")


def services(instance: Instance) -> dict[str, Service]:
    endpoints = json.loads((instance.directory / "endpoints.json").read_text())
    token = instance.dev["tenants"]["acme"]["principals"]["owner"]["token"]
    signed = signature(endpoints["access_key_id"])
    form = ("Content-Type", "application/x-amz-json-1.0")
    event = {"Source": "a.test", "DetailType": "a.test", "Detail": "{}"}
    put = json.dumps({"Entries": [event]}).encode()
    return {
        "api": Service(instance.dev["base_url"], "GET", "/v1/me", b"", [("Authorization", f"Bearer {token}")]),
        "database": Service(
            endpoints["dynamodb"],
            "POST",
            "/",
            b"{}",
            [signed, form, ("X-Amz-Target", "DynamoDB_20120810.ListTables")],
        ),
        "bus": Service(
            endpoints["eventbridge"], "POST", "/", put, [signed, form, ("X-Amz-Target", "AWSEvents.PutEvents")]
        ),
    }


def refusal(name: str, code: str, why: str) -> Any:
    return {"error": why, "detail": why} if name == "api" else {"__type": code, "message": why}


@pytest.mark.parametrize("name", ["api", "database", "bus"])
def test_a_request_with_a_foreign_host_header_is_refused(instance: Instance, name: str) -> None:
    """A page whose own name resolves to this machine would send such a request (DNS rebinding)."""
    service = services(instance)[name]
    port = urlsplit(service.url).port
    for host in ("127.0.0.1", "localhost", "LocalHost", "[::1]", "172.17.0.1", "host.docker.internal"):
        assert service.asked(("Host", host), *service.headers)[0] == 200, host
        assert service.asked(("Host", f"{host}:{port}"), *service.headers)[0] == 200, host
    why = "The Host header does not say this machine: call it by an address, or localhost."
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example.127.0.0.1",
        "evil-localhost",
        "host.docker.internal.evil.example",
    ):
        headers = [("Host", host), ("X-Forwarded-Host", "127.0.0.1"), ("Forwarded", "host=127.0.0.1")]
        status, _, answer = service.asked(*headers, *service.headers)
        assert (status, answer) == (421, refusal(name, "AccessDeniedException", why)), host
    assert service.asked(*service.headers)[0] in (400, 421), "no Host header"
    two = (("Host", "127.0.0.1"), ("Host", "evil.example"))
    assert service.asked(*two, *service.headers)[0] in (400, 421), "two Host headers"


@pytest.mark.parametrize("name", ["database", "bus"])
def test_a_request_signed_with_another_key_is_refused(instance: Instance, name: str) -> None:
    service = services(instance)[name]
    signed, *rest = service.headers
    key = json.loads((instance.directory / "endpoints.json").read_text())["access_key_id"]
    why = "The request is not signed with the access key id of this instance, which is in its endpoints.json."
    home = ("Host", "localhost")
    assert service.asked(home, signed, *rest)[0] == 200
    for other in (
        None,
        signature("local"),
        signature(key[:-1]),
        signature(f"{key}0"),
        signature(""),
        ("Authorization", f"AWS4-HMAC-SHA256 Credential=local/{key}/"),
        ("Authorization", f"Bearer {key}"),
    ):
        status, _, answer = service.asked(home, *([other] if other else []), *rest)
        assert (status, answer) == (403, refusal(name, "UnrecognizedClientException", why)), other
    preflight = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")]
    status, headers, _ = asked(service.url, [home, *preflight], "OPTIONS")
    assert status in (403, 501)
    assert not [header for header in headers if header.startswith("access-control")], "browsers do not send it"


def test_every_port_is_on_the_loopback_and_no_command_line_holds_the_key(instance: Instance) -> None:
    found = listening(instance)
    urls = [instance.dev["base_url"], *(service.url for service in services(instance).values())]
    assert {urlsplit(url).port for url in urls} <= {port for _, port in found}
    assert {address for address, _ in found} == {"127.0.0.1"}
    for _, port in found:
        # Another address of this machine, reachable if a process listens on all addresses.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=10)
    key = json.loads((instance.directory / "endpoints.json").read_text())["access_key_id"]
    assert instance.running("local.engine", "DynamoDBLocal.jar")
    assert instance.running(key) == []


def listening(instance: Instance) -> set[tuple[str, int]]:
    """The addresses and ports on which the instance's processes listen."""
    sockets = set()
    for process in instance.members():
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                address, port = local.split(":")
                words = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
                family = socket.AF_INET6 if len(words) == 16 else socket.AF_INET
                found.add((socket.inet_ntop(family, words).removeprefix("::ffff:"), int(port, 16)))
    return found


def test_roles_hold_in_both_spaces_and_the_outsider_has_none(instance: Instance) -> None:
    world = instance.world
    for name in ("owner", "contributor", "viewer"):
        spaces = world("GET", "/v1/me", by=name).body["spaces"]
        assert [space["role"] for space in spaces] == [name, name]
    assert world("GET", "/v1/me", by="outsider").body["spaces"] == []


def test_the_curls_of_the_welcome_text_work(instance: Instance) -> None:
    text = instance.output()
    (token,) = re.findall(r"^  TOKEN=(.*)$", text, re.MULTILINE)
    commands = curls(text.replace("$TOKEN", token))
    assert [instance.world.raw(*command).status for command in commands] == [200, 201, 200]


def test_the_command_line_of_the_welcome_text_finds_the_instance(instance: Instance, tmp_path: Path) -> None:
    assert "\nFrom a command line: cli/atrium whoami, and cli/atrium --help\n" in instance.output()
    variables = {**os.environ, **environment(tmp_path), "DATA_DIR": str(instance.directory)}
    done = subprocess.run(
        [ROOT / "cli/atrium", "whoami", "--only", "name"], env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Owner of Acme\n", "")


def test_an_access_token_of_the_instances_issuer_is_accepted(instance: Instance) -> None:
    """Another process signs the token; the functions fetch the key over HTTP."""
    assert "TOKEN=$(make -s token SUB=viewer@acme.example)" in instance.output()

    def token(directory: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local.issuer", "viewer@acme.example"]
        environment = {**os.environ, "DATA_DIR": str(directory), "PYTHONPATH": "functions:layers/atrium"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    made = token(instance.directory).stdout.strip()
    answer = instance.world.raw("GET", "/v1/me", [("Authorization", f"Bearer {made}")])
    assert (answer.status, answer.body["id"]) == (200, instance.world.id("viewer"))
    assert oct((instance.directory / "issuer.json").stat().st_mode)[-3:] == "600"
    nowhere = token(instance.directory / "nowhere")
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert nowhere.stderr.endswith("Start one: make run\n")


def test_events_are_in_the_file_named_by_the_welcome_text(instance: Instance) -> None:
    (path,) = re.findall(r"Events are appended to (\S+/events\.jsonl)\.$", instance.output(), re.MULTILINE)
    made = instance.world("POST", "/projects", FLAT).body
    uuid = v1_id(made["_id"])
    wait_for(lambda: Path(path).exists() and uuid in Path(path).read_text())
    events = map(json.loads, Path(path).read_text().splitlines())
    (event,) = (event for event in events if event.get("project_id") == uuid)
    assert (event["type"], event["sequence"], event["resource"]["name"]) == ("project.created", 1, FLAT["projectName"])
    wait_for(lambda: re.search(rf"^\d\d:\d\d:\d\d event project.created {uuid} 1$", instance.output(), re.MULTILINE))


def exported(directory: Path, **variables: str) -> tuple[int, list[str], list[str]]:
    """The status of `make events`, and its lines on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "local.events"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(directory), **variables},
        capture_output=True,
        text=True,
        timeout=NET,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_make_events_writes_each_tenants_events_of_a_span_in_order_and_tells_its_progress(instance: Instance) -> None:
    acme, globex = (instance.dev["tenants"][name]["tenant_id"] for name in ("acme", "globex"))
    place = json.loads((instance.directory / "endpoints.json").read_text())
    signed = {"aws_access_key_id": place["access_key_id"], "aws_secret_access_key": "unused"}
    rows = Rows(boto3.client("dynamodb", endpoint_url=place["dynamodb"], **signed), TABLE_NAME)
    model = next(row for row in rows.all() if "#L#" in row["pk"])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    (early, *inside), (late,) = (
        new_ids(count, round((begin + timedelta(hours=hours)).timestamp() * 1000)) for count, hours in ((4, 0), (1, 1))
    )
    for tenant, ids in ((acme, [early, *inside, late]), (globex, inside[:1])):
        rows.put_all({event_key(flat_id(tenant), id): {**model, "resource": '{"name":"é"}'} for id in ids})
    span = {"SINCE": "2026-01-01", "UNTIL": "2026-01-01T02:00:00+01:00"}
    status, lines, told = exported(instance.directory, **span)
    events = [json.loads(line) for line in lines]
    assert (status, len(events)) == (0, 5), told
    assert [event["id"] for event in events if event["tenant_id"] == acme] == [v1_id(id) for id in (early, *inside)]
    assert [event["id"] for event in events if event["tenant_id"] == globex] == [v1_id(inside[0])]
    shown = instance.world("GET", f"/v1/events/{v1_id(early)}").body
    assert shown == next(event for event in events if event["id"] == v1_id(early))
    moment = "2026-01-01T00:00:00.000Z"
    assert sorted(told) == sorted(f"{id}: {n} events, up to {moment}." for id, n in ((acme, 4), (globex, 1)))
    usage = "Send SINCE=2026-11-01 or SINCE=2026-11-01T08:00:00Z, TENANT=<uuid>."
    assert exported(instance.directory) == (2, [], [usage])
    assert exported(instance.directory, SINCE="x") == (2, [], [f"Invalid isoformat string: 'x'. {usage}"])


def test_each_request_is_one_line_of_the_log_and_no_secret_is_in_it(instance: Instance) -> None:
    world = instance.world
    answer = world("GET", "/projects?secret=1")
    line = rf"^\d\d:\d\d:\d\d GET /projects 200 \d+ ms {re.escape(answer.headers['x-request-id'])}$"
    wait_for(lambda: re.search(line, instance.output(), re.MULTILINE))
    assert len(re.findall(line, instance.output(), re.MULTILINE)) == 1
    assert "secret=1" not in instance.output()


def test_over_http_repeated_headers_and_encoded_paths_arrive(instance: Instance) -> None:
    world = instance.world
    token = ("Authorization", f"Bearer {world.principal('owner')['token']}")
    key = ("Authorization", f"Bearer {world.principal('owner')['api_key']}")
    assert world.raw("GET", "/projects", [token, key]).status == 401, "two credentials are one too many"
    assert world.raw("GET", "/projects/%2e%2e%2fprojects", [token]).body == {"error": "Project not found."}


def test_a_body_over_the_gateways_limit_is_413_over_http(instance: Instance) -> None:
    answer = instance.world("POST", "/projects", content=b" " * (10 * 1024 * 1024 + 1))
    assert (answer.status, set(answer.body)) == (413, {"error", "detail"})


def test_two_instances_run_side_by_side_and_share_nothing(instance: Instance, tmp_path: Path) -> None:
    with running(tmp_path) as other:
        assert other.port != instance.port
        mine, theirs = instance.world, other.world
        token = mine.principal("owner")["token"]
        assert token != theirs.principal("owner")["token"]
        assert theirs.raw("GET", "/projects", [("Authorization", f"Bearer {token}")]).status == 401
        made = theirs("POST", "/projects", FLAT).body
        assert made["_id"] not in {project["_id"] for project in mine("GET", "/projects").body}


def test_a_port_or_directory_in_use_is_reported_at_once(instance: Instance, tmp_path: Path) -> None:
    for port, directory, said in (
        (instance.port, tmp_path, f"Port {instance.port} is in use. Set another one: PORT=3001 make run"),
        (free_port(), instance.directory, "is in use by another instance. Stop it, or set DATA_DIR."),
    ):
        environment = {**os.environ, "PORT": str(port), "DATA_DIR": str(directory)}
        done = subprocess.run(
            ["make", "run"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NET, check=False
        )
        assert done.returncode != 0
        assert said in done.stderr
    assert instance.world("GET", "/v1/me").status == 200


def test_data_of_an_older_layout_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dynamodb").mkdir()
    data = tmp_path / "dynamodb" / "shared-local-instance.db"
    data.write_bytes(b"of an older Atrium")
    for program in ("local.run", "local.fsck"):
        done = subprocess.run(
            [sys.executable, "-m", program],
            cwd=ROOT,
            env={**os.environ, "PORT": str(free_port()), "DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=NET,
            check=False,
        )
        said = f"{tmp_path} has data of layout 1, and this Atrium writes layout {LAYOUT}: run `make reset`.\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert data.read_bytes() == b"of an older Atrium"
    data.unlink()
    with running(tmp_path) as instance:
        assert instance.world("GET", "/v1/me").status == 200


def test_make_invoke_runs_one_function_with_and_without_a_running_instance(instance: Instance, tmp_path: Path) -> None:
    for directory in (instance.directory, tmp_path):
        done = subprocess.run(
            ["make", "--no-print-directory", "invoke", "F=V1CreateProject", "E=events/v1/create_project.json"],
            cwd=ROOT,
            env={**os.environ, "DATA_DIR": str(directory)},
            capture_output=True,
            text=True,
            timeout=NET,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["statusCode"] == 201
        assert json.loads(answer["body"])["name"] == "Website Redesign Q3"
    id = json.loads(json.loads(done.stdout)["body"])["id"]
    assert id == A_UUID
    listed = instance.world("GET", instance.world.projects()).body["data"]
    assert "Website Redesign Q3" in {project["name"] for project in listed}
