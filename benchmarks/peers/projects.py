"""Creating a project with a stock boto3 client: one consistent read, one transaction of the items that Atrium writes.

All peers share it, so they differ in what is around it. It is written for speed: no serialiser of boto3's, which costs
twice the time, and no more checks than the route needs.
"""

import json
import os
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import boto3

TABLE = os.environ["TABLE_NAME"]
client = boto3.client("dynamodb")


class Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def create(caller: dict[str, str], space: str, name: str, description: Any) -> dict[str, Any]:
    """The new project, as it is answered."""
    space = _id(space)
    tenant, me = caller["tenant_id"], caller["principal_id"]
    principal_key = {"pk": {"S": f"T#{tenant}#U#{me}"}, "sk": {"S": "META"}}
    space_key = {"pk": {"S": f"T#{tenant}#S#{space}"}, "sk": {"S": "META"}}
    keys = [principal_key, space_key]
    answer = client.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    found = {item["pk"]["S"]: item for item in answer["Responses"][TABLE]}
    if space_key["pk"]["S"] not in found:
        raise Refused(404, "Space not found.")
    principal = found.get(principal_key["pk"]["S"])
    role = principal["spaces"]["M"].get(space) if principal else None
    if role is None or role["S"] not in ("contributor", "manager", "owner"):
        raise Refused(403, "You may not create projects in this space.")

    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    project = _new_id()
    resource = {
        "id": _uuid(project),
        "tenant_id": _uuid(tenant),
        "space_id": _uuid(space),
        "name": name,
        "manager_id": _uuid(me),
        "created_by": _uuid(me),
        "status": "active",
        "created_at": now,
        "updated_at": now,
        "description": description,
    }
    row = {
        "id": {"S": project},
        "space": {"S": space},
        "created_by": {"S": me},
        "created_at": {"S": now},
        "name": {"S": name},
        "status": {"S": "active"},
        "manager": {"S": me},
        "updated_at": {"S": now},
    }
    event = {
        "id": {"S": _new_id()},
        "type": {"S": "project.created"},
        "time": {"S": now},
        "actor": {"M": {"principal_id": {"S": _uuid(me)}, "kind": {"S": caller["kind"]}}},
        "resource": {"S": json.dumps(resource)},
    }
    meta = {
        **row,
        "tenant": {"S": tenant},
        "client": {"S": ""},
        "description": {"S": json.dumps(description)},
        "version": {"N": "1"},
        "sequence": {"N": "1"},
        "members": {"N": "1"},
        "last_event": {"M": event},
    }
    member = {
        "principal": {"S": me},
        "role": {"S": "manager"},
        "created_at": {"S": now},
        "updated_at": {"S": now},
        "version": {"N": "1"},
    }
    held = {
        "TableName": TABLE,
        "Key": principal_key,
        "ConditionExpression": "#spaces.#space = :held",
        "ExpressionAttributeNames": {"#spaces": "spaces", "#space": space},
        "ExpressionAttributeValues": {":held": role},
    }
    client.transact_write_items(
        TransactItems=[
            {"ConditionCheck": held},
            _put(f"T#{tenant}#P#{project}", "META", meta),
            _put(f"T#{tenant}#S#{space}", f"PROJECT#{project}", row),
            _put(f"T#{tenant}#P#{project}", f"ROLE#{me}", member),
            _put(f"T#{tenant}#U#{me}", f"PROJECT#{project}", {"id": {"S": project}, "space": {"S": space}}),
        ],
        ClientRequestToken=secrets.token_hex(18),
    )
    return resource


def _put(pk: str, sk: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": TABLE,
            "Item": {"pk": {"S": pk}, "sk": {"S": sk}, **item},
            "ConditionExpression": "attribute_not_exists(#pk)",
            "ExpressionAttributeNames": {"#pk": "pk"},
        }
    }


def _new_id() -> str:
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def _uuid(id: str) -> str:
    return f"{id[:8]}-{id[8:12]}-8000-8000-{id[12:]}"


def _id(uuid: str) -> str:
    digits = uuid.replace("-", "")
    return digits[:12] + digits[20:]
