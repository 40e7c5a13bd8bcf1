"""Days of a tenant's events become objects of a bucket."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from moto import mock_aws

from atrium import keys
from atrium.automation import exporting
from atrium.ids import new_ids
from atrium.settings import settings
from atrium.store import export as exports
from atrium.store import history
from atrium.store.engine.table import table
from local.functions import FunctionFailed, call
from local.template import ROOT, Template
from tests.support.client import World, flat_id, v1_id
from tests.support.feed import tenant_of
from tests.support.iam import ALWAYS, needless, statements
from tests.support.rows import rows_here
from tests.support.trace import Trace

BUCKET = "exports"
DAY = timedelta(days=1)
Ask = Callable[..., Any]

# Noon in some days, for the functions: the events of the fixtures are in another day than those of the tests.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + 10 * DAY


class Now(datetime):
    moment = NOON

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.moment


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (exports, exporting, history):
        monkeypatch.setattr(module, "datetime", Now)


@pytest.fixture
def bucket(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of S3, with the bucket that the template names."""
    monkeypatch.setenv("EXPORT_BUCKET", BUCKET)
    exports._bucket.cache_clear()
    with mock_aws(config={"core": {"mock_credentials": False, "reset_boto3_session": False}}):
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
    exports._bucket.cache_clear()


@pytest.fixture
def export(world: World, template: Template, bucket: Any) -> Ask:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    return lambda **what: call(template.functions["ExportEvents"], {"tenant_id": tenant, **what})


def midnight(days_ago: int) -> datetime:
    return NOON.replace(hour=0) - days_ago * DAY


def day(days_ago: int) -> str:
    return str(midnight(days_ago).date())


def add(world: World, moment: datetime, count: int, **changes: Any) -> list[str]:
    """Events of one moment, as copies of the tenant's first; their ids."""
    tenant, rows = tenant_of(world), rows_here()
    model = next(row for row in rows.all() if row["pk"] in keys.ledger_shards(tenant))
    made = new_ids(count, round(moment.timestamp() * 1000))
    rows.put_all({keys.event(tenant, id): {**model, "sequence": 1, **changes} for id in made})
    return made


def objects(bucket: Any) -> dict[str, list[Any]]:
    """The events in each object, by its key."""
    found = bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    read = {each["Key"]: bucket.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}
    return {key: [json.loads(line) for line in body.decode().splitlines()] for key, body in read.items()}


def ids(found: dict[str, list[Any]]) -> dict[str, list[str]]:
    """The ids of the events in each object, by the end of its key."""
    return {key.split("/", 3)[3]: [flat_id(event["id"]) for event in events] for key, events in found.items()}


