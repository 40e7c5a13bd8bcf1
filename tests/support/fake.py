"""Functions whose answers a test chooses."""

from collections.abc import Mapping
from typing import Any

from local.template import Function
from tests.support.clock import NET

ALLOW = {
    "principalId": "p",
    "policyDocument": {
        "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*"}]
    },
    "context": {"tenant_id": "t", "number": 1, "yes": True},
}


class Fake:
    """Functions that answer what a test says, and the events they got."""

    def __init__(self, authorizer: Any = ALLOW, route: Any = None) -> None:
        self.answers = {"Authorizer": authorizer}
        self.route = {"statusCode": 200, "body": "ok"} if route is None else route
        self.events: dict[str, Any] = {}

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        self.events["Authorizer" if function.name == "Authorizer" else "route"] = event
        answer = self.answers.get(function.name, self.route)
        if isinstance(answer, Exception):
            raise answer
        return answer


def function(name: str, timeout: int = NET, concurrency: int | None = None) -> Function:
    return Function(name, f"sample_functions.{name}", timeout, 128, {}, concurrency=concurrency)
