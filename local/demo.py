"""Two demo tenants. Their ids are derived from the request token, so they are the same on every machine and match the
events in events/; their secrets are created once for each data directory.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from atrium.credentials import digest, new_secret
from atrium.permissions import Role
from local.directory import write_privately
from local.functions import FunctionFailed
from local.issuer import ISSUER

TENANTS = ("acme", "globex")
ROLES = {"owner": "owner", "contributor": "contributor", "viewer": "viewer", "outsider": None}
TENANT_ROLES = {name: "admin" if name == "owner" else "member" for name in ROLES}

# Each request waits up to the deadline of a function before it gives up.
_RETRIES = 5

Provision = Callable[[Mapping[str, Any]], dict[str, Any]]


def demo(directory: Path, provision: Provision) -> dict[str, Any]:
    """Returns the `roles` and `tenants` of dev.json, which clients need to use the demo tenants.

    The tenants are created once. Their secrets are saved first and only the digests are provisioned, so that a start
    that is killed anywhere is finished by the next one.
    """
    path = directory / "demo.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if not known:
        known["secrets"] = {
            tenant: {name: {"token": new_secret("token"), "api_key": new_secret("key")} for name in ROLES}
            for tenant in TENANTS
        }
        write_privately(path, known)
    if "tenants" not in known:
        known["tenants"] = {tenant: _tenant(tenant, known["secrets"][tenant], provision) for tenant in TENANTS}
        write_privately(path, known)
    return {"roles": {role.key: role.uuid for role in Role}, "tenants": known["tenants"]}


def _patiently(provision: Provision, request: Mapping[str, Any]) -> dict[str, Any]:
    """Provisions, and again while the table is busy: on a machine that has much to do, a new engine and a new process
    may take longer than the function waits for them."""
    for _ in range(_RETRIES):
        try:
            return provision(request)
        except FunctionFailed as failure:
            if failure.error_type != "Unavailable":
                raise
    return provision(request)


def _tenant(tenant: str, secrets: Mapping[str, Any], provision: Provision) -> dict[str, Any]:
    made = _patiently(
        provision,
        {
            "request_token": f"demo-{tenant}",
            "tenant": {"name": tenant.title()},
            "spaces": [{"name": "research"}],
            "principals": [
                {
                    "name": f"{name.title()} of {tenant.title()}",
                    "email": f"{name}@{tenant}.example",
                    "tenant_role": TENANT_ROLES[name],
                    "roles": {"default": role, "research": role} if role else {},
                    "credentials": [
                        {"kind": "token", "sha256": digest(secrets[name]["token"])},
                        {"kind": "key", "sha256": digest(secrets[name]["api_key"])},
                        {"kind": "identity", "issuer": ISSUER, "subject": f"{name}@{tenant}.example"},
                    ],
                }
                for name, role in ROLES.items()
            ],
        },
    )
    return {
        "tenant_id": made["tenant_id"],
        "spaces": {space["name"]: space["space_id"] for space in made["spaces"]},
        "principals": {
            name: {
                "principal_id": principal["principal_id"],
                "id": principal["id"],
                "tenant_role": TENANT_ROLES[name],
                **secrets[name],
            }
            for name, principal in zip(ROLES, made["principals"], strict=True)
        },
    }
