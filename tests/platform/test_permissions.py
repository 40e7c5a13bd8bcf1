"""A function under an attacker's control, without the wall in its code, is limited to its role's statements."""

import importlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.events.models import EventPattern

from atrium import cold_start, keys
from atrium.credentials import digest, new_secret
from atrium.ids import from_uuid
from atrium.keys import Key
from atrium.store.engine.client import dynamodb
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.engine.work import Work
from atrium.store.outbox import SOURCE
from local.functions import call
from local.template import TABLE_NAME, Template
from tests.support.client import World
from tests.support.iam import Request, is_allowed, requests, statements
from tests.support.routes import routes
from tests.support.trace import running
from tests.support.world import inline
from tools.event_schemas import TYPES

T = "5" * 24
OF_A_TENANT = keys.project(T, T)
OF_A_CREDENTIAL = keys.credential("0" * 64)
OF_THE_QUEUE = keys.purge(T, T)

PARAMETERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "GetItem": lambda key: {"Key": key},
    "UpdateItem": lambda key: {"Key": key, "UpdateExpression": "SET a = :a"},
    "DeleteItem": lambda key: {"Key": key},
    "PutItem": lambda key: {"Item": key},
    "Query": lambda key: {
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": key["pk"]},
    },
    "Scan": lambda key: {},
}
READS = ("GetItem", "BatchGetItem", "Query")
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")

# Functions with any access to credentials, and to the queue of deletions.
OF_CREDENTIALS = {f"V1{verb}Credential" for verb in ("Create", "Update", "Delete", "Rotate")}
WRITE_CREDENTIALS = OF_CREDENTIALS | {"Provision", "IssueCredential", "RotateCredential", "RevokeCredential"}
SHOW_CREDENTIALS = {"V1ListCredentials", "V1GetCredential"}
READ_CREDENTIALS = WRITE_CREDENTIALS | SHOW_CREDENTIALS | {"Authorizer", "ListCredentials", "Fsck"}
# They end those of a principal that is deleted.
END_CREDENTIALS = {"PurgeDeleted", "SweepDeleted", "Fsck"}
_DELETED = ("Project", "Task", "Space", "Principal", "Webhook")
DELETIONS = {"DeleteProject", "DeleteTask", *(f"V1Delete{kind}" for kind in _DELETED)}
WRITE_QUEUE = DELETIONS | {"PurgeDeleted", "SweepDeleted", "Fsck"}


def asked(operation: str, *wanted: Key, of: str = TABLE_NAME, **more: Any) -> list[Request]:
    """The permissions that a call needs, by the client's names."""
    wired: list[Any] = [wire_item(key._asdict()) for key in wanted]
    params: Mapping[str, Any]
    match operation:
        case "BatchGetItem":
            params = {"RequestItems": {of: {"Keys": wired}}}
        case "BatchWriteItem":
            params = {"RequestItems": {of: [{"DeleteRequest": {"Key": key}} for key in wired]}}
        case "TransactWriteItems":
            params = {"TransactItems": [{"Put": {"TableName": of, "Item": key}} for key in wired]}
        case _:
            params = {"TableName": of, **PARAMETERS[operation](wired[0])}
    model = SimpleNamespace(name=operation, service_model=SimpleNamespace(service_name="dynamodb"))
    return requests({**params, **more}, model, TABLE_NAME)


def put_event(source: str, type: str, bus: str = "atrium-events") -> list[Request]:
    model = SimpleNamespace(name="PutEvents", service_model=SimpleNamespace(service_name="events"))
    return requests({"Entries": [{"EventBusName": bus, "Source": source, "DetailType": type}]}, model, TABLE_NAME)


def may(template: Template, wanted: list[Request]) -> set[str]:
    """The functions with all of these permissions."""
    return {
        name
        for name in template.functions
        if all(is_allowed(request, statements(template, name)) for request in wanted)
    }


def may_any(template: Template, operations: tuple[str, ...], key: Key) -> set[str]:
    return set().union(*(may(template, asked(operation, key)) for operation in operations))


# ---------------------------------------------------------------- the partitions


