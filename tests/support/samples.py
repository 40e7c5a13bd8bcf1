"""The sample events of events/, about things that are there."""

import json
from collections.abc import Mapping
from typing import Any

from local.template import ROOT
from tests.support.client import World, flat_id, v1_id
from tests.support.requests import restore_members
from tests.support.webhooks import a_recovery, a_test, new_webhook

EVENTS = ROOT / "events"


# The project that the samples are about, its records, and the note on its task; samples run on what is made first.
SAMPLE_PROJECT = "64a1f2c3b4e5d6f7a8b9c0d1"


SAMPLE_RECORDS = {
    "tasks": "64a1f2c3b4e5d6f7a8b9c0d2",
    "datasets": "64a1f2c3b4e5d6f7a8b9c0d3",
    "experiments": "64a1f2c3b4e5d6f7a8b9c0d4",
    "decisions": "64a1f2c3b4e5d6f7a8b9c0d5",
}


SAMPLE_NOTE = "64a1f2c3b4e5d6f7a8b9c0d6"


SAMPLE_EVENT = "64a1f2c3b4e5d6f7a8b9c0f3"


# The principal that is suspended and deleted, and the space that is deleted.
SAMPLE_PRINCIPAL, SAMPLE_SPACE = "64a1f2c3b4e5d6f7a8b9c0f1", "64a1f2c3b4e5d6f7a8b9c0f2"


# The webhook with a delivery of the event and a recovery; and the one that is tested, or deleted, or has none yet.
SAMPLE_WEBHOOK, SAMPLE_RECOVERY = "64a1f2c3b4e5d6f7a8b9c0e1", "64a1f2c3b4e5d6f7a8b9c0e9"
SAMPLE_NEW_WEBHOOK = "64a1f2c3b4e5d6f7a8b9c0e2"


def status_of(sample: str) -> int:
    """What a sample's route answers when it succeeds."""
    dialect, name = sample.removesuffix(".json").split("/")
    if name.startswith(("create_", "add_")):
        return 201
    if name in ("test_webhook", "redeliver_event", "recover_events"):
        return 202
    return 204 if dialect == "v1" and name.startswith(("delete_", "remove_")) else 200


def made_for_samples(world: World) -> dict[str, str]:
    """Makes what the samples are about: v1 paths, a note's flat path, by the ids in the samples."""
    restore_members(world, world.space())
    project = world.new_project("Customer Churn Model")
    world.new_member(project, "viewer", "viewer")
    made = {SAMPLE_PROJECT: project}
    for kind, id in SAMPLE_RECORDS.items():
        made[id] = world.new_record(project, kind)
    made[SAMPLE_NOTE] = world.new_note(made[SAMPLE_RECORDS["tasks"]])
    webhook, delivery = a_test(world)
    made |= {SAMPLE_WEBHOOK: webhook, SAMPLE_NEW_WEBHOOK: new_webhook(world)["path"]}
    made[SAMPLE_EVENT] = f"/v1/events/{delivery['event_id']}"
    made[SAMPLE_RECOVERY] = a_recovery(world, webhook)
    made |= {SAMPLE_PRINCIPAL: world.new_principal(), SAMPLE_SPACE: world.new_space()}
    return made


def prepared(made: Mapping[str, str], sample: str) -> Any:
    """The sample, about things that are there."""
    text = (EVENTS / sample).read_text()
    for id, path in made.items():
        last = path.rpartition("/")[2]
        own = flat_id(last) if "-" in last else last
        text = text.replace(id, own).replace(v1_id(id), v1_id(own))
    return json.loads(text)
