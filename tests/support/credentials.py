"""Credentials over HTTP, as tests make and use them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from atrium.keys import Key
from tests.support.client import Answer, World


def of(world: World, holder: str, *rest: str, tenant: str = "acme") -> str:
    """The path of a principal's credentials, or of one of them."""
    return "/".join((f"/v1/principals/{world.uuid(holder, tenant)}/credentials", *rest))


def asked(world: World, secret: str, method: str, path: str, body: Any = None, **options: Any) -> Answer:
    """A request with a secret of Atrium's own."""
    sent: Mapping[str, str] = {"X-API-Key": secret, **options.pop("headers", {})}
    more = {} if method in ("GET", "DELETE") else {"body": body}
    return world(method, path, *more.values(), by=None, headers=sent, **options)


def made(world: World, holder: str, secret: str | None = None, *, by: str = "owner", **body: Any) -> Any:
    """The answer of a new credential, with its path; issued with a secret, or as a principal."""
    new = {"kind": "api_key", "name": "CI", **body}
    path = of(world, holder)
    answer = world("POST", path, new, by=by) if secret is None else asked(world, secret, "POST", path, new)
    assert answer.status == 201, answer
    return {**answer.body, "path": f"{path}/{answer.body['id']}"}


def make_room(world: World, holder: str) -> None:
    """Revokes what tests have made, before a principal has as many as it may have."""
    found = world("GET", f"{of(world, holder)}?limit=100").body["data"]
    live = [each["id"] for each in found if each["status"] == "active" and each["name"]]
    for id in live if len(live) > 30 else ():
        assert world("DELETE", of(world, holder, id)).status == 204


def in_days(days: float) -> str:
    moment = datetime.now(UTC) + timedelta(days=days)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers.get("x-error-code", "")


NARROWED = (403, "credential_narrowed")


def restore(world: World, before: Mapping[Key, Any]) -> None:
    """Leaves the rows of the table as they were."""
    assert world.table is not None
    now = world.table.items()
    changed = [row for key, row in before.items() if now.get(key) != row]
    world.table.write(changed, [*(now.keys() - before.keys())])
