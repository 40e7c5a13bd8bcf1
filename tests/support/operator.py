"""An operator, who manages the credentials of a principal."""

from typing import Any

import pytest

from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import World


def status(world: World, *headers: tuple[str, str]) -> int:
    return world.raw("GET", "/v1/me", list(headers)).status


class Operator:
    """An operator, who invokes the functions without a URL on the credentials of a principal of acme."""

    def __init__(self, world: World, template: Template, principal: str = "owner") -> None:
        tenant = world.dev["tenants"]["acme"]["tenant_id"]
        self._holder = {"tenant_id": tenant, "principal_id": world.uuid(principal)}
        self._template = template

    def __call__(self, function: str, **event: Any) -> Any:
        return call(self._template.functions[function], {**self._holder, **event})

    def refusal(self, function: str, **event: Any) -> str:
        with pytest.raises(FunctionFailed) as failure:
            self(function, **event)
        assert failure.value.error_type == "Refused"
        return failure.value.message

    def issue(self, token: str = "t", **credential: Any) -> Any:
        return self("IssueCredential", request_token=token, credential={"kind": "key", **credential})

    def rotate(self, made: Any, token: str = "r", **event: Any) -> Any:
        id = made["credential_id"]
        return self("RotateCredential", **{"request_token": token, "credential_id": id, **event})

    def revoke(self, made: Any) -> Any:
        return self("RevokeCredential", credential_id=made["credential_id"])

    def listed(self, made: Any) -> Any:
        found = self("ListCredentials")["credentials"]
        return next(one for one in found if one["credential_id"] == made["credential_id"])


def works(world: World, secret: str) -> bool:
    return status(world, ("X-API-Key", secret)) == 200
