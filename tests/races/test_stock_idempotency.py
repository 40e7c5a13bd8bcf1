"""The faults of test_faults on a route with Powertools' own idempotency, for comparison (decision 0003)."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.idempotency import base
from aws_lambda_powertools.utilities.idempotency.persistence import base as persistence
from aws_lambda_powertools.utilities.idempotency.persistence import dynamodb
from moto import mock_aws

from tests.support.faults import FAULTS, Crash, FaultyClient
from tests.support.stock_route import LEASE, PROJECTS, RECORDS, StockRoute
from tests.support.world import Count


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        made = boto3.client("dynamodb", region_name="us-east-1")
        for table in (PROJECTS, RECORDS):
            made.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield made


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many seconds pass on Powertools' clock, at once."""
    passed = timedelta()

    class Moment(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Moment":
            return super().now(tz) + passed

    for module in (base, persistence, dynamodb):
        monkeypatch.setattr(module, "dt", SimpleNamespace(datetime=Moment, timedelta=timedelta))

    def pause(seconds: int) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    return pause


def outcome(client: Any, pause: Callable[[int], None], fault: str, at: int) -> tuple[str, bool]:
    """The result of a creation whose call number `at` fails, and whether that call happened.

    The client repeats the request at once, and if refused, again after the lease.
    """
    before = client.scan(TableName=PROJECTS)["Count"]
    faulty = FaultyClient(client, lambda number, *_: fault if number == at else None)
    statuses = []
    for seconds in (0, 0, 0, LEASE):
        pause(seconds)
        faulty.revive()
        try:
            statuses.append(StockRoute(faulty)("Apollo", f"{fault} {at}")[0])
        except Crash:
            statuses.append(502)
        if statuses[-1] == 201:
            break
    made = client.scan(TableName=PROJECTS)["Count"] - before
    if made > 1:
        kind = "duplicated"
    elif made < 1:
        kind = "lost"
    else:
        kind = "stuck" if 409 in statuses else "once"
    return kind, len(faulty.calls) >= at


def test_stock_idempotency_duplicates_and_gets_stuck_after_one_failed_call(
    client: Any, pause: Callable[[int], None], count: Count
) -> None:
    found: Counter[str] = Counter()
    for fault in FAULTS:
        at, met = 1, True
        while met:
            kind, met = outcome(client, pause, fault, at)
            found[kind] += met
            at += 1
    count(creates=found.total(), **found)
    assert found["duplicated"] > 0
    assert found["stuck"] > 0
    assert found["lost"] == 0
