"""DynamoDB Local as the laptop edition runs it."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.database import database
from local.template import TABLE_NAME, Function, Template, create_table
from tests.support.world import KEY, full


def test_a_write_is_on_disk_when_the_invoker_returns(template: Template, tmp_path: Path) -> None:
    """The engine is killed as soon as the invoker returns, and the next one on the same files is asked. Without the
    invoker's wait most rounds lose the write.
    """
    function = template.functions["Provision"]
    key = {"pk": {"S": "-"}, "sk": {"S": "-"}}
    rounds = full(2, 20)
    for number in range(rounds + 1):
        with database(tmp_path, KEY) as engine:
            engine.wait_until_ready()
            client = engine.client()
            if number == 0:
                create_table(client, template.table)
            else:
                item = client.get_item(TableName=TABLE_NAME, Key=key, ConsistentRead=True)["Item"]
                assert item.get("number") == {"N": str(number)}, "the last engine's write"
            if number == rounds:
                return
            client.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE_NAME, "Item": key}}])
            update = {
                "TableName": TABLE_NAME,
                "Key": key,
                "UpdateExpression": "SET #number = :number",
                "ExpressionAttributeNames": {"#number": "number"},
                "ExpressionAttributeValues": {":number": {"N": str(number + 1)}},
            }

            def write(function: Function, event: Mapping[str, Any], client: Any = client, update: Any = update) -> Any:
                return client.transact_write_items(TransactItems=[{"Update": update}])

            engine.durable(write)(function, {})
            os.kill(engine.process.pid, signal.SIGKILL)