def test_each_day_is_written_in_parts_with_the_events_as_the_list_shows_them(
    world: World, bucket: Any, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PART", 3)
    monkeypatch.setattr(history, "_PAGE", 2)
    add(world, midnight(4) - timedelta(milliseconds=1), 2)
    first = add(world, midnight(4), 7)
    last = add(world, midnight(2) - timedelta(milliseconds=1), 3)
    add(world, midnight(2), 2)
    result = export(since=day(4), until=day(2))
    found = objects(bucket)
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    assert ids(found) == {
        f"{day(4)}/00000.ndjson": first[:3],
        f"{day(4)}/00001.ndjson": first[3:6],
        f"{day(4)}/00002.ndjson": first[6:],
        f"{day(3)}/00000.ndjson": last,
    }
    assert result == {"complete": True, "after": None, "events": 10, "keys": sorted(found)}
    assert all(key.startswith(f"atrium/events/{tenant}/") for key in found)
    assert {bucket.head_object(Bucket=BUCKET, Key=key)["ContentType"] for key in found} == {"application/x-ndjson"}
    for event in [event for events in found.values() for event in events]:
        shown = world("GET", f"/v1/events/{event['id']}")
        assert (shown.status, shown.body) == (200, event)


def test_a_repeated_run_writes_the_same_objects_and_erased_events_as_they_are(
    world: World, template: Template, bucket: Any, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PART", 3)
    project = "5" * 24
    made = add(world, midnight(1), 8, project=project)
    result, before = export(since=day(1), until=day(0)), objects(bucket)
    assert export(since=day(1), until=day(0)) == result
    assert objects(bucket) == before
    erasure = {"tenant_id": world.dev["tenants"]["acme"]["tenant_id"], "project_id": v1_id(project)}
    assert call(template.functions["Erase"], erasure)["erased"] == 8
    assert export(since=day(1), until=day(0)) == result
    after = objects(bucket)
    assert ids(after) == ids(before)
    events = [event for key in sorted(after) for event in after[key]]
    assert [(flat_id(event["id"]), event["resource"]) for event in events] == [(id, None) for id in made]


def test_a_day_that_is_not_over_ends_at_the_watermark_and_gets_longer(
    world: World, bucket: Any, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PART", 2)
    settled = add(world, NOON - timedelta(seconds=31), 3)
    young = add(world, NOON - timedelta(seconds=29), 2)
    assert export(since=day(0))["events"] == 3
    assert ids(objects(bucket)) == {f"{day(0)}/00000.ndjson": settled[:2], f"{day(0)}/00001.ndjson": settled[2:]}
    monkeypatch.setattr(Now, "moment", NOON + timedelta(seconds=5))
    assert export(since=day(0), until=day(-1))["events"] == 5
    assert ids(objects(bucket)) == {
        f"{day(0)}/00000.ndjson": settled[:2],
        f"{day(0)}/00001.ndjson": [settled[2], young[0]],
        f"{day(0)}/00002.ndjson": young[1:],
    }


def test_runs_out_of_time_go_on_behind_their_last_part_and_write_the_same_objects(
    world: World, bucket: Any, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PART", 2)
    for days in (4, 2):
        add(world, midnight(days), 5)
    whole, wanted = export(since=day(4), until=day(1)), objects(bucket)
    for key in whole["keys"]:
        bucket.delete_object(Bucket=BUCKET, Key=key)
    monkeypatch.setattr(exporting, "deadline", lambda _: partial(bool, True))
    parts = [export(since=day(4), until=day(1))]
    while not parts[-1]["complete"]:
        parts.append(export(since=day(4), until=day(1), after=parts[-1]["after"]))
        assert len(parts) < 20
    assert len(parts) >= 6
    assert [key for part in parts for key in part["keys"]] == whole["keys"]
    assert sum(part["events"] for part in parts) == 10
    assert objects(bucket) == wanted


def test_events_of_other_tenants_are_not_exported(world: World, bucket: Any, template: Template, export: Ask) -> None:
    add(world, midnight(1), 1)
    globex = world.dev["tenants"]["globex"]["tenant_id"]
    asked = {"tenant_id": globex, "since": day(1), "until": day(0)}
    assert call(template.functions["ExportEvents"], asked)["events"] == 0
    assert objects(bucket) == {}


def test_an_object_that_is_not_taken_ends_the_run(world: World, bucket: Any, export: Ask) -> None:
    add(world, midnight(1), 1)
    bucket.delete_bucket(Bucket=BUCKET)
    with pytest.raises(FunctionFailed) as failure:
        export(since=day(1), until=day(0))
    assert str(failure.value) == "NotStored: The bucket said NoSuchBucket"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({}, "since: Field required"),
        ({"since": "yesterday"}, "since: Input should be a valid date"),
        ({"since": day(1), "until": day(1)}, "until: Must be after since"),
        ({"since": day(1), "bucket": "mine"}, "bucket: Extra inputs are not permitted"),
        ({"since": day(1), "after": ["x", 0]}, "after: Must be that of an earlier result"),
        ({"since": day(90)}, f"since: Must be {day(89)} or later"),
    ],
)
def test_a_request_that_is_not_one_is_refused_and_writes_nothing(
    world: World, bucket: Any, export: Ask, what: dict[str, Any], why: str
) -> None:
    add(world, midnight(1), 1)
    with pytest.raises(FunctionFailed, match=f"Refused.*{why}"):
        export(**what)
    assert objects(bucket) == {}


def test_days_of_a_ledger_that_keeps_for_ever_are_never_too_old(
    world: World, bucket: Any, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add(world, midnight(1_000), 1)
    monkeypatch.setenv("EVENT_DAYS", "0")
    settings.cache_clear()
    try:
        export(since=day(1_000), until=day(999))
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert ids(objects(bucket)) == {f"{day(1_000)}/00000.ndjson": made}


def test_the_function_uses_all_of_its_permissions_and_is_there_for_a_bucket_only(
    world: World, bucket: Any, template: Template
) -> None:
    trace = Trace()
    add(world, midnight(1), 1)
    for client in (exports._bucket(), table()._client):
        trace.watch(client)
    asked = {"tenant_id": world.dev["tenants"]["acme"]["tenant_id"], "since": day(1)}
    assert trace.invoke(template.functions["ExportEvents"], asked)["events"] == 1
    own = [each for each in statements(template, "ExportEvents") if each["Resource"] not in ALWAYS]
    assert needless(own, trace.asked("ExportEvents")) == set()
    assert "ExportEvents" not in Template().functions
    of_it = {name: item for name, item in template.resources.items() if name.startswith("ExportEvents")}
    assert {name: item["Condition"] for name, item in of_it.items()} == dict.fromkeys(
        ("ExportEvents", "ExportEventsRole"), "HasExport"
    )


def test_the_sample_event_is_a_request(
    world: World, bucket: Any, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = json.loads((ROOT / "events/automation/export_events.json").read_text())
    monkeypatch.setattr(Now, "moment", datetime.fromisoformat(sample["until"]).replace(tzinfo=UTC))
    sample["tenant_id"] = world.dev["tenants"]["globex"]["tenant_id"]
    result = call(template.functions["ExportEvents"], sample)
    assert result == {"complete": True, "after": None, "events": 0, "keys": []}
