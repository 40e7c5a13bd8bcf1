"""The events of tenants, spaces, principals and credentials, which functions without a URL make."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from atrium import keys
from atrium.ids import to_uuid
from atrium.store.engine.wire import wire_item
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.changes import require_published_form
from tests.support.client import World, flat_id
from tests.support.rows import Rows, rows_here
from tests.support.world import Count

ADA: dict[str, Any] = {
    "name": "Ada Lovelace",
    "email": "ada@initech.example",
    "roles": {"default": "owner", "research": "viewer"},
    "credentials": [
        {"kind": "token"},
        {"kind": "identity", "issuer": "https://id.example", "subject": "ada@id.example"},
    ],
}
REQUEST: dict[str, Any] = {
    "request_token": "r-1",
    "tenant": {"name": "Initech"},
    "spaces": [{"name": "research"}],
    "principals": [ADA],
}


@pytest.fixture
def rows(world: World) -> Rows:
    return rows_here()


def published(world: World, template: Template, rows: Rows, tenant: str) -> list[Any]:
    """The events of the roots of a tenant, as their images have them published; by what they are about, in order."""
    world.bus.events.clear()
    roots = [row for row in rows.all() if row["pk"].startswith(keys.tenant_prefix(tenant)) and "last_events" in row]
    records = [
        {"eventName": "MODIFY", "dynamodb": {"NewImage": wire_item(row), "SequenceNumber": f"{number}"}}
        for number, row in enumerate(roots)
    ]
    assert call(template.functions["PublishEvents"], {"Records": records}) == {"batchItemFailures": []}
    for detail in world.bus.details:
        require_published_form(detail)
        assert detail["tenant_id"] == to_uuid(tenant)
    return sorted(world.bus.details, key=lambda detail: (root(detail), detail["sequence"]))


def root(detail: Any) -> tuple[str, str]:
    (found,) = [(name, detail[name]) for name in ("space_id", "principal_id") if name in detail] or [("", "")]
    return found


def shown(details: list[Any]) -> Iterator[tuple[str, int, str]]:
    return ((detail["type"], detail["sequence"], detail["actor"]["kind"]) for detail in details)


def test_provisioning_tells_of_the_tenant_its_spaces_principals_roles_and_credentials(
    world: World, template: Template, rows: Rows
) -> None:
    made = call(template.functions["Provision"], REQUEST)
    (ada,) = made["principals"]
    spaces = {space["name"]: space["space_id"] for space in made["spaces"]}
    found = published(world, template, rows, flat_id(made["tenant_id"]))
    by_root = {about: [each for each in found if root(each) == about] for about in map(root, found)}
    assert by_root.keys() == {
        ("", ""),
        *(("space_id", id) for id in spaces.values()),
        ("principal_id", ada["principal_id"]),
    }
    assert list(shown(by_root["", ""])) == [("tenant.created", 1, "operator")]
    for id in spaces.values():
        assert list(shown(by_root["space_id", id])) == [
            ("space.created", 1, "operator"),
            ("space_member.added", 2, "operator"),
        ]
    of_ada = by_root["principal_id", ada["principal_id"]]
    assert list(shown(of_ada)) == [
        ("principal.created", 1, "operator"),
        ("credential.created", 2, "operator"),
        ("credential.created", 3, "operator"),
    ]
    (joined,) = [each["resource"] for each in by_root["space_id", spaces["research"]] if each["sequence"] == 2]
    assert (joined["principal_id"], joined["role_id"]) == (ada["principal_id"], world.role("viewer"))
    assert {each["resource"]["id"] for each in of_ada[1:]} == {each["credential_id"] for each in ada["credentials"]}
    assert call(template.functions["Provision"], REQUEST)["principals"][0]["id"] == ada["id"]
    assert published(world, template, rows, flat_id(made["tenant_id"])) == found, "a replay tells nothing"


def test_a_role_in_a_space_that_is_there_is_counted_on_the_space(world: World, template: Template, rows: Rows) -> None:
    made = call(template.functions["Provision"], REQUEST)
    more = {
        **ADA,
        "email": "bob@initech.example",
        "roles": {made["spaces"][1]["space_id"]: "viewer"},
        "credentials": [],
    }
    request = {"request_token": "r-2", "tenant_id": made["tenant_id"], "principals": [more]}
    (bob,) = call(template.functions["Provision"], request)["principals"]
    tenant, space = flat_id(made["tenant_id"]), flat_id(made["spaces"][1]["space_id"])
    row = rows.get(keys.space(tenant, space))
    assert row is not None
    assert (row["sequence"], len(row["last_events"])) == (3, 1)
    (told,) = [
        each for each in published(world, template, rows, tenant) if each["sequence"] == 3 and "space_id" in each
    ]
    assert (told["type"], told["resource"]["principal_id"]) == ("space_member.added", bob["principal_id"])


def test_each_change_of_a_credential_tells_of_it_once(world: World, template: Template, rows: Rows) -> None:
    made = call(template.functions["Provision"], REQUEST)
    holder = {"tenant_id": made["tenant_id"], "principal_id": made["principals"][0]["principal_id"]}
    issued = call(
        template.functions["IssueCredential"], {**holder, "request_token": "i", "credential": {"kind": "key"}}
    )
    named = {**holder, "credential_id": issued["credential_id"]}
    rotated = call(template.functions["RotateCredential"], {**named, "request_token": "o"})
    ends = [call(template.functions["RevokeCredential"], named)["revoked_at"] for _ in range(2)]
    assert ends[0] == ends[1]
    tenant, person = flat_id(made["tenant_id"]), flat_id(holder["principal_id"])
    row = rows.get(keys.principal(tenant, person))
    assert row is not None
    assert row["sequence"] == 6, "the second revocation is no change"
    ledger = [row for row in rows.all() if "#L#" in row["pk"] and row.get("principal") == person]
    told = [(each["type"], json.loads(each["resource"])) for each in sorted(ledger, key=lambda row: row["sk"])][3:]
    whole = {"permissions": None, "space_ids": None, "project_ids": None, "enrol": False}
    about = {"id": issued["credential_id"], **holder, "kind": "api_key", **whole, "expires_at": None}
    moments = [each.pop("created_at") for _, each in told]
    assert len(set(moments)) == 1
    assert told == [
        ("credential.created", about),
        ("credential.rotated", {**about, "previous_expires_at": rotated["previous_expires_at"]}),
        ("credential.revoked", {**about, "revoked_at": ends[0]}),
    ]
    (last,) = [
        each for each in published(world, template, rows, tenant) if each.get("principal_id") == holder["principal_id"]
    ]
    assert (last["type"], last["sequence"]) == ("credential.revoked", 6)


class Ticking(datetime):
    """A clock that is a second further at each look."""

    looks = 0

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        cls.looks += 1
        return datetime.now(tz) + timedelta(seconds=cls.looks)


def test_the_event_of_a_rotation_has_the_moment_at_which_the_new_secret_ends(
    world: World, template: Template, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atrium.store.keyring.datetime", Ticking)
    made = call(template.functions["Provision"], REQUEST)
    holder = {"tenant_id": made["tenant_id"], "principal_id": made["principals"][0]["principal_id"]}
    credential = {"kind": "key", "expires_at": "2030-01-01T00:00:00Z"}
    issued = call(template.functions["IssueCredential"], {**holder, "request_token": "i", "credential": credential})
    named = {**holder, "credential_id": issued["credential_id"]}
    call(template.functions["RotateCredential"], {**named, "request_token": "o"})
    listed = call(template.functions["ListCredentials"], holder)["credentials"]
    (kept,) = (each for each in listed if each["credential_id"] == issued["credential_id"])
    (told,) = (row for row in rows.all() if row.get("type") == "credential.rotated")
    shown = json.loads(told["resource"])
    assert (shown["expires_at"], shown["previous_expires_at"]) == (kept["expires_at"], kept["previous"]["expires_at"])


def test_a_credential_whose_principal_is_lost_can_be_revoked_and_not_rotated(
    world: World, template: Template, rows: Rows
) -> None:
    made = call(template.functions["Provision"], REQUEST)
    (ada,) = made["principals"]
    named = {"tenant_id": made["tenant_id"], "principal_id": ada["principal_id"]}
    named["credential_id"] = ada["credentials"][0]["credential_id"]
    rows.delete(keys.principal(flat_id(made["tenant_id"]), ada["id"]))
    with pytest.raises(FunctionFailed, match="Principal not found"):
        call(template.functions["RotateCredential"], {**named, "request_token": "o"})
    call(template.functions["RevokeCredential"], named)
    secret = ada["credentials"][0]["secret"]
    assert world.raw("GET", "/v1/me", [("Authorization", f"Bearer {secret}")]).status == 401


def test_the_ledger_holds_no_secret_no_digest_no_address_and_no_name_of_a_principal(
    world: World, template: Template, rows: Rows, count: Count
) -> None:
    made = call(template.functions["Provision"], REQUEST)
    (ada,) = made["principals"]
    secret = ada["credentials"][0]["secret"]
    digests = [row["pk"].partition("#")[2] for row in rows.all() if row["pk"].startswith("KEY#")]
    ledger = [json.dumps(row) for row in rows.all() if "#L#" in row["pk"]]
    count(rows=len(ledger))
    assert len(ledger) > 8
    for text in ledger:
        for private in (secret, "Lovelace", "@", "https://", *digests):
            assert private not in text
