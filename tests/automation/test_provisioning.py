"""Provisioning creates a tenant with spaces, principals and credentials in one transaction, once."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atrium.credentials import digest, new_secret
from local.demo import demo
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import A_MOMENT, A_UUID, AN_ID, World
from tests.support.clock import HANGS
from tests.support.world import Crowd, at_once


class Provision:
    """The function, invoked directly."""

    def __init__(self, template: Template) -> None:
        self._function = template.functions["Provision"]

    def __call__(self, **event: Any) -> Any:
        return call(self._function, event)

    def refusal(self, **event: Any) -> str:
        with pytest.raises(FunctionFailed) as failure:
            self(**event)
        assert failure.value.error_type == "Refused"
        return failure.value.message


@pytest.fixture
def provision(world: World, template: Template) -> Provision:
    return Provision(template)


ADA: Mapping[str, Any] = {
    "name": "Ada Lovelace",
    "email": "Ada@initech.example",
    "roles": {"default": "owner", "research": "viewer"},
    "credentials": [{"kind": "token"}, {"kind": "key"}],
}
IDENTITY = {"kind": "identity", "issuer": "https://id.example", "subject": "ada"}
REQUEST: Mapping[str, Any] = {
    "request_token": "r-1",
    "tenant": {"name": "Initech"},
    "spaces": [{"name": "research"}],
    "principals": [ADA],
}


def me(world: World, secret: str) -> Any:
    return world.raw("GET", "/v1/me", [("Authorization", f"Bearer {secret}")])


def test_a_tenant_is_made_with_spaces_principals_and_secrets_shown_once(world: World, provision: Provision) -> None:
    made = provision(**REQUEST)
    assert made == {
        "tenant_id": A_UUID,
        "spaces": [{"space_id": made["tenant_id"], "name": "default"}, {"space_id": A_UUID, "name": "research"}],
        "principals": [
            {
                "principal_id": A_UUID,
                "id": AN_ID,
                "name": "Ada Lovelace",
                "email": "Ada@initech.example",
                "credentials": [
                    {"credential_id": A_UUID, "kind": kind, "secret": made["principals"][0]["credentials"][n]["secret"]}
                    for n, kind in enumerate(("token", "key"))
                ],
            }
        ],
    }
    for credential in made["principals"][0]["credentials"]:
        assert credential["secret"].startswith(f"atr_{credential['kind']}_")
        who = me(world, credential["secret"]).body
        assert who["principal_id"] == made["principals"][0]["principal_id"]
        assert {space["space_id"]: space["role"] for space in who["spaces"]} == {
            made["spaces"][0]["space_id"]: "owner",
            made["spaces"][1]["space_id"]: "viewer",
        }


def test_a_repeated_request_changes_nothing_and_returns_ids_without_secrets(provision: Provision) -> None:
    first, second = provision(**REQUEST), provision(**REQUEST)
    for credential in first["principals"][0]["credentials"]:
        del credential["secret"]
    assert second == first


def test_a_token_used_for_another_request_is_refused(provision: Provision) -> None:
    provision(**REQUEST)
    refused = provision.refusal(**{**REQUEST, "tenant": {"name": "Other"}})
    assert refused == "event.request_token: This request_token was used for another request. Send a new one."


def test_a_secret_given_as_a_digest_is_accepted_and_not_returned(world: World, provision: Provision) -> None:
    secret = new_secret("key")
    own = {"kind": "key", "sha256": digest(secret)}
    made = provision(**{**REQUEST, "principals": [{**ADA, "credentials": [own]}]})
    assert "secret" not in made["principals"][0]["credentials"][0]
    assert me(world, secret).status == 200


def test_a_tenant_grows_by_later_requests(world: World, provision: Provision) -> None:
    made = provision(**REQUEST)
    research = made["spaces"][1]["space_id"]
    grown = provision(
        request_token="r-2",
        tenant_id=made["tenant_id"],
        spaces=[{"name": "lab"}],
        principals=[
            {
                "name": "Bot",
                "email": "bot@initech.example",
                "kind": "service",
                "roles": {"lab": "manager", research: "contributor"},
                "credentials": [{"kind": "key"}],
            }
        ],
    )
    assert grown["tenant_id"] == made["tenant_id"]
    lab = grown["spaces"][1]["space_id"]
    secret = grown["principals"][0]["credentials"][0]["secret"]
    who = me(world, secret).body
    assert who["kind"] == "service"
    assert {space["space_id"]: space["role"] for space in who["spaces"]} == {lab: "manager", research: "contributor"}
    created = world.raw(
        "POST",
        f"/v1/spaces/{lab}/projects",
        [("X-API-Key", secret), ("Content-Type", "application/json")],
        b'{"name":"Apollo"}',
    )
    assert created.status == 201


def test_ids_of_requests_are_read_in_any_case(template: Template, provision: Provision) -> None:
    made = provision(**REQUEST)
    ids = {"tenant_id": made["tenant_id"]}
    research = made["spaces"][1]["space_id"]
    bot = {"name": "Bot", "email": "bot@initech.example"}
    grown = provision(request_token="r-2", **upper(ids), principals=[{**bot, "roles": {research.upper(): "viewer"}}])
    assert provision(request_token="r-2", **ids, principals=[{**bot, "roles": {research: "viewer"}}]) == grown
    ids["principal_id"] = grown["principals"][0]["principal_id"]
    asked = {"request_token": "r-3", "credential": {"kind": "key"}}
    issued = call(template.functions["IssueCredential"], {**asked, **upper(ids)})
    again = call(template.functions["IssueCredential"], {**asked, **ids})
    assert again == {name: value for name, value in issued.items() if name != "secret"}
    ids["credential_id"] = issued["credential_id"]
    asked = {"request_token": "r-4"}
    rotated = call(template.functions["RotateCredential"], {**asked, **upper(ids)})
    again = call(template.functions["RotateCredential"], {**asked, **ids})
    assert again == {name: value for name, value in rotated.items() if name != "secret"}
    call(template.functions["RevokeCredential"], upper(ids))
    del ids["credential_id"]
    (left,) = call(template.functions["ListCredentials"], upper(ids))["credentials"]
    assert (left["credential_id"], left["revoked_at"]) == (issued["credential_id"], A_MOMENT)
    twice = {research: "viewer", research.upper(): "owner"}
    refused = provision.refusal(request_token="r-5", tenant_id=made["tenant_id"], principals=[{**bot, "roles": twice}])
    assert refused == "principals.0.roles: A space stands twice"


def upper(ids: Mapping[str, str]) -> dict[str, str]:
    return {name: id.upper() for name, id in ids.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"request_token": ""}, "request_token: String should match pattern"),
        ({"request_token": None}, "request_token: Input should be a valid string"),
        ({"tenant": None}, "tenant: Give either tenant or tenant_id"),
        ({"tenant_id": "57be4a7b-e6e5-8000-8000-91afc8ac7ddd"}, "tenant: Give either tenant or tenant_id"),
        ({"tenant": None, "tenant_id": "123e4567-e89b-8000-8000-426614174000"}, "Tenant not found."),
        ({"tenant": None, "tenant_id": "x"}, "tenant_id: Value error, not a hyphenated UUID"),
        ({"tenant": {"name": " "}}, "tenant.name: Must not be empty"),
        ({"spaces": [{"name": "a"}, {"name": "a"}]}, "spaces.1.name: Stands twice in the request"),
        ({"spaces": [{"name": "default"}]}, "spaces.0.name: Stands twice in the request"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"principals": [{**ADA, "email": "x"}]}, "principals.0.email: Must be an e-mail address"),
        ({"principals": [{**ADA, "roles": {"default": "king"}}]}, "principals.0.roles.default: Input should be"),
        ({"principals": [{**ADA, "roles": {"lab": "owner"}}]}, "principals.0.roles: Names a space that is not there"),
        ({"principals": [ADA, {**ADA, "email": "ADA@initech.example"}]}, "principals: The same e-mail stands twice"),
        (
            {"principals": [{**ADA, "credentials": [{"kind": "key", "sha256": "a" * 64}] * 2}]},
            "principals: The same sha256 or identity stands twice",
        ),
        ({"principals": [{**ADA, "credentials": [{"kind": "password"}]}]}, "principals.0.credentials.0.kind: Input"),
        (
            {"principals": [{**ADA, "credentials": [{"kind": "identity", "issuer": "https://id.example"}]}]},
            "principals.0.credentials.0: An identity has issuer and subject, a secret has neither",
        ),
        (
            {"principals": [{**ADA, "credentials": [{"kind": "key", "subject": "ada"}]}]},
            "principals.0.credentials.0: An identity has issuer and subject, a secret has neither",
        ),
        (
            {"principals": [{**ADA, "credentials": [IDENTITY | {"sha256": "a" * 64}]}]},
            "principals.0.credentials.0: An identity has no secret",
        ),
        (
            {"principals": [{**ADA, "credentials": [IDENTITY | {"issuer": "id.example"}]}]},
            "principals.0.credentials.0.issuer: String should match pattern",
        ),
        (
            {"principals": [{**ADA, "credentials": [IDENTITY | {"subject": "a\nb\x00"}]}]},
            "principals.0.credentials.0.subject: Must have 1 to 255 characters and no control characters",
        ),
        (
            {"principals": [{**ADA, "credentials": [IDENTITY, IDENTITY]}]},
            "principals: The same sha256 or identity stands twice",
        ),
    ],
)
def test_an_invalid_request_is_refused_with_its_reason_and_creates_nothing(
    provision: Provision, change: Mapping[str, Any], said: str
) -> None:
    event = {
        name: value for name, value in {**REQUEST, **change}.items() if value is not None or name == "request_token"
    }
    assert said in provision.refusal(**event)
    assert provision(**REQUEST)["tenant_id"] == A_UUID, "the request token is still unused"


def test_emails_and_credentials_belong_to_one_principal(provision: Provision) -> None:
    own = {"kind": "key", "sha256": "a" * 64}
    made = provision(**{**REQUEST, "principals": [{**ADA, "credentials": [own]}]})
    again = {"request_token": "r-2", "tenant_id": made["tenant_id"]}
    refused = provision.refusal(**again, principals=[{**ADA, "roles": {}, "email": "ada@INITECH.example"}])
    assert refused == "principals.0.email: Belongs to a principal already"
    other = {**ADA, "email": "b@initech.example", "roles": {}, "credentials": [own]}
    assert provision.refusal(**again, principals=[other]) == "principals.0.credentials: Is in use already"
    assert provision(request_token="r-3", tenant={"name": "Other"}, principals=[{**ADA, "roles": {}}])


def test_a_request_too_large_for_one_transaction_is_refused(provision: Provision) -> None:
    def people(count: int) -> list[Any]:
        return [{"name": f"P{n}", "email": f"p{n}@initech.example"} for n in range(count)]

    refused = provision.refusal(request_token="r-1", tenant={"name": "Initech"}, principals=people(19))
    assert refused == "principals: Needs 103 items of at most 100. Send the principals in several requests"
    made = provision(request_token="r-1", tenant={"name": "Initech"}, principals=people(18))
    assert len(made["principals"]) == 18


def test_one_request_sent_many_times_at_once_makes_one_tenant(crowd: Crowd, template: Template) -> None:
    function = template.functions["Provision"]
    results = at_once(*[partial(crowd.invoke, function, {**REQUEST, "request_token": "storm"})] * 8)
    with_secrets = [made for made in results if "secret" in made["principals"][0]["credentials"][0]]
    assert len(with_secrets) == 1
    for made in results:
        for credential in made["principals"][0]["credentials"]:
            credential.pop("secret", None)
    assert all(made == results[0] for made in results)


def test_demo_tenants_are_made_though_the_table_hangs_at_first(
    crowd: Crowd, template: Template, tmp_path: Path
) -> None:
    dev, busy = crowd.world.dev, list[str]()
    secrets = {
        tenant: {
            name: {kind: each[kind] for kind in ("token", "api_key")} for name, each in known["principals"].items()
        }
        for tenant, known in dev["tenants"].items()
    }
    (tmp_path / "demo.json").write_text(json.dumps({"secrets": secrets}))
    crowd.proxy.before = lambda *_: HANGS if len(busy) < 2 else None

    def provision(request: Mapping[str, Any]) -> Any:
        try:
            return crowd.invoke(template.functions["Provision"], request)
        except FunctionFailed as failure:
            busy.append(str(failure))
            raise

    made = demo(tmp_path, provision)["tenants"]
    assert {name: tenant["tenant_id"] for name, tenant in made.items()} == {
        name: tenant["tenant_id"] for name, tenant in dev["tenants"].items()
    }
    told = "The service is busy. Send the same request again, with the same idempotency key."
    assert busy == [f"Unavailable: {told}"] * 2


def test_demo_tenants_are_not_tried_again_after_another_failure(tmp_path: Path) -> None:
    asked = []

    def provision(request: Mapping[str, Any]) -> Any:
        asked.append(request)
        raise FunctionFailed("KeyError", "boom")

    with pytest.raises(FunctionFailed, match="boom"):
        demo(tmp_path, provision)
    assert len(asked) == 1