def test_only_the_functions_of_credentials_reach_one(template: Template) -> None:
    assert may_any(template, READS, OF_A_CREDENTIAL) == READ_CREDENTIALS
    assert may_any(template, WRITES, OF_A_CREDENTIAL) == WRITE_CREDENTIALS | END_CREDENTIALS
    assert may_any(template, ("PutItem", "UpdateItem", "BatchWriteItem"), OF_A_CREDENTIAL) == WRITE_CREDENTIALS


def test_only_deletions_and_the_purge_reach_the_queue_of_deletions(template: Template) -> None:
    assert may_any(template, READS, OF_THE_QUEUE) == {"SweepDeleted", "Fsck"}
    assert may_any(template, WRITES, OF_THE_QUEUE) == WRITE_QUEUE
    assert may_any(template, (*READS, *WRITES), keys.PULSE) == {"SweepDeleted", "Fsck"}
    assert may_any(template, WRITES, keys.PULSE) == {"SweepDeleted"}


def test_one_foreign_key_among_others_refuses_the_call(template: Template) -> None:
    behind_urls = set(routes(template)) - OF_CREDENTIALS - SHOW_CREDENTIALS
    for operation in ("BatchGetItem", "TransactWriteItems", "BatchWriteItem"):
        alone = may(template, asked(operation, OF_A_TENANT))
        with_a_credential = may(template, asked(operation, OF_A_TENANT, OF_A_CREDENTIAL))
        assert alone > with_a_credential
        assert not with_a_credential & behind_urls, operation


def test_the_authorizer_changes_only_the_last_use_of_a_credential(template: Template) -> None:
    change: Any = {"UpdateExpression": "SET #name = :now", "ConditionExpression": "attribute_exists(#pk)"}
    for name, allowed in (("last_used", True), ("principal", False), ("tenant", False), ("revoked_at", False)):
        wanted = asked("UpdateItem", OF_A_CREDENTIAL, **change, ExpressionAttributeNames={"#name": name, "#pk": "pk"})
        assert ("Authorizer" in may(template, wanted)) == allowed, name
    assert may(template, asked("UpdateItem", OF_A_TENANT)) >= {"UpdateProject"}
    for operation in (*READS, *WRITES):
        assert "Authorizer" not in may(template, asked(operation, OF_A_TENANT)), operation


def test_one_function_scans_whole_rows_another_their_keys_and_only_of_its_own_table(template: Template) -> None:
    assert may(template, asked("Scan", OF_A_TENANT, ProjectionExpression="pk, sk")) == {"Fsck", "Redrive"}
    assert may(template, asked("Scan", OF_A_TENANT, ProjectionExpression="pk, sk, email")) == {"Fsck"}
    for operation in (*READS, *WRITES, "Scan", "TransactWriteItems"):
        assert may(template, asked(operation, OF_A_TENANT, of="another")) == set(), operation


def test_reading_functions_cannot_write(template: Template) -> None:
    reading = {name for name, (method, path) in routes(template).items() if method == "GET" or path.endswith("/find")}
    assert len(reading) > 20
    assert not may_any(template, (*WRITES, "TransactWriteItems"), OF_A_TENANT) & reading


def test_redrive_changes_only_the_number_and_the_mark_of_an_event(template: Template) -> None:
    change: Any = {"UpdateExpression": "SET #name = :value", "ConditionExpression": "attribute_exists(#pk)"}
    for name, allowed in (("sequence", True), ("unsent", True), ("resource", False), ("spaces", False)):
        wanted = asked("UpdateItem", OF_A_TENANT, **change, ExpressionAttributeNames={"#name": name, "#pk": "pk"})
        assert ("Redrive" in may(template, wanted)) == allowed, name
    for operation in ("PutItem", "DeleteItem", "BatchWriteItem"):
        assert "Redrive" not in may(template, asked(operation, OF_A_TENANT)), operation


# ---------------------------------------------------------------- the bus


def test_only_the_publisher_puts_events_and_only_under_atriums_source(template: Template) -> None:
    for type in TYPES:
        assert may(template, put_event(SOURCE, type)) == {"PublishEvents"}
    for source, type in ((SOURCE, "project.requested"), ("intake", "project.requested"), ("intake", "project.created")):
        assert may(template, put_event(source, type)) == set()
    assert may(template, put_event(SOURCE, "project.created", bus="default")) == set()
    for missing in ("events:source", "events:detail-type"):
        (request,) = put_event(SOURCE, "project.created")
        context = {key: values for key, values in request.context.items() if key != missing}
        assert may(template, [Request(request.action, request.resource, context)]) == set(), missing


