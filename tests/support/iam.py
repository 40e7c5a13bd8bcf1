"""IAM, as far as the template's own statements use it: what a call asks of it, and what the statements say to that."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from local.template import ACCOUNT, REGION, TABLE_NAME, Template, function_arn

Statement = Mapping[str, Any]

_TRANSACTED = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


@dataclass(frozen=True)
class Request:
    """What a call asks of IAM: an action on a resource (its ARN), with the values of the condition keys."""

    action: str
    resource: str
    context: Mapping[str, frozenset[str]]

    def __str__(self) -> str:
        values = " ".join(f"{key}={','.join(sorted(values))}" for key, values in sorted(self.context.items()))
        return f"{self.action} {self.resource.rpartition(':')[2]} {values}".rstrip()


# ---------------------------------------------------------------- what a call asks


def requests(params: Mapping[str, Any], model: Any, table: str) -> list[Request]:
    """What a call with a client's parameters asks of IAM; `table` is the name of the stack's table where the test runs.

    AWS does not say whether the keys of one transaction or batch are held against a statement together or each by
    itself. Together is the harder question.
    """
    service = model.service_model.service_name
    if service == "events":
        return [_put_event(entry) for entry in params["Entries"]]
    if service == "sqs":
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{params['QueueUrl'].rpartition('/')[2]}"
        # A batch of messages asks for what one asks for.
        return [Request(f"sqs:{model.name.removesuffix('Batch')}", queue, {})]
    if service == "kms":
        return [Request(f"kms:{model.name}", params["KeyId"], {})]
    if service == "s3":
        return [Request(f"s3:{model.name}", f"arn:aws:s3:::{params['Bucket']}/{params['Key']}", {})]
    if service == "lambda":
        return [Request("lambda:InvokeFunction", function_arn(params["FunctionName"]), {})]
    if service == "dynamodbstreams":
        # An iterator says nothing of its stream here.
        return [
            Request(
                f"dynamodb:{model.name}", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE_NAME}/stream/local", {}
            )
        ]
    assert service == "dynamodb", service
    names, found = set(), []
    for name, action, part in _parts(model.name, params):
        names.add(name)
        found.append((action, part))
    (name,) = names
    resource = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE_NAME if name == table else name}"
    leading = frozenset(key for _, part in found for key in _leading(part))
    return [
        Request(
            f"dynamodb:{action}",
            resource,
            {
                **({"dynamodb:LeadingKeys": leading} if leading else {}),
                "dynamodb:Attributes": frozenset(
                    name for each, part in found if each == action for name in _names(part)
                ),
            },
        )
        for action in sorted({action for action, _ in found})
    ]


def _put_event(entry: Mapping[str, str]) -> Request:
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{entry.get('EventBusName', 'default')}"
    kind = {"events:source": entry["Source"], "events:detail-type": entry["DetailType"]}
    return Request("events:PutEvents", bus, {key: frozenset({value}) for key, value in kind.items()})


def _parts(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The table, the action and the parameters of each of the things that a call does."""
    match operation:
        case "TransactWriteItems" | "TransactGetItems":
            for item in params["TransactItems"]:
                for kind, part in item.items():
                    yield part["TableName"], _TRANSACTED[kind], part
        case "BatchGetItem":
            for name, asked in params["RequestItems"].items():
                for key in asked["Keys"]:
                    yield name, operation, {**asked, "Key": key}
        case "BatchWriteItem":
            for name, writes in params["RequestItems"].items():
                for write in writes:
                    ((_, part),) = write.items()
                    yield name, operation, part
        case _:
            yield params["TableName"], operation, params


def _leading(part: Mapping[str, Any]) -> set[str]:
    """The partitions that a part names: none of a Scan."""
    if "KeyConditionExpression" in part:
        placeholder = re.match(r"pk = (:\w+)", part["KeyConditionExpression"])
        if placeholder is None:
            raise ValueError(f"{part['KeyConditionExpression']} is not known here")
        return {part["ExpressionAttributeValues"][placeholder[1]]["S"]}
    key = part.get("Key") or part.get("Item")
    return {key["pk"]["S"]} if key else set()


def _names(part: Mapping[str, Any]) -> set[str]:
    """The attributes that a part names, those of the key among them."""
    texts = " ".join(
        text for kind, text in part.items() if kind.endswith("Expression") and kind != "KeyConditionExpression"
    )
    # Lower-case words but for functions; what AWS reserves is in capitals here.
    plain = set(re.findall(r"(?<![:#\w])[a-z]\w*\b(?!\()", texts))
    named = {name for place, name in part.get("ExpressionAttributeNames", {}).items() if place in texts}
    return {"pk", "sk"} | set(part.get("Item", {})) | plain | named


# ---------------------------------------------------------------- what the statements say


