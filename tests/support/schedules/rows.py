"""The table as the scheduler sees it: past Atrium, and with commits of which not all is visible yet."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from atrium import keys
from atrium.keys import Key
from atrium.store.engine.table import Item
from atrium.store.engine.wire import plain_item
from tests.support.direct import Direct, key_of

Transaction = Mapping[str, Any]


class Rows:
    """The table past Atrium and the SDK; and what it was at the start. What is not
    the tenant's is removed: the check of the table has less to do.

    `hidden` holds, under the keys of what is committed and not visible yet, what was there before; None for nothing.
    """

    def __init__(self, endpoint: str, environment: Mapping[str, str], tenant: str) -> None:
        self.name = environment["TABLE_NAME"]
        self._direct = Direct(endpoint, environment["AWS_ACCESS_KEY_ID"], self.name)
        found = self._direct.items()
        self.start = {key: item for key, item in found.items() if tenant in json.dumps(item)}
        self.restore(found.keys() - self.start.keys())
        self.hidden: dict[Key, Any] = {}

    def under(self, wanted: Iterable[Key]) -> dict[Key, Any]:
        """The items under the keys."""
        asked = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in wanted]
        requests = {self.name: {"Keys": asked, "ConsistentRead": True}}
        found = self._direct.answer("BatchGetItem", RequestItems=requests)["Responses"][self.name] if asked else []
        return {key_of(item): item for item in found}

    def seen(self, operation: str, params: Mapping[str, Any], answer: Any) -> Any:
        """The answer as a read has it from which something is hidden."""
        found = {key_of(item): item for item in items_of(operation, answer)}
        before = {key: self.hidden[key] for key in self.hidden if _asks_for(operation, params, key)}
        now = {key: item for key, item in (found | before).items() if item is not None}
        if operation == "Query":
            return {**answer, "Items": [now[key] for key in sorted(now)]}
        return {**answer, "Responses": {self.name: list(now.values())}}

    def in_conflict(self, operation: str, params: Mapping[str, Any]) -> bool:
        """Whether a transaction would be in conflict with one that is not visible yet, and refused for nothing else."""
        if not self.hidden or not operation.startswith("Transact"):
            return False
        actions = [action for each in params["TransactItems"] for action in each.values()]
        others = [action for action in actions if subject(action) not in self.hidden]
        if len(others) == len(actions):
            return False
        checks = [_as_check(action) for action in others if "ConditionExpression" in action]
        return not checks or self.call("TransactWriteItems", {"TransactItems": checks})[0] is None

    def call(self, operation: str, params: Mapping[str, Any]) -> tuple[str | None, Any]:
        """The code of the error, None for none, and the answer."""
        return self._direct.call(operation, params)

    def members_and_meta(self, pk: str) -> tuple[dict[str, Item], Item]:
        """The members of a project, by their keys, and its META; of a principal there are none."""
        values = {":pk": {"S": pk}, ":start": {"S": keys.META}, ":until": {"S": keys.ROLE + "\x7f"}}
        condition = "pk = :pk AND sk BETWEEN :start AND :until"
        answer = self._direct.answer(
            "Query",
            TableName=self.name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        rows = {item["sk"]: item for item in map(plain_item, answer["Items"])}
        return rows, rows.pop("META")

    def changed(self, touched: set[Key]) -> dict[Key, Any]:
        """What now stands under the keys, where it is something else than at the start: None for nothing."""
        found = self.under(touched)
        return {key: found.get(key) for key in touched if found.get(key) != self.start.get(key)}

    def everything(self) -> dict[Key, Any]:
        return self._direct.items()

    def restore(self, changed: Iterable[Key]) -> None:
        wanted = set(changed)
        self._direct.write([self.start[key] for key in wanted & self.start.keys()], [*(wanted - self.start.keys())])


def items_of(operation: str, answer: Mapping[str, Any]) -> list[Any]:
    """What a Query or a BatchGetItem has found."""
    if operation == "Query":
        return list(answer["Items"])
    return [item for items in answer["Responses"].values() for item in items]


def subject(action: Mapping[str, Any]) -> Key:
    """The key of what an action of a transaction is about."""
    return key_of(action.get("Key") or action["Item"])


def written_by(params: Transaction) -> list[Key]:
    """The keys of what a transaction writes."""
    actions = [each for action in params["TransactItems"] for each in action.items()]
    return [subject(write) for kind, write in actions if kind != "ConditionCheck"]


def _asks_for(operation: str, params: Mapping[str, Any], key: Key) -> bool:
    if operation == "Query":
        pk, start, until = (params["ExpressionAttributeValues"][name]["S"] for name in (":pk", ":start", ":until"))
        after = params["ExclusiveStartKey"]["sk"]["S"] if "ExclusiveStartKey" in params else ""
        return bool(key.pk == pk and start <= key.sk <= until and key.sk > after)
    return any(key_of(wanted) == key for request in params["RequestItems"].values() for wanted in request["Keys"])


def _as_check(action: Mapping[str, Any]) -> dict[str, Any]:
    """What an action of a transaction rests on, by itself."""
    condition = action["ConditionExpression"]
    key = {name: (action.get("Key") or action["Item"])[name] for name in ("pk", "sk")}
    check = {"TableName": action["TableName"], "Key": key, "ConditionExpression": condition}
    for kind in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        used = {name: given for name, given in action.get(kind, {}).items() if re.search(rf"{name}\b", condition)}
        if used:
            check[kind] = used
    return {"ConditionCheck": check}