def test_an_event_under_atriums_own_source_requests_no_project(template: Template) -> None:
    (rule,) = (rule for rule in template.rules if rule.name == "ProjectRequested")
    pattern = EventPattern.load(rule.pattern)
    asked_by = {source: {"source": source, "detail-type": "project.requested"} for source in ("intake", SOURCE)}
    assert {source: pattern.matches_event(event) for source, event in asked_by.items()} == {
        "intake": True,
        SOURCE: False,
    }


# ---------------------------------------------------------------- the attack


@pytest.mark.parametrize("kind", ["credential", "purge", "the event bus"])
def test_a_compromised_route_is_limited_to_its_role(
    template: Template, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The attacker's client has no wall. A stored secret would give access as any principal, a row of the queue would
    have a project purged, and an event would create a project for any principal."""
    secret = new_secret("token")
    tried: list[str] = []

    def attack(tenant: str, principal: str) -> None:
        holder = {"tenant": tenant, "principal": principal, "principal_kind": "user", "kind": "token", "id": T}
        doomed = {"tenant": tenant, "project": T, "space": tenant, "deleted_at": "2026-01-01T00:00:00.000Z"}
        if kind == "the event bus":
            entry = {"EventBusName": "atrium-events", "Source": "intake", "DetailType": "project.requested"}
            boto3.client("events").put_events(Entries=[{**entry, "Detail": "{}"}])
            return
        key, row = (
            (keys.credential(digest(secret)), holder) if kind == "credential" else (keys.purge(tenant, T), doomed)
        )
        dynamodb().put_item(TableName=os.environ["TABLE_NAME"], Item=wire_item({**key._asdict(), **row}))

    refused = pytest.raises(AssertionError, match="The template does not allow")
    with refused, inline(template, engine, tmp_path, call) as w:
        ids = [from_uuid(w.dev["tenants"]["globex"]["tenant_id"]), from_uuid(w.uuid("owner", "globex"))]
        commit = Work._commit

        def compromised(work: Work, *given: Any, **more: Any) -> Any:
            assert running() == "V1CreateProject"
            try:
                attack(*ids)
            except ClientError as error:
                tried.append(error.response["Error"]["Code"])
            return commit(work, *given, **more)

        monkeypatch.setattr(Work, "_commit", compromised)
        if w("POST", w.projects(), {"name": "Gemini"}).status != 201:
            pytest.fail("The attacker hides.")
        monkeypatch.undo()
        if w.raw("GET", "/v1/me", [("Authorization", f"Bearer {secret}")]).status != 401:
            pytest.fail("The attacker has a credential.")
    assert tried == ["AccessDeniedException"]


def test_a_new_environment_reads_only_with_its_functions_permissions(
    world: World, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new environment reads once before its first request, to open the connection, and ignores a refusal."""
    first: dict[str, Callable[[], object]] = {}
    monkeypatch.setattr(cold_start, "_IN_LAMBDA", True)
    monkeypatch.setattr(cold_start, "gc", SimpleNamespace(disable=int, freeze=int, enable=int))
    for name, function in template.functions.items():
        monkeypatch.setattr(cold_start, "_try", partial(first.__setitem__, name))
        importlib.reload(importlib.import_module(function.handler.rpartition(".")[0]))
    assert set(template.functions) - set(first) == {*routes(template, public=True)}
    read: list[Request] = []

    def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        read.extend(requests(params, model, table().name))

    table()._client.meta.events.register("before-parameter-build", note)
    for name, begin in first.items():
        read.clear()
        begin()
        # This route opens a connection like every other, but never uses it, and has no permission to read.
        if name != "V1ListRoles":
            silent = ("PublishEvents", "Redrive", "Erase", "ExportEvents", "SweepDeliveries")
            assert len(read) == (0 if name in silent else 1), name
            assert all(is_allowed(request, statements(template, name)) for request in read), (name, read)