def statements(template: Template, function: str) -> list[Statement]:
    """Those of a function's role, with references resolved: its own, and those of the policies of the stack that the
    role has. Raises AssertionError for a policy of AWS's.
    """
    role = role_of(template, function)
    found = []
    for policy in role.get("Policies", []):
        found += policy["PolicyDocument"]["Statement"]
    for policy in role.get("ManagedPolicyArns", []):
        assert list(policy) == ["Ref"], policy
        found += template.resources[policy["Ref"]]["Properties"]["PolicyDocument"]["Statement"]
    return [
        {**each, "Action": _several(each["Action"]), "Resource": resource}
        for each in found
        for resource in _several(template.resolve(each["Resource"]))
    ]


def of_its_calls(template: Template, function: str) -> list[Statement]:
    """Those about what a function's code calls: the table and the bus. The others are about what Lambda does in the
    function's name.
    """
    called = tuple(f"arn:aws:{place}" for place in (f"dynamodb:{REGION}:{ACCOUNT}:table/", f"events:{REGION}:"))
    return [
        each
        for each in statements(template, function)
        if each["Resource"].startswith(called) and "/stream/" not in each["Resource"]
    ]


def role_of(template: Template, function: str) -> dict[str, Any]:
    """The properties of a function's role."""
    role: dict[str, Any] = template.resources[_role_name(template, function)]["Properties"]
    return role


def _role_name(template: Template, function: str) -> str:
    name, attribute = template.resources[function]["Properties"]["Role"]["Fn::GetAtt"]
    assert attribute == "Arn"
    return str(name)


# Functions share a role where what one of them does not need lets it do no more than it may anyway (decision 0037).
_NEEDED_BY_OTHERS = {
    "CreateProject": {"UpdateItem"},
    "V1CreateProject": {"UpdateItem"},
    # For an admin, whom the request of the table does not make.
    "V1CreatePrincipal": {"UpdateItem"},
    "V1CreateCredential": {"DeleteItem"},
    "V1UpdateCredential": {"DeleteItem"},
    "Provision": {"ConditionCheckItem", "DeleteItem"},
    "IssueCredential": {"ConditionCheckItem", "DeleteItem"},
    "RotateCredential": {"ConditionCheckItem"},
    "RevokeCredential": {"GetItem", "ConditionCheckItem", "DeleteItem"},
}


def needed_by_others(template: Template, function: str) -> set[str]:
    """The actions that a function has only because it shares its role with others that need them."""
    of_a_get = {"GetItem"} if _role_name(template, function) == "GetRole" and function != "FindTeamMember" else set()
    return {f"dynamodb:{name}" for name in _NEEDED_BY_OTHERS.get(function, of_a_get)}


def is_allowed(asked: Request, by: Iterable[Statement]) -> bool:
    return any(_allows(statement, asked) for statement in by)


def needless(by: Iterable[Statement], asked: Sequence[Request]) -> set[str]:
    """The words of the statements that none of the requests needed: actions, resources, and values of conditions."""
    found = set()
    for statement in by:
        needed = [request for request in asked if _allows(statement, request)]
        found |= {action for action in statement["Action"] if action not in {each.action for each in needed}}
        if not needed:
            found.add(statement["Resource"])
        for operator, keys in statement.get("Condition", {}).items():
            for key, patterns in keys.items() if operator != "Null" else ():
                values = {value for each in needed for value in each.context.get(key, ())}
                found |= {
                    f"{key} {pattern}"
                    for pattern in _several(patterns)
                    if not any(_matches(operator, pattern, value) for value in values)
                }
    return found


def _allows(statement: Statement, asked: Request) -> bool:
    assert set(statement) <= {"Effect", "Action", "Resource", "Condition"}, statement
    assert statement["Effect"] == "Allow"
    return (
        asked.action in statement["Action"]
        and _matches("ForAllValues:StringLike", statement["Resource"], asked.resource)
        and all(
            _holds(operator, _several(expected), asked.context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _holds(operator: str, expected: Sequence[str], values: frozenset[str] | None) -> bool:
    if operator == "Null":
        return expected == ["true" if values is None else "false"]
    # It holds of no values at all, as in AWS.
    return all(any(_matches(operator, pattern, value) for pattern in expected) for value in values or ())


def _matches(operator: str, pattern: str, value: str) -> bool:
    match operator:
        case "ForAllValues:StringEquals":
            return value == pattern
        case "ForAllValues:StringLike":
            return _like(pattern).fullmatch(value) is not None
    raise AssertionError(f"{operator} is not known here")


@cache
def _like(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _several(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


# What Lambda itself does in a function's name: it writes the log and the trace, reads what the function is behind, and
# sends on what failed.
ALWAYS = {
    f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:Logs:*": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "*": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
}
