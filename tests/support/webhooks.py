"""Webhooks over HTTP, as tests make and use them."""

import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.support.client import World
from tests.support.deletions import purge_all
from tests.support.receiver import Received, Receiver
from tests.support.world import the_template

if TYPE_CHECKING:
    from tests.support.mill import Mill

# A tenant has 20 webhooks at most.
_ROOM = 18

# So many deletions are purged together.
_PURGED_AFTER = 50


def new_webhook(world: World, **body: Any) -> Any:
    """The answer of a new webhook, with its path."""
    make_room(world)
    answer = world("POST", "/v1/webhooks", {"url": new_url(), "events": ["*"], **body})
    assert answer.status == 201, answer
    return {**answer.body, "path": f"/v1/webhooks/{answer.body['id']}"}


def new_url() -> str:
    """A URL at a host of its own."""
    return f"https://{uuid4()}.example.com/hook"


def make_room(world: World) -> None:
    """Deletes some of what tests have made, before a tenant has as many as it may have: neither the first ones, which a
    module may share, nor the last."""
    made = [f"/v1/webhooks/{each['id']}" for each in world("GET", "/v1/webhooks?limit=100").body["data"]]
    others = [path for path in made if path not in world.kept]
    for path in others[4:-6] if len(made) >= _ROOM else ():
        delete_webhook(world, path)


def delete_webhook(world: World, path: str) -> None:
    assert world("DELETE", path).status == 204
    purge_in_time(world)


def purge_in_time(world: World) -> None:
    """Called after a deletion of a webhook. In this process no stream has them purged, and a tenant with two hundred
    deleted ones gets no other.
    """
    world.deleted += 1
    if world.table is not None and world.deleted % _PURGED_AFTER == 0:
        purge_all(the_template())


def the_webhook(world: World) -> tuple[str, str, str]:
    """The paths of a webhook that no test changes, of a delivery and of a recovery. It is one of the first."""
    if world.webhook is None:
        path, delivery = a_test(world)
        world.webhook = path, f"{path}/deliveries/{delivery['event_id']}", a_recovery(world, path)
    return world.webhook


def a_test(world: World) -> tuple[str, Any]:
    """The path of a new webhook, and the delivery that a test of it has made."""
    path = new_webhook(world)["path"]
    answer = world("POST", f"{path}/test", {})
    assert answer.status == 202, answer
    return path, answer.body


def a_recovery(world: World, webhook: str = "") -> str:
    """The path of a new recovery, of a new webhook if none is named."""
    path = webhook or new_webhook(world)["path"]
    answer = world("POST", f"{path}/recover", {"since": "2026-01-01"})
    assert answer.status == 202, answer
    return f"{path}/recoveries/{answer.body['id']}"


# ---------------------------------------------------------------- deliveries

MINUTE, HOUR = 60.0, 3_600.0


def verified(received: Received, secret: str) -> bool:
    """Whether a request is signed with a secret, at the moment that it names."""
    signed = f"{received.id}.{received.headers['webhook-timestamp']}.".encode() + received.body
    mac = hmac.digest(b64decode(secret.removeprefix("whsec_")), signed, "sha256")
    return f"v1,{b64encode(mac).decode()}" in received.headers["webhook-signature"].split()


def deliveries(world: World, webhook: Any, query: str = "") -> list[Any]:
    """The oldest first."""
    found: list[Any] = world("GET", f"{webhook['path']}/deliveries?limit=100{query}").body["data"]
    return found[::-1]


def proven(mill: "Mill", world: World, receiver: Receiver, **body: Any) -> Any:
    """A webhook that has answered with success."""
    webhook = new_webhook(world, url=receiver.url, **body)
    mill.skip()
    assert world("POST", f"{webhook['path']}/test", {}).status == 202
    mill.feed()
    mill.settle()
    assert len(receiver.received) == 1
    receiver.received.clear()
    mill.invoked.clear()
    return webhook
