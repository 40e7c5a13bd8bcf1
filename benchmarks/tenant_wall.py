"""Measures what the tenant wall costs: its time in a call that writes five items, compared to the client's time to
build that call.

    PYTHONPATH=functions:layers/atrium .venv/bin/python -m benchmarks.tenant_wall

Prints the microseconds of each and their ratio, from several rounds in turns. No call is sent.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import boto3
from botocore.serialize import create_serializer

from atrium import keys
from atrium.ids import new_id
from atrium.store.engine.scope import scope
from atrium.store.engine.wall import guard
from atrium.store.engine.wire import wire_item
from benchmarks.turns import ratio

ROUNDS = 25
CALLS = 500
ITEMS = 5


def main() -> None:
    tenant, project = new_id(), new_id()
    client = boto3.client("dynamodb", region_name="us-east-1")
    model = client.meta.service_model.operation_model("TransactWriteItems")
    serializer = create_serializer(client.meta.service_model.resolved_protocol)
    params = transaction(tenant, project)
    calls: dict[str, Callable[[], Any]] = {
        "wall": lambda: guard(params=params, model=model),
        "client": lambda: serializer.serialize_to_request(params, model),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with scope(tenant):
        for _ in range(ROUNDS):
            for name, call in calls.items():
                taken[name].append(microseconds(call))
    wall, building = taken["wall"], taken["client"]
    times = f"the wall {median(wall):.1f} µs, building the call {median(building):.1f} µs"
    print(f"{times}, ratio {ratio(wall, building):.3f}")


def transaction(tenant: str, project: str) -> dict[str, Any]:
    """A change with its stored answer, as Work makes it."""
    wired = [keys.record(tenant, project, "task", new_id()) for _ in range(ITEMS - 1)]
    puts: list[Any] = [{"Put": {"TableName": "atrium", "Item": item(key)}} for key in wired]
    update = {
        "TableName": "atrium",
        "Key": item(keys.project(tenant, project), {}),
        "UpdateExpression": "ADD #sequence :one",
        "ConditionExpression": "attribute_exists(#pk)",
        "ExpressionAttributeNames": {"#sequence": "sequence", "#pk": "pk"},
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    return {"TransactItems": [*puts, {"Update": update}], "ClientRequestToken": new_id()}


RECORD = {"id": "x" * 24, "name": "Clean the data", "description": "Drop duplicates", "version": 1, "done": False}


def item(key: keys.Key, fields: dict[str, Any] = RECORD) -> dict[str, Any]:
    return wire_item({"pk": key.pk, "sk": key.sk, **fields})


def microseconds(call: Callable[[], Any]) -> float:
    began = time.process_time_ns()
    for _ in range(CALLS):
        call()
    return (time.process_time_ns() - began) / 1e3 / CALLS


if __name__ == "__main__":
    main()
